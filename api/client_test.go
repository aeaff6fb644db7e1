package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/sallyport-id/sallyport/internal/harness"
)

// caller is a program that uses the API: with a token, or with cookies.
type caller struct {
	s       *harness.Server
	http    *http.Client
	token   string
	csrf    string
	headers map[string]string
}

func newCaller(t *testing.T, s *harness.Server) *caller {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &caller{s: s, http: &http.Client{Jar: jar, Transport: s.Transport()}, headers: map[string]string{"User-Agent": "test program"}}
}

// reply is a response in the envelope.
type reply struct {
	Status  int
	Header  http.Header
	Body    string
	Version string          `json:"version"`
	Success bool            `json:"success"`
	Code    int             `json:"code"`
	Message string          `json:"message"`
	ID      string          `json:"request_id"`
	Data    json.RawMessage `json:"data"`
	Meta    json.RawMessage `json:"meta"`
	Error   *struct {
		Type    string              `json:"type"`
		Details map[string][]string `json:"details"`
	} `json:"error"`
}

// get is a member of data.
func (r *reply) get(name string) any {
	var data map[string]any
	_ = json.Unmarshal(r.Data, &data)
	return data[name]
}

func (r *reply) text(name string) string {
	s, _ := r.get(name).(string)
	return s
}

func (r *reply) list(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	if err := json.Unmarshal(r.Data, &all); err != nil {
		t.Fatalf("data is no list: %s", r.Body)
	}
	return all
}

// call sends body as JSON; a string goes as it is.
func (c *caller) call(t *testing.T, method, path string, body any) *reply {
	t.Helper()
	var text io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		text = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.s.Issuer+"/api/v1"+path, text)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.csrf != "" {
		req.Header.Set("X-CSRF-Token", c.csrf)
	}
	for name, value := range c.headers {
		req.Header.Set(name, value)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answered, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := &reply{Status: resp.StatusCode, Header: resp.Header, Body: string(answered)}
	if err := json.Unmarshal(answered, r); err != nil {
		t.Fatalf("%s %s: not in the envelope: %d %s", method, path, resp.StatusCode, answered)
	}
	if r.Code != r.Status || r.Success != (r.Status < 400) || r.Version != "1.0" || len(r.ID) != 36 || r.Message == "" || r.Success == (r.Error != nil) {
		t.Errorf("%s %s: the envelope is %d %s", method, path, resp.StatusCode, answered)
	}
	return r
}

// want is call with the status that must come back.
func (c *caller) want(t *testing.T, status int, method, path string, body any) *reply {
	t.Helper()
	r := c.call(t, method, path, body)
	if r.Status != status {
		t.Fatalf("%s %s: got %d, want %d: %s", method, path, r.Status, status, r.Body)
	}
	return r
}

// refused is want for errors of a type.
func (c *caller) refused(t *testing.T, kind, method, path string, body any) *reply {
	t.Helper()
	r := c.call(t, method, path, body)
	if r.Error == nil || r.Error.Type != kind {
		t.Fatalf("%s %s: got %d %s, want %s", method, path, r.Status, r.Body, kind)
	}
	return r
}

type object = map[string]any

// signIn signs a person in with a token, or by cookie.
func (c *caller) signIn(t *testing.T, who harness.Person, token bool) *reply {
	t.Helper()
	r := c.want(t, http.StatusOK, "POST", "/auth/login", object{"email": who.Email, "password": who.Password, "token": token})
	c.take(r)
	return r
}

// take keeps the token that a response gives out, at its top or in its session.
func (c *caller) take(r *reply) {
	var data struct {
		Token   string `json:"token"`
		CSRF    string `json:"csrf_token"`
		Session struct {
			Token string `json:"token"`
			CSRF  string `json:"csrf_token"`
		} `json:"session"`
	}
	_ = json.Unmarshal(r.Data, &data)
	if token := data.Token + data.Session.Token; token != "" {
		c.token = token
	}
	if csrf := data.CSRF + data.Session.CSRF; csrf != "" {
		c.csrf = csrf
	}
}

// enrolTOTP sets an authenticator app up and returns its secret and the recovery codes.
func (c *caller) enrolTOTP(t *testing.T) (secret string, recovery []string) {
	t.Helper()
	secret = c.want(t, http.StatusOK, "POST", "/auth/totp/enroll", object{"name": "Phone"}).text("secret")
	r := c.want(t, http.StatusCreated, "POST", "/auth/totp/verify-enrollment", object{"code": code(t, c.s, secret)})
	c.take(r)
	var data struct {
		Codes []string `json:"recovery_codes"`
	}
	if err := json.Unmarshal(r.Data, &data); err != nil {
		t.Fatal(err)
	}
	return secret, data.Codes
}

// code is what an authenticator app shows now.
func code(t *testing.T, s *harness.Server, secret string) string {
	t.Helper()
	c, err := totp.GenerateCode(secret, s.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// nextStep lets the app show another code.
func nextStep(s *harness.Server) { s.Clock.Advance(30 * time.Second) }

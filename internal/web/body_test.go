package web

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const formType = "application/x-www-form-urlencoded"

func post(body io.Reader, header ...string) *http.Request {
	r := httptest.NewRequest("POST", "/x?from=url&a=url", body)
	r.Header.Set("Content-Type", formType)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func TestFormIsTheBodyAlone(t *testing.T) {
	r := post(strings.NewReader("a=1&b=%C3%BC+x&c=&resource=x&resource=y"), "Content-Type", formType+"; charset=UTF-8")
	got, err := Form(r, "resource")
	want := url.Values{"a": {"1"}, "b": {"ü x"}, "c": {""}, "resource": {"x", "y"}}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("Form = %v, %v, want %v", got, err, want)
	}
	// Code that parses the request again sees the same.
	if err := r.ParseMultipartForm(1 << 20); !errors.Is(err, http.ErrNotMultipart) || !cmp.Equal(r.Form, want) || !cmp.Equal(r.PostForm, want) {
		t.Errorf("ParseMultipartForm: %v, Form %v, PostForm %v", err, r.Form, r.PostForm)
	}
}

// HT-04, HT-07, IN-01: refused, and with little read.
func TestFormsAreBounded(t *testing.T) {
	tests := []struct {
		name string
		r    *http.Request
		want int
	}{
		{"repeated", post(strings.NewReader("a=1&a=2")), 400},
		{"repeated, one of it listed", post(strings.NewReader("a=1&resource=x&a=2")), 400},
		{"not UTF-8", post(strings.NewReader("a=%ff")), 400},
		{"NUL", post(strings.NewReader("a=%00")), 400},
		{"NUL in a name", post(strings.NewReader("%00=a")), 400},
		{"broken encoding", post(strings.NewReader("a=%zz")), 400},
		{"semicolon", post(strings.NewReader("a=1;b=2")), 400},
		{"fields", post(strings.NewReader(strings.Repeat("&", 1000))), 400},
		{"large", post(strings.NewReader("a=" + strings.Repeat("x", 64<<10))), 413},
		{"endless", post(io.MultiReader(strings.NewReader("a="), endless{t, new(int)})), 413},
		{"cut off", post(io.MultiReader(strings.NewReader("a="), broken{})), 400},
		{"multipart", post(strings.NewReader("x"), "Content-Type", "multipart/form-data; boundary=x"), 415},
		{"JSON", post(strings.NewReader("{}"), "Content-Type", "application/json"), 415},
		{"text", post(strings.NewReader("a=1"), "Content-Type", "text/plain"), 415},
		{"no type", post(strings.NewReader("a=1"), "Content-Type", ""), 415},
		{"charset", post(strings.NewReader("a=1"), "Content-Type", formType+"; charset=utf-16"), 415},
		{"gzip", post(strings.NewReader("a=1"), "Content-Encoding", "gzip"), 415},
	}
	for _, test := range tests {
		_, err := Form(test.r, "resource")
		var e *Error
		if !errors.As(err, &e) || e.Status != test.want {
			t.Errorf("%s: %v, want %d", test.name, err, test.want)
		}
	}
}

// endless is a body without end that notices if too much of it is read.
type endless struct {
	t    *testing.T
	read *int
}

func (e endless) Read(b []byte) (int, error) {
	if *e.read += len(b); *e.read > 256<<10 {
		e.t.Fatal("an endless body is read on and on")
	}
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// The cap holds for handlers that read the body themselves, too.
func TestEveryBodyIsCapped(t *testing.T) {
	tw := newWeb(t)
	rt := tw.NewRouter()
	rt.Handle("/read", tw.Handle(func(w http.ResponseWriter, r *http.Request) error {
		_, err := io.ReadAll(r.Body)
		return err
	}), "POST")
	r := httptest.NewRequest("POST", "/read", endless{t, new(int)})
	r.Host = "id.example"
	if w := do(rt, r); w.Code != 413 || !strings.Contains(w.Body.String(), `data-error="payload_too_large"`) {
		t.Errorf("POST = %d %s, want 413", w.Code, w.Body)
	}
}

func TestQueryHasTheSameRules(t *testing.T) {
	for raw, ok := range map[string]bool{
		"a=1&b=2": true, "": true, "state=%22%3E%F0%9F%94%91": true, "resource=x&resource=y": true,
		"a=1&a=2": false, "state=%00": false, "a=%ff": false, "%ff=a": false, "a;b": false, strings.Repeat("&", 10_000): false,
	} {
		r := &http.Request{URL: &url.URL{RawQuery: raw}}
		if _, err := Query(r, "resource"); (err == nil) != ok {
			t.Errorf("Query(%.30q) = %v", raw, err)
		}
	}
}

// Messages repeat names that strangers chose: never at length, never with markup's or a log's special characters.
func TestMessagesRepeatOnlyPlainNames(t *testing.T) {
	for _, name := range []string{strings.Repeat("x", 41), "a%22b", "a%0Ab", "%C3%BC"} {
		_, err := Query(&http.Request{URL: &url.URL{RawQuery: name + "=1&" + name + "=2"}})
		var e *Error
		if !errors.As(err, &e) || e.Message != "the parameter given occurs more than once" {
			t.Errorf("Query(%s twice) = %v", name, err)
		}
	}
}

package mail_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/mail"
)

// api is a provider's server: it keeps what it was asked and answers as told.
type api struct {
	URL    string
	mu     sync.Mutex
	asked  []asked
	status int
	answer string
}

type asked struct {
	method, path, user, password, authorization, contentType string
	form                                                     map[string][]string
	body                                                     []byte
}

func newAPI(t *testing.T, status int, answer string) *api {
	t.Helper()
	a := &api{status: status, answer: answer}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.URL = server.URL
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := asked{method: r.Method, path: r.URL.String(), authorization: r.Header.Get("Authorization"), contentType: r.Header.Get("Content-Type")}
	q.user, q.password, _ = r.BasicAuth()
	if strings.HasPrefix(q.contentType, "multipart/form-data") {
		if r.ParseMultipartForm(1<<20) == nil {
			q.form = r.MultipartForm.Value
		}
	} else {
		q.body, _ = io.ReadAll(r.Body)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, q)
	w.Header().Set("Content-Type", "application/json")
	if a.status >= 300 && a.status < 400 {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.answer)
}

// https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages
func TestMailgunGetsWhatItsAPIDocuments(t *testing.T) {
	a := newAPI(t, 200, `{"id":"<x@mg.acme.example>","message":"Queued. Thank you."}`)
	if err := mail.NewMailgun(a.URL, "mg.acme.example", "key-1").Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	q := a.asked[0]
	if q.method != "POST" || q.path != "/v3/mg.acme.example/messages" || q.user != "api" || q.password != "key-1" {
		t.Errorf("got %s %s as %s", q.method, q.path, q.user)
	}
	m := message()
	want := map[string][]string{
		"from": {`"Acme ID" <id@acme.example>`}, "to": {"=?utf-8?b?Qm9iIELDvGlsZGVy?= <bob@acme-corp.com>"}, "subject": {m.Subject}, "text": {m.Text}, "html": {m.HTML},
		"h:Message-Id": {"<" + m.ID + ">"}, "h:Auto-Submitted": {"auto-generated"}, "o:tracking": {"no"}, "o:tracking-clicks": {"no"}, "o:tracking-opens": {"no"},
	}
	if diff := cmp.Diff(want, q.form); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

// https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
func TestSendGridGetsWhatItsAPIDocuments(t *testing.T) {
	a := newAPI(t, 202, "")
	if err := mail.NewSendGrid(a.URL, "SG.1").Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	q := a.asked[0]
	if q.method != "POST" || q.path != "/v3/mail/send" || q.authorization != "Bearer SG.1" || q.contentType != "application/json" {
		t.Errorf("got %s %s, %q, %s", q.method, q.path, q.authorization, q.contentType)
	}
	m := message()
	type object = map[string]any
	want := object{
		"from": object{"email": "id@acme.example", "name": "Acme ID"}, "subject": m.Subject,
		"personalizations": []any{object{"to": []any{object{"email": "bob@acme-corp.com", "name": "Bob Büilder"}}}},
		"content":          []any{object{"type": "text/plain", "value": m.Text}, object{"type": "text/html", "value": m.HTML}},
		"headers":          object{"Message-ID": "<" + m.ID + ">", "Auto-Submitted": "auto-generated"},
		"tracking_settings": object{"click_tracking": object{"enable": false, "enable_text": false}, "open_tracking": object{"enable": false},
			"subscription_tracking": object{"enable": false}},
	}
	var got object
	if err := json.Unmarshal(q.body, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

// Neither a wrong key nor a busy provider is the fault of a recipient, and none of
// their answers is followed to where the key does not belong.
func TestProvidersTellHopelessRecipientsFromOutages(t *testing.T) {
	for name, tc := range map[string]struct {
		status    int
		answer    string
		permanent bool
	}{
		"unauthorized":            {401, "Forbidden", false},
		"no such domain":          {404, `{"message":"Domain not found"}`, false},
		"too many":                {429, "", false},
		"broken":                  {500, "<html>", false},
		"elsewhere":               {307, "", false},
		"mailgun, bad recipient":  {400, `{"message":"to parameter is not a valid address. please check documentation"}`, true},
		"mailgun, in quotes":      {400, `{"message":"'to' parameter is not a valid address. please check documentation"}`, true},
		"mailgun, in quotes, bad": {400, `{"message":"'from' parameter is not a valid address. please check documentation"}`, false},
		"mailgun, another field":  {400, `{"message":"'h:reply-to' parameter is not a valid address. please check documentation"}`, false},
		"mailgun, bad sender":     {400, `{"message":"from parameter is not a valid address. please check documentation"}`, false},
		"sendgrid, bad recipient": {400, `{"errors":[{"message":"Does not contain a valid address.","field":"personalizations.0.to.0.email","help":null}]}`, true},
		"sendgrid, bad sender":    {400, `{"errors":[{"message":"The from address does not match a verified Sender Identity.","field":"from"}]}`, false},
	} {
		a := newAPI(t, tc.status, tc.answer)
		senders := map[string]mail.Sender{"mailgun": mail.NewMailgun(a.URL, "mg.acme.example", "K-canary"), "sendgrid": mail.NewSendGrid(a.URL, "K-canary")}
		for provider, sender := range senders {
			err := sender.Send(t.Context(), message())
			want := tc.permanent && strings.HasPrefix(name, provider)
			if err == nil || permanent(err) != want || strings.Contains(err.Error(), "K-canary") {
				t.Errorf("%s, %s: got %v, permanent %v, want %v", provider, name, err, permanent(err), want)
			}
		}
		for _, q := range a.asked {
			if q.path == "/elsewhere" {
				t.Errorf("%s: followed a redirect with the key", name)
			}
		}
	}
}

// RS-07
func TestProvidersGetNoHostileAddress(t *testing.T) {
	a := newAPI(t, 200, "")
	for _, sender := range []mail.Sender{mail.NewMailgun(a.URL, "mg.acme.example", "k"), mail.NewSendGrid(a.URL, "k")} {
		for _, email := range []string{"a@x.example,b@y.example", "bob@x.example\r\nBcc: all@evil.example", "Bob <bob@x.example>"} {
			m := message()
			m.To.Email = email
			if err := sender.Send(t.Context(), m); !permanent(err) {
				t.Errorf("%T, %q: got %v, want it refused for good", sender, email, err)
			}
		}
	}
	if len(a.asked) != 0 {
		t.Errorf("got %d requests, want none", len(a.asked))
	}
}

func TestChecksSayWhetherAKeyMaySend(t *testing.T) {
	mailgun := func(status int, answer string) error {
		return mail.NewMailgun(newAPI(t, status, answer).URL, "mg.acme.example", "k").Check(t.Context())
	}
	sendGrid := func(status int, answer string) error {
		return mail.NewSendGrid(newAPI(t, status, answer).URL, "k").Check(t.Context())
	}
	for _, tc := range []struct {
		name string
		err  error
		ok   bool
	}{
		{"mailgun, good", mailgun(400, `{"message":"from parameter is missing"}`), true},
		{"mailgun, wrong key", mailgun(401, "Forbidden"), false},
		{"mailgun, wrong domain", mailgun(404, `{"message":"Domain not found"}`), false},
		{"sendgrid, good", sendGrid(200, `{"scopes":["mail.send","alerts.read"]}`), true},
		{"sendgrid, wrong key", sendGrid(401, `{"errors":[{"message":"authorization required"}]}`), false},
		{"sendgrid, may not send", sendGrid(200, `{"scopes":["alerts.read"]}`), false},
	} {
		if (tc.err == nil) != tc.ok {
			t.Errorf("%s: got %v, want well %v", tc.name, tc.err, tc.ok)
		}
	}
}

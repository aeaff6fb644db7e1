package app

import (
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/templates"
)

// devOutbox is a server that answers /dev/mail alone.
type devOutbox struct {
	*httptest.Server
	router http.Handler
	app    *App
	writer *mail.Writer
}

func newOutbox(t *testing.T, environ ...string) *devOutbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	issuer := "http://" + l.Addr().String()
	cfg, err := Load(LoadOptions{Environ: append([]string{"SALLYPORT_ISSUER=" + issuer, "SALLYPORT_ENV=testing",
		"SALLYPORT_DATABASE_URL=sqlite://" + t.TempDir() + "/test.db"}, environ...), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	pages, err := templates.New(templates.Brand{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := web.New(web.Config{Issuer: issuer, Templates: pages, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	mails, err := a.newDeliverer(pages)
	if err != nil {
		t.Fatal(err)
	}
	rt := w.NewRouter()
	(&Server{app: a}).mountDevMail(rt, w, mails)
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: rt}}
	server.Start()
	t.Cleanup(server.Close)
	return &devOutbox{Server: server, router: rt, app: a, writer: mail.NewWriter(a.Sealer, issuer)}
}

func (o *devOutbox) write(t *testing.T, name string) {
	t.Helper()
	m, err := o.writer.Message(mail.Address{Email: "bob@acme-corp.com", Name: name}, templates.VerifyEmail{Name: name, Link: o.URL + "/verify?token=abc"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.app.Store.Outbox.Add(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func (o *devOutbox) get(t *testing.T, path string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

// A person reads the mail and follows its link; a test reads JSON.
func TestTheOutboxShowsWhatWasNotSent(t *testing.T) {
	o := newOutbox(t)
	if _, page := o.get(t, "/dev/mail"); !strings.Contains(page, "Nothing yet") {
		t.Errorf("empty: got\n%s", page)
	}
	o.write(t, "Bob")
	o.write(t, `<img src=x onerror=alert(1)>`)
	_, page := o.get(t, "/dev/mail")
	for _, want := range []string{"Confirm your email address for Sallyport", "Hello Bob,", `<a href="` + o.URL + `/verify?token=abc">`, "bob@acme-corp.com"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, how := range [][]string{{"/dev/mail", "Accept", "application/json"}, {"/dev/mail?format=json"}} {
		answer, body := o.get(t, how[0], how[1:]...)
		var letters []struct{ ID, To, Name, Kind, Subject, Text, HTML, At string }
		if err := json.Unmarshal([]byte(body), &letters); err != nil || !strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") {
			t.Fatalf("%v: %v in %s", how, err, body)
		}
		if len(letters) != 2 || letters[1].Name != "Bob" || letters[1].Kind != "verifyemail" || letters[1].To != "bob@acme-corp.com" || !strings.Contains(letters[1].Text, o.URL+"/verify?token=abc") {
			t.Errorf("%v: got %+v", how, letters)
		}
		answer, body = o.get(t, "/dev/mail/"+letters[0].ID)
		policy := answer.Header.Get("Content-Security-Policy")
		if answer.StatusCode != 200 || strings.Contains(body, "<img") || !strings.Contains(body, `id="action"`) || !strings.Contains(policy, "sandbox") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "script") {
			t.Errorf("the letter: got %d under %q\n%s", answer.StatusCode, policy, body)
		}
	}
}

// The links in these mails sign people in, so the page is for this machine alone.
func TestTheOutboxAnswersThisMachineAlone(t *testing.T) {
	o := newOutbox(t)
	o.write(t, "Bob")
	for _, header := range [][]string{{"X-Forwarded-For", "127.0.0.1"}, {"X-Forwarded-Host", "x"}, {"X-Forwarded-Proto", "https"}, {"Forwarded", "for=127.0.0.1"}, {"X-Real-IP", "127.0.0.1"},
		{"Via", "1.1 tunnel"}, {"CF-Connecting-IP", "192.0.2.7"}, {"True-Client-IP", "192.0.2.7"}, {"X-Forwarded-Anything", "x"}} {
		if answer, body := o.get(t, "/dev/mail", header...); answer.StatusCode != http.StatusNotFound || strings.Contains(body, "bob@") {
			t.Errorf("%v: got %d", header, answer.StatusCode)
		}
	}
	for _, peer := range []string{"192.0.2.7:1234", "[2001:db8::7]:1234", "", "@"} {
		for _, path := range []string{"/dev/mail", "/dev/mail?format=json"} {
			r := httptest.NewRequest(http.MethodGet, o.URL+path, nil)
			r.RemoteAddr = peer
			w := httptest.NewRecorder()
			o.router.ServeHTTP(w, r)
			if w.Code != http.StatusNotFound {
				t.Errorf("%s for %q: got %d, want 404", path, peer, w.Code)
			}
		}
	}
	r := httptest.NewRequest(http.MethodGet, "http://evil.example/dev/mail", nil) // DNS rebinding
	r.RemoteAddr = "127.0.0.1:1234"
	w := httptest.NewRecorder()
	o.router.ServeHTTP(w, r)
	if w.Code != http.StatusMisdirectedRequest && w.Code != http.StatusNotFound {
		t.Errorf("another host: got %d", w.Code)
	}
	for _, path := range []string{"/dev/mail/x", "/dev/mail/0197652c-0000-7000-8000-000000000001"} {
		if answer, _ := o.get(t, path); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, answer.StatusCode)
		}
	}
}

func TestThereIsNoOutboxWhereMailLeaves(t *testing.T) {
	o := newOutbox(t, "MAIL_PROVIDER=smtp", "MAIL_SERVER=localhost", "MAIL_DEFAULT_SENDER=id@acme.example")
	if answer, _ := o.get(t, "/dev/mail"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("got %d, want 404", answer.StatusCode)
	}
	o.app.Config.Env, o.app.Config.Mail.Provider = Production, "outbox"
	rt := &web.Router{}
	(&Server{app: o.app}).mountDevMail(rt, nil, nil) // would panic if it mounted anything
}

// What mails say of whom they are from, whatever was left out.
func TestMailComesFromTheOperator(t *testing.T) {
	for _, tc := range []struct {
		environ     []string
		email, name string
	}{
		{[]string{"MAIL_DEFAULT_SENDER=Acme <id@example.com>"}, "id@example.com", "Acme"},
		{[]string{"MAIL_DEFAULT_SENDER=id@example.com", "SALLYPORT_BRAND_NAME=Globex"}, "id@example.com", "Globex"},
		{nil, "no-reply@localhost", "Sallyport"},
		{[]string{"SALLYPORT_ISSUER=http://127.0.0.1:5000"}, "no-reply@localhost", "Sallyport"},
	} {
		got, err := mustLoad(t, tc.environ...).MailFrom()
		if err != nil || got.Email != tc.email || got.Name != tc.name {
			t.Errorf("%v: got %+v, %v", tc.environ, got, err)
		}
	}
}

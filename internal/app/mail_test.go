package app

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/outbox"
)

// mailFinding is what doctor says of mail.
func mailFinding(t *testing.T, environ ...string) Finding {
	t.Helper()
	environ = append([]string{"SALLYPORT_DATABASE_URL=sqlite://" + t.TempDir() + "/test.db", "MAIL_DEFAULT_SENDER=id@acme.example"}, environ...)
	for _, f := range Doctor(t.Context(), LoadOptions{Environ: environ, Dir: t.TempDir()}) {
		if f.Check == "mail" {
			return f
		}
	}
	t.Fatal("doctor says nothing of mail")
	return Finding{}
}

// An operator hears at once, and not from people who wait for a mail, what is
// wrong and what to look at.
func TestDoctorAsksTheMailProvider(t *testing.T) {
	answering := func(status int, answer string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, answer)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := closed.Addr().(*net.TCPAddr).Port
	closed.Close()
	mailgun := []string{"MAIL_PROVIDER=mailgun", "SALLYPORT_MAILGUN_DOMAIN=mg.acme.example", "SALLYPORT_MAILGUN_API_KEY=K-canary"}
	sendGrid := []string{"MAIL_PROVIDER=sendgrid", "SALLYPORT_SENDGRID_API_KEY=K-canary"}
	for _, tc := range []struct {
		name    string
		environ []string
		remedy  string // empty: it is well
	}{
		{"outbox", nil, ""},
		{"smtp, away", []string{"MAIL_PROVIDER=smtp", "MAIL_SERVER=127.0.0.1", fmt.Sprintf("MAIL_PORT=%d", port), "MAIL_USERNAME=id", "MAIL_PASSWORD=K-canary"}, "MAIL_SERVER"},
		{"mailgun, well", append(mailgun, "SALLYPORT_MAILGUN_BASE_URL="+answering(400, `{"message":"from parameter is missing"}`)), ""},
		{"mailgun, wrong key", append(mailgun, "SALLYPORT_MAILGUN_BASE_URL="+answering(401, "Forbidden")), "MAILGUN_API_KEY"},
		{"sendgrid, well", append(sendGrid, "SALLYPORT_SENDGRID_BASE_URL="+answering(200, `{"scopes":["mail.send"]}`)), ""},
		{"sendgrid, wrong key", append(sendGrid, "SALLYPORT_SENDGRID_BASE_URL="+answering(401, `{"errors":[{"message":"no"}]}`)), "SENDGRID_API_KEY"},
	} {
		f := mailFinding(t, tc.environ...)
		if (f.Problem == "") != (tc.remedy == "") || !strings.Contains(f.Remedy, tc.remedy) || strings.Contains(fmt.Sprint(f), "K-canary") {
			t.Errorf("%s: got %+v, want a remedy that names %q", tc.name, f, tc.remedy)
		}
	}
}

func TestEveryProviderHasItsSender(t *testing.T) {
	for provider, want := range map[string]string{"smtp": "*mail.SMTP", "mailgun": "*mail.Mailgun", "sendgrid": "*mail.SendGrid", "outbox": "mail.Outbox", "": "mail.Discard"} {
		c := &Config{Issuer: "https://id.acme.example", Mail: MailConfig{Provider: provider}}
		if got := fmt.Sprintf("%T", c.Mailer()); got != want {
			t.Errorf("%q: got %s, want %s", provider, got, want)
		}
	}
}

func TestMailHealthSaysWhatFails(t *testing.T) {
	if got := mailHealth(outbox.Status{Waiting: 3}); got != "ok" {
		t.Errorf("waiting alone: got %q", got)
	}
	got := mailHealth(outbox.Status{Failing: true, Kind: "mail", Waiting: 3, Since: time.Unix(0, 0), Reason: "550 bob@acme-corp.com"})
	if want := "mail has failed since 1970-01-01T00:00:00Z, and 3 messages wait"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

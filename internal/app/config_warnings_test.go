package app

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An .env that is carried over from another system must not be ignored in part without a word.
func TestSettingsWithoutEffectDrawAWarning(t *testing.T) {
	const unknown = "these settings are not known here and are ignored: "
	for _, tc := range []struct {
		name    string
		environ []string
		want    []string
	}{
		{"nothing", nil, nil},
		{"a misspelt one", []string{"SECURITY_REGISTRABLE=false"}, []string{unknown + "SECURITY_REGISTRABLE (did you mean SECURITY_REGISTERABLE?)"}},
		{"several, in one warning", []string{"SESSION_COOKIE_SAMESITE=Lax", "MAIL_USE_SSL=true", "SECURITY_TRACKABLE=true"},
			[]string{unknown + "MAIL_USE_SSL (did you mean MAIL_USE_TLS?), SECURITY_TRACKABLE, SESSION_COOKIE_SAMESITE"}},
		{"a key without its prefix", []string{"SESSION_IDLE=60"}, []string{unknown + "SESSION_IDLE (did you mean SALLYPORT_SESSION_IDLE?)"}},
		{"a misspelt key without its prefix", []string{"SESSIONS_PER_USER=1", "SESSION_PER_USER=1"},
			[]string{unknown + "SESSION_PER_USER (did you mean SALLYPORT_SESSIONS_PER_USER?)"}},
		{"an unset variable of a compose file", []string{"MAIL_SUPPRESS_SEND="}, nil},
		{"what desktops and others set", []string{"SESSION_MANAGER=local/host", "MAIL=/var/mail/me", "SECURITYSESSIONID=1"}, nil},
		{"the key of a mail provider that nothing chooses", []string{"SALLYPORT_SENDGRID_API_KEY=canary"},
			[]string{"SENDGRID_API_KEY has no effect: mail goes to the outbox page unless MAIL_PROVIDER is sendgrid"}},
		{"one that another is chosen before", []string{"SALLYPORT_SENDGRID_API_KEY=canary", "MAIL_PROVIDER=outbox"}, nil},
	} {
		if diff := cmp.Diff(tc.want, mustLoad(t, tc.environ...).Warnings); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", tc.name, diff)
		}
	}
	dir := t.TempDir()
	write(t, dir, ".env", "MAIL_MAX_EMAILS=10\nSECURITY_URL_PREFIX=canary\n")
	c, err := Load(LoadOptions{Dir: dir, Environ: []string{"SESSION_COOKIE_SECURE=canary"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{unknown + "MAIL_MAX_EMAILS, SECURITY_URL_PREFIX, SESSION_COOKIE_SECURE"}, c.Warnings); diff != "" {
		t.Errorf(".env and environment: warnings (-want +got):\n%s", diff)
	}
}

// Flask-Mail has no switch of the provider: the server's name is all that an existing .env says.
func TestAMailServerMeansSMTP(t *testing.T) {
	sender := "MAIL_DEFAULT_SENDER=id@example.com"
	for _, tc := range []struct {
		environ []string
		want    string
	}{
		{nil, "outbox"},
		{[]string{"MAIL_SERVER=smtp.example.com", sender}, "smtp"},
		{[]string{"SALLYPORT_MAIL_SERVER=localhost", "MAIL_PORT=1025", "MAIL_USE_TLS=false", sender}, "smtp"},
		{[]string{"MAIL_SERVER=smtp.example.com", sender, "SALLYPORT_ENV=testing"}, "smtp"},
		{inProduction("MAIL_SERVER=smtp.example.com", "SALLYPORT_RECOVERY=true", sender), "smtp"},
		{[]string{"MAIL_SERVER=smtp.example.com", "MAIL_PROVIDER=outbox"}, "outbox"},
		{[]string{"MAIL_SERVER=smtp.example.com", "MAIL_PROVIDER=sendgrid", "SALLYPORT_SENDGRID_API_KEY=k", sender}, "sendgrid"},
		{[]string{"MAIL_SERVER=", sender}, "outbox"},
		{[]string{sender, "MAIL_PORT=25"}, "outbox"},
	} {
		if got := mustLoad(t, tc.environ...).Mail.Provider; got != tc.want {
			t.Errorf("%q: got provider %q, want %q", tc.environ, got, tc.want)
		}
	}
	_, err := load(t, "MAIL_SERVER=smtp.example.com", "MAIL_USERNAME=me")
	for _, want := range []string{"MAIL_DEFAULT_SENDER is missing: MAIL_SERVER means MAIL_PROVIDER=smtp", "MAIL_PASSWORD is missing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without a sender: got %v, want %q", err, want)
		}
	}
}

// Flask-Login's setting of the same name may be None, and in any case.
func TestSessionProtectionIsReadAsFlaskWritesIt(t *testing.T) {
	for text, want := range map[string]string{"strong": "strong", "Basic": "basic", "None": "off", "null": "off", "off": "off", "False": "off", "STRONG": "strong"} {
		if got := mustLoad(t, "SESSION_PROTECTION="+text).SessionProtection; got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	for _, environ := range [][]string{{"SESSION_PROTECTION=weak"}, {"SESSION_PROTECTION=basic", "SALLYPORT_SESSION_PROTECTION=off"}} {
		if diff := cmp.Diff([]string{"SESSION_PROTECTION"}, faultKeys(t, LoadOptions{Environ: environ})); diff != "" {
			t.Errorf("%v: faults (-want +got):\n%s", environ, diff)
		}
	}
}

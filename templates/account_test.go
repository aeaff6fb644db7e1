package templates

import (
	"strings"
	"testing"
	"time"
)

func TestMomentsAreSaidInWords(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]string{
		-time.Hour: "just now", 0: "just now", 59 * time.Second: "just now", time.Minute: "1 minute ago", 59 * time.Minute: "59 minutes ago",
		time.Hour: "1 hour ago", 23 * time.Hour: "23 hours ago", 24 * time.Hour: "yesterday", 47 * time.Hour: "yesterday",
		48 * time.Hour: "2 days ago", 6 * 24 * time.Hour: "6 days ago", 7 * 24 * time.Hour: "22 February 2027",
	} {
		m := Moment{now.Add(-ago), now}
		if got := m.Words(); got != want {
			t.Errorf("%v ago: %q, want %q", ago, got, want)
		}
	}
	if got := (Moment{Now: now}).Words(); got != "never" {
		t.Errorf("a zero time: %q", got)
	}
	m := Moment{now, now}
	if m.Full() != "Monday, 1 March 2027, 12:00 UTC" || m.Machine() != "2027-03-01T12:00:00Z" {
		t.Errorf("in full: %q, %q", m.Full(), m.Machine())
	}
}

// Nothing but a picture that is in the page itself can stand where the QR code does.
func TestTheKeyIsShownAsGivenAndAskedOfNobody(t *testing.T) {
	tmpl := newTemplates(t, Brand{})
	const picture = "data:image/png;base64,iVBORw0KGgo+"
	got := render(t, tmpl, AccountTOTP{QR: picture, Secret: "ABCDEFGHIJ"})
	if !strings.Contains(got, `src="`+strings.ReplaceAll(picture, "+", "&#43;")+`"`) || !strings.Contains(got, `>ABCD EFGH IJ</code>`) {
		t.Errorf("no picture or no key: %s", got)
	}
	if got := render(t, tmpl, AccountTOTP{QR: "https://evil.example/qr.png", Secret: "ABCD"}); strings.Contains(got, "evil.example") {
		t.Error("the picture is asked of another server")
	}
	// After a wrong code the key is not shown again: it was shown once.
	if got := render(t, tmpl, AccountTOTP{Errors: map[string]string{"code": "Wrong."}}); strings.Contains(got, "<img") || strings.Contains(got, "data-copy") {
		t.Error("a key is shown that nobody gave")
	}
}

func TestTheWordsOfTheOverview(t *testing.T) {
	for _, tc := range []struct {
		page AccountHome
		want []string
	}{
		{AccountHome{}, []string{"Off", "None", "Signed in only here", "None", "None"}},
		{AccountHome{Authenticator: 1, Sessions: 1, HasPassword: true, Apps: 1, Organizations: []string{"Acme"}}, []string{"1 authenticator app", "Set", "Signed in only here", "1 app", "Acme"}},
		{AccountHome{Authenticator: 2, Passkeys: 1, Sessions: 3, Organizations: []string{"Acme", "Globex", "X"}}, []string{"2 authenticator apps, 1 passkey", "None", "Signed in on 3", "None", "Acme and 2 more"}},
	} {
		p := tc.page
		got := []string{p.SecondStep(), p.PasswordState(), p.SessionCount(), p.AppCount(), p.OrganizationNames()}
		if strings.Join(got, "|") != strings.Join(tc.want, "|") {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

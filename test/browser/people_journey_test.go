package browser

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/harness"
)

// device is where a person keeps passkeys. While a finger is on it, it answers any
// page that asks for one at once, the field for the email too: that stands for
// picking the passkey from what the field offers, which no test can click on.
type device struct {
	tab *harness.Tab
	id  webauthn.AuthenticatorID
}

// withPasskeys gives a tab a device that keeps passkeys and verifies its user.
func withPasskeys(t *testing.T, tab *harness.Tab) *device {
	t.Helper()
	d := &device{tab: tab}
	tab.Run(t, webauthn.Enable(), chromedp.ActionFunc(func(ctx context.Context) (err error) {
		d.id, err = webauthn.AddVirtualAuthenticator(&webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolCtap2,
			Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true}).Do(ctx)
		return err
	}))
	d.touch(t, false)
	return d
}

// touch lays the finger on, or takes it away.
func (d *device) touch(t *testing.T, on bool) {
	t.Helper()
	d.tab.Run(t, webauthn.SetAutomaticPresenceSimulation(d.id, on))
}

// signOut signs out of the app, which takes the session here along.
func signOut(t *testing.T, s *site, tab *harness.Tab) {
	t.Helper()
	tab.Open(t, s.app+"/")
	tab.Follow(t, "#logout")
	tab.Wait(t, "#sign-in")
}

// The life of an account, by hand: a newcomer comes from an app, proves their
// address, makes the account safe, signs in by a passkey out of the email field, by
// a recovery code when nothing else is at hand, and forgets the password; nowhere
// does the mailbox alone, or the password alone, open the account again.
func TestTheLifeOfAnAccount(t *testing.T) {
	s := startWith(t, harness.Options{Host: "localhost", Environ: []string{"SALLYPORT_CONFIRM_EMAIL=true"}})
	tab := harness.Chromium(t)
	finger := withPasskeys(t, tab)
	who := harness.Person{Email: "carol@example.com", Password: "seven lazy otters swim"}

	arrive(t, s, tab, who)
	codes := makeSafe(t, s, tab, finger)

	signOut(t, s, tab)
	finger.touch(t, true)
	// Nothing is typed and nothing pressed: the field for the email takes the passkey.
	before := len(tab.Exchanges())
	tab.Open(t, s.app+"/")
	tab.Run(t, chromedp.Click("#sign-in", chromedp.ByQuery))
	tab.Wait(t, "#signed-in")
	want := []string{"/oauth2/authorize", "/login", "/login/passkey/begin", "/login/passkey", "/oauth2/authorize"}
	if diff := cmp.Diff(want, pages(s, tab.Exchanges()[before:])); diff != "" {
		t.Errorf("the way in by passkey (-want +got):\n%s", diff)
	}
	finger.touch(t, false)

	signOut(t, s, tab)
	tab.Open(t, s.app+"/")
	tab.Follow(t, "#sign-in")
	tab.SignIn(t, who)
	wantSecondStep(t, tab)
	useRecoveryCode(t, tab, codes[0])
	tab.Follow(t, "#recovered #continue")
	tab.Wait(t, "#signed-in")

	signOut(t, s, tab)
	who.Password = "nine quiet badgers dig"
	forgetPassword(t, s, tab, who)
	tab.Fill(t, "#password", who.Password)
	tab.Follow(t, "#login-submit")
	wantSecondStep(t, tab)
	tab.Open(t, s.Issuer+"/account")
	wantSecondStep(t, tab)
	useRecoveryCode(t, tab, codes[0])
	if said := tab.Text(t, "#code-error"); said == "" {
		t.Error("a recovery code is taken twice")
	}
	tab.Fill(t, "#code", codes[1])
	tab.Follow(t, "#factor-submit")
	tab.Follow(t, "#recovered #continue")
	tab.Wait(t, "#security")
	if complaints := tab.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

// arrive comes from the app without an account, and goes back to it with one.
func arrive(t *testing.T, s *site, tab *harness.Tab, who harness.Person) {
	t.Helper()
	tab.Open(t, s.app+"/")
	tab.Follow(t, "#sign-in")
	tab.Follow(t, "#register")
	tab.Fill(t, "#name", "Carol Clark")
	tab.Fill(t, "#email", who.Email)
	tab.Fill(t, "#password", who.Password)
	tab.Follow(t, "#register-submit")
	tab.Wait(t, "main#check-mail")
	tab.Open(t, s.LastMail(t, who.Email).Link)
	tab.Follow(t, "#verify-submit")
	tab.Wait(t, "form#login")
	tab.Fill(t, "#password", who.Password)
	tab.Follow(t, "#login-submit")
	tab.Follow(t, "#allow")
	tab.Wait(t, "#signed-in")
}

// makeSafe adds an authenticator app and a passkey, and returns the recovery codes.
func makeSafe(t *testing.T, s *site, tab *harness.Tab, finger *device) []string {
	t.Helper()
	tab.Open(t, s.Issuer+"/account")
	tab.Follow(t, "#security")
	tab.Follow(t, "#add-app")
	key := strings.ReplaceAll(tab.Text(t, "#key"), " ", "")
	tab.Fill(t, "#code", harness.TOTP(t, key, s.Clock.Now()))
	tab.Follow(t, "#app-submit")
	codes := strings.Fields(tab.Text(t, "#codes"))
	if len(codes) != 3 {
		t.Fatalf("the recovery codes are %q, want three", codes)
	}
	tab.Follow(t, "#continue")
	tab.Follow(t, "#add-passkey")
	finger.touch(t, true)
	tab.Follow(t, "#passkey-submit")
	finger.touch(t, false)
	tab.Wait(t, "#factors")
	return codes
}

// forgetPassword asks for a link, opens it, and chooses a password; the sign-in
// page is next.
func forgetPassword(t *testing.T, s *site, tab *harness.Tab, who harness.Person) {
	t.Helper()
	tab.Open(t, s.Issuer+"/login?to=/account")
	tab.Follow(t, "#forgot")
	tab.Fill(t, "#email", who.Email)
	tab.Follow(t, "#recover-submit")
	tab.Wait(t, "main#check-mail")
	tab.Open(t, s.LastMail(t, who.Email).Link)
	tab.Fill(t, "#password", who.Password)
	tab.Follow(t, "#reset-submit")
	tab.Wait(t, "form#login")
}

func wantSecondStep(t *testing.T, tab *harness.Tab) {
	t.Helper()
	tab.Wait(t, "#use-recovery")
	if at := tab.Location(t); !strings.Contains(at, "/login/factor") {
		t.Errorf("the second step is asked for at %s", at)
	}
}

func useRecoveryCode(t *testing.T, tab *harness.Tab, code string) {
	t.Helper()
	tab.Follow(t, "#use-recovery")
	tab.Fill(t, "#code", code)
	tab.Follow(t, "#factor-submit")
}

// pages are the paths of the server that a tab has asked for, without its static files.
func pages(s *site, exchanges []harness.Exchange) []string {
	var paths []string
	for _, x := range exchanges {
		u, err := url.Parse(x.URL)
		if err == nil && u.Scheme+"://"+u.Host == s.Issuer && !strings.HasPrefix(u.Path, "/static/") {
			paths = append(paths, u.Path)
		}
	}
	return paths
}

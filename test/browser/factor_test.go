package browser

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/storage"
)

// withKey gives a tab a security key that confirms whatever it is asked, with user
// verification. It keeps no passkeys: the browser would offer one in the field for
// the email, and the authenticator take it at once.
func withKey(t *testing.T, tab *harness.Tab) {
	t.Helper()
	tab.Run(t, webauthn.Enable(), chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := webauthn.AddVirtualAuthenticator(&webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolCtap2,
			Transport: webauthn.AuthenticatorTransportUsb, HasUserVerification: true, IsUserVerified: true,
			AutomaticPresenceSimulation: true}).Do(ctx)
		return err
	}))
}

// older takes away what browsers before WebAuthn level 3 lack.
const older = `for (const name of ["parseCreationOptionsFromJSON", "parseRequestOptionsFromJSON"]) delete PublicKeyCredential[name];
delete PublicKeyCredential.prototype.toJSON;`

// requireSecondStep lets the time be over for everybody.
func requireSecondStep(t *testing.T, s *site) {
	t.Helper()
	settings := storage.PlatformSettings{MFA: storage.MFAPolicy{Require: storage.RequireAny, Since: time.Now().Add(-time.Hour)}}
	if err := s.App.Store.EditPlatformSettings(t.Context(), func(set *storage.PlatformSettings) *storage.Event {
		*set = settings
		return &storage.Event{Type: "settings.changed"}
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.App.Registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A user who must set up a second step does so with a security key on the way to
// an app, and shows it the next time, in a browser of today and in an older one.
func TestASecurityKeyAsSecondStep(t *testing.T) {
	for name, script := range map[string]string{"today": "", "older": older} {
		t.Run(name, func(t *testing.T) {
			s := startWith(t, harness.Options{Host: "localhost"})
			requireSecondStep(t, s)
			tab := harness.Chromium(t)
			withKey(t, tab)
			tab.Run(t, chromedp.ActionFunc(func(ctx context.Context) error {
				_, err := page.AddScriptToEvaluateOnNewDocument(script).Do(ctx)
				return err
			}))
			tab.Open(t, s.app+"/")
			tab.Follow(t, "#sign-in")
			tab.SignIn(t, harness.Bob)
			tab.Follow(t, "#add-passkey")
			if codes := strings.Fields(tab.Text(t, "#codes")); len(codes) != 3 {
				t.Errorf("the recovery codes are %q", codes)
			}
			tab.Eval(t, `void (navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve() })`, nil)
			tab.Run(t, chromedp.Click("[data-copy]", chromedp.ByQuery))
			var copied string
			tab.Eval(t, `window.copied`, &copied)
			if label := tab.Text(t, "[data-copy]"); copied != tab.Text(t, "#codes") || label != "Copied" {
				t.Errorf("%q is copied, and the button says %q", copied, label)
			}
			tab.Follow(t, "#continue")
			tab.Follow(t, "#allow")
			tab.Wait(t, "#signed-in")

			tab.Run(t, network.ClearBrowserCookies())
			tab.Open(t, s.app+"/")
			tab.Follow(t, "#sign-in")
			tab.SignIn(t, harness.Bob)
			tab.Follow(t, "#use-passkey")
			tab.Wait(t, "#signed-in")
			if complaints := tab.Complaints(); len(complaints) > 0 {
				t.Errorf("the browser complains: %q", complaints)
			}
		})
	}
}

// A failure of a passkey is said on the page, and it can be tried again.
func TestAPasskeyThatIsNotUsed(t *testing.T) {
	s := startWith(t, harness.Options{Host: "localhost"})
	s.Phone(t, harness.Bob)
	s.SecurityKey(t, harness.Bob)
	tab := harness.Chromium(t)
	tab.Open(t, s.Issuer+"/login")
	tab.SignIn(t, harness.Bob)
	tab.Wait(t, "#use-passkey")
	tab.Eval(t, `void (navigator.credentials.get = () => Promise.reject(new DOMException("", "NotAllowedError")))`, nil)
	for range 2 {
		tab.Run(t, chromedp.Click("#use-passkey", chromedp.ByQuery))
		if said := tab.Text(t, ".webauthn-error"); !strings.Contains(said, "The passkey was not used") {
			t.Errorf("the page says %q", said)
		}
		tab.Eval(t, `document.querySelector(".webauthn-error").remove()`, nil)
	}
	u := s.User(t, harness.Bob)
	if err := s.App.Factors.Reset(t.Context(), identity.Operator(), u.ID, request.Info{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	tab.Run(t, chromedp.Click("#use-passkey", chromedp.ByQuery))
	if said := tab.Text(t, ".webauthn-error"); !strings.Contains(said, "signed out") {
		t.Errorf("the page says %q", said)
	}
}

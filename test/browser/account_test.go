package browser

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/sallyport-id/sallyport/internal/harness"
)

// A person makes their account safe by hand: an authenticator app from the key on
// the page, its recovery codes, and a passkey beside it.
func TestMakingAnAccountSafe(t *testing.T) {
	s := startWith(t, harness.Options{Host: "localhost"})
	tab := harness.Chromium(t)
	withKey(t, tab)
	tab.Open(t, s.Issuer+"/login?to=/account")
	tab.SignIn(t, harness.Bob)
	tab.Follow(t, "#security")
	tab.Follow(t, "#add-app")
	key := strings.ReplaceAll(tab.Text(t, "#key"), " ", "")
	tab.Run(t, chromedp.SendKeys("#code", harness.TOTP(t, key, time.Now()), chromedp.ByQuery), chromedp.SendKeys("#name", "Phone", chromedp.ByQuery))
	tab.Follow(t, "#app-submit")
	if codes := strings.Fields(tab.Text(t, "#codes")); len(codes) != 3 {
		t.Errorf("recovery codes %q", codes)
	}
	tab.Follow(t, "#continue")
	tab.Follow(t, "#add-passkey")
	tab.Follow(t, "#passkey-submit")
	tab.Wait(t, "#factors")
	if list := tab.Text(t, "#factors"); !strings.Contains(list, "Phone") || !strings.Contains(list, "Chrome on Linux") {
		t.Errorf("the list says %q", list)
	}
	if complaints := tab.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
	// A device that has one key says so itself, in the page's own words.
	tab.Follow(t, "#add-passkey")
	tab.Run(t, chromedp.Click("#passkey-submit", chromedp.ByQuery))
	if said := tab.Text(t, ".webauthn-error"); !strings.Contains(said, "set up already") {
		t.Errorf("a second time, the page says %q", said)
	}
}

package browser

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/sallyport-id/sallyport/internal/harness"
)

// tabTo presses Tab until the focus is on what a selector finds. Everything that
// gets the focus on the way must show it: WCAG 2.2, 2.4.7 and 2.4.13.
func tabTo(t *testing.T, tab *harness.Tab, selector string) {
	t.Helper()
	for range 30 {
		var at struct {
			Here    bool
			Element string
			Ring    float64
		}
		tab.Run(t, chromedp.KeyEvent(kb.Tab))
		tab.Eval(t, `(() => {
			const e = document.activeElement, style = getComputedStyle(e);
			const box = e.closest(".search") ?? e;
			const ring = x => { const s = getComputedStyle(x); return s.outlineStyle === "none" ? 0 : parseFloat(s.outlineWidth) };
			return {here: e.matches("`+selector+`"), element: e.outerHTML.slice(0, 120), ring: Math.max(ring(e), ring(box))};
		})()`, &at)
		if at.Ring < 2 {
			t.Errorf("the focus ring is %g px, want 2, on %s", at.Ring, at.Element)
		}
		if at.Here {
			return
		}
	}
	t.Fatalf("30 times Tab do not lead to %s at %s", selector, tab.Location(t))
}

// A user who has only a keyboard gets through, in few steps.
func TestTheJourneyWithAKeyboard(t *testing.T) {
	s := start(t)
	tab := harness.Chromium(t)
	tab.Open(t, s.app+"/")
	tabTo(t, tab, "#sign-in")
	tab.Press(t, kb.Enter)
	tab.Wait(t, "form#login")
	// The first field has the focus already.
	tab.Run(t, chromedp.KeyEvent(harness.Alice.Email), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(harness.Alice.Password))
	tab.Press(t, kb.Enter)
	tab.Wait(t, "form#org")
	tabTo(t, tab, "button[value=acme-corp]")
	tab.Press(t, kb.Enter)
	tab.Wait(t, "form#consent")
	tabTo(t, tab, "#remember")
	tab.Run(t, chromedp.KeyEvent(" "))
	var remember bool
	tab.Eval(t, `document.querySelector("#remember").checked`, &remember)
	if remember {
		t.Error("space does not untick #remember")
	}
	tabTo(t, tab, "#allow")
	tab.Press(t, kb.Enter)
	tab.Wait(t, "#signed-in")
	tab.Open(t, s.Issuer+"/oauth2/logout")
	tabTo(t, tab, "#logout-yes")
	tab.Press(t, kb.Enter)
	tab.Wait(t, "main#signed-out")
}

// No page needs JavaScript (product promise, and what conformance suites drive).
func TestTheJourneyWithoutJavaScript(t *testing.T) {
	s := start(t)
	tab := harness.Chromium(t)
	tab.Run(t, emulation.SetScriptExecutionDisabled(true))
	tab.Open(t, s.app+"/")
	tab.Follow(t, "#sign-in")
	tab.SignIn(t, harness.Person{Email: harness.Alice.Email, Password: "not hers"})
	tab.Wait(t, "#login-error")
	tab.SignIn(t, harness.Alice)
	tab.Follow(t, "button[name=organization][value=tech-startup]")
	tab.Follow(t, "#allow")
	tab.Wait(t, "#signed-in")
	for _, x := range tab.Exchanges() {
		if len(x.URL) > 3 && x.URL[len(x.URL)-3:] == ".js" {
			t.Fatalf("%s was asked for: scripts are not off", x.URL)
		}
	}
	tab.Open(t, s.Issuer+"/oauth2/logout")
	tab.Follow(t, "#logout-yes")
	tab.Wait(t, "main#signed-out")
}

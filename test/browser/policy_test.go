package browser

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// onwardApp is an app on https whose callbacks redirect on: /http to a page on plain http
// and another host, /scheme to a program on the device.
type onwardApp struct {
	callback, home string // the callbacks' URL up to the last segment, and the page

	mu    sync.Mutex
	codes []string // that the callbacks were given
}

const program = "claude-desktop://opened"

func newOnwardApp(t *testing.T) *onwardApp {
	t.Helper()
	app := &onwardApp{}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(`<!doctype html><title>Home</title><p id="home">home</p>`))
	}))
	t.Cleanup(front.Close)
	back := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		app.mu.Lock()
		if code := r.FormValue("code"); code != "" {
			app.codes = append(app.codes, code)
		}
		app.mu.Unlock()
		to := app.home
		if strings.HasSuffix(r.URL.Path, "/scheme") {
			to = program
		}
		http.Redirect(w, r, to, http.StatusFound)
	}))
	t.Cleanup(back.Close)
	app.home, app.callback = front.URL+"/home", strings.Replace(back.URL, "127.0.0.1", "localhost", 1)+"/cb"
	return app
}

// count is how many codes the app was given.
func (app *onwardApp) count() int {
	app.mu.Lock()
	defer app.mu.Unlock()
	return len(app.codes)
}

// policyClient is a client of clients.yaml at the app's callbacks and those that rest adds.
func policyClient(id string, app *onwardApp, rest string) string {
	return `
  - client_id: ` + id + `
    client_name: Acme ` + id + `
    redirect_uris: ["` + app.callback + `/http", "` + app.callback + `/scheme"]
    post_logout_redirect_uris: ["` + app.callback + `/out/http", "` + app.callback + `/out/scheme"]
    grant_types: [authorization_code]
    scope: openid email org
    secret: Jc5QkYw0TqS8dM2vR7nXb1LfZ3hAeP9u
    ` + rest + `
`
}

// Chromium holds every redirect that follows a form's POST against the page's form-action:
// ours to the app, and those that the app goes on with. From every page whose POST can end
// at an app, people must arrive.
func TestFormsLeadToTheAppAndBeyond(t *testing.T) {
	s, app := harness.Start(t, storage.SQLite, harness.Options{}), newOnwardApp(t)
	s.Apply(t, "version: 1\nclients:"+policyClient("asks", app, "")+policyClient("trusted", app, "skip_consent: true"))
	phone := s.Phone(t, harness.Admin)
	w := &onward{s: s, app: app}
	for name, lead := range map[string]func(t *testing.T, tab *harness.Tab, onto string) (button string){
		"sign-in": func(t *testing.T, tab *harness.Tab, onto string) string {
			w.authorize(t, tab, "trusted", onto, "openid")
			tab.Fill(t, "#email", harness.Bob.Email)
			tab.Fill(t, "#password", harness.Bob.Password)
			return "#login-submit"
		},
		"register": func(t *testing.T, tab *harness.Tab, onto string) string {
			w.authorize(t, tab, "trusted", onto, "openid")
			tab.Follow(t, "a#register")
			tab.Fill(t, "#name", "Nora New")
			tab.Fill(t, "#email", "nora."+onto+"@example.com")
			tab.Fill(t, "#password", "nine quiet badgers dig")
			return "#register-submit"
		},
		"second factor": func(t *testing.T, tab *harness.Tab, onto string) string {
			w.authorize(t, tab, "trusted", onto, "openid")
			s.Clock.Advance(time.Minute) // the code that enrolled the app counts once
			tab.SignIn(t, harness.Admin)
			tab.Wait(t, "#code")
			tab.Fill(t, "#code", phone.Code(t))
			return "#factor-submit"
		},
		"organization": func(t *testing.T, tab *harness.Tab, onto string) string {
			w.authorize(t, tab, "trusted", onto, "openid org")
			tab.SignIn(t, harness.Alice)
			return "button[name=organization][value=tech-startup]"
		},
		"consent": func(t *testing.T, tab *harness.Tab, onto string) string {
			w.authorize(t, tab, "asks", onto, "openid email")
			tab.SignIn(t, map[string]harness.Person{"scheme": harness.Bob, "http": harness.Alice}[onto])
			return "#allow"
		},
		"logout": func(t *testing.T, tab *harness.Tab, onto string) string {
			tab.Open(t, s.Issuer+"/login")
			tab.SignIn(t, harness.Bob)
			tab.Open(t, s.Issuer+"/oauth2/logout?"+url.Values{"client_id": {"asks"}, "post_logout_redirect_uri": {app.callback + "/out/" + onto}}.Encode())
			return "#logout-yes"
		},
	} {
		for _, onto := range []string{"scheme", "http"} {
			t.Run(name+"/"+onto, func(t *testing.T) {
				tab := w.tab(t)
				button := lead(t, tab, onto)
				tab.Wait(t, button)
				tab.Forget()
				tab.Run(t, chromedp.Click(button, chromedp.ByQuery))
				if onto == "http" {
					tab.Wait(t, "#home")
				} else if last := lastRedirect(t, tab, program); strings.Contains(last.Failed, "csp") {
					// No program takes the URL here: what can be seen is that the browser went for it.
					t.Errorf("the way to the program ends as %+v", last)
				}
				if complaints := tab.Complaints(); len(complaints) > 0 {
					t.Errorf("complaints %q", complaints)
				}
			})
		}
	}
	t.Run("and back", func(t *testing.T) { testBackFromTheApp(t, w) })
}

// Coming back from the app sends no second code: neither from a page of ours with a form,
// nor from the one that posts the answer by itself.
func testBackFromTheApp(t *testing.T, w *onward) {
	for _, mode := range []string{"query", "form_post"} {
		tab := w.tab(t)
		rp := w.s.RP("asks", "", w.app.callback+"/http", "openid")
		tab.Open(t, rp.Authorize(url.Values{"response_mode": {mode}, "prompt": {"login consent"}}).URL)
		tab.SignIn(t, harness.Alice)
		tab.Wait(t, "#allow")
		tab.Run(t, chromedp.Click("#allow", chromedp.ByQuery))
		tab.Wait(t, "#home")
		given := w.app.count()
		tab.Run(t, chromedp.NavigateBack())
		tab.Wait(t, "main#error[data-error=flow_finished]")
		if got := w.app.count(); got != given || len(tab.Complaints()) > 0 {
			t.Errorf("%s: back from the app sends %d codes more; complaints %q", mode, got-given, tab.Complaints())
		}
	}
}

// onward is a server and an app that goes on elsewhere.
type onward struct {
	s   *harness.Server
	app *onwardApp
}

func (w *onward) tab(t *testing.T) *harness.Tab {
	t.Helper()
	tab := harness.Chromium(t)
	tab.Run(t, security.Enable(), security.SetIgnoreCertificateErrors(true))
	return tab
}

// authorize opens an authorization request of a client whose callback goes on to onto.
func (w *onward) authorize(t *testing.T, tab *harness.Tab, client, onto, scope string) {
	t.Helper()
	tab.Open(t, w.s.RP(client, "", w.app.callback+"/"+onto, scope).Authorize(nil).URL)
}

// lastRedirect waits until the tab was redirected to a URL, and that has ended.
func lastRedirect(t *testing.T, tab *harness.Tab, to string) harness.Exchange {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		all := tab.Exchanges()
		if n := len(all); n > 1 && strings.HasPrefix(all[n-2].Location, to) && all[n-1].Failed != "" {
			return all[n-1]
		}
		select {
		case <-deadline:
			t.Fatalf("nothing leads to %s: %+v", to, all)
		case <-tick.C:
		}
	}
}

package browser

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// onward is an app whose callback, on localhost, redirects to its home on another
// origin, 127.0.0.1 with another port.
func onward(t *testing.T, newServer func(http.Handler) *httptest.Server) (callback, home string) {
	t.Helper()
	front := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(`<!doctype html><title>Home</title><p id="home">home</p>`))
	}))
	t.Cleanup(front.Close)
	back := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, front.URL+"/home?"+r.URL.RawQuery, http.StatusFound)
	}))
	t.Cleanup(back.Close)
	return strings.Replace(back.URL, "127.0.0.1", "localhost", 1) + "/cb", front.URL + "/home"
}

// policyClient is a client of clients.yaml that the rest makes web or native.
func policyClient(id, redirectURI, rest string) string {
	return `
  - client_id: ` + id + `
    client_name: Acme ` + id + `
    redirect_uris: ["` + redirectURI + `"]
    grant_types: [authorization_code]
    scope: openid email
    ` + rest + `
`
}

// Chromium holds every redirect that follows a form's POST against the page's
// form-action: ours to the app, and the app's own. From the consent page, and from
// the login page when nothing else is asked, people must arrive.
func TestFormsLeadToTheAppAndBeyond(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	secure, secureHome := onward(t, httptest.NewTLSServer)
	plain, plainHome := onward(t, httptest.NewServer)
	const native = "application_type: native\n    token_endpoint_auth_method: none"
	loopback, err := url.Parse(plain)
	if err != nil {
		t.Fatal(err)
	}
	s.Apply(t, "version: 1\nclients:"+
		policyClient("https", secure, "secret: Jc5QkYw0TqS8dM2vR7nXb1LfZ3hAeP9u")+
		policyClient("http", plain, "secret: Xc5QkYw0TqS8dM2vR7nXb1LfZ3hAeP9u")+
		policyClient("loopback", "http://127.0.0.1/cb", native)+
		policyClient("scheme", "com.example.app:/cb", native))
	for _, test := range []struct{ client, redirectURI, home string }{
		{"https", secure, secureHome},
		{"http", plain, plainHome},
		{"loopback", "http://127.0.0.1:" + loopback.Port() + "/cb", plainHome},
	} {
		t.Run(test.client, func(t *testing.T) {
			tab := harness.Chromium(t)
			tab.Run(t, security.Enable(), security.SetIgnoreCertificateErrors(true))
			// The first time from the consent page, then with it remembered from the login page;
			// native apps are always asked.
			for _, first := range []bool{true, false} {
				tab.Open(t, s.RP(test.client, "", test.redirectURI, "openid email").Authorize(url.Values{"prompt": {"login"}}).URL)
				tab.SignIn(t, harness.Bob)
				if first || test.client == "loopback" {
					tab.Follow(t, "#allow")
				}
				if got := tab.Location(t); !strings.HasPrefix(got, test.home+"?code=sp_ac_") {
					t.Errorf("the way ends at %s, want %s\n%q", got, test.home, tab.Complaints())
				}
			}
			if complaints := tab.Complaints(); len(complaints) > 0 {
				t.Errorf("the browser complains: %q", complaints)
			}
		})
	}
	t.Run("custom scheme", func(t *testing.T) {
		tab := harness.Chromium(t)
		tab.Open(t, s.RP("scheme", "", "com.example.app:/cb", "openid email").Authorize(nil).URL)
		tab.SignIn(t, harness.Bob)
		tab.Wait(t, "#allow")
		tab.Run(t, chromedp.Click("#allow", chromedp.ByQuery))
		// No program takes the URL here: what can be seen is that the browser went for it.
		last := lastRedirect(t, tab, "com.example.app:/cb?code=sp_ac_")
		if last.Failed == "" || strings.Contains(last.Failed, "csp") || len(tab.Complaints()) > 0 {
			t.Errorf("the way to the app ends as %+v, complaints %q", last, tab.Complaints())
		}
	})
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

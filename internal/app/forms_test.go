package app_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// SS-06, over the whole route table: what changes something for a browser does so
// only for a form of this server that was made for this browser. A new route that
// takes a POST must be put into one of the three lists.
func TestNoForgedRequestChangesAnything(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: wholeServerClients})
	const agree = "openid profile email" // the sample portal asks for consent
	forms := map[string]func(b *harness.Browser) (*harness.Form, []string){
		"/login": func(b *harness.Browser) (*harness.Form, []string) {
			return b.Get(t, quiet(s, "openid").Authorize(nil).URL).Form(t, "login"), []string{"email", harness.Bob.Email, "password", harness.Bob.Password}
		},
		"/login/switch": func(b *harness.Browser) (*harness.Form, []string) {
			signIn(t, b, harness.Bob)
			return b.Get(t, portal(s, agree).Authorize(nil).URL).FormWith(t, "switch"), []string{"switch", "1"}
		},
		"/consent": func(b *harness.Browser) (*harness.Form, []string) {
			signIn(t, b, harness.Bob)
			return b.Get(t, portal(s, agree).Authorize(nil).URL).Form(t, "consent"), []string{"answer", "allow", "remember", ""}
		},
		"/org": func(b *harness.Browser) (*harness.Form, []string) {
			signIn(t, b, harness.Alice)
			return b.Get(t, quiet(s, "openid org").Authorize(nil).URL).FormWith(t, "organization"), []string{"organization", "acme-corp"}
		},
		"/logout": func(b *harness.Browser) (*harness.Form, []string) {
			return signIn(t, b, harness.Bob).Form(t, ""), nil
		},
		"/oauth2/logout": func(b *harness.Browser) (*harness.Form, []string) {
			signIn(t, b, harness.Bob)
			return b.Get(t, "/oauth2/logout").FormWith(t, "answer"), []string{"answer", "yes"}
		},
	}
	// Other sites post to these on purpose, and no cookie counts: a request by form, and the machines' endpoints.
	others := []string{"/oauth2/authorize", "/oauth2/token", "/oauth2/par", "/oauth2/revoke", "/oauth2/introspect", "/oauth2/userinfo"}
	for path, methods := range s.Server.Routes() {
		for _, m := range methods {
			if m != http.MethodGet && m != http.MethodHead && m != http.MethodOptions && m != http.MethodPost {
				t.Errorf("%s takes %s, which this test does not know", path, m)
			}
		}
		if slices.Contains(methods, http.MethodPost) && forms[path] == nil && !slices.Contains(others, path) {
			t.Errorf("%s takes a POST and is in no list of this test", path)
		}
	}
	stranger := s.Browser(t)
	signIn(t, stranger, harness.Alice)
	foreign := map[string]string{"/oauth2/logout": stranger.Get(t, "/oauth2/logout").FormWith(t, "answer").Values.Get("csrf")}
	for _, path := range slices.Sorted(maps.Keys(forms)) {
		b := s.Browser(t)
		form, fields := forms[path](b)
		if form.Action.Path != path {
			t.Fatalf("the form of %s posts to %s", path, form.Action.Path)
		}
		if foreign[path] == "" {
			other, _ := forms[path](s.Browser(t))
			foreign[path] = other.Values.Get("csrf")
		}
		values := url.Values{}
		maps.Copy(values, form.Values)
		for i := 0; i+1 < len(fields); i += 2 {
			values.Set(fields[i], fields[i+1])
		}
		send := func(method string, header http.Header, change ...string) int {
			v := url.Values{}
			maps.Copy(v, values)
			for i := 0; i+1 < len(change); i += 2 {
				v.Set(change[i], change[i+1])
			}
			return sendOnce(t, b, method, form.Action.String(), header, v)
		}
		before := stateOf(t, s)
		const urlencoded = "application/x-www-form-urlencoded"
		own := func(more ...string) http.Header {
			h := http.Header{"Content-Type": {urlencoded}, "Origin": {s.Issuer}, "Sec-Fetch-Site": {"same-origin"}}
			for i := 0; i+1 < len(more); i += 2 {
				h.Set(more[i], more[i+1])
			}
			return h
		}
		got := map[string]int{
			"no token":           send(http.MethodPost, own(), "csrf", ""),
			"a foreign token":    send(http.MethodPost, own(), "csrf", foreign[path]),
			"a malformed token":  send(http.MethodPost, own(), "csrf", "%"),
			"text/plain":         send(http.MethodPost, own("Content-Type", "text/plain")),
			"JSON":               send(http.MethodPost, own("Content-Type", "application/json")),
			"multipart":          send(http.MethodPost, own("Content-Type", "multipart/form-data; boundary=x")),
			"no content type":    send(http.MethodPost, http.Header{"Origin": {s.Issuer}}),
			"GET with all of it": send(http.MethodGet, http.Header{}),
			"HEAD":               send(http.MethodHead, http.Header{}),
			"PUT":                send(http.MethodPut, own()),
			"an override":        send(http.MethodGet, http.Header{"X-Http-Method-Override": {"POST"}}),
		}
		for name, status := range got {
			if status != 403 && status != 415 && status != 405 && !(strings.HasPrefix(name, "GET") || name == "HEAD" || name == "an override") {
				t.Errorf("%s, %s: %d", path, name, status)
			}
		}
		if path != "/oauth2/logout" { // to which relying parties may post from their own site
			for name, header := range map[string]http.Header{"cross-site": own("Sec-Fetch-Site", "cross-site"), "same-site": own("Sec-Fetch-Site", "same-site"),
				"evil Origin": {"Content-Type": {urlencoded}, "Origin": {"https://evil.example"}}} {
				if status := send(http.MethodPost, header); status != http.StatusForbidden {
					t.Errorf("%s, %s: %d, want 403", path, name, status)
				}
			}
		}
		if after := stateOf(t, s); after != before {
			t.Errorf("%s: a forged request changed something:\n%s\nbecame\n%s", path, before, after)
		}
		if status := send(http.MethodPost, own()); status != http.StatusSeeOther && path != "/oauth2/logout" || status >= 400 {
			t.Errorf("%s, the form itself: %d", path, status)
		}
		if after := stateOf(t, s); after == before {
			t.Errorf("%s, the form itself changes nothing: this test looks at the wrong tables", path)
		}
	}
}

func portal(s *harness.Server, scope string) *harness.RP {
	return s.RP("acme-portal-001", "", "http://localhost:5001/callback", scope)
}

// sendOnce sends one request with the browser's cookie and returns its status.
func sendOnce(t *testing.T, b *harness.Browser, method, target string, header http.Header, values url.Values) int {
	t.Helper()
	body := strings.NewReader(values.Encode())
	if method == http.MethodGet || method == http.MethodHead {
		target += map[bool]string{true: "&", false: "?"}[strings.Contains(target, "?")] + values.Encode()
		body = strings.NewReader("")
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := b.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// stateOf is what a browser's request could change.
func stateOf(t *testing.T, s *harness.Server) string {
	t.Helper()
	var out []string
	for _, line := range strings.Split(s.Contents(t), "\n") {
		table, _, _ := strings.Cut(line, " ")
		if slices.Contains([]string{"sessions", "flows", "consents", "grants", "codes", "audit_events", "memberships", "users"}, table) {
			out = append(out, fmt.Sprint(line))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

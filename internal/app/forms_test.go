package app_test

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// forged is how a form of a route comes to be sent, in a new browser.
type forged struct {
	form func(b *harness.Browser) (f *harness.Form, fields []string)
	// late are fields that are known only when the form itself is sent at last; may be nil.
	late func(b *harness.Browser) []string
	// shows: the form itself is answered with a page, for what it made is shown once.
	shows bool
	// reads: it changes nothing, but tells what another site must not learn.
	reads bool
	// anywhere: relying parties may post to it from their own site.
	anywhere bool
}

// SS-06, over the whole route table: what changes something for a browser does so
// only for a form of this server that was made for this browser. A new route that
// takes a POST must be put into a list of this test. The JSON API has its own
// (package api).
func TestNoForgedRequestChangesAnything(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Host: "localhost", Clients: harness.Clients})
	forms := journeyForms(t, s)
	maps.Copy(forms, accountForms(t, s))
	maps.Copy(forms, setupForms(t, s))
	maps.Copy(forms, linkedForms(t, s))
	for _, more := range []map[string]func(*harness.Browser) (*harness.Form, []string){peopleForms(t, s), factorForms(t, s)} {
		for path, form := range more {
			forms[path] = forged{form: form, shows: path == "/recover", reads: strings.HasSuffix(path, "/begin")}
		}
	}
	// Other sites post to these on purpose, and no cookie counts: a request by form, and the machines' endpoints.
	others := []string{"/oauth2/authorize", "/oauth2/token", "/oauth2/par", "/oauth2/revoke", "/oauth2/introspect", "/oauth2/userinfo"}
	others = append(others, "/setup") // nobody's any more here; it has a test of its own
	// Providers post answers and logout tokens here. No cookie counts, but the state or the token's signature.
	others = append(others, "/login/{connection}/callback", "/login/{connection}/authorized", "/login/{connection}/logout")
	for path, methods := range s.Server.Routes() {
		if strings.HasPrefix(path, "/api/") {
			continue
		}
		for _, m := range methods {
			if m != http.MethodGet && m != http.MethodHead && m != http.MethodOptions && m != http.MethodPost {
				t.Errorf("%s takes %s, which this test does not know", path, m)
			}
		}
		if _, listed := forms[path]; slices.Contains(methods, http.MethodPost) && !listed && !slices.Contains(others, path) {
			t.Errorf("%s takes a POST and is in no list of this test", path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(forms)) {
		testForgedRequests(t, s, path, forms[path])
	}
}

// journeyForms are those on the way to a code.
func journeyForms(t *testing.T, s *harness.Server) map[string]forged {
	const agree = "openid profile email" // the sample portal asks for consent
	return map[string]forged{
		"/login": {form: func(b *harness.Browser) (*harness.Form, []string) {
			return b.Get(t, harness.Quiet(s, "openid").Authorize(nil).URL).Form(t, "login"), []string{"email", harness.Bob.Email, "password", harness.Bob.Password}
		}},
		"/login/switch": {form: func(b *harness.Browser) (*harness.Form, []string) {
			harness.SignIn(t, b, harness.Bob)
			return b.Get(t, harness.Portal(s, agree).Authorize(nil).URL).FormWith(t, "switch"), []string{"switch", "1"}
		}},
		"/consent": {form: func(b *harness.Browser) (*harness.Form, []string) {
			harness.SignIn(t, b, harness.Bob)
			return b.Get(t, harness.Portal(s, agree).Authorize(nil).URL).Form(t, "consent"), []string{"answer", "allow", "remember", ""}
		}},
		"/org": {form: func(b *harness.Browser) (*harness.Form, []string) {
			harness.SignIn(t, b, harness.Alice)
			return b.Get(t, harness.Quiet(s, "openid org").Authorize(nil).URL).FormWith(t, "organization"), []string{"organization", "acme-corp"}
		}},
		"/logout": {form: func(b *harness.Browser) (*harness.Form, []string) {
			return harness.SignIn(t, b, harness.Bob).Form(t, ""), nil
		}},
		"/oauth2/logout": {shows: true, anywhere: true, form: func(b *harness.Browser) (*harness.Form, []string) {
			harness.SignIn(t, b, harness.Alice)
			return b.Get(t, "/oauth2/logout").FormWith(t, "answer"), []string{"answer", "yes"}
		}},
	}
}

var pathVariable = regexp.MustCompile(`/[0-9a-f]{8}-[0-9a-f-]{27}`)

func testForgedRequests(t *testing.T, s *harness.Server, path string, f forged) {
	b := s.Browser(t)
	form, fields := f.form(b)
	if got := pathVariable.ReplaceAllString(form.Action.Path, "/{id}"); got != path {
		t.Fatalf("the form of %s posts to %s", path, form.Action.Path)
	}
	other, _ := f.form(s.Browser(t))
	values := url.Values{}
	maps.Copy(values, form.Values)
	set := func(v url.Values, fields []string) {
		for i := 0; i+1 < len(fields); i += 2 {
			v.Set(fields[i], fields[i+1])
		}
	}
	set(values, fields)
	send := func(method string, header http.Header, change ...string) int {
		v := url.Values{}
		maps.Copy(v, values)
		set(v, change)
		return sendOnce(t, b, method, form.Action.String(), header, v)
	}
	const urlencoded = "application/x-www-form-urlencoded"
	own := func(more ...string) http.Header {
		h := http.Header{"Content-Type": {urlencoded}, "Origin": {s.Issuer}, "Sec-Fetch-Site": {"same-origin"}}
		for i := 0; i+1 < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	s.Settle(t)
	before := harness.StoredState(t, s)
	got := map[string]int{
		"no token":           send(http.MethodPost, own(), "csrf", ""),
		"a foreign token":    send(http.MethodPost, own(), "csrf", other.Values.Get("csrf")),
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
	if !f.anywhere {
		for name, header := range map[string]http.Header{"cross-site": own("Sec-Fetch-Site", "cross-site"), "same-site": own("Sec-Fetch-Site", "same-site"),
			"evil Origin": {"Content-Type": {urlencoded}, "Origin": {"https://evil.example"}}} {
			if status := send(http.MethodPost, header); status != http.StatusForbidden {
				t.Errorf("%s, %s: %d, want 403", path, name, status)
			}
		}
	}
	if after := harness.StoredState(t, s); after != before {
		t.Errorf("%s: a forged request changed something:\n%s", path, cmp.Diff(before, after))
	}
	want, late := http.StatusSeeOther, []string(nil)
	if f.shows || f.reads {
		want = http.StatusOK
	}
	if f.late != nil {
		late = f.late(b)
	}
	if status := send(http.MethodPost, own(), late...); status != want {
		t.Errorf("%s, the form itself: %d, want %d", path, status, want)
	}
	if after := harness.StoredState(t, s); after == before && !f.reads {
		t.Errorf("%s, the form itself changes nothing: this test looks at the wrong tables", path)
	}
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

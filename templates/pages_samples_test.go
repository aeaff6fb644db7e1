package templates_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/templates"
	"github.com/sallyport-id/sallyport/templates/samples"
)

// zeroPages is one empty struct of each kind that there is a sample of.
func zeroPages() []templates.Page {
	var pages []templates.Page
	seen := map[reflect.Type]bool{}
	for _, s := range samples.Pages() {
		if kind := reflect.TypeOf(s.Page); !seen[kind] {
			seen[kind] = true
			pages = append(pages, reflect.Zero(kind).Interface().(templates.Page))
		}
	}
	return pages
}

// filledPages has the same string in every string, also in lists and maps.
func filledPages(s string) []templates.Page {
	var filled []templates.Page
	for _, p := range zeroPages() {
		v := reflect.New(reflect.TypeOf(p)).Elem()
		templates.Fill(v, s)
		filled = append(filled, v.Interface().(templates.Page))
	}
	return filled
}

// everyPage is all there is to check a rule on.
func everyPage() []templates.Page {
	pages := append(zeroPages(), filledPages("/value")...)
	for _, s := range samples.Pages() {
		pages = append(pages, s.Page)
	}
	return pages
}

// Content-Security-Policy: 'self' is enough, and no page asks another server.
func TestPagesHoldNothingInlineAndAskNoOtherServer(t *testing.T) {
	tmpl := templates.NewTemplates(t, templates.Brand{SupportEmail: "help@acme.example", Logo: "/logo.svg"})
	for _, page := range everyPage() {
		for _, n := range templates.Elements(t, templates.RenderPage(t, tmpl, page)) {
			src := templates.Attr(n, "src")
			if n.Data == "link" {
				src = templates.Attr(n, "href")
			}
			if n.Data == "style" || n.Data == "script" && (n.FirstChild != nil || src == "") {
				t.Errorf("%T: inline <%s>", page, n.Data)
			}
			if src != "" && !templates.LocalPath(src) && !(n.Data == "img" && strings.HasPrefix(src, "data:image/")) {
				t.Errorf("%T: <%s> asks for %s", page, n.Data, src)
			}
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("%T: <%s %s>", page, n.Data, a.Key)
				}
			}
		}
	}
}

// Only form_post leads to another site, which has no use for our token.
func TestEveryPostingFormCarriesItsCSRFField(t *testing.T) {
	tmpl := templates.NewTemplates(t, templates.Brand{})
	for _, page := range everyPage() {
		for _, n := range templates.Elements(t, templates.RenderPage(t, tmpl, page)) {
			if n.Data != "form" || templates.Attr(n, "method") != "post" || templates.Attr(n, "id") == "form-post" {
				continue
			}
			found := false
			for field := range n.Descendants() {
				found = found || templates.Attr(field, "name") == "csrf" && templates.Attr(field, "type") == "hidden"
			}
			if !found {
				t.Errorf("%T: a form to %s without csrf", page, templates.Attr(n, "action"))
			}
		}
	}
}

// These pages show strings that strangers choose: names of clients and organizations, and parameters of links.
func TestHostileValuesStayText(t *testing.T) {
	tmpl := templates.NewTemplates(t, templates.Brand{Name: `<script>alert(1)</script>`, SupportEmail: `"><script>alert(1)</script>`})
	for _, payload := range []string{
		`"><script>alert(1)</script>`,
		`'><img src=x onerror=alert(1)>`,
		`"></form><form action=https://evil.example>`,
		`</title></bdi><svg/onload=alert(1)>`,
		`javascript:alert(1)`,
		`JaVaScRiPt:alert(1)`,
		"java\tscript:alert(1)",
		` javascript:alert(1)`,
		`data:text/html,<script>alert(1)</script>`,
		`vbscript:x`,
		`//evil.example`,
		`/\evil.example`,
		`{{.CSRF}}`,
	} {
		for _, page := range filledPages(payload) {
			got := templates.RenderPage(t, tmpl, page)
			if strings.Contains(got, "ZgotmplZ") {
				t.Errorf("%T with %q: a value in a place it must not reach", page, payload)
			}
			checkHarmless(t, page, payload, got)
		}
	}
}

func checkHarmless(t *testing.T, page templates.Page, payload, got string) {
	t.Helper()
	for _, n := range templates.Elements(t, got) {
		if n.Data == "script" && !strings.HasPrefix(templates.Attr(n, "src"), "/static/") {
			t.Errorf("%T with %q: a script from outside", page, payload)
		}
		if n.Data == "img" || n.Data == "svg" && templates.Attr(n, "viewbox") == "" && templates.Attr(n, "viewBox") == "" {
			t.Errorf("%T with %q: a foreign <%s>", page, payload, n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") {
				t.Errorf("%T with %q: <%s %s>", page, payload, n.Data, a.Key)
			}
			if !slices.Contains([]string{"href", "src", "action", "formaction"}, a.Key) || a.Val == "" {
				continue
			}
			if !templates.LocalPath(a.Val) && !strings.HasPrefix(a.Val, "mailto:") {
				t.Errorf("%T with %q: <%s %s=%q>", page, payload, n.Data, a.Key, a.Val)
			}
		}
	}
}

// Password managers and people's own tests rely on these ids and names.
func TestElementsKeepTheirIdsAndNames(t *testing.T) {
	tmpl := templates.NewTemplates(t, templates.Brand{})
	byName := make(map[string]templates.Page)
	for _, s := range samples.Pages() {
		byName[s.Name] = s.Page
	}
	for _, tt := range []struct {
		sample string
		want   []string
	}{
		{"login", []string{
			`form id="login" method="post"`, `input id="email" name="email"`, `autocomplete="username webauthn"`,
			`input id="password" name="password"`, `autocomplete="current-password"`, `id="login-submit"`, `id="cancel"`, `id="forgot"`, `a id="register"`, `id="passkey"`,
			`action="/login/passkey?flow=`, `data-webauthn="get"`, `data-begin="/login/passkey/begin?flow=`, `data-conditional`, `name="credential"`}},
		{"register", []string{`form id="register" method="post"`, `id="name" name="name"`, `id="email" name="email"`, `id="password" name="password"`,
			`autocomplete="new-password"`, `id="register-submit"`, `id="sign-in"`, `id="cancel"`}},
		{"verify", []string{`form id="verify" method="post" action="/verify?token=`, `id="verify-submit"`}},
		{"recover", []string{`form id="recover" method="post"`, `id="email" name="email"`, `id="recover-submit"`}},
		{"reset", []string{`form id="reset" method="post" action="/recover/reset?token=`, `id="password" name="password"`, `id="reset-submit"`}},
		{"invite", []string{`id="accept" name="act" value="accept"`}},
		{"invite-stranger", []string{`form id="register" method="post" action="/invite?token=`, `name="act" value="register"`, `id="name" name="name"`,
			`id="password" name="password"`, `id="register-submit"`, `id="sign-in"`}},
		{"org", []string{`name="organization" value="acme-corp"`, `name="organization" value="tech-startup"`}},
		{"org-many", []string{`input id="q" name="q" type="search"`}},
		{"consent", []string{
			`id="allow" name="answer" value="allow"`, `id="deny" name="answer" value="deny"`,
			`input id="remember" name="remember" type="checkbox" value="on" checked`, `data-scope="openid"`,
			`<strong dir="ltr">portal.acme.example</strong>`}},
		{"error", []string{
			`<main class="card" id="error" data-error="invalid_redirect_uri">`, `id="request-id"`, `<details id="developer">`,
			`The redirect address is not registered for this app.`}},
		{"error-back", []string{`id="back" href="https://portal.acme.example"`}},
		{"logout", []string{`id="logout-yes" name="answer" value="yes"`, `id="logout-no" name="answer" value="no"`, `name="state" value="af0ifjsldkj"`}},
		{"signedout", []string{`<main class="card" id="signed-out">`}},
		{"formpost", []string{`<form id="form-post" method="post" action="https://portal.acme.example/callback">`, `name="code" value="sp_ac_example"`, `id="continue"`}},
	} {
		got := templates.RenderPage(t, tmpl, byName[tt.sample])
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: got no %s", tt.sample, want)
			}
		}
	}
}

var assetHash = regexp.MustCompile(`(/static/[a-z]+)\.[0-9a-f]{12}\.`)

func TestPagesLookAsBefore(t *testing.T) {
	tmpl := templates.NewTemplates(t, templates.Brand{SupportEmail: "help@acme.example"})
	for _, s := range samples.Pages() {
		file := filepath.Join("testdata", s.Name+".html")
		got := assetHash.ReplaceAllString(templates.RenderPage(t, tmpl, s.Page), "$1.HASH.")
		if *templates.Update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("%v; run go test ./templates -update", err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got); if it is meant, run go test ./templates -update:\n%s", s.Name, diff)
		}
	}
}

// A page with everything it links to is at most 60 KB compressed.
func TestPagesAreSmall(t *testing.T) {
	tmpl := templates.NewTemplates(t, templates.Brand{})
	for _, s := range samples.Pages() {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		page := templates.RenderPage(t, tmpl, s.Page)
		w.Write([]byte(page))
		for _, url := range regexp.MustCompile(`/static/[^"]+`).FindAllString(page, -1) {
			answer := httptest.NewRecorder()
			tmpl.Static().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, url, nil))
			if answer.Code != http.StatusOK {
				t.Fatalf("%s: GET %s: got %d", s.Name, url, answer.Code)
			}
			w.Write(answer.Body.Bytes())
		}
		w.Close()
		if b.Len() > 60_000 {
			t.Errorf("%s: got %d bytes compressed, want at most 60000", s.Name, b.Len())
		}
	}
}

func TestBrandIsOnEveryPage(t *testing.T) {
	tmpl := templates.NewTemplates(t, templates.Brand{Name: "Globex ID", Logo: "/brand/logo.png", SupportEmail: "help@globex.example"})
	for _, page := range zeroPages() {
		got := templates.RenderPage(t, tmpl, page)
		for _, want := range []string{"Globex ID", `src="/brand/logo.png"`, `href="mailto:help@globex.example"`} {
			if !strings.Contains(got, want) {
				t.Errorf("%T: got no %s", page, want)
			}
		}
	}
}

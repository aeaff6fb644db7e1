package samplerp

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

//go:embed page.html static
var assets embed.FS

var pageTemplate = template.Must(template.ParseFS(assets, "page.html"))

// page is everything the one page may show: a problem, somebody signed in, or
// the invitation to sign in.
type page struct {
	Title   string
	Notice  string
	Issuer  string
	BaseURL string
	Problem *problem
	People  []Person
	In      *signedIn
}

// signedIn is what the app holds after a sign-in, laid out.
type signedIn struct {
	CSRF       string
	Name       string
	Email      string
	Initial    string
	OrgName    string
	OrgRoles   []string
	Roles      []string
	Others     []choice // organizations to switch to
	ID         tokenView
	Access     tokenView
	HasRefresh bool
	Scopes     []string
	Userinfo   []claimRow
	UserinfoNo string
}

// choice is an organization of the person, from the claim organizations.
type choice struct {
	Slug, Name, Roles string
}

// tokenView is a token, decoded where it can be.
type tokenView struct {
	Raw    string
	Opaque bool
	Header string
	Claims []claimRow
	Until  string
}

// home is the app's page.
func (rp *RP) home(w http.ResponseWriter, r *http.Request) error {
	p := page{Title: "Sample app", People: rp.cfg.People}
	x := rp.sessions.find(r)
	if x == nil {
		if r.URL.Query().Get("state") == signedOut {
			p.Notice = "You are signed out, here and at the provider."
		}
		rp.show(w, http.StatusOK, p)
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.tokens != nil {
		p.In = view(x, rp.cfg.Now())
		p.Title = "Signed in · Sample app"
		p.Notice, x.notice = x.notice, ""
	}
	rp.show(w, http.StatusOK, p)
	return nil
}

// show renders into a buffer first, so that a fault shows no half page.
func (rp *RP) show(w http.ResponseWriter, status int, p page) {
	p.Issuer, p.BaseURL = rp.cfg.Issuer, rp.cfg.BaseURL
	var b bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&b, "page.html", p); err != nil {
		rp.cfg.Logger.Error("sample app: page", "error", err)
		http.Error(w, "This page could not be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// view lays out what a session holds.
func view(x *session, now time.Time) *signedIn {
	t := x.tokens
	merged := map[string]any{}
	for _, source := range []map[string]any{t.claims, t.userinfo} {
		for name, v := range source {
			merged[name] = v
		}
	}
	text := func(name string) string { s, _ := merged[name].(string); return s }
	in := &signedIn{
		CSRF:       x.csrf,
		Name:       text("name"),
		Email:      text("email"),
		OrgName:    text("org_name"),
		OrgRoles:   texts(merged["org_roles"]),
		Roles:      texts(merged["roles"]),
		Others:     choices(merged["organizations"], text("org_slug")),
		ID:         viewToken(t.idToken, now),
		Access:     viewToken(t.oauth.AccessToken, now),
		HasRefresh: t.oauth.RefreshToken != "",
		Scopes:     strings.Fields(t.scope),
		Userinfo:   claimRows(t.userinfo, now),
		UserinfoNo: t.userinfoErr,
	}
	if !t.oauth.Expiry.IsZero() {
		in.Access.Until = life(t.oauth.Expiry, now)
	}
	if in.Name == "" {
		in.Name = in.Email
	}
	if in.Name == "" {
		in.Name = text("sub")
	}
	first, _ := utf8.DecodeRuneInString(in.Name)
	in.Initial = string(unicode.ToUpper(first))
	return in
}

func viewToken(token string, now time.Time) tokenView {
	v := tokenView{Raw: token}
	header, payload, err := jwtParts(token)
	if err != nil {
		v.Opaque = true
		return v
	}
	v.Header, v.Claims = pretty(header), claimRows(payload, now)
	return v
}

func texts(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, item := range list {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// choices reads the claim organizations, without the current one.
func choices(v any, current string) []choice {
	var out []choice
	list, _ := v.([]any)
	for _, item := range list {
		org, _ := item.(map[string]any)
		slug, _ := org["slug"].(string)
		name, _ := org["name"].(string)
		if slug == "" || slug == current {
			continue
		}
		out = append(out, choice{Slug: slug, Name: name, Roles: strings.Join(texts(org["roles"]), ", ")})
	}
	return out
}

// staticFiles serves style and script; they change with the program only.
func staticFiles() http.Handler {
	files := http.FileServerFS(assets)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
}

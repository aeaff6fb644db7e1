package provider_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

func TestWhichOrganization(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		o := &organizations{peers: p, bob: p.signedIn(t, harness.Bob), alice: p.signedIn(t, harness.Alice), admin: p.signedIn(t, harness.Admin)}
		o.acme, o.tech = o.id(t, "acme-corp"), o.id(t, "tech-startup")
		t.Run("named", func(t *testing.T) { testNamedOrganizations(t, o) })
		t.Run("strangers", func(t *testing.T) { testUnknownIsLikeNotAMember(t, o) })
		t.Run("ways on", func(t *testing.T) { testDeniedPeopleFindAWay(t, o) })
		t.Run("picker", func(t *testing.T) { testPicker(t, o) })
		t.Run("silently", func(t *testing.T) { testSilentLadder(t, o) })
		t.Run("removed", func(t *testing.T) { testRemovedMember(t, o) })
	})
}

// organizations: Bob is in Acme, Alice in Acme and Tech Startup, Admin in none.
type organizations struct {
	*peers
	bob, alice, admin *harness.Browser
	acme, tech        uuid.UUID
}

func (o *organizations) id(t testing.TB, slug string) uuid.UUID {
	t.Helper()
	found, err := o.App.Identity.Organizations.BySlug(t.Context(), identity.Operator(), slug)
	if err != nil {
		t.Fatal(err)
	}
	return found.ID
}

func (o *organizations) person(t testing.TB, who harness.Person) uuid.UUID {
	t.Helper()
	u, err := o.App.Identity.People.ByEmail(t.Context(), identity.Operator(), who.Email)
	if err != nil {
		t.Fatal(err)
	}
	return u.ID
}

// asks is outcome, and where that is a code the slug that its ID token names, or "-".
func (o *organizations) asks(t testing.TB, b *harness.Browser, rp *harness.RP, extra url.Values) string {
	t.Helper()
	r := rp.Authorize(extra)
	page := b.Get(t, r.URL)
	if outcome(page) != "code" {
		return outcome(page)
	}
	return o.slug(t, rp.Redeem(t, page.Away.Query().Get("code"), r).IDToken)
}

func (o *organizations) slug(t testing.TB, idToken string) string {
	t.Helper()
	slug, _ := harness.Claims(t, idToken)["org_slug"].(string)
	if slug == "" {
		return "-"
	}
	return slug
}

// The rule of the product's contract, for those whose request says which.
func testNamedOrganizations(t *testing.T, o *organizations) {
	acme, tech := o.acme.String(), o.tech.String()
	for name, tc := range map[string]struct {
		b      *harness.Browser
		client string
		scope  string
		org    string // the parameter
		want   string
	}{
		"nothing asks for one":            {o.alice, "web", "openid", "", "-"},
		"parameter, a slug":               {o.alice, "web", "openid org", "tech-startup", "tech-startup"},
		"parameter, an id":                {o.alice, "web", "openid org", tech, "tech-startup"},
		"parameter without the scope":     {o.alice, "web", "openid", "tech-startup", "-"},
		"scope org:slug":                  {o.alice, "web", "openid org:acme-corp", "", "acme-corp"},
		"scope org and org:slug":          {o.alice, "web", "openid org org:tech-startup", "", "tech-startup"},
		"scope org, only one":             {o.bob, "web", "openid org", "", "acme-corp"},
		"scope org, two":                  {o.alice, "web", "openid org", "", "at:/org"},
		"scope org, none":                 {o.admin, "web", "openid org", "", "page:not_a_member"},
		"parameter and scope agree":       {o.alice, "web", "openid org:acme-corp", acme, "acme-corp"},
		"slug and id agree":               {o.alice, "web", "openid org:tech-startup", tech, "tech-startup"},
		"parameter and scope differ":      {o.alice, "web", "openid org:acme-corp", "tech-startup", "invalid_request"},
		"id and scope differ":             {o.alice, "web", "openid org:acme-corp", tech, "invalid_request"},
		"two scopes":                      {o.alice, "web", "openid org:acme-corp org:tech-startup", "", "invalid_request"},
		"client's own":                    {o.bob, "acme", "openid org", "", "acme-corp"},
		"client's own, no picker":         {o.alice, "acme", "openid org", "", "acme-corp"},
		"client's own, nothing asked":     {o.bob, "acme", "openid", "", "-"},
		"client's own, agreeing":          {o.alice, "acme", "openid org:acme-corp", acme, "acme-corp"},
		"client's own, another by id":     {o.alice, "acme", "openid", tech, "invalid_request"},
		"client's own, another by slug":   {o.alice, "acme", "openid", "tech-startup", "invalid_request"},
		"client's own, another by scope":  {o.alice, "acme", "openid org:tech-startup", "", "invalid_request"},
		"client's own, not a member":      {o.admin, "acme", "openid", "", "page:not_a_member"},
		"the scope is not the client's":   {o.bob, "narrow", "openid org", "", "invalid_scope"},
		"nor with a slug":                 {o.bob, "narrow", "openid org:acme-corp", "", "invalid_scope"},
		"parameter, and a bare client":    {o.bob, "narrow", "openid", "acme-corp", "-"},
		"parameter, in capitals":          {o.bob, "web", "openid org", "ACME-CORP", "page:not_a_member"},
		"empty parameter counts for none": {o.alice, "web", "openid", "", "-"},
	} {
		extra := url.Values{"scope": {tc.scope}}
		if tc.org != "" {
			extra.Set("organization", tc.org)
		}
		if got := o.asks(t, tc.b, o.peer(tc.client), extra); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	tokens := tokensFor(t, o.alice, o.peer("web"), url.Values{"scope": {"openid org:acme-corp orgs"}})
	if tokens.Scope != "openid org orgs" {
		t.Errorf("scope %q: org:<slug> is granted as org", tokens.Scope)
	}
	_, info := o.peer("web").Userinfo(t, tokens.AccessToken)
	if all, _ := info["organizations"].([]any); len(all) != 2 || info["org_slug"] != "acme-corp" || fmt.Sprint(info["org_roles"]) != "[owner]" {
		t.Errorf("userinfo says %v", info)
	} else if first := all[0].(map[string]any); len(first) != 4 || first["slug"] == nil || first["roles"] == nil {
		t.Errorf("organizations are %v", all)
	}
	if id := harness.Claims(t, tokens.IDToken); id["organizations"] != nil {
		t.Error("the ID token lists every organization: that is for userinfo only")
	}
}

// masked is a page without what differs from request to request.
func masked(page *harness.Page, and ...string) string {
	body := regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|state=[^&"]*|[A-Za-z0-9_-]{43}`).ReplaceAllString(page.Body, "*")
	for _, s := range and {
		body = strings.ReplaceAll(body, s, "*")
	}
	return fmt.Sprint(page.Status, " ", body)
}

// A user outside an organization does not learn whether it exists.
func testUnknownIsLikeNotAMember(t *testing.T, o *organizations) {
	rp := o.peer("web")
	theirs := o.bob.Get(t, rp.Authorize(url.Values{"organization": {"tech-startup"}}).URL)
	if outcome(theirs) != "page:not_a_member" || theirs.Status != http.StatusForbidden {
		t.Fatalf("an organization of others: %d %s", theirs.Status, outcome(theirs))
	}
	for name, extra := range map[string]url.Values{
		"unknown slug":         {"organization": {"nothing-here"}},
		"unknown id":           {"organization": {uuid.NewString()}},
		"id of another":        {"organization": {o.tech.String()}},
		"scope, unknown":       {"scope": {"openid org:nothing-here"}},
		"scope, of another":    {"scope": {"openid org:tech-startup"}},
		"scope without a slug": {"scope": {"openid org:"}},
		"hostile":              {"organization": {`' OR 1=1 --`}},
	} {
		page := o.bob.Get(t, rp.Authorize(extra).URL)
		if masked(page) != masked(theirs) {
			t.Errorf("%s: %d %s differs from an organization of others", name, page.Status, outcome(page))
		}
		extra.Set("prompt", "none")
		if got := ask(t, o.bob, rp, extra); got != "access_denied" {
			t.Errorf("%s, silently: %s", name, got)
		}
	}
}

// A person who is told that their account is not a member can go back to the app, which is told
// too, or use another account for the same request.
func testDeniedPeopleFindAWay(t *testing.T, o *organizations) {
	follow := func(b *harness.Browser, p *harness.Page, id string) *harness.Page {
		t.Helper()
		_, to, _ := strings.Cut(p.Body, `id="`+id+`" href="`)
		to, _, _ = strings.Cut(to, `"`)
		if to == "" {
			t.Fatalf("the page has no %s:\n%s", id, p.Body)
		}
		return b.Get(t, html.UnescapeString(to))
	}
	for name, tc := range map[string]struct {
		who    harness.Person
		client string
		extra  url.Values
	}{
		"another's organization":  {harness.Bob, "web", url.Values{"organization": {"tech-startup"}}},
		"in none":                 {harness.Admin, "web", url.Values{"scope": {"openid org"}}},
		"the client's own":        {harness.Admin, "acme", nil},
		"scope org:slug":          {harness.Bob, "web", url.Values{"scope": {"openid org:tech-startup"}}},
		"answered by a form post": {harness.Bob, "web", url.Values{"organization": {"tech-startup"}, "response_mode": {"form_post"}}},
	} {
		b, rp := o.signedIn(t, tc.who), o.peer(tc.client)
		r := rp.Authorize(tc.extra)
		page := b.Get(t, r.URL)
		if outcome(page) != "page:not_a_member" || !strings.Contains(page.Body, tc.who.Email) {
			t.Fatalf("%s: %s, want the page that names the account", name, outcome(page))
		}
		o.Clock.Advance(time.Second)
		login := follow(b, page, "switch")
		if outcome(login) != "at:/login" {
			t.Fatalf("%s: another account: %s", name, outcome(login))
		}
		again := b.Submit(t, login.Form(t, "login"), "email", tc.who.Email, "password", tc.who.Password)
		if outcome(again) != "page:not_a_member" {
			t.Errorf("%s: the same account: %s", name, outcome(again))
		}
		o.Clock.Advance(time.Second)
		login = follow(b, again, "switch")
		page = b.Submit(t, login.Form(t, "login"), "email", harness.Alice.Email, "password", harness.Alice.Password)
		if outcome(page) == "at:/org" {
			page = b.Submit(t, page.FormWith(t, "organization"), "organization", "acme-corp")
		}
		if formPost := tc.extra.Get("response_mode") == "form_post"; !formPost && outcome(page) != "code" || formPost && page.FormWith(t, "code").Values.Get("state") != r.State {
			t.Errorf("%s: a member ends with %s", name, outcome(page))
		}
		back := follow(b, o.become(t, b, tc.who).Get(t, rp.Authorize(tc.extra).URL), "back")
		if tc.extra.Get("response_mode") == "form_post" {
			if got := back.FormWith(t, "error").Values; got.Get("error") != "access_denied" || got.Get("iss") != o.Issuer {
				t.Errorf("%s: the app is told %v", name, got)
			}
			continue
		}
		if q := back.Away.Query(); q.Get("error") != "access_denied" || q.Get("state") == "" || q.Get("iss") != o.Issuer || !strings.Contains(q.Get("error_description"), "belong") {
			t.Errorf("%s: the app is told %s", name, back.Away)
		}
	}
	// Removed while the request was under way: each page of its way says the same.
	b, rp := o.signedIn(t, harness.Bob), o.peer("other")
	waiting := b.Get(t, rp.Authorize(url.Values{"scope": {"openid org"}, "prompt": {"consent"}}).URL)
	if outcome(waiting) != "at:/consent" {
		t.Fatalf("asked to consent: %s", outcome(waiting))
	}
	bob := o.person(t, harness.Bob)
	if err := o.App.Identity.Organizations.RemoveMember(t.Context(), identity.Operator(), o.acme, bob); err != nil {
		t.Fatal(err)
	}
	for name, page := range map[string]*harness.Page{
		"reloaded":    b.Get(t, waiting.URL.String()),
		"answered":    b.Submit(t, waiting.Form(t, "consent"), "answer", "allow"),
		"not you?":    b.Submit(t, waiting.FormWith(t, "switch"), "switch", "1"),
		"at the door": b.Get(t, "/login?flow="+waiting.URL.Query().Get("flow")),
	} {
		if outcome(page) != "page:not_a_member" || page.Status != http.StatusForbidden || !strings.Contains(page.Body, `id="switch"`) {
			t.Errorf("removed, %s: %d %s", name, page.Status, outcome(page))
		}
	}
	if err := o.App.Identity.Organizations.AddMember(t.Context(), identity.Operator(), o.acme, bob, storage.RoleMember); err != nil {
		t.Fatal(err)
	}
}

// become signs another person in in b.
func (o *organizations) become(t testing.TB, b *harness.Browser, who harness.Person) *harness.Browser {
	t.Helper()
	page := b.Get(t, "/login")
	if page = b.Submit(t, page.Form(t, "login"), "email", who.Email, "password", who.Password); !strings.Contains(page.Body, who.Email) {
		t.Fatalf("%s cannot sign in: %d at %s", who.Email, page.Status, page.URL)
	}
	return b
}

func testPicker(t *testing.T, o *organizations) {
	rp, b := o.peer("web"), o.alice
	extra := url.Values{"scope": {"openid org"}}
	r := rp.Authorize(extra)
	page := b.Get(t, r.URL)
	form := page.FormWith(t, "organization")
	if len(form.Buttons) != 2 {
		t.Fatalf("buttons %v, want Acme and Tech Startup", form.Buttons)
	}
	// An organization of others and none at all, sent by hand.
	var refused []string
	other, err := o.App.Identity.Organizations.Create(t.Context(), identity.Operator(), "others", "Others", uuid.Nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, slug := range []string{other.Slug, "nobody", "", o.acme.String()} {
		p := b.Submit(t, form, "organization", slug)
		if outcome(p) != "page:not_a_member" {
			t.Errorf("picking %q: %s", slug, outcome(p))
		}
		refused = append(refused, masked(p))
	}
	if refused[0] != refused[1] {
		t.Error("an organization of others looks different from one that is not there")
	}
	last := form.Buttons[1].Value
	page = b.Submit(t, form, "organization", last)
	if outcome(page) != "code" || o.slug(t, rp.Redeem(t, page.Away.Query().Get("code"), r).IDToken) != last {
		t.Fatalf("picking %s ends at %s", last, outcome(page))
	}
	o.Clock.Advance(time.Second)
	page = b.Get(t, rp.Authorize(extra).URL)
	if first := page.FormWith(t, "organization").Buttons[0].Value; first != last {
		t.Errorf("the picker begins with %s, want the last choice %s", first, last)
	}
	// Over eight there is a search, which needs no script.
	for n := range 7 {
		many, err := o.App.Identity.Organizations.Create(t.Context(), identity.Operator(), fmt.Sprintf("many-%d", n), fmt.Sprintf("Many %d", n), uuid.Nil)
		if err == nil {
			err = o.App.Identity.Organizations.AddMember(t.Context(), identity.Operator(), many.ID, o.person(t, harness.Alice), storage.RoleGuest)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	page = b.Get(t, page.URL.String())
	if n := len(page.FormWith(t, "organization").Buttons); n != 9 {
		t.Errorf("%d buttons, want 9", n)
	}
	found := b.Submit(t, page.Form(t, "org-search"), "q", "many 3")
	if buttons := found.FormWith(t, "organization").Buttons; len(buttons) != 1 || buttons[0].Value != "many-3" {
		t.Errorf("the search finds %v", buttons)
	}
	for n := range 7 {
		if err := o.App.Identity.Organizations.RemoveMember(t.Context(), identity.Operator(), o.id(t, fmt.Sprintf("many-%d", n)), o.person(t, harness.Alice)); err != nil {
			t.Fatal(err)
		}
	}
}

// prompt=none: as requested, else the client's own, else the hint's, else the
// latest remembered consent while still a member, else the only one.
func testSilentLadder(t *testing.T, o *organizations) {
	silently := func(more ...string) url.Values {
		v := url.Values{"scope": {"openid org"}, "prompt": {"none"}}
		for i := 0; i+1 < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	web, other := o.peer("web"), o.peer("other")
	hint := tokensFor(t, o.alice, web, url.Values{"scope": {"openid org:tech-startup"}}).IDToken
	for name, tc := range map[string]struct {
		b      *harness.Browser
		client string
		extra  url.Values
		want   string
	}{
		"as requested":                   {o.alice, "web", silently("organization", "acme-corp"), "acme-corp"},
		"requested, over the hint":       {o.alice, "web", silently("organization", "acme-corp", "id_token_hint", hint), "acme-corp"},
		"client's own":                   {o.alice, "acme", silently(), "acme-corp"},
		"client's own, over the hint":    {o.alice, "acme", silently("id_token_hint", hint), "acme-corp"},
		"the hint's":                     {o.alice, "web", silently("id_token_hint", hint), "tech-startup"},
		"the only one":                   {o.bob, "web", silently(), "acme-corp"},
		"nothing decides":                {o.alice, "web", silently(), "interaction_required"},
		"in none":                        {o.admin, "web", silently(), "interaction_required"},
		"a hint does not count if asked": {o.alice, "web", url.Values{"scope": {"openid org"}, "id_token_hint": {hint}}, "at:/org"},
	} {
		if got := o.asks(t, tc.b, o.peer(tc.client), tc.extra); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	for _, slug := range []string{"acme-corp", "tech-startup"} {
		if got := outcome(o.alice.WalkTo(t, other.Authorize(url.Values{"scope": {"openid org:" + slug}}).URL, harness.Alice)); got != "code" {
			t.Fatalf("agreeing for %s: %s", slug, got)
		}
		o.Clock.Advance(time.Second)
	}
	if got := o.asks(t, o.alice, other, silently()); got != "tech-startup" {
		t.Errorf("the latest remembered consent: %s", got)
	}
	if got := o.asks(t, o.alice, other, silently("organization", "acme-corp")); got != "acme-corp" {
		t.Errorf("requested, over what is remembered: %s", got)
	}
	if got := o.asks(t, o.alice, other, url.Values{"scope": {"openid org"}}); got != "at:/org" {
		t.Errorf("what is remembered does not pick for who can be asked: %s", got)
	}
	// Not a member any more: neither the hint nor what was remembered.
	alice, operator := o.person(t, harness.Alice), identity.Operator()
	if _, err := o.App.Identity.Organizations.Create(t.Context(), operator, "third-one", "Third One", alice); err != nil {
		t.Fatal(err)
	}
	if err := o.App.Identity.Organizations.RemoveMember(t.Context(), operator, o.tech, alice); err != nil {
		t.Fatal(err)
	}
	if got := o.asks(t, o.alice, other, silently()); got != "acme-corp" {
		t.Errorf("the consent for an organization that she left: %s, want the one before", got)
	}
	if got := o.asks(t, o.alice, web, silently("id_token_hint", hint)); got != "interaction_required" {
		t.Errorf("the hint's organization that she left: %s", got)
	}
}

// Refresh re-reads membership and roles, and cannot change the organization.
func testRemovedMember(t *testing.T, o *organizations) {
	rp, bob, operator := o.peer("web"), o.person(t, harness.Bob), identity.Operator()
	jwt := o.peer("jwt-rs")
	scope := url.Values{"scope": {"openid org offline_access"}}
	tokens, other := tokensFor(t, o.bob, rp, scope), tokensFor(t, o.bob, jwt, scope)
	plain := tokensFor(t, o.bob, rp, url.Values{"scope": {"openid offline_access"}})
	if err := o.App.Identity.Organizations.SetRole(t.Context(), operator, o.acme, bob, storage.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	tokens = rp.Refresh(t, tokens.RefreshToken)
	if roles := fmt.Sprint(harness.Claims(t, tokens.IDToken)["org_roles"]); roles != "[admin]" {
		t.Errorf("roles after a change: %s", roles)
	}
	if _, info := rp.Userinfo(t, plain.AccessToken); info["org_roles"] != nil {
		t.Errorf("a token that names no organization says %v", info)
	}
	got := rp.Token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.RefreshToken}, "scope": {"openid org:tech-startup"}})
	if got.Error != "invalid_scope" {
		t.Errorf("another organization by refresh: %d %s", got.Status, got.Error)
	}
	if err := o.App.Identity.Organizations.RemoveMember(t.Context(), operator, o.acme, bob); err != nil {
		t.Fatal(err)
	}
	if got := rp.Refresh(t, tokens.RefreshToken); got.Error != "invalid_grant" {
		t.Errorf("a removed member's refresh: %d %s", got.Status, got.Error)
	}
	for _, token := range []string{tokens.AccessToken, other.AccessToken} {
		if status, _ := rp.Userinfo(t, token); status != 401 {
			t.Errorf("a removed member's access token: %d", status)
		}
	}
	if about := jwt.Introspect(t, other.AccessToken); about["active"] != false {
		t.Error("a removed member's JWT is active")
	}
	if got := rp.Refresh(t, plain.RefreshToken); got.Status != 200 {
		t.Errorf("a grant without an organization ended too: %d %s", got.Status, got.Error)
	}
	if got := o.asks(t, o.bob, o.peer("acme"), nil); got != "page:not_a_member" {
		t.Errorf("the organization's client admits a removed member: %s", got)
	}
}

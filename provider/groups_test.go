package provider_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// The claim groups names the organization of every role, so that an app that lets people in by their groups never takes
// a role in one organization for the same role in another.
func TestGroups(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		o := &organizations{peers: p, bob: p.signedIn(t, harness.Bob), alice: p.signedIn(t, harness.Alice), admin: p.signedIn(t, harness.Admin)}
		o.acme, o.tech = o.id(t, "acme-corp"), o.id(t, "tech-startup")
		t.Run("claims", func(t *testing.T) { testGroupsOfOneOrganization(t, o) })
		t.Run("choice", func(t *testing.T) { testGroupsNeedAnOrganization(t, o) })
		t.Run("all", func(t *testing.T) { testGroupsOfAllOrganizations(t, o) })
		t.Run("changes", func(t *testing.T) { testGroupsFollowRoles(t, o) })
		t.Run("policy", func(t *testing.T) { testGroupsFollowPolicies(t, o) })
	})
}

// groupsIn is the claim as words; "none" without the claim.
func groupsIn(claims map[string]any) string {
	all, ok := claims["groups"].([]any)
	if !ok {
		return "none"
	}
	return strings.Trim(fmt.Sprint(all), "[]")
}

func testGroupsOfOneOrganization(t *testing.T, o *organizations) {
	const bobs, alices = "acme-corp acme-corp:member", "acme-corp acme-corp:owner"
	for name, tc := range map[string]struct {
		b           *harness.Browser
		client      string
		scope       string
		org         string
		inID, inAll string
	}{
		"the only one":             {o.bob, "web", "openid groups", "", bobs, bobs},
		"parameter":                {o.alice, "web", "openid groups", "acme-corp", alices, alices},
		"another":                  {o.alice, "web", "openid groups", o.tech.String(), "tech-startup tech-startup:admin", "tech-startup tech-startup:admin"},
		"beside org:slug":          {o.alice, "web", "openid groups org:acme-corp", "", alices, alices},
		"client's own":             {o.alice, "acme", "openid groups", "", alices, alices},
		"JWT access token":         {o.bob, "jwt-rs", "openid groups", "", bobs, bobs},
		"claims in the ID token":   {o.bob, "id-token", "openid groups profile", "", bobs, bobs},
		"org does not bring it":    {o.bob, "web", "openid org", "", "none", "none"},
		"an organization does not": {o.bob, "web", "openid", "acme-corp", "none", "none"},
	} {
		extra := url.Values{"scope": {tc.scope}}
		if tc.org != "" {
			extra.Set("organization", tc.org)
		}
		rp := o.peer(tc.client)
		tokens := tokensFor(t, tc.b, rp, extra)
		id := harness.Claims(t, tokens.IDToken)
		_, info := rp.Userinfo(t, tokens.AccessToken)
		if groupsIn(id) != tc.inID || groupsIn(info) != tc.inAll {
			t.Errorf("%s: the ID token says %q, userinfo %q; want %q and %q", name, groupsIn(id), groupsIn(info), tc.inID, tc.inAll)
		}
		if !strings.Contains(tc.scope, "org") && (id["org_id"] != nil || info["org_roles"] != nil || info["organizations"] != nil) {
			t.Errorf("%s: groups alone also tells %v and %v", name, id, info)
		}
		if got := groupsIn(rp.Introspect(t, tokens.AccessToken)); got != "none" {
			t.Errorf("%s: introspection tells the groups %q", name, got)
		}
	}
}

func testGroupsNeedAnOrganization(t *testing.T, o *organizations) {
	hint := tokensFor(t, o.alice, o.peer("web"), url.Values{"scope": {"openid org:tech-startup"}}).IDToken
	for name, tc := range map[string]struct {
		b      *harness.Browser
		client string
		extra  url.Values
		want   string
	}{
		"two":                        {o.alice, "web", url.Values{"scope": {"openid groups"}}, "at:/org"},
		"none":                       {o.admin, "web", url.Values{"scope": {"openid groups"}}, "page:not_a_member"},
		"silently, two":              {o.alice, "web", url.Values{"scope": {"openid groups"}, "prompt": {"none"}}, "interaction_required"},
		"silently, the hint's":       {o.alice, "web", url.Values{"scope": {"openid groups"}, "prompt": {"none"}, "id_token_hint": {hint}}, "code"},
		"not registered":             {o.bob, "narrow", url.Values{"scope": {"openid groups"}}, "invalid_scope"},
		"two organizations":          {o.alice, "web", url.Values{"scope": {"openid groups org:acme-corp"}, "organization": {"tech-startup"}}, "invalid_request"},
		"another than the client's":  {o.alice, "acme", url.Values{"scope": {"openid groups"}, "organization": {"tech-startup"}}, "invalid_request"},
		"an organization of others":  {o.bob, "web", url.Values{"scope": {"openid groups"}, "organization": {"tech-startup"}}, "page:not_a_member"},
		"org:slug without org's own": {o.bob, "groups", url.Values{"scope": {"openid groups org:acme-corp"}}, "invalid_scope"},
	} {
		if got := ask(t, tc.b, o.peer(tc.client), tc.extra); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	page := o.bob.Get(t, o.peer("other").Authorize(url.Values{"scope": {"openid groups"}}).URL)
	if outcome(page) != "at:/consent" || !strings.Contains(page.Body, `data-scope="groups"`) ||
		!strings.Contains(page.Body, "See your groups in the organization you act for") || !strings.Contains(page.Body, "Acme Corp") {
		t.Errorf("the consent page at %s does not ask for groups:\n%s", outcome(page), page.Body)
	}
	if got := o.peer("acme").Token(t, url.Values{"grant_type": {"client_credentials"}, "scope": {"groups"}}); got.Error != "invalid_scope" {
		t.Errorf("a client gets groups of its own: %d %s", got.Status, got.Error)
	}
}

func testGroupsOfAllOrganizations(t *testing.T, o *organizations) {
	rp := o.peer("web")
	tokens := tokensFor(t, o.alice, rp, url.Values{"scope": {"openid groups orgs"}, "organization": {"tech-startup"}})
	_, info := rp.Userinfo(t, tokens.AccessToken)
	if got := groupsIn(info); got != "tech-startup tech-startup:admin acme-corp acme-corp:owner" || info["groups_truncated"] != nil {
		t.Errorf("userinfo tells the groups %q, truncated %v", got, info["groups_truncated"])
	}
	if id := harness.Claims(t, tokens.IDToken); groupsIn(id) != "tech-startup tech-startup:admin" {
		t.Errorf("the ID token tells the groups %q of other organizations too", groupsIn(id))
	}
}

func testGroupsFollowRoles(t *testing.T, o *organizations) {
	rp, bob, operator := o.peer("web"), o.person(t, harness.Bob), identity.Operator()
	// Bob owns another organization: nothing of that is in a token for Acme.
	if _, err := o.App.Identity.Organizations.Create(t.Context(), operator, "bobs-own", "Bob's Own", bob); err != nil {
		t.Fatal(err)
	}
	scope := "openid groups org offline_access"
	tokens := tokensFor(t, o.bob, rp, url.Values{"scope": {scope}, "organization": {"acme-corp"}})
	for _, step := range []struct{ role, scope, want string }{
		{storage.RoleMember, scope, "acme-corp acme-corp:member"},
		{storage.RoleGuest, scope, "acme-corp:guest"},
		{storage.RoleAdmin, "openid groups org:acme-corp", "acme-corp acme-corp:admin"},
		{storage.RoleOwner, "", "acme-corp acme-corp:owner"},
		{storage.RoleGuest, "openid org", "none"},
		{storage.RoleMember, "openid", "none"},
	} {
		if err := o.App.Identity.Organizations.SetRole(t.Context(), operator, o.acme, bob, step.role); err != nil {
			t.Fatal(err)
		}
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.RefreshToken}}
		if step.scope != "" {
			form.Set("scope", step.scope)
		}
		if tokens = rp.Token(t, form); tokens.Status != http.StatusOK {
			t.Fatalf("%v: the refresh gets %d %s: %s", step, tokens.Status, tokens.Error, tokens.Description)
		}
		_, info := rp.Userinfo(t, tokens.AccessToken)
		if id := groupsIn(harness.Claims(t, tokens.IDToken)); id != step.want || groupsIn(info) != step.want {
			t.Errorf("%v: the ID token says %q, userinfo %q", step, id, groupsIn(info))
		}
	}
}

// An organization whose policy the sign-in does not meet tells no groups: an empty array, so that a relying party does
// not go on with those that it remembers.
func testGroupsFollowPolicies(t *testing.T, o *organizations) {
	l := &learner{o.Server, o.peer("web")}
	one := tokensFor(t, o.alice, l.RP, url.Values{"scope": {"openid groups"}, "organization": {"acme-corp"}})
	all := tokensFor(t, o.alice, l.RP, url.Values{"scope": {"openid groups orgs"}, "organization": {"acme-corp"}})
	for _, step := range []struct {
		policy         storage.MFAPolicy
		inOne, inAll   string
		ofInstallation bool
	}{
		{storage.MFAPolicy{Require: storage.RequireAny, GraceDays: 3}, "acme-corp acme-corp:owner", "acme-corp acme-corp:owner tech-startup tech-startup:admin", false},
		{storage.MFAPolicy{Require: storage.RequireAny}, "", "tech-startup tech-startup:admin", false},
		{storage.MFAPolicy{Require: storage.RequirePasskey}, "", "", true},
	} {
		slug := "acme-corp"
		if step.ofInstallation {
			slug = ""
		}
		l.policy(t, slug, step.policy)
		_, ofOne := l.Userinfo(t, one.AccessToken)
		_, ofAll := l.Userinfo(t, all.AccessToken)
		if groupsIn(ofOne) != step.inOne || groupsIn(ofAll) != step.inAll {
			t.Errorf("%+v: userinfo says %q and %q with orgs, want %q and %q", step.policy, groupsIn(ofOne), groupsIn(ofAll), step.inOne, step.inAll)
		}
		l.policy(t, slug, storage.MFAPolicy{})
	}
}

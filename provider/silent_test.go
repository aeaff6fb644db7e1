package provider_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// A client that asks silently does not learn where a person is a member from a password alone: an organization whose
// policy asks for a second factor that they have yet to set up answers like one that they are not in.
func TestASilentRequestDoesNotTellAMembershipThatOwesAFactor(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		o := &organizations{peers: p, bob: p.signedIn(t, harness.Bob), admin: p.signedIn(t, harness.Admin)}
		o.acme, o.tech = o.id(t, "acme-corp"), o.id(t, "tech-startup")
		l := &learner{o.Server, o.peer("web")}
		silently := func(b *harness.Browser, client string, extra url.Values) string {
			t.Helper()
			extra.Set("prompt", "none")
			page := b.Get(t, o.peer(client).Authorize(extra).URL)
			if page.Away == nil {
				t.Fatalf("%v: no answer at %s", extra, page.URL)
			}
			return page.Away.Query().Get("error") + ": " + page.Away.Query().Get("error_description")
		}
		asOthers := func(what string) {
			t.Helper()
			for name, pair := range map[string][2]string{
				"by slug":      {silently(o.bob, "web", url.Values{"organization": {"acme-corp"}}), silently(o.bob, "web", url.Values{"organization": {"tech-startup"}})},
				"by id":        {silently(o.bob, "web", url.Values{"organization": {o.acme.String()}}), silently(o.bob, "web", url.Values{"organization": {o.tech.String()}})},
				"by scope":     {silently(o.bob, "web", url.Values{"scope": {"openid org:acme-corp"}}), silently(o.bob, "web", url.Values{"scope": {"openid org:nothing-here"}})},
				"the client's": {silently(o.bob, "acme", url.Values{}), silently(o.admin, "acme", url.Values{})},
				"the only one": {silently(o.bob, "web", url.Values{"scope": {"openid org"}}), silently(o.admin, "web", url.Values{"scope": {"openid org"}})},
				"for groups":   {silently(o.bob, "web", url.Values{"scope": {"openid groups"}}), silently(o.admin, "web", url.Values{"scope": {"openid groups"}})},
			} {
				if pair[0] != pair[1] || pair[0] == ": " {
					t.Errorf("%s, %s: a member's answer is %q, that of others %q", what, name, pair[0], pair[1])
				}
			}
		}
		for _, require := range []string{storage.RequireAny, storage.RequireTOTP, storage.RequirePasskey} {
			l.policy(t, "acme-corp", storage.MFAPolicy{Require: require})
			asOthers("the organization asks for " + require)
		}
		// A person who may be asked sets the factor up.
		if got := ask(t, o.bob, o.peer("web"), url.Values{"organization": {"acme-corp"}}); got != "at:/login/factor" {
			t.Errorf("asked: %s", got)
		}
		l.policy(t, "", storage.MFAPolicy{Require: storage.RequireAny})
		asOthers("the installation asks too")
		l.policy(t, "acme-corp", storage.MFAPolicy{})
		asOthers("the installation alone asks")
		l.policy(t, "", storage.MFAPolicy{})
		l.policy(t, "acme-corp", storage.MFAPolicy{Require: storage.RequireAny, GraceDays: 3})
		if got := o.asks(t, o.bob, o.peer("web"), url.Values{"organization": {"acme-corp"}, "prompt": {"none"}, "scope": {"openid org"}}); got != "acme-corp" {
			t.Errorf("while the grace runs: %s", got)
		}
		l.policy(t, "acme-corp", storage.MFAPolicy{})
		testSilenceIsNoOtherChoice(t, o, l)
	})
}

// Alice is in two organizations, and one of them gets a policy that she does not meet. The other one does not take its
// place: the client would get a token for another customer without a word.
func testSilenceIsNoOtherChoice(t *testing.T, o *organizations, l *learner) {
	o.alice = o.signedIn(t, harness.Alice)
	agree := func(slugs ...string) {
		t.Helper()
		for _, slug := range slugs {
			if got := outcome(o.alice.WalkTo(t, o.peer("other").Authorize(url.Values{"scope": {"openid groups org:" + slug}}).URL, harness.Alice)); got != "code" {
				t.Fatalf("agreeing for %s: %s", slug, got)
			}
			o.Clock.Advance(time.Second)
		}
	}
	check := func(what, client, want string, scopes ...string) {
		t.Helper()
		for _, scope := range scopes {
			if got := o.asks(t, o.alice, o.peer(client), url.Values{"scope": {scope}, "prompt": {"none"}}); got != want {
				t.Errorf("%s, %s for %q: %s, want %s", what, client, scope, got, want)
			}
		}
	}
	agree("tech-startup", "acme-corp")
	check("while nothing is asked", "other", "acme-corp", "openid org")
	for _, require := range []string{storage.RequireAny, storage.RequirePasskey} {
		l.policy(t, "acme-corp", storage.MFAPolicy{Require: require})
		check("the latest consent's asks for "+require, "other", "interaction_required", "openid org", "openid groups")
		check("one of two asks for "+require, "web", "interaction_required", "openid org", "openid groups")
	}
	l.policy(t, "acme-corp", storage.MFAPolicy{})
	l.policy(t, "tech-startup", storage.MFAPolicy{Require: storage.RequireAny})
	check("the earlier consent's asks", "other", "acme-corp", "openid org")
	check("the other one of two asks", "web", "interaction_required", "openid org")
	l.policy(t, "acme-corp", storage.MFAPolicy{Require: storage.RequireTOTP})
	check("both ask", "other", "interaction_required", "openid org")
}

// A JWT access token can be revoked by its client whether or not it works at the moment: a scope that the client has lost,
// and a policy that its person does not meet, may be back before the token expires.
func TestATokenThatDoesNotWorkAtTheMomentCanBeRevoked(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		rp := p.peer("jwt-rs")
		own := func(scope string) string {
			t.Helper()
			return rp.Token(t, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}).AccessToken
		}
		active := func(token string) bool { return rp.Introspect(t, token)["active"] == true }
		register := func(scope string) {
			t.Helper()
			c, err := p.App.Store.Client(t.Context(), "jwt-rs")
			if err != nil {
				t.Fatal(err)
			}
			c.Metadata.Scope = scope
			if err := p.App.Store.EditRegistry(t.Context(), 0, func(r *storage.RegistryEdit) error {
				return r.UpdateClient(t.Context(), c, &storage.Event{Type: "client.updated", Client: c.ID})
			}); err != nil {
				t.Fatal(err)
			}
			if err := p.App.Registry.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		before := map[string]string{"a lost scope": own("api:write"), "two, one of them lost": own("api:read api:write"), "nothing lost": own("api:read")}
		kept := own("api:write")
		register("openid api:read")
		for name, token := range before {
			if got, want := active(token), name == "nothing lost"; got != want {
				t.Errorf("%s: active %v before", name, got)
			}
			if status, _ := rp.Post(t, "/oauth2/revoke", url.Values{"token": {token}}, nil); status != 200 {
				t.Errorf("%s: revoking it answers %d", name, status)
			}
			p.peer("opaque").Post(t, "/oauth2/revoke", url.Values{"token": {kept}}, nil) // another client's attempt changes nothing
		}
		register("openid api:read api:write")
		for name, token := range before {
			if active(token) {
				t.Errorf("%s: the token is active though it was revoked", name)
			}
		}
		if !active(kept) {
			t.Error("a token that was not revoked, but by another client, is not active again")
		}
		p.Clock.Advance(16 * time.Minute)
		if active(kept) {
			t.Error("it outlives its time")
		}
	})
}

package provider_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// learner is a platform client that asks for all organizations, by opaque or JWT
// access tokens, and a resource server's view of its tokens.
const learnerClients = `version: 1
clients:
  - {client_id: learner, client_name: Learner, redirect_uris: ["http://localhost:5001/callback"], grant_types: [authorization_code, refresh_token],
     scope: openid offline_access org orgs, secret: learner_secret_2024_0001}
  - {client_id: learner-jwt, client_name: Learner, redirect_uris: ["http://localhost:5001/callback"], grant_types: [authorization_code, refresh_token],
     scope: openid offline_access org orgs, secret: learner_secret_2024_0001, access_token_format: jwt}
`

type learner struct {
	*harness.Server
	*harness.RP
}

func newLearner(s *harness.Server, clientID, scope string) *learner {
	return &learner{s, s.RP(clientID, "learner_secret_2024_0001", "http://localhost:5001/callback", scope)}
}

// policy sets what an organization requires; that of the installation for "".
func (l *learner) policy(t *testing.T, slug string, p storage.MFAPolicy) {
	t.Helper()
	ctx, operator := t.Context(), identity.Operator()
	var err error
	if slug == "" {
		_, err = l.App.Identity.Policies.SetPlatformMFA(ctx, operator, p)
	} else {
		var o *storage.Organization
		if o, err = l.App.Identity.Organizations.BySlug(ctx, operator, slug); err == nil {
			_, err = l.App.Identity.Policies.SetMFA(ctx, operator, o.ID, p)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := l.App.Registry.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
}

// organizations are the slugs that userinfo tells.
func (l *learner) organizations(t *testing.T, accessToken string) []string {
	t.Helper()
	status, claims := l.Userinfo(t, accessToken)
	all, ok := claims["organizations"].([]any)
	if status != http.StatusOK || !ok {
		t.Fatalf("userinfo answers %d %v", status, claims)
	}
	slugs := []string{}
	for _, o := range all {
		slugs = append(slugs, o.(map[string]any)["slug"].(string))
	}
	return slugs
}

// prove answers the second step of a request by the phone's code.
func (l *learner) prove(t *testing.T, b *harness.Browser, phone *harness.Phone, who harness.Person) *harness.Tokens {
	t.Helper()
	r := l.Authorize(nil)
	p := b.Get(t, r.URL)
	p = b.Submit(t, p.Form(t, "login"), "email", who.Email, "password", who.Password)
	p = b.Submit(t, p.Form(t, "factor"), "code", phone.Code(t))
	if p.URL.Path == "/consent" {
		p = b.Submit(t, p.FormWith(t, "answer"), "answer", "allow")
	}
	if p.Away == nil || p.Away.Query().Get("code") == "" {
		t.Fatalf("no code: %d at %s, away to %v", p.Status, p.URL, p.Away)
	}
	return l.Redeem(t, p.Away.Query().Get("code"), r)
}

// The scope orgs tells the organizations of a person, but none whose policy is in
// force and not met by the sign-in that the token comes from.
func TestUserinfoLeavesOutOrganizationsWhosePolicyIsNotMet(t *testing.T) {
	both, tech, none := []string{"acme-corp", "tech-startup"}, []string{"tech-startup"}, []string{}
	harness.EachEngine(t, harness.Options{Clients: learnerClients}, func(t *testing.T, s *harness.Server) {
		for _, client := range []string{"learner", "learner-jwt"} {
			l := newLearner(s, client, "openid offline_access orgs")
			tokens := l.SignIn(t, s.Browser(t), harness.Alice, nil)
			wants := func(what string, want []string) {
				t.Helper()
				if got := l.organizations(t, tokens.AccessToken); !slices.Equal(got, want) {
					t.Errorf("%s, %s: userinfo tells %v, want %v", client, what, got, want)
				}
			}
			later := func(d time.Duration) {
				t.Helper()
				s.Clock.Advance(d)
				if tokens = l.Refresh(t, tokens.RefreshToken); tokens.Status != http.StatusOK {
					t.Fatalf("%s: the refresh answers %d %s", client, tokens.Status, tokens.Error)
				}
			}
			wants("without a policy", both)
			for _, require := range []string{storage.RequireAny, storage.RequireTOTP, storage.RequirePasskey} {
				l.policy(t, "acme-corp", storage.MFAPolicy{Require: require})
				wants(require+" at once", tech)
				l.policy(t, "acme-corp", storage.MFAPolicy{})
			}
			l.policy(t, "acme-corp", storage.MFAPolicy{Require: storage.RequireAny, GraceDays: 2})
			wants("within the grace", both)
			later(47 * time.Hour)
			wants("an hour before its end", both)
			later(2 * time.Hour)
			wants("after it, with a grant from before", tech)
			l.policy(t, "tech-startup", storage.MFAPolicy{Require: storage.RequireTOTP})
			wants("both in force", none)
			l.policy(t, "acme-corp", storage.MFAPolicy{})
			l.policy(t, "tech-startup", storage.MFAPolicy{})
			wants("without policies again", both)
			l.policy(t, "", storage.MFAPolicy{Require: storage.RequireAny})
			wants("the installation's in force", none)
			l.policy(t, "", storage.MFAPolicy{})
			wants("the installation's gone", both)
		}
	})
}

// The proven factor counts, not one that was enrolled since; and a stricter policy asks
// again, after its grace, while the one before it goes on.
func TestUserinfoTellsOrganizationsWhosePolicyTheGrantMeets(t *testing.T) {
	both, tech := []string{"acme-corp", "tech-startup"}, []string{"tech-startup"}
	harness.EachEngine(t, harness.Options{Clients: learnerClients}, func(t *testing.T, s *harness.Server) {
		l := newLearner(s, "learner", "openid orgs")
		old := l.SignIn(t, s.Browser(t), harness.Alice, nil)
		l.policy(t, "acme-corp", storage.MFAPolicy{Require: storage.RequireAny})
		again := func(tokens *harness.Tokens, what string, want []string) {
			t.Helper()
			if got := l.organizations(t, tokens.AccessToken); !slices.Equal(got, want) {
				t.Errorf("%s: userinfo tells %v, want %v", what, got, want)
			}
		}
		again(old, "a password alone", tech)
		phone := s.Phone(t, harness.Alice)
		proven := l.prove(t, s.Browser(t), phone, harness.Alice)
		again(proven, "a code, any required", both)
		l.policy(t, "acme-corp", storage.MFAPolicy{Require: storage.RequireTOTP})
		again(proven, "a code, totp required", both)
		l.policy(t, "acme-corp", storage.MFAPolicy{Require: storage.RequirePasskey, GraceDays: 1})
		again(proven, "a code, passkey required after the grace", both)
		l.policy(t, "acme-corp", storage.MFAPolicy{Require: storage.RequirePasskey})
		again(proven, "a code, passkey required", tech)
	})
}

// The one organization of a token is left out in the same way, wherever a relying
// party or a resource server could learn it; a new token is refused.
func TestATokenDoesNotTellItsOrganizationOnceThePolicyIsNotMet(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: learnerClients}, func(t *testing.T, s *harness.Server) {
		for _, client := range []string{"learner", "learner-jwt"} {
			l := newLearner(s, client, "openid offline_access org")
			b := s.Browser(t)
			tokens := l.SignIn(t, b, harness.Alice, url.Values{"organization": {"acme-corp"}})
			told := func(what string, want any) {
				t.Helper()
				_, userinfo := l.Userinfo(t, tokens.AccessToken)
				for where, claims := range map[string]map[string]any{"userinfo": userinfo, "introspection": l.Introspect(t, tokens.AccessToken),
					"introspection of the refresh token": l.Introspect(t, tokens.RefreshToken)} {
					got := map[string]any{"org_slug": claims["org_slug"], "org_roles": nil != claims["org_roles"], "org_name": nil != claims["org_name"], "org_id": nil != claims["org_id"]}
					all := want != nil
					if diff := cmp.Diff(map[string]any{"org_slug": want, "org_roles": all, "org_name": all, "org_id": all}, got); diff != "" {
						t.Errorf("%s, %s: %s (-want +got):\n%s", client, what, where, diff)
					}
				}
			}
			told("without a policy", "acme-corp")
			r := l.Authorize(url.Values{"organization": {"acme-corp"}})
			code := l.Walk(t, b, r, harness.Alice)
			l.policy(t, "acme-corp", storage.MFAPolicy{Require: storage.RequireAny})
			told("in force", nil)
			if late := l.Token(t, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {l.RedirectURI}, "code_verifier": {r.Verifier}}); late.Error != "invalid_grant" {
				t.Errorf("%s: a code from before gets %d %s", client, late.Status, late.Error)
			}
			if again := l.Refresh(t, tokens.RefreshToken); again.Error != "invalid_grant" {
				t.Errorf("%s: the refresh gets %d %s", client, again.Status, again.Error)
			}
			l.policy(t, "acme-corp", storage.MFAPolicy{})
			l.policy(t, "", storage.MFAPolicy{Require: storage.RequirePasskey})
			told("the installation's in force", nil)
			l.policy(t, "", storage.MFAPolicy{})
			told("without policies again", "acme-corp")
		}
	})
}

package provider_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// offline gets tokens with offline_access for a browser that owes no answer.
func offline(t *testing.T, s *harness.Server, rp *harness.RP, b *harness.Browser) *harness.Tokens {
	t.Helper()
	r := rp.Authorize(url.Values{"scope": {"openid profile offline_access"}})
	return rp.Redeem(t, codeOf(t, s, b, r), r)
}

// refreshed refreshes and fails unless that works.
func refreshed(t *testing.T, rp *harness.RP, token string) *harness.Tokens {
	t.Helper()
	got := rp.Refresh(t, token)
	if got.Status != http.StatusOK || got.RefreshToken == "" {
		t.Fatalf("the refresh answers %d %s, refresh token %q", got.Status, got.Error, got.RefreshToken)
	}
	return got
}

// refusedRefresh asserts invalid_grant.
func refusedRefresh(t *testing.T, why string, rp *harness.RP, token string) {
	t.Helper()
	if got := rp.Refresh(t, token); got.Status != http.StatusBadRequest || got.Error != "invalid_grant" || got.AccessToken != "" {
		t.Errorf("%s: the refresh answers %d %s, want 400 invalid_grant", why, got.Status, got.Error)
	}
}

// RFC 9700, section 4.14.2: refresh tokens rotate; there is one live chain, and a
// token that comes back ends it, for it may have been stolen.
func TestRefreshTokensAreOneLiveChain(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: redirectClients}, func(t *testing.T, s *harness.Server) {
		rp, other, b := redirectPortal(s), redirectPortal(s.Node(t)), s.Browser(t)
		rp.SignIn(t, b, harness.Bob, nil)
		for name, test := range map[string]func(*testing.T, *harness.Server, *harness.RP, *harness.RP, *harness.Browser){
			"at once": parallelRefreshes, "replay": replayEndsTheFamily, "repeat": repeatWithinTheGrace, "reuse within the grace": reuseOfAnAncestor,
			"broken database": revocationThatFails, "forms": whatIsNoRefreshToken, "revoked": revokedByItsClient,
			"another client": othersCannotTouchAFamily,
		} {
			t.Run(name, func(t *testing.T) { test(t, s, rp, other, b) })
		}
	})
}

// CVE-2026-1035: of 16 at once on two nodes those that are answered all
// hold the same successor, and it works.
func parallelRefreshes(t *testing.T, s *harness.Server, rp, other *harness.RP, b *harness.Browser) {
	for range 3 {
		tokens := offline(t, s, rp, b)
		successors := map[string]int{}
		for _, got := range together(t, 16, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.RefreshToken}}, rp, other) {
			switch {
			case got.Status == http.StatusOK:
				successors[got.RefreshToken]++
				if status, _ := rp.Userinfo(t, got.AccessToken); status != http.StatusOK {
					t.Errorf("an access token that was just given gets %d", status)
				}
			case got.Status != http.StatusBadRequest || got.Error != "invalid_grant":
				t.Errorf("a parallel refresh answers %d %s, want 200 or 400 invalid_grant", got.Status, got.Error)
			}
		}
		if len(successors) != 1 {
			t.Fatalf("there are %d successors, want one: %v", len(successors), successors)
		}
		for next := range successors {
			refreshed(t, other, next)
		}
	}
}

// After the grace a spent token ends the family, access tokens included, on
// every node, with an audit event.
func replayEndsTheFamily(t *testing.T, s *harness.Server, rp, other *harness.RP, b *harness.Browser) {
	before := events(t, s, "refresh_token.replayed")
	first := offline(t, s, rp, b)
	second := refreshed(t, rp, first.RefreshToken)
	s.Clock.Advance(11 * time.Second)
	refusedRefresh(t, "a spent token after the grace", other, first.RefreshToken)
	for _, tokens := range []*harness.Tokens{second, first} {
		deadEverywhere(t, tokens, rp, other)
	}
	if n := events(t, s, "refresh_token.replayed") - before; n != 1 {
		t.Errorf("the replay left %d audit events, want 1", n)
	}
}

// A client that lost the answer asks again within 10 s and gets the same.
func repeatWithinTheGrace(t *testing.T, s *harness.Server, rp, other *harness.RP, b *harness.Browser) {
	first := offline(t, s, rp, b)
	second := refreshed(t, rp, first.RefreshToken)
	s.Clock.Advance(8 * time.Second)
	again := refreshed(t, other, first.RefreshToken)
	if again.RefreshToken != second.RefreshToken || again.AccessToken == second.AccessToken {
		t.Errorf("the repeat brings the same refresh token: %v, the same access token: %v; want true, false",
			again.RefreshToken == second.RefreshToken, again.AccessToken == second.AccessToken)
	}
	// A repeat does not begin the grace anew.
	s.Clock.Advance(3 * time.Second)
	refusedRefresh(t, "a second repeat, 11 s after the first use", rp, first.RefreshToken)
	deadEverywhere(t, second, rp, other)
	deadEverywhere(t, again, rp, other)
}

// The grace is for the last link alone: once its successor is used, whoever comes
// with the one before is not who has that successor.
func reuseOfAnAncestor(t *testing.T, s *harness.Server, rp, other *harness.RP, b *harness.Browser) {
	first := offline(t, s, rp, b)
	second := refreshed(t, rp, first.RefreshToken)
	third := refreshed(t, rp, second.RefreshToken)
	refusedRefresh(t, "the last but one within the grace", other, first.RefreshToken)
	deadEverywhere(t, third, rp, other)
}

// breakRevocation makes the database refuse to revoke grants until mend is called.
func breakRevocation(t *testing.T, s *harness.Server) (mend func()) {
	t.Helper()
	db := database(t, s)
	run := func(statements ...string) {
		t.Helper()
		for _, statement := range statements {
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s.App.Store.Engine() == storage.SQLite {
		run(`CREATE TRIGGER broken BEFORE UPDATE OF revoked_at ON grants BEGIN SELECT RAISE(ABORT, 'broken by a test'); END`)
		return func() { run(`DROP TRIGGER broken`) }
	}
	run(`CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken by a test'; END $$`,
		`CREATE TRIGGER broken BEFORE UPDATE OF revoked_at ON grants FOR EACH ROW EXECUTE FUNCTION broken()`)
	return func() { run(`DROP TRIGGER broken ON grants`, `DROP FUNCTION broken`) }
}

// CVE-2020-15223: a revocation that the database refuses is not taken for
// done. The token is not accepted, the client hears of an error, and the next
// attempt completes it.
func revocationThatFails(t *testing.T, s *harness.Server, rp, other *harness.RP, b *harness.Browser) {
	first := offline(t, s, rp, b)
	second := refreshed(t, rp, first.RefreshToken)
	r := rp.Authorize(url.Values{"scope": {"openid offline_access"}})
	code := codeOf(t, s, b, r)
	byCode := rp.Redeem(t, code, r)
	s.Clock.Advance(11 * time.Second)

	mend := breakRevocation(t, s)
	for _, got := range []*harness.Tokens{rp.Refresh(t, first.RefreshToken), rp.Token(t, redemption(rp, code, r))} {
		if got.Status < 500 || got.AccessToken != "" {
			t.Errorf("a replay that could not be acted on answers %d %s, want an error of ours and no tokens", got.Status, got.Error)
		}
	}
	if status, _ := rp.Post(t, "/oauth2/revoke", url.Values{"token": {second.RefreshToken}}, nil); status < 500 {
		t.Errorf("a revocation that failed answers %d, want an error (RFC 7009, section 2.2.1)", status)
	}
	mend()

	refusedRefresh(t, "the replay again", rp, first.RefreshToken)
	deadEverywhere(t, second, rp, other)
	if got := other.Token(t, redemption(other, code, r)); got.Error != "invalid_grant" {
		t.Errorf("the code again: %d %s, want invalid_grant", got.Status, got.Error)
	}
	deadEverywhere(t, byCode, rp, other)
}

func whatIsNoRefreshToken(t *testing.T, s *harness.Server, rp, _ *harness.RP, b *harness.Browser) {
	r := rp.Authorize(url.Values{"scope": {"openid offline_access"}})
	code := codeOf(t, s, b, r)
	for name, token := range map[string]string{"unknown": secret.NewToken("sp_rt_"), "garbage": "garbage", "a code": code, "an access token": offline(t, s, rp, b).AccessToken,
		"newline": offline(t, s, rp, b).RefreshToken + "\n", "cut": offline(t, s, rp, b).RefreshToken[:48]} {
		refusedRefresh(t, name, rp, token)
	}
	if got := rp.Refresh(t, ""); got.Error != "invalid_request" {
		t.Errorf("no refresh token: %d %s, want invalid_request", got.Status, got.Error)
	}
	rp.Redeem(t, code, r) // and the code did not suffer
}

// Spent or not, refresh tokens in the hands of another client do
// nothing, and above all do not end the family.
func othersCannotTouchAFamily(t *testing.T, s *harness.Server, rp, other *harness.RP, b *harness.Browser) {
	first := offline(t, s, rp, b)
	second := refreshed(t, rp, first.RefreshToken)
	thief := s.Mobile()
	for _, why := range []string{"another client, within the grace", "another client, after the grace"} {
		refusedRefresh(t, why, thief, first.RefreshToken)
		refusedRefresh(t, why, thief, second.RefreshToken)
		s.Clock.Advance(11 * time.Second)
	}
	if status, _ := thief.Post(t, "/oauth2/revoke", url.Values{"token": {second.RefreshToken}}, nil); status != http.StatusOK {
		t.Errorf("another's revocation answers %d, want 200 and nothing done (RFC 7009, section 2.2)", status)
	}
	if status, _ := other.Userinfo(t, second.AccessToken); status != http.StatusOK {
		t.Errorf("after another client's attempts the access token gets %d, want 200", status)
	}
	refreshed(t, other, second.RefreshToken)
}

// RFC 7009, section 2.1: revoking the refresh token revokes what came of it.
func revokedByItsClient(t *testing.T, s *harness.Server, rp, other *harness.RP, b *harness.Browser) {
	first := offline(t, s, rp, b)
	second := refreshed(t, rp, first.RefreshToken)
	if status, _ := rp.Post(t, "/oauth2/revoke", url.Values{"token": {second.RefreshToken}}, nil); status != http.StatusOK {
		t.Errorf("the revocation answers %d, want 200", status)
	}
	deadEverywhere(t, second, rp, other)
	deadEverywhere(t, first, rp, other)
}

// 30 days without use end a chain, 90 days whatever its use.
func TestAChainOfRefreshTokensEnds(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: redirectClients}, func(t *testing.T, s *harness.Server) {
		const day = 24 * time.Hour
		rp, b := redirectPortal(s), s.Browser(t)
		rp.SignIn(t, b, harness.Bob, nil)
		idle, used := offline(t, s, rp, b), offline(t, s, rp, b)
		s.Clock.Advance(30*day - time.Minute)
		used = refreshed(t, rp, used.RefreshToken)
		s.Clock.Advance(time.Minute)
		refusedRefresh(t, "not used for 30 days", rp, idle.RefreshToken)
		for range 2 { // day 59 and 88
			s.Clock.Advance(29 * day)
			used = refreshed(t, rp, used.RefreshToken)
			if used.ExpiresIn != 900 {
				t.Errorf("the access token lives %d s, want 900", used.ExpiresIn)
			}
		}
		s.Clock.Advance(2*day - time.Minute)
		used = refreshed(t, rp, used.RefreshToken)
		if used.ExpiresIn > 60 {
			t.Errorf("a minute before the end the access token lives %d s, want 60 at most", used.ExpiresIn)
		}
		s.Clock.Advance(time.Minute)
		refusedRefresh(t, "used all the time, for 90 days", rp, used.RefreshToken)
		if status, _ := rp.Userinfo(t, used.AccessToken); status != http.StatusUnauthorized {
			t.Errorf("after 90 days the access token gets %d, want 401", status)
		}
	})
}

// OpenID Connect Core 1.0, section 11: a refresh token needs offline_access
// that the client is registered for and the person has seen.
func TestRefreshTokensNeedOfflineAccess(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: redirectClients}, func(t *testing.T, s *harness.Server) {
		b := s.Browser(t)
		// The sample portal asks for consent.
		rp := s.Portal()
		if got := rp.SignIn(t, b, harness.Bob, url.Values{"scope": {"openid profile"}}); got.RefreshToken != "" || got.Scope != "openid profile" {
			t.Errorf("without offline_access: refresh token %q, scope %q", got.RefreshToken, got.Scope)
		}
		r := rp.Authorize(url.Values{"scope": {"openid profile offline_access"}, "prompt": {"none"}})
		if got := answerOf(t, b.Get(t, r.URL), r, s.Issuer); got.Get("error") != "consent_required" {
			t.Errorf("offline_access that was never shown: %v, want consent_required", got)
		}
		if got := rp.SignIn(t, b, harness.Bob, url.Values{"scope": {"openid profile offline_access"}}); got.RefreshToken == "" {
			t.Error("offline_access was allowed and brought no refresh token")
		}
		r = rp.Authorize(url.Values{"scope": {"openid profile offline_access"}, "prompt": {"none"}})
		if got := rp.Redeem(t, codeOf(t, s, b, r), r); got.RefreshToken == "" {
			t.Error("remembered offline_access brought no refresh token")
		}
		// one-uri has neither the scope nor the grant type.
		one := s.RP("one-uri", "one_uri_secret_for_redirect_tests", "https://good.example/only", "openid")
		r = one.Authorize(url.Values{"scope": {"openid offline_access"}})
		if got := answerOf(t, b.Get(t, r.URL), r, s.Issuer); got.Get("error") != "invalid_scope" {
			t.Errorf("offline_access that is not registered: %v, want invalid_scope", got)
		}
	})
}

// RFC 6749, section 6, OpenID Connect Core 1.0, section 12.2: what a refresh may
// change, what it must keep, and what is read anew. fosite ignores scope.
func TestARefreshNarrowsAndReadsAnew(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		rp, b, ctx := s.Portal(), s.Browser(t), t.Context()
		first := rp.SignIn(t, b, harness.Bob, nil)
		id := harness.Claims(t, first.IDToken)
		narrow := func(token, scope string) *harness.Tokens {
			return rp.Token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "scope": {scope}})
		}

		// More than was granted, or another organization, is refused and costs nothing.
		for _, scope := range []string{"openid roles", "openid phone", "api:read", "openid org:tech-startup", "openid nonsense", "org:acme-corp roles"} {
			if got := narrow(first.RefreshToken, scope); got.Status != http.StatusBadRequest || got.Error != "invalid_scope" {
				t.Errorf("scope %q on refresh: %d %s, want 400 invalid_scope", scope, got.Status, got.Error)
			}
		}
		second := narrow(first.RefreshToken, "openid email")
		if second.Status != http.StatusOK || second.Scope != "openid email" || second.RefreshToken == "" {
			t.Fatalf("a narrower scope: %d %s, scope %q", second.Status, second.Error, second.Scope)
		}
		if about := rp.Introspect(t, second.AccessToken); about["scope"] != "openid email" || about["org_id"] != nil {
			t.Errorf("introspection of the narrow token says %v", about)
		}
		if _, claims := rp.Userinfo(t, second.AccessToken); claims["email"] == nil || claims["name"] != nil || claims["org_id"] != nil {
			t.Errorf("userinfo with the narrow token says %v", claims)
		}

		// The next one has all of the grant again, and what changed meanwhile.
		bob, acme := bobAndAcme(t, s)
		if err := s.App.Identity.Organizations.SetRole(ctx, identity.Operator(), acme, bob, storage.RoleAdmin); err != nil {
			t.Fatal(err)
		}
		s.Clock.Advance(2 * time.Second)
		third := rp.Token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {second.RefreshToken}, "organization": {"tech-startup"}})
		if third.Status != http.StatusOK || third.Scope != first.Scope {
			t.Fatalf("the full refresh: %d %s, scope %q, want %q", third.Status, third.Error, third.Scope, first.Scope)
		}
		now := harness.Claims(t, third.IDToken)
		for _, same := range []string{"iss", "sub", "aud", "auth_time", "azp", "sid", "acr", "amr", "org_id", "org_slug"} {
			if !cmp.Equal(now[same], id[same]) {
				t.Errorf("%s was %v and is %v after the refresh", same, id[same], now[same])
			}
		}
		if now["nonce"] != nil || id["nonce"] == nil {
			t.Errorf("nonce was %v and is %v, want none after a refresh", id["nonce"], now["nonce"])
		}
		if now["iat"].(float64) <= id["iat"].(float64) || now["at_hash"] == id["at_hash"] {
			t.Errorf("iat %v → %v, at_hash %v → %v: want new ones", id["iat"], now["iat"], id["at_hash"], now["at_hash"])
		}
		if want := []any{"admin"}; !cmp.Equal(now["org_roles"], want) {
			t.Errorf("org_roles are %v after the role changed, want %v", now["org_roles"], want)
		}
		// An ID token needs openid.
		if fourth := narrow(third.RefreshToken, "email"); fourth.Status != http.StatusOK || fourth.IDToken != "" {
			t.Errorf("without openid: %d, ID token %q", fourth.Status, fourth.IDToken)
		}
	})
}

func bobAndAcme(t *testing.T, s *harness.Server) (bob, acme uuid.UUID) {
	t.Helper()
	u, err := s.App.Store.UserByEmail(t.Context(), harness.Bob.Email)
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.App.Store.OrganizationBySlug(t.Context(), "acme-corp")
	if err != nil {
		t.Fatal(err)
	}
	return u.ID, o.ID
}

// ASVS 5.0 V7.4: what ends all grants concerned ends them on the other
// node too, for refresh and access tokens, opaque or not, at the next request.
func TestGrantsEndEverywhereWithWhatTheyStandOn(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		node, ctx := s.Node(t), t.Context()
		ids, operator := s.App.Identity, identity.Operator()
		bob, acme := bobAndAcme(t, s)
		rp := registered(t, s, acme, "opaque")
		jwt := registered(t, s, acme, "jwt")
		for _, tc := range []struct {
			name        string
			break_, fix func() error
		}{
			{"the password is changed", func() error { return ids.People.SetPassword(ctx, operator, bob, harness.Bob.Password, uuid.Nil) }, nil},
			{"the consent is withdrawn", func() error {
				if err := withdraw(ctx, s, bob, jwt.ClientID, acme); err != nil {
					return err
				}
				return withdraw(ctx, s, bob, rp.ClientID, acme)
			}, nil},
			{"the person left the organization", func() error { return ids.Organizations.RemoveMember(ctx, operator, acme, bob) },
				func() error { return ids.Organizations.AddMember(ctx, operator, acme, bob, storage.RoleMember) }},
			{"the person is disabled", func() error { _, err := ids.People.Disable(ctx, operator, bob); return err },
				func() error { _, err := ids.People.Enable(ctx, operator, bob); return err }},
			{"the client is deleted", func() error {
				if err := ids.Clients.Delete(ctx, operator, jwt.ClientID); err != nil {
					return err
				}
				return ids.Clients.Delete(ctx, operator, rp.ClientID)
			}, nil},
		} {
			b := s.Browser(t)
			opaque, signed := rp.SignIn(t, b, harness.Bob, nil), jwt.SignIn(t, b, harness.Bob, nil)
			here, there := rp, atNode(node, rp)
			if status, _ := there.Userinfo(t, signed.AccessToken); status != http.StatusOK {
				t.Fatalf("before: userinfo answers %d on the other node", status)
			}
			if err := tc.break_(); err != nil {
				t.Fatalf("%s: %v", tc.name, err)
			}
			t.Run(tc.name, func(t *testing.T) {
				deadEverywhere(t, opaque, here, there)
				deadEverywhere(t, signed, jwt, atNode(node, jwt))
			})
			if tc.fix == nil {
				continue
			}
			if err := tc.fix(); err != nil {
				t.Fatalf("%s: %v", tc.name, err)
			}
			t.Run(tc.name+", and again not", func(t *testing.T) { deadEverywhere(t, opaque, here, there) })
		}
	})
}

// registered makes a client of an organization, which people administer and no file.
func registered(t *testing.T, s *harness.Server, organization uuid.UUID, format string) *harness.RP {
	t.Helper()
	c, key, err := s.App.Identity.Clients.Create(t.Context(), identity.Operator(), identity.NewClient{ID: "made-" + format, Organization: organization,
		Metadata: storage.Metadata{RedirectURIs: []string{"https://good.example/cb"}, GrantTypes: []string{"authorization_code", "refresh_token"},
			Scope: "openid offline_access org", AccessTokenFormat: format}})
	if err != nil {
		t.Fatal(err)
	}
	return s.RP(c.ID, key, "https://good.example/cb", c.Metadata.Scope)
}

// atNode is the same relying party on another node.
func atNode(node *harness.Server, rp *harness.RP) *harness.RP {
	return node.RP(rp.ClientID, rp.Secret, rp.RedirectURI, rp.Scope)
}

// Access that was not granted for offline use ends with its browser
// session, however that ends; what was lives on.
func TestGrantsWithoutOfflineAccessEndWithTheirSession(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: redirectClients}, func(t *testing.T, s *harness.Server) {
		rp, other := redirectPortal(s), redirectPortal(s.Node(t))
		for name, end := range map[string]func(*testing.T, *harness.Browser) error{
			"signed out": func(t *testing.T, b *harness.Browser) error { return endSession(t.Context(), s, b) },
			"another browser has the cookie": func(t *testing.T, b *harness.Browser) error {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, rp.Authorize(nil).URL, nil)
				if err != nil {
					return err
				}
				req.Header.Set("User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
				if p := b.Do(t, req); p.Away != nil || p.URL.Path != "/login" {
					t.Errorf("a stolen cookie ends at %s, away %v; want the sign-in page", p.URL, p.Away)
				}
				return nil
			},
			"its time is over": func(*testing.T, *harness.Browser) error { s.Clock.Advance(6 * time.Minute); return nil },
		} {
			t.Run(name, func(t *testing.T) {
				b := s.Browser(t)
				rp.SignIn(t, b, harness.Bob, nil)
				if name == "its time is over" { // used every hour, so that it does not end by being idle
					for range 23 {
						s.Clock.Advance(time.Hour)
						codeOf(t, s, b, rp.Authorize(nil))
					}
					s.Clock.Advance(55 * time.Minute)
				}
				r := rp.Authorize(url.Values{"scope": {"openid"}})
				online := rp.Redeem(t, codeOf(t, s, b, r), r)
				stays := offline(t, s, rp, b)
				if status, _ := other.Userinfo(t, online.AccessToken); status != http.StatusOK {
					t.Fatalf("before: userinfo answers %d", status)
				}
				if err := end(t, b); err != nil {
					t.Fatal(err)
				}
				deadEverywhere(t, online, rp, other)
				refreshed(t, other, stays.RefreshToken)
			})
		}
	})
}

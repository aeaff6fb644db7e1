package provider_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// attempt is RP.Token for several goroutines: it fails no test.
func attempt(ctx context.Context, rp *harness.RP, form url.Values) (*harness.Tokens, error) {
	body := form.Encode()
	if rp.Secret == "" {
		body += "&client_id=" + url.QueryEscape(rp.ClientID)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, rp.Issuer+"/oauth2/token", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if rp.Secret != "" {
		req.SetBasicAuth(url.QueryEscape(rp.ClientID), url.QueryEscape(rp.Secret))
	}
	resp, err := rp.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	out := &harness.Tokens{Status: resp.StatusCode, Header: resp.Header}
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("%d without JSON: %s", resp.StatusCode, raw)
	}
	return out, nil
}

// together sends n equal token requests at once, spread over nodes.
func together(t *testing.T, n int, form url.Values, nodes ...*harness.RP) []*harness.Tokens {
	t.Helper()
	out, errs := make([]*harness.Tokens, n), make([]error, n)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-start
			out[i], errs[i] = attempt(t.Context(), nodes[i%len(nodes)], form)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// redemption is the form that exchanges a code.
func redemption(rp *harness.RP, code string, r *harness.Request) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {rp.RedirectURI}, "code_verifier": {r.Verifier}}
}

// database opens the server's database beside it: for what an operator would see,
// and to break it.
func database(t *testing.T, s *harness.Server) *sql.DB {
	t.Helper()
	driver, dsn := "postgres", s.App.Config.DatabaseURL
	if path, ok := strings.CutPrefix(dsn, "sqlite://"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// events counts the audit events of a type.
func events(t *testing.T, s *harness.Server, kind string) (n int) {
	t.Helper()
	if err := database(t, s).QueryRowContext(t.Context(), `SELECT count(*) FROM audit_events WHERE type = '`+kind+`'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// RFC 6749 sections 4.1.2 and 10.5, RFC 9700 section 4.5: of many who
// redeem one code at once on two nodes one gets tokens. The rest shows that the code
// has leaked, so that these are revoked.
func TestACodeIsRedeemedOnce(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: redirectClients}, func(t *testing.T, s *harness.Server) {
		other := s.Node(t)
		b := s.Browser(t)
		one, two := redirectPortal(s), redirectPortal(other)
		one.SignIn(t, b, harness.Bob, nil)

		t.Run("at once", func(t *testing.T) {
			for range 3 {
				before := events(t, s, "code.replayed")
				r := one.Authorize(url.Values{"scope": {"openid offline_access"}})
				won := winner(t, together(t, 32, redemption(one, codeOf(t, s, b, r), r), one, two))
				deadEverywhere(t, won, one, two)
				if n := events(t, s, "code.replayed") - before; n != 1 {
					t.Errorf("the replay left %d audit events, want 1", n)
				}
			}
		})
		t.Run("later", func(t *testing.T) {
			r := one.Authorize(url.Values{"scope": {"openid offline_access"}})
			code := codeOf(t, s, b, r)
			won := one.Redeem(t, code, r)
			s.Clock.Advance(30 * time.Second) // the suite's oidcc-codereuse-30seconds
			if got := two.Token(t, redemption(two, code, r)); got.Status != http.StatusBadRequest || got.Error != "invalid_grant" {
				t.Errorf("a replay answers %d %s, want 400 invalid_grant", got.Status, got.Error)
			}
			deadEverywhere(t, won, one, two)
		})
		t.Run("after it expired", func(t *testing.T) {
			r := one.Authorize(url.Values{"scope": {"openid offline_access"}})
			code := codeOf(t, s, b, r)
			won := one.Redeem(t, code, r)
			s.Clock.Advance(5 * time.Minute)
			if got := one.Token(t, redemption(one, code, r)); got.Error != "invalid_grant" {
				t.Errorf("a late replay answers %d %s, want invalid_grant", got.Status, got.Error)
			}
			deadEverywhere(t, won, one, two)
		})
		t.Run("by another client", func(t *testing.T) { othersCannotTouchACode(t, s, b) })
	})
}

// winner is the one answer with tokens; all others are invalid_grant.
func winner(t *testing.T, answers []*harness.Tokens) (won *harness.Tokens) {
	t.Helper()
	for _, got := range answers {
		switch {
		case got.Status == http.StatusOK && won == nil:
			won = got
		case got.Status == http.StatusOK:
			t.Error("a second redemption got tokens")
		case got.Status != http.StatusBadRequest || got.Error != "invalid_grant":
			t.Errorf("a redemption answers %d %s, want 400 invalid_grant", got.Status, got.Error)
		}
	}
	if won == nil {
		t.Fatal("nobody got tokens")
	}
	return won
}

// deadEverywhere asserts that tokens are refused on all nodes, whoever asks.
func deadEverywhere(t *testing.T, tokens *harness.Tokens, nodes ...*harness.RP) {
	t.Helper()
	for i, rp := range nodes {
		if status, _ := rp.Userinfo(t, tokens.AccessToken); status != http.StatusUnauthorized {
			t.Errorf("node %d: userinfo answers %d to the access token, want 401", i, status)
		}
		if tokens.RefreshToken == "" {
			continue
		}
		if got := rp.Refresh(t, tokens.RefreshToken); got.Status == http.StatusOK || got.Status >= 500 || got.AccessToken != "" {
			t.Errorf("node %d: the refresh token gets %d %s, want a refusal", i, got.Status, got.Error)
		}
	}
}

// CVE-2026-28513; fosite revokes before it compares the client: what
// another client does with our code, used or not, is nothing to us.
func othersCannotTouchACode(t *testing.T, s *harness.Server, b *harness.Browser) {
	rp := redirectPortal(s)
	thief := s.RP("one-uri", "one_uri_secret_for_redirect_tests", rp.RedirectURI, "openid")
	public := s.Mobile()
	r := rp.Authorize(url.Values{"scope": {"openid offline_access"}})
	code := codeOf(t, s, b, r)
	steal := func() {
		t.Helper()
		for _, by := range []*harness.RP{thief, public} {
			for _, verifier := range []string{r.Verifier, "wrong-" + r.Verifier, ""} {
				form := redemption(rp, code, r)
				form.Set("code_verifier", verifier)
				if got := by.Token(t, form); got.Status != http.StatusBadRequest || got.Error != "invalid_grant" {
					t.Errorf("%s gets %d %s for another's code, want invalid_grant", by.ClientID, got.Status, got.Error)
				}
			}
		}
	}
	steal()
	tokens := rp.Redeem(t, code, r)
	steal()
	for _, by := range []*harness.RP{thief, public} {
		if got := by.Refresh(t, tokens.RefreshToken); got.Error != "invalid_grant" && got.Error != "unauthorized_client" {
			t.Errorf("%s gets %d %s for another's refresh token", by.ClientID, got.Status, got.Error)
		}
	}
	if status, _ := rp.Userinfo(t, tokens.AccessToken); status != http.StatusOK {
		t.Errorf("after the attempts of others the access token gets %d, want 200", status)
	}
	if got := rp.Refresh(t, tokens.RefreshToken); got.Status != http.StatusOK {
		t.Errorf("after the attempts of others the refresh token gets %d %s, want 200", got.Status, got.Error)
	}
}

// RFC 7636 section 4 and the downgrade that fosite v0.49.0 has: there
// is one try, with the right verifier, redirect URI and time, or the code is gone.
func TestACodeNeedsItsVerifierRedirectURIAndTime(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: redirectClients}, func(t *testing.T, s *harness.Server) {
		rp, b := redirectPortal(s), s.Browser(t)
		rp.SignIn(t, b, harness.Bob, nil)
		t.Run("verifier", func(t *testing.T) { wrongVerifierSpends(t, s, rp, b) })
		t.Run("format", func(t *testing.T) { verifierFormat(t, s, rp, b) })
		t.Run("public", func(t *testing.T) { publicClientsUseS256(t, s) })
		t.Run("redirect_uri", func(t *testing.T) { redirectURIMustAgree(t, s, rp, b) })
		t.Run("form", func(t *testing.T) { whatIsNoCode(t, s, rp, b) })
		t.Run("time", func(t *testing.T) {
			for age, want := range map[time.Duration]int{50 * time.Second: http.StatusOK, time.Minute: http.StatusBadRequest} {
				r := rp.Authorize(nil)
				code := codeOf(t, s, b, r)
				s.Clock.Advance(age)
				if got := rp.Token(t, redemption(rp, code, r)); got.Status != want {
					t.Errorf("a code of %s gets %d %s, want %d", age, got.Status, got.Error, want)
				}
			}
		})
	})
}

func wrongVerifierSpends(t *testing.T, s *harness.Server, rp *harness.RP, b *harness.Browser) {
	for name, wrong := range map[string][]string{
		"wrong": {strings.Repeat("a", 43)}, "absent": nil, "empty": {""}, "challenge": {"challenge"}, "padded": {"="}, "space": {" "},
	} {
		r := rp.Authorize(nil)
		code := codeOf(t, s, b, r)
		form := redemption(rp, code, r)
		switch name {
		case "absent":
			form.Del("code_verifier")
		case "challenge": // as method plain would have it
			form["code_verifier"] = r.Params["code_challenge"]
		case "padded", "space":
			form.Set("code_verifier", r.Verifier+wrong[0])
		default:
			form["code_verifier"] = wrong
		}
		if got := rp.Token(t, form); got.Status != http.StatusBadRequest || got.Error != "invalid_grant" {
			t.Errorf("%s verifier: %d %s, want 400 invalid_grant", name, got.Status, got.Error)
		}
		// fosite lets the second try do without any.
		for _, verifier := range []string{r.Verifier, ""} {
			form.Set("code_verifier", verifier)
			if got := rp.Token(t, form); got.Status != http.StatusBadRequest || got.Error != "invalid_grant" {
				t.Errorf("after a %s verifier, %q: %d %s, want the code to be gone", name, verifier, got.Status, got.Error)
			}
		}
	}
	// A verifier for a code that has no challenge: somebody took the challenge out of
	// the authorization request (RFC 9700, section 4.8.2).
	r := rp.Authorize(url.Values{"code_challenge": nil, "code_challenge_method": nil})
	if got := rp.Token(t, redemption(rp, codeOf(t, s, b, r), r)); got.Error != "invalid_grant" {
		t.Errorf("a verifier without a challenge gets %d %s, want invalid_grant", got.Status, got.Error)
	}
	r = rp.Authorize(url.Values{"code_challenge": nil, "code_challenge_method": nil})
	form := redemption(rp, codeOf(t, s, b, r), r)
	form.Del("code_verifier")
	if got := rp.Token(t, form); got.Status != http.StatusOK {
		t.Errorf("a confidential client without PKCE gets %d %s, want 200", got.Status, got.Error)
	}
}

// The hash agrees in every case; what is refused is the verifier's form.
func verifierFormat(t *testing.T, s *harness.Server, rp *harness.RP, b *harness.Browser) {
	for verifier, want := range map[string]int{
		strings.Repeat("a", 43):              http.StatusOK,
		strings.Repeat("z9-._~A", 18) + "ab": http.StatusOK, // 128
		strings.Repeat("a", 42):              http.StatusBadRequest,
		strings.Repeat("a", 129):             http.StatusBadRequest,
		strings.Repeat("a", 50) + "+":        http.StatusBadRequest,
		strings.Repeat("a", 50) + "/":        http.StatusBadRequest,
		strings.Repeat("a", 50) + "=":        http.StatusBadRequest,
		strings.Repeat("é", 43):              http.StatusBadRequest,
		strings.Repeat("a", 50) + "\n":       http.StatusBadRequest,
	} {
		sum := sha256.Sum256([]byte(verifier))
		r := rp.Authorize(url.Values{"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}})
		r.Verifier = verifier
		if got := rp.Token(t, redemption(rp, codeOf(t, s, b, r), r)); got.Status != want {
			t.Errorf("verifier %q gets %d %s, want %d", verifier, got.Status, got.Error, want)
		}
	}
}

// A public client proves with PKCE alone that it is the one that asked.
func publicClientsUseS256(t *testing.T, s *harness.Server) {
	rp, b := s.Mobile(), s.Browser(t)
	for name, extra := range map[string]url.Values{
		"no PKCE": {"code_challenge": nil, "code_challenge_method": nil}, "plain": {"code_challenge_method": {"plain"}}, "no method": {"code_challenge_method": nil},
	} {
		if p := b.Get(t, rp.Authorize(extra).URL); p.Away == nil || p.Away.Query().Get("error") != "invalid_request" {
			t.Errorf("%s: away %v, want invalid_request", name, p.Away)
		}
	}
	r := rp.Authorize(nil)
	form := redemption(rp, rp.Walk(t, b, r, harness.Bob), r)
	form.Del("code_verifier")
	if got := rp.Token(t, form); got.Error != "invalid_grant" {
		t.Errorf("a public client without verifier gets %d %s, want invalid_grant", got.Status, got.Error)
	}
}

// RFC 6749, section 4.1.3: the redirect URI is the one of the authorization request.
func redirectURIMustAgree(t *testing.T, s *harness.Server, rp *harness.RP, b *harness.Browser) {
	for name, uri := range map[string][]string{
		"other registered": {"https://good.example/cb?tenant=1"}, "unregistered": {"https://evil.example/cb"}, "absent": nil, "empty": {""}, "similar": {"https://good.example/cb/"},
	} {
		r := rp.Authorize(nil)
		form := redemption(rp, codeOf(t, s, b, r), r)
		form["redirect_uri"] = uri
		if got := rp.Token(t, form); got.Status != http.StatusBadRequest || got.Error != "invalid_grant" && got.Error != "invalid_request" {
			t.Errorf("redirect_uri %s: %d %s, want 400 invalid_grant", name, got.Status, got.Error)
		}
	}
}

func whatIsNoCode(t *testing.T, s *harness.Server, rp *harness.RP, b *harness.Browser) {
	r := rp.Authorize(url.Values{"scope": {"openid offline_access"}})
	code := codeOf(t, s, b, r)
	tokens := rp.Redeem(t, code, r)
	for name, v := range map[string]string{
		"unknown": secret.NewToken("sp_ac_"), "garbage": "garbage", "refresh token": tokens.RefreshToken, "access token": tokens.AccessToken, "ID token": tokens.IDToken,
		"other prefix": "sp_rt_" + strings.TrimPrefix(code, "sp_ac_"), "newline": code + "\n", "long": strings.Repeat("a", 10_000), "unicode": "sp_ac_" + strings.Repeat("é", 43), "SQL": "' OR '1'='1",
	} {
		if got := rp.Token(t, redemption(rp, v, r)); got.Status != http.StatusBadRequest || got.Error != "invalid_grant" {
			t.Errorf("%s as a code: %d %s, want 400 invalid_grant", name, got.Status, got.Error)
		}
	}
	if got := rp.Token(t, url.Values{"grant_type": {"authorization_code"}, "redirect_uri": {rp.RedirectURI}}); got.Error != "invalid_request" {
		t.Errorf("no code at all: %d %s, want invalid_request", got.Status, got.Error)
	}
	if status, _ := rp.Userinfo(t, tokens.AccessToken); status != http.StatusOK {
		t.Errorf("guesses at codes have ended the grant: userinfo answers %d", status)
	}
}

// Between the code and its redemption everything is asked again.
func TestACodeDiesWithWhatItStandsOn(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		rp, ctx := s.Portal(), t.Context()
		id, operator := s.App.Identity, identity.Operator()
		bob, err := s.App.Store.UserByEmail(ctx, harness.Bob.Email)
		if err != nil {
			t.Fatal(err)
		}
		acme, err := s.App.Store.OrganizationBySlug(ctx, "acme-corp")
		if err != nil {
			t.Fatal(err)
		}
		enable := func() error { _, err := id.People.Enable(ctx, operator, bob.ID); return err }
		for _, tc := range []struct {
			name        string
			scope       string
			break_, fix func(b *harness.Browser) error
		}{
			{"the person is disabled", rp.Scope,
				func(*harness.Browser) error { _, err := id.People.Disable(ctx, operator, bob.ID); return err },
				func(*harness.Browser) error { return enable() }},
			{"the person was disabled and is back", rp.Scope,
				func(*harness.Browser) error {
					if _, err := id.People.Disable(ctx, operator, bob.ID); err != nil {
						return err
					}
					return enable()
				}, nil},
			{"the person left the organization", rp.Scope,
				func(*harness.Browser) error { return id.Organizations.RemoveMember(ctx, operator, acme.ID, bob.ID) },
				func(*harness.Browser) error {
					return id.Organizations.AddMember(ctx, operator, acme.ID, bob.ID, storage.RoleMember)
				}},
			{"the consent is withdrawn", rp.Scope,
				func(*harness.Browser) error { return withdraw(ctx, s, bob.ID, rp.ClientID, acme.ID) }, nil},
			{"the password is changed", rp.Scope,
				func(*harness.Browser) error {
					return id.People.SetPassword(ctx, operator, bob.ID, harness.Bob.Password, uuid.Nil)
				}, nil},
			{"the session has ended", "openid",
				func(b *harness.Browser) error { return endSession(ctx, s, b) }, nil},
		} {
			b := s.Browser(t)
			r := rp.Authorize(url.Values{"scope": {tc.scope}})
			code := rp.Walk(t, b, r, harness.Bob)
			if err := tc.break_(b); err != nil {
				t.Fatalf("%s: %v", tc.name, err)
			}
			if got := rp.Token(t, redemption(rp, code, r)); got.Status != http.StatusBadRequest || got.Error != "invalid_grant" {
				t.Errorf("%s: %d %s, want 400 invalid_grant", tc.name, got.Status, got.Error)
			}
			if tc.fix == nil {
				continue
			}
			if err := tc.fix(b); err != nil {
				t.Fatalf("%s: %v", tc.name, err)
			}
			if got := rp.Token(t, redemption(rp, code, r)); got.Status == http.StatusOK {
				t.Errorf("%s, and again not: the old code is good once more", tc.name)
			}
		}
		// With offline_access the grant was made to outlive the session.
		b := s.Browser(t)
		r := rp.Authorize(nil)
		code := rp.Walk(t, b, r, harness.Bob)
		if err := endSession(ctx, s, b); err != nil {
			t.Fatal(err)
		}
		rp.Redeem(t, code, r)
	})
}

func withdraw(ctx context.Context, s *harness.Server, user uuid.UUID, client string, organization uuid.UUID) error {
	return s.App.Store.WithdrawConsent(ctx, user, client, organization, &storage.Event{Type: "consent.withdrawn", User: user, Client: client, Organization: organization})
}

// endSession ends the session of a browser, as its person does elsewhere.
func endSession(ctx context.Context, s *harness.Server, b *harness.Browser) error {
	issuer, err := url.Parse(s.Issuer)
	if err != nil {
		return err
	}
	for _, c := range b.HTTP.Jar.Cookies(issuer) {
		if c.Name == "sp_browser" {
			ended, err := s.App.Store.EndSession(ctx, secret.HashOf(c.Value), "signed out", "")
			if err == nil && !ended {
				err = fmt.Errorf("no session to end")
			}
			return err
		}
	}
	return fmt.Errorf("the browser has no cookie")
}

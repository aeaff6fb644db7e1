package relyingparties

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/client/rs"
	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
)

// zitadel is a relying party on zitadel/oidc: its own handlers begin and end the
// sign-in and keep state and PKCE in encrypted cookies.
type zitadel struct {
	*party
	rp.RelyingParty
	resource rs.ResourceServer // nil for a public client
	nonce    string

	mu      sync.Mutex
	idToken string
}

// The public client of a native app on a loopback port (RFC 8252 section 7.3).
const nativeClient = `
  - client_id: desktop
    client_name: Acme Desktop
    application_type: native
    token_endpoint_auth_method: none
    redirect_uris: [http://127.0.0.1/callback]
    post_logout_redirect_uris: [URL/signed-out]
    grant_types: [authorization_code, refresh_token]
    scope: ` + scopes + `
`

func newZitadel(t *testing.T, s *harness.Server, id, secret string) *zitadel {
	t.Helper()
	z := &zitadel{party: newParty(t), nonce: rand.Text()}
	if secret == "" {
		z.url = z.URL // native apps listen on the address, not on the name
	}
	register(t, s, z.url, webClient, nativeClient)
	key := []byte(rand.Text() + rand.Text())[:32]
	var err error
	z.RelyingParty, err = rp.NewRelyingPartyOIDC(t.Context(), s.Issuer, id, secret, z.url+"/callback", strings.Fields(scopes),
		rp.WithPKCEFromDiscovery(httphelper.NewCookieHandler(key, key, httphelper.WithUnsecure())), rp.WithSigningAlgsFromDiscovery(),
		rp.WithVerifierOpts(rp.WithNonce(z.expected)))
	if err != nil {
		t.Fatal(err)
	}
	if secret != "" {
		if z.resource, err = rs.NewResourceServerClientCredentials(t.Context(), s.Issuer, id, secret); err != nil {
			t.Fatal(err)
		}
	}
	z.party.login = rp.AuthURLHandler(rand.Text, z.RelyingParty, rp.WithURLParam("nonce", z.nonce))
	z.party.callback, z.party.logout = z.end, z.leave
	return z
}

// refreshing marks the context of a refresh.
type refreshing struct{}

// expected is the nonce that an ID token must have. One that a refresh brought
// should have none (OpenID Connect Core 1.0, section 12.2).
func (z *zitadel) expected(ctx context.Context) string {
	if ctx.Value(refreshing{}) != nil {
		return ""
	}
	return z.nonce
}

func (z *zitadel) end(w http.ResponseWriter, r *http.Request) (f *findings, err error) {
	exchange := rp.CodeExchangeHandler(rp.UserinfoCallback(
		func(_ http.ResponseWriter, r *http.Request, tokens *oidc.Tokens[*oidc.IDTokenClaims], _ string, _ rp.RelyingParty, info *oidc.UserInfo) {
			f = &findings{Nonce: z.nonce, IDToken: claimsOf(tokens.IDTokenClaims), Userinfo: info.Claims}
			f.Userinfo["sub"], f.Userinfo["email"] = info.Subject, info.Email
			ctx := context.WithValue(r.Context(), refreshing{}, true)
			if z.resource != nil {
				err = z.confidential(ctx, f, tokens)
			} else {
				err = z.public(ctx, f, tokens)
			}
		}), z.RelyingParty)
	exchange(w, r)
	if f == nil && err == nil {
		err = errors.New("the library refused the answer, and said so above")
	}
	return f, err
}

// public refreshes and revokes through the library's own functions.
func (z *zitadel) public(ctx context.Context, f *findings, tokens *oidc.Tokens[*oidc.IDTokenClaims]) error {
	fresh, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, z.RelyingParty, tokens.RefreshToken, "", "")
	if err != nil {
		return err
	}
	f.Refreshed = claimsOf(fresh.IDTokenClaims)
	if err := rp.RevokeToken(ctx, z.RelyingParty, fresh.RefreshToken, "refresh_token"); err != nil {
		return err
	}
	if _, err := rp.Userinfo[*oidc.UserInfo](ctx, fresh.AccessToken, fresh.TokenType, fresh.IDTokenClaims.Subject, z.RelyingParty); err == nil {
		return errors.New("userinfo answers after revocation")
	}
	z.keep(fresh.IDToken)
	return nil
}

// confidential refreshes through x/oauth2 below the library: its own functions send
// a client's secret in the header and in the form at once, which RFC 6749 section
// 2.3 forbids and we refuse.
func (z *zitadel) confidential(ctx context.Context, f *findings, tokens *oidc.Tokens[*oidc.IDTokenClaims]) error {
	fresh, err := z.OAuthConfig().TokenSource(ctx, &oauth2.Token{RefreshToken: tokens.RefreshToken}).Token()
	if err != nil {
		return err
	}
	raw, _ := fresh.Extra("id_token").(string)
	verified, err := rp.VerifyTokens[*oidc.IDTokenClaims](ctx, fresh.AccessToken, raw, z.IDTokenVerifier())
	if err != nil {
		return err
	}
	f.Refreshed = claimsOf(verified)
	got, err := rs.Introspect[*oidc.IntrospectionResponse](ctx, z.resource, fresh.AccessToken)
	if err != nil {
		return err
	}
	if !got.Active || got.Subject != tokens.IDTokenClaims.Subject || got.ClientID != webID {
		return fmt.Errorf("introspection answers %+v", got)
	}
	z.keep(raw)
	return nil
}

func (z *zitadel) keep(idToken string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.idToken = idToken
}

// claimsOf are the claims that the library keeps apart, put together again.
func claimsOf(c *oidc.IDTokenClaims) map[string]any {
	all := map[string]any{}
	for name, v := range c.Claims {
		all[name] = v
	}
	all["iss"], all["sub"], all["nonce"], all["auth_time"] = c.Issuer, c.Subject, c.Nonce, int64(c.AuthTime)
	audience := []any{}
	for _, a := range c.Audience {
		audience = append(audience, a)
	}
	all["aud"] = audience
	return all
}

func (z *zitadel) leave(r *http.Request) (string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	to, err := rp.EndSession(r.Context(), z.RelyingParty, z.idToken, z.url+"/signed-out", "bye", "", nil)
	if err != nil {
		return "", err
	}
	return to.String(), nil
}

func TestZitadelOIDC(t *testing.T) {
	s := harness.Start(t, storage.Postgres, harness.Options{})
	for id, secret := range map[string]string{webID: webSecret, "desktop": ""} {
		t.Run(id, func(t *testing.T) {
			z := newZitadel(t, s, id, secret)
			tab := harness.Chromium(t)
			signIn(t, tab, z.url+"/login", harness.Bob).check(t, s, id, harness.Bob, "member")
			signOut(t, tab, z.url)
		})
	}
}

// RFC 6749 section 4.4, with the sample machine client.
func TestZitadelClientCredentials(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	machine, err := rp.NewRelyingPartyOIDC(t.Context(), s.Issuer, "data-api-001", "data_secret_api_2024", "", []string{"api:read", "api:write"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := rp.ClientCredentials(t.Context(), machine, url.Values{})
	if err != nil {
		t.Fatal(err)
	}
	resource, err := rs.NewResourceServerClientCredentials(t.Context(), s.Issuer, "data-api-001", "data_secret_api_2024")
	if err != nil {
		t.Fatal(err)
	}
	got, err := rs.Introspect[*oidc.IntrospectionResponse](t.Context(), resource, token.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Active || got.ClientID != "data-api-001" || len(got.Scope) != 2 || token.RefreshToken != "" {
		t.Errorf("got %+v, want an active token of data-api-001 for two scopes, and no refresh token", got)
	}
}

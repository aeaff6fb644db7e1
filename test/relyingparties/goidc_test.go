package relyingparties

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/sallyport-id/sallyport/internal/harness"
	"golang.org/x/oauth2"
)

// goOIDC is a relying party on coreos/go-oidc and golang.org/x/oauth2.
type goOIDC struct {
	*party
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
	config   oauth2.Config
	issuer   string

	mu       sync.Mutex
	attempts map[string]attempt // by state
	idToken  string
}

type attempt struct{ nonce, verifier string }

func newGoOIDC(t *testing.T, s *harness.Server) *goOIDC {
	t.Helper()
	rp := &goOIDC{party: newParty(t), issuer: s.Issuer, attempts: map[string]attempt{}}
	register(t, s, rp.url, webClient)
	var err error
	if rp.provider, err = oidc.NewProvider(t.Context(), s.Issuer); err != nil {
		t.Fatal(err)
	}
	rp.verifier = rp.provider.Verifier(&oidc.Config{ClientID: webID})
	rp.config = oauth2.Config{ClientID: webID, ClientSecret: webSecret, Endpoint: rp.provider.Endpoint(),
		RedirectURL: rp.url + "/callback", Scopes: strings.Fields(scopes)}
	rp.party.login, rp.party.callback, rp.party.logout = rp.begin, rp.end, rp.leave
	return rp
}

func (rp *goOIDC) begin(w http.ResponseWriter, r *http.Request) {
	state, a := oauth2.GenerateVerifier(), attempt{nonce: oauth2.GenerateVerifier(), verifier: oauth2.GenerateVerifier()}
	rp.mu.Lock()
	rp.attempts[state] = a
	rp.mu.Unlock()
	http.Redirect(w, r, rp.config.AuthCodeURL(state, oidc.Nonce(a.nonce), oauth2.S256ChallengeOption(a.verifier)), http.StatusFound)
}

func (rp *goOIDC) end(_ http.ResponseWriter, r *http.Request) (*findings, error) {
	q := r.URL.Query()
	rp.mu.Lock()
	defer rp.mu.Unlock()
	a, known := rp.attempts[q.Get("state")]
	delete(rp.attempts, q.Get("state"))
	if !known || q.Get("iss") != rp.issuer { // RFC 9207 section 2.4
		return nil, fmt.Errorf("an answer from %q with state %q and error %q", q.Get("iss"), q.Get("state"), q.Get("error"))
	}
	token, err := rp.config.Exchange(r.Context(), q.Get("code"), oauth2.VerifierOption(a.verifier))
	if err != nil {
		return nil, err
	}
	f := &findings{Nonce: a.nonce}
	if f.IDToken, err = rp.verify(r, token); err != nil {
		return nil, err
	}
	if f.Userinfo, err = rp.userinfo(r, token); err != nil {
		return nil, err
	}
	fresh, err := rp.config.TokenSource(r.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	if err != nil {
		return nil, err
	}
	if fresh.AccessToken == token.AccessToken || fresh.RefreshToken == token.RefreshToken {
		return nil, errors.New("the refresh brought nothing new")
	}
	f.Refreshed, err = rp.verify(r, fresh)
	return f, err
}

// verify checks an ID token and that the access token belongs to it (at_hash).
func (rp *goOIDC) verify(r *http.Request, token *oauth2.Token) (map[string]any, error) {
	raw, _ := token.Extra("id_token").(string)
	id, err := rp.verifier.Verify(r.Context(), raw)
	if err != nil {
		return nil, err
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		return nil, err
	}
	rp.idToken = raw
	claims := map[string]any{}
	return claims, id.Claims(&claims)
}

func (rp *goOIDC) userinfo(r *http.Request, token *oauth2.Token) (map[string]any, error) {
	info, err := rp.provider.UserInfo(r.Context(), oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, err
	}
	claims := map[string]any{}
	return claims, info.Claims(&claims)
}

func (rp *goOIDC) leave(*http.Request) (string, error) {
	var meta struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := rp.provider.Claims(&meta); err != nil {
		return "", err
	}
	rp.mu.Lock()
	defer rp.mu.Unlock()
	return meta.EndSession + "?" + url.Values{"id_token_hint": {rp.idToken}, "post_logout_redirect_uri": {rp.url + "/signed-out"}, "state": {"bye"}}.Encode(), nil
}

// Alice is in two organizations, so that she is asked which.
func TestGoOIDC(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		rp := newGoOIDC(t, s)
		tab := harness.Chromium(t)
		f := signIn(t, tab, rp.url+"/login", harness.Alice)
		f.check(t, s, webID, harness.Alice, "owner")
		if list, ok := f.Userinfo["organizations"].([]any); !ok || len(list) != 2 {
			t.Errorf("organizations are %v, want both of hers", f.Userinfo["organizations"])
		}
		signOut(t, tab, rp.url)
		if complaints := tab.Complaints(); len(complaints) > 0 {
			t.Errorf("the browser complains: %q", complaints)
		}
	})
}

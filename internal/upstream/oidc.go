package upstream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// algorithms may sign ID tokens. None of them works with the client secret, so that a provider's client cannot sign.
var algorithms = []string{oidc.RS256, oidc.ES256, oidc.EdDSA, oidc.PS256, oidc.RS384, oidc.RS512, oidc.ES384, oidc.ES512,
	oidc.PS384, oidc.PS512}

// clientErrors are what token endpoints say of a wrong client_id or client_secret; the last is GitHub's.
var clientErrors = []string{"invalid_client", "unauthorized_client", "incorrect_client_credentials"}

func beginOIDC(ctx context.Context, x *exchange, r Request, st *State) (string, error) {
	m, err := x.discover(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(st.Verifier), oauth2.SetAuthURLParam("nonce", st.Nonce)}
	prompt := r.Prompt
	if prompt == "login" || prompt == "" && !r.SignedInAfter.IsZero() && !x.kind.maxAge {
		prompt = x.kind.loginPrompt
	}
	for name, value := range map[string]string{"prompt": prompt, "login_hint": r.LoginHint} {
		if value != "" {
			options = append(options, oauth2.SetAuthURLParam(name, value))
		}
	}
	if !r.SignedInAfter.IsZero() && x.kind.maxAge {
		age := max(0, x.service.Now().Sub(r.SignedInAfter))
		options = append(options, oauth2.SetAuthURLParam("max_age", strconv.Itoa(int(age.Seconds()))))
	}
	return x.oauth(m, r.RedirectURI).AuthCodeURL(st.Token, options...), nil
}

func finishOIDC(ctx context.Context, x *exchange, st State, a Answer) (*Identity, error) {
	m, err := x.discover(ctx)
	if err != nil {
		return nil, err
	}
	if a.Issuer != "" && a.Issuer != m.Issuer && !strings.Contains(m.Issuer, "{") || a.Issuer == "" && m.SendsIssuer {
		return nil, fault(AnswerIssuer, nil, "the answer does not come from %s", "", m.Issuer)
	}
	token, err := x.redeem(ctx, m, st, a.Code)
	if err != nil {
		return nil, err
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return nil, fault(TokenMissing, nil, "the token response has no ID token",
			"allow the scope openid for this client at the provider")
	}
	c, err := x.verify(ctx, m, st, a.Code, token.AccessToken, raw)
	if err != nil {
		return nil, err
	}
	if c.Email == "" && m.UserinfoURL != "" {
		if err := x.addUserinfo(ctx, m, token, c); err != nil {
			return nil, err
		}
	}
	return c.identity(x.kind, x.Connection), nil
}

// redeem exchanges the code for tokens.
func (x *exchange) redeem(ctx context.Context, m *metadata, st State, code string) (*oauth2.Token, error) {
	token, err := x.oauth(m, st.RedirectURI).Exchange(oidc.ClientContext(ctx, x.client), code,
		oauth2.VerifierOption(st.Verifier))
	if err == nil {
		return token, nil
	}
	refused, isRefusal := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case isRefusal && (slices.Contains(clientErrors, refused.ErrorCode) ||
		refused.Response.StatusCode == http.StatusUnauthorized):
		return nil, fault(ClientRefused, nil, "the provider does not accept the client", "check client_id and client_secret")
	case isRefusal && refused.ErrorCode != "":
		return nil, fault(CodeRefused, nil, "the provider refused the code with the error %s",
			"check the redirect URI that is registered there", cleanCode(refused.ErrorCode))
	case isRefusal && refused.Response.StatusCode >= 500 || errors.Is(err, context.DeadlineExceeded):
		return nil, fault(Unreachable, nil, "the token endpoint does not answer", retryRemedy)
	}
	// The errors of the library can repeat what was answered.
	return nil, fault(BadAnswer, nil, "the token endpoint cannot be reached, or its answer cannot be read", retryRemedy)
}

// verify returns the claims of an ID token, or a *Fault that names the check that failed.
func (x *exchange) verify(ctx context.Context, m *metadata, st State, code, accessToken, raw string) (*claims, error) {
	v, err := x.verifySignature(ctx, m, raw)
	if err != nil {
		return nil, err
	}
	v.state, v.code, v.accessToken = st, code, accessToken
	return v.claims, v.check()
}

// verifySignature returns the claims of a token that the provider has signed, to be checked.
func (x *exchange) verifySignature(ctx context.Context, m *metadata, raw string) (*verification, error) {
	// The library checks signature and algorithm; the other checks are in the table, so that each has its name.
	verifier := oidc.NewVerifier("", m.keys, &oidc.Config{SupportedSigningAlgs: algorithms, SkipClientIDCheck: true,
		SkipIssuerCheck: true, SkipExpiryCheck: true})
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		if strings.Contains(err.Error(), "fetching keys") {
			return nil, fault(Unreachable, nil, "the keys of the provider cannot be fetched", retryRemedy)
		}
		return nil, fault(TokenInvalid, nil, "the token is not signed with a key and algorithm of the provider",
			"check that the issuer is the right one")
	}
	var c claims
	if token.Claims(&c) != nil {
		return nil, fault(BadAnswer, nil, "the claims of the token cannot be read", "")
	}
	return &verification{claims: &c, connection: x.Connection, kind: x.kind, metadata: m, hash: hashOf(algorithmOf(raw)),
		now: x.service.Now()}, nil
}

// checkLogout reads a logout token.
func checkLogout(ctx context.Context, x *exchange, raw string) (*Logout, error) {
	m, err := x.discover(ctx)
	if err != nil {
		return nil, err
	}
	v, err := x.verifySignature(ctx, m, raw)
	if err != nil {
		return nil, err
	}
	if err := v.checkLogout(); err != nil {
		return nil, err
	}
	return &Logout{Subject: v.Subject, SID: v.SID, ID: v.ID, ExpiresAt: v.ExpiresAt.time()}, nil
}

// algorithmOf is what the header of a token names, which the verifier has accepted.
func algorithmOf(raw string) string {
	encoded, _, _ := strings.Cut(raw, ".")
	var header struct {
		Algorithm string `json:"alg"`
	}
	if plain, err := base64.RawURLEncoding.DecodeString(encoded); err == nil {
		_ = json.Unmarshal(plain, &header) // of a token that was parsed before
	}
	return header.Algorithm
}

// addUserinfo asks for the address where the ID token has none.
func (x *exchange) addUserinfo(ctx context.Context, m *metadata, token *oauth2.Token, c *claims) error {
	var more claims
	if err := x.getJSON(ctx, m.UserinfoURL, token.AccessToken, "userinfo", &more); err != nil {
		return err
	}
	if more.Subject != c.Subject { // OpenID Connect Core 1.0, section 5.3.2
		return fault(UserinfoWrong, nil, "userinfo is about another person than the ID token", "")
	}
	c.Email, c.EmailVerified = more.Email, more.EmailVerified
	if c.Name == "" {
		c.Name, c.GivenName, c.FamilyName = more.Name, more.GivenName, more.FamilyName
	}
	return nil
}

func testOIDC(ctx context.Context, x *exchange, redirectURI string) error {
	m, err := x.discover(ctx)
	if err != nil {
		return err
	}
	if _, err := x.get(ctx, m.KeysURL, "the keys of the provider"); err != nil {
		return err
	}
	// A code that was never issued shows whether the client is accepted.
	_, err = x.redeem(ctx, m, State{RedirectURI: redirectURI, Verifier: strings.Repeat("a", 43)}, "connection-test")
	if f, ok := errors.AsType[*Fault](err); ok && f.Code != CodeRefused {
		return f
	}
	return nil
}

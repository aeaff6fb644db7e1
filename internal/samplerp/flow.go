package samplerp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const acrMFA = "urn:sallyport:acr:mfa"

// login begins a sign-in.
func (rp *RP) login(w http.ResponseWriter, r *http.Request) error {
	return rp.begin(w, r, pending{})
}

// switchOrganization asks for a token that names another organization; without
// a name the provider asks the person.
func (rp *RP) switchOrganization(w http.ResponseWriter, r *http.Request) error {
	if org := r.URL.Query().Get("organization"); org != "" {
		return rp.begin(w, r, pending{}, oauth2.SetAuthURLParam("organization", org))
	}
	return rp.begin(w, r, pending{})
}

// stepUp asks for more certainty that the person is there: a second step, or
// the password again.
func (rp *RP) stepUp(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Get("kind") == "again" {
		return rp.begin(w, r, pending{}, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return rp.begin(w, r, pending{acr: acrMFA}, oauth2.SetAuthURLParam("acr_values", acrMFA))
}

func (rp *RP) begin(w http.ResponseWriter, r *http.Request, p pending, params ...oauth2.AuthCodeOption) error {
	up, err := rp.upstream(r.Context())
	if err != nil {
		return err
	}
	x := rp.sessions.find(r)
	if x == nil {
		x = rp.sessions.start()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	p.state, p.nonce, p.verifier = rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	x.remember(p)
	rp.setCookie(w, x.token)
	params = append(params, oidc.Nonce(p.nonce), oauth2.S256ChallengeOption(p.verifier))
	http.Redirect(w, r, up.oauth.AuthCodeURL(p.state, params...), http.StatusSeeOther)
	return nil
}

// callback takes the provider's answer.
func (rp *RP) callback(w http.ResponseWriter, r *http.Request) error {
	up, err := rp.upstream(r.Context())
	if err != nil {
		return err
	}
	query := r.URL.Query()
	x := rp.sessions.find(r)
	if x == nil {
		return notOurs()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	p, ok := x.take(query.Get("state"))
	if !ok {
		return notOurs()
	}
	if err := rp.checkIssuer(up, query); err != nil {
		return err
	}
	if code := query.Get("error"); code != "" {
		return refused(code, query.Get("error_description"))
	}
	t, err := rp.redeem(rp.withClient(r.Context()), up, p, query.Get("code"))
	if err != nil {
		return err
	}
	x.tokens = t
	x.notice = acrNotice(p.acr, t.claims)
	rp.sessions.renew(x)
	rp.setCookie(w, x.token)
	// The code leaves the address bar and the history.
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// notOurs is for an answer that this browser did not ask for: an old link, or
// somebody else's code slipped in (login CSRF, RFC 6749 section 10.12).
func notOurs() error {
	return &problem{status: http.StatusBadRequest, Title: "This sign-in was not started here",
		Sentence: "The answer belongs to no sign-in of this browser: it was used already, or began somewhere else. Nothing is lost; start again.", Retry: "/login"}
}

// checkIssuer refuses another provider's answer (RFC 9207 section 2.4).
func (rp *RP) checkIssuer(up *upstream, query url.Values) error {
	iss, given := query.Get("iss"), query.Has("iss")
	if (given && iss != rp.cfg.Issuer) || (!given && up.meta.IssInResponse) {
		return &problem{status: http.StatusBadRequest, Title: "The answer came from somebody else",
			Sentence: "It does not say that it is from " + rp.cfg.Issuer + ", so this app does not trust it. Start again.", Retry: "/login"}
	}
	return nil
}

// redeem turns a code into verified tokens.
func (rp *RP) redeem(ctx context.Context, up *upstream, p pending, code string) (*tokens, error) {
	granted, err := up.oauth.Exchange(ctx, code, oauth2.VerifierOption(p.verifier))
	if err != nil {
		return nil, tokenProblem(err, "The code could not be exchanged", "The provider sent you back with a code and then did not accept it. Start again.")
	}
	t := &tokens{}
	if err := rp.accept(ctx, up, t, granted, p.nonce); err != nil {
		return nil, err
	}
	return t, nil
}

// accept verifies what a token response brought and adds it to t. A refresh may
// leave out the ID token; if it brings one it is about the same person and has
// the first one's nonce or none (OpenID Connect Core 12.2).
func (rp *RP) accept(ctx context.Context, up *upstream, t *tokens, granted *oauth2.Token, nonce string) error {
	first := t.oauth == nil
	raw, _ := granted.Extra("id_token").(string)
	if raw == "" && first {
		return untrusted(errors.New("the token response has no id_token; is the scope openid missing?"))
	}
	if raw != "" {
		verified, err := up.verifier.Verify(ctx, raw)
		if err != nil {
			return untrusted(err)
		}
		if verified.Nonce != nonce && (first || verified.Nonce != "") {
			return untrusted(errors.New("the nonce is not the one this app sent"))
		}
		if verified.AccessTokenHash != "" {
			if err := verified.VerifyAccessToken(granted.AccessToken); err != nil {
				return untrusted(err)
			}
		}
		if before, _ := t.claims["sub"].(string); !first && before != verified.Subject {
			return untrusted(errors.New("the refreshed ID token is about somebody else"))
		}
		claims, err := claimsOf(raw)
		if err != nil {
			return untrusted(err)
		}
		t.idToken, t.claims = raw, claims
	}
	t.oauth = granted
	if scope, ok := granted.Extra("scope").(string); ok {
		t.scope = scope
	}
	rp.fetchUserinfo(ctx, up, t)
	return nil
}

func untrusted(err error) error {
	return &problem{status: http.StatusBadGateway, Title: "The tokens cannot be trusted", Sentence: "The provider answered, but a check of this app failed, so nobody is signed in. Start again.", Detail: err.Error(), Retry: "/login", cause: err}
}

// fetchUserinfo asks what the access token is good for. That it may fail is
// worth showing, so it is no error here.
func (rp *RP) fetchUserinfo(ctx context.Context, up *upstream, t *tokens) {
	t.userinfo, t.userinfoErr = nil, ""
	info, err := up.provider.UserInfo(ctx, oauth2.StaticTokenSource(t.oauth))
	if err != nil {
		t.userinfoErr = err.Error()
		return
	}
	// A userinfo answer about another person must not be mixed in (OpenID
	// Connect Core 5.3.2).
	if sub, _ := t.claims["sub"].(string); info.Subject != sub {
		t.userinfoErr = "the answer is about another person than the ID token"
		return
	}
	var answer json.RawMessage
	err = info.Claims(&answer)
	if err == nil {
		t.userinfo, err = decode(answer)
	}
	if err != nil {
		t.userinfoErr = err.Error()
	}
}

// acrNotice compares what was asked for with what came back: acr_values is a
// wish, and the answer says what was reached (OpenID Connect Core 3.1.2.1).
func acrNotice(asked string, claims map[string]any) string {
	if asked == "" {
		return ""
	}
	got, _ := claims["acr"].(string)
	if got == asked {
		return "Stepped up: acr is now " + got + "."
	}
	if got == "" {
		got = "no acr at all"
	}
	return fmt.Sprintf("This app asked for acr %s and got %s. acr_values is a wish: the provider says what it could reach, and the app decides whether that is enough. The sample people have no second step until one is added in their account, under Two-step verification and passkeys; then this asks for it.", asked, got)
}

// refresh trades the refresh token for new tokens.
func (rp *RP) refresh(w http.ResponseWriter, r *http.Request, x *session) error {
	up, err := rp.upstream(r.Context())
	if err != nil {
		return err
	}
	ctx := rp.withClient(r.Context())
	if x.tokens.oauth.RefreshToken == "" {
		return &problem{status: http.StatusConflict, Title: "There is no refresh token", Sentence: "This sign-in brought none, or it was revoked. Sign in again to get one.", Retry: "/login"}
	}
	granted, err := up.oauth.TokenSource(ctx, &oauth2.Token{RefreshToken: x.tokens.oauth.RefreshToken}).Token()
	if err != nil {
		return tokenProblem(err, "The tokens could not be refreshed", "The refresh token is no longer good: it was spent, revoked, or has expired. Sign in again for a new one.")
	}
	nonce, _ := x.tokens.claims["nonce"].(string)
	before := x.tokens.oauth.RefreshToken
	if err := rp.accept(ctx, up, x.tokens, granted, nonce); err != nil {
		return err
	}
	x.notice = "Refreshed: the access token is a new one."
	if granted.RefreshToken != before {
		x.notice = "Refreshed: access token and refresh token are new, the old refresh token is spent."
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// revoke gives a token back (RFC 7009) and asks userinfo again, to show what
// that did.
func (rp *RP) revoke(w http.ResponseWriter, r *http.Request, x *session) error {
	up, err := rp.upstream(r.Context())
	if err != nil {
		return err
	}
	ctx := rp.withClient(r.Context())
	kind, token := "access_token", x.tokens.oauth.AccessToken
	if r.PostFormValue("token") == "refresh" {
		kind, token = "refresh_token", x.tokens.oauth.RefreshToken
	}
	if token == "" {
		return &problem{status: http.StatusConflict, Title: "There is no such token", Sentence: "This app holds none to revoke. Sign in again to get one.", Retry: "/login"}
	}
	if err := rp.postRevocation(ctx, up, kind, token); err != nil {
		return err
	}
	x.notice = "Revoked the access token. Userinfo was asked again with it; below is the answer."
	if kind == "refresh_token" {
		revoked := *x.tokens.oauth
		revoked.RefreshToken = ""
		x.tokens.oauth = &revoked
		x.notice = "Revoked the refresh token, and with it what was issued from the same grant. Userinfo was asked again; below is the answer."
	}
	rp.fetchUserinfo(ctx, up, x.tokens)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (rp *RP) postRevocation(ctx context.Context, up *upstream, kind, token string) error {
	failed := func(err error, detail string) error {
		return &problem{status: http.StatusBadGateway, Title: "The token could not be revoked", Sentence: "The provider did not take it back, so it may still work. Try again.", Detail: detail, Retry: "/", cause: err}
	}
	form := url.Values{"token": {token}, "token_type_hint": {kind}}
	if rp.cfg.ClientSecret == "" {
		form.Set("client_id", rp.cfg.ClientID)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, up.meta.RevocationEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return failed(err, "the provider names no revocation endpoint")
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if rp.cfg.ClientSecret != "" {
		// Both halves are form-encoded first (RFC 6749 section 2.3.1).
		request.SetBasicAuth(url.QueryEscape(rp.cfg.ClientID), url.QueryEscape(rp.cfg.ClientSecret))
	}
	response, err := rp.cfg.HTTPClient.Do(request)
	if err != nil {
		return failed(err, "")
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return failed(nil, response.Status+" "+string(answer))
	}
	return nil
}

// logout ends the session here and then at the provider (OpenID Connect
// RP-Initiated Logout 1.0). The ID token as hint spares the person a question.
func (rp *RP) logout(w http.ResponseWriter, r *http.Request, x *session) error {
	hint := x.tokens.idToken
	x.tokens = nil
	rp.sessions.end(x)
	rp.setCookie(w, "")
	up, err := rp.upstream(r.Context())
	if err != nil {
		return err
	}
	target, err := url.Parse(up.meta.EndSessionEndpoint)
	if err != nil || up.meta.EndSessionEndpoint == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	query := target.Query()
	query.Set("id_token_hint", hint)
	query.Set("client_id", rp.cfg.ClientID)
	query.Set("post_logout_redirect_uri", rp.cfg.BaseURL+"/")
	query.Set("state", signedOut)
	target.RawQuery = query.Encode()
	http.Redirect(w, r, target.String(), http.StatusSeeOther)
	return nil
}

// tokenProblem tells a refusal of the token endpoint; when there was no answer
// at all, nothing is known about the token and nothing is said about it.
func tokenProblem(err error, title, sentence string) error {
	var refusal *oauth2.RetrieveError
	if !errors.As(err, &refusal) || refusal.ErrorCode == "" {
		return &problem{status: http.StatusBadGateway, Title: title, Retry: "/", cause: err,
			Sentence: "The provider gave no usable answer. What you had is still here; wait a moment, then try again."}
	}
	// The library's own message has the whole response in it, which is not for
	// the log.
	return &problem{status: http.StatusBadGateway, Title: title, Sentence: sentence, Code: refusal.ErrorCode, Detail: refusal.ErrorDescription,
		Retry: "/login", cause: fmt.Errorf("%s: %s", refusal.ErrorCode, refusal.ErrorDescription)}
}

// refused tells a refusal of the authorization endpoint, in words for the
// person; what only the app's developer can mend says so.
func refused(code, description string) error {
	sentences := map[string]string{
		"access_denied":                     "The sign-in was cancelled, or the provider did not allow it. You can start again whenever you like.",
		"login_required":                    "Nobody is signed in at the provider. Start again to sign in.",
		"interaction_required":              "The provider has something to ask you first. Start again to be asked.",
		"consent_required":                  "The provider has to ask for your agreement first. Start again to be asked.",
		"account_selection_required":        "The provider has to ask which account to use. Start again to be asked.",
		"unmet_authentication_requirements": "This needs a stronger way of signing in than your account has.",
		"temporarily_unavailable":           "The provider is busy. Wait a moment, then start again.",
		"server_error":                      "Something broke at the provider. Wait a moment, then start again.",
	}
	sentence, known := sentences[code]
	if !known {
		sentence = "The provider does not take the request as this app made it. That is for the app's developer to mend; the line below says what."
	}
	return &problem{status: http.StatusOK, Title: "You are not signed in", Sentence: sentence, Code: code, Detail: description, Retry: "/login"}
}

// signedOut is the state that comes back from the provider's logout.
const signedOut = "signed-out"

package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// request is one authorization request: first its parameters and where the response may
// go (resolveClient), then what they ask for (validate).
type request struct {
	client *client
	// params are the parameters that count: of the pushed request or the request object,
	// else of the query or form.
	params url.Values
	pushed secret.Hash // the pushed request they came from; zero if none
	target responseTarget

	scopes        []string // known ones, in order, without duplicates
	resource      string   // the one that the access token is to be for; "" if none is named
	audience      []string
	prompt        []string
	maxAge        time.Duration // -1 if not asked
	acr           []string      // acr_values, or the values of an essential acr
	acrEssential  bool
	claims        string        // the claims parameter as validated JSON; "" if none
	consentScopes []string      // scopes, and those that the claims parameter's claims belong to: what the person is asked
	tokenHint     *storage.Hint // what id_token_hint says; nil without one
	// subjects are the people that id_token_hint and the claims parameter leave; nil if the request is for anybody.
	subjects []string
	org      identity.OrganizationQuestion
}

// resolveClient finds the client, the parameters that count, and a registered redirect URI.
// Its errors are pages of ours: there is nowhere to send them (RFC 9700, section 4.11.2).
func (p *Provider) resolveClient(ctx context.Context, outer url.Values) (*request, error) {
	id := outer.Get("client_id")
	if id == "" {
		return nil, pageError("unknown_client", "The request has no client_id.")
	}
	c, err := p.requestClient(ctx, id)
	if err != nil {
		return nil, replace(err, errUnknownClient, &web.Error{Status: http.StatusBadRequest, Code: "unknown_client",
			Message: "No enabled client has this client_id.", Err: err})
	}
	q := &request{client: c, params: outer, maxAge: -1}
	if uri := outer.Get("request_uri"); strings.HasPrefix(uri, pushedPrefix) {
		if err := p.applyPushedRequest(ctx, q, uri); err != nil {
			return nil, err
		}
	}
	var late *Error // an error that can be sent once the redirect URI is known to be good
	switch {
	case !q.pushed.IsZero():
	case outer.Has("request_uri"):
		late = refuse("request_uri_not_supported", "A request object cannot be fetched from a request_uri here: push it, or send it as the parameter request.")
	case outer.Has("request"):
		late = p.applyRequestObject(ctx, q)
	case c.Metadata.RequireSignedRequestObject:
		late = refuse("invalid_request", "This client must send its parameters in a signed request object.")
	}
	if err := q.matchRedirectURI(); err != nil {
		return nil, err
	}
	if late == nil && c.Metadata.RequirePushedRequests && q.pushed.IsZero() {
		late = refuse("invalid_request", "This client must push its authorization requests (RFC 9126).")
	}
	if late != nil {
		return q, late
	}
	return q, nil
}

// pageError is an error that stays here, for a person and the developer.
func pageError(code, developer string) error {
	return &web.Error{Status: http.StatusBadRequest, Code: code, Message: developer}
}

// matchRedirectURI takes the redirect URI, response mode and state from the parameters.
func (q *request) matchRedirectURI() error {
	uri := q.params.Get("redirect_uri")
	switch {
	case uri == "":
		return pageError("missing_redirect_uri", "The request has no redirect_uri. It is required even if only one is registered.")
	case !q.client.matchRedirect(uri):
		return pageError("invalid_redirect_uri", "The redirect_uri of the request is not one that is registered for this client. It must be the same string.")
	}
	q.target = responseTarget{uri: uri, formPost: q.params.Get("response_mode") == oauth.ModeFormPost, appName: q.client.Name(),
		state: q.params.Get("state"), hasState: q.params.Has("state")}
	return nil
}

// maxState bounds state and nonce: they are echoed whole or refused.
const maxState = 2048

// challengeFormat is BASE64URL-ENCODE(SHA256(…)) of RFC 7636, section 4.2.
var challengeFormat = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// validate checks everything but client and redirect URI. Its errors go there.
func (p *Provider) validate(ctx context.Context, q *request) error {
	v := q.params
	switch mode := v.Get("response_mode"); {
	case v.Get("response_type") == "":
		return refuse("invalid_request", "The request has no response_type.")
	case !slices.Contains(oauth.ResponseTypes(), v.Get("response_type")) || !q.client.responseTypes.Has(v.Get("response_type")),
		!q.client.hasGrantType(oauth.GrantAuthorizationCode):
		return refuse("unsupported_response_type",
			describeValue("response_type", v.Get("response_type"))+" is not supported, or the client is not registered for it: only code is.")
	case mode != "" && !slices.Contains(oauth.ResponseModes(), mode):
		return refuse("invalid_request",
			describeValue("response_mode", mode)+" is not supported for a code: use "+strings.Join(oauth.ResponseModes(), " or ")+".")
	case isTooLarge(v):
		return refuse("invalid_request", "The parameters of a request may have 16 KiB together.")
	case len(v.Get("state")) > maxState || len(v.Get("nonce")) > maxState:
		return refuse("invalid_request", "state and nonce may have 2048 bytes each.")
	case v.Has("registration"):
		return refuse("registration_not_supported", "The registration parameter is not supported.")
	}
	for _, check := range []func(context.Context, *request) *Error{p.checkScope, p.checkChallenge, p.checkPrompt, p.checkHint, p.checkClaims} {
		if err := check(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// checkScope sorts scopes into unknown (ignored), known but not registered for the
// client (refused) and granted, and finds the organization the request names.
func (p *Provider) checkScope(ctx context.Context, q *request) *Error {
	index, err := p.registry.Scopes(ctx)
	if err != nil {
		return protocolError(err)
	}
	q.org.Client, q.org.Parameter = q.client.Organization, q.params.Get("organization")
	asked := strings.Fields(q.params.Get("scope"))
	var e *Error
	if q.resource, e = resourceParam(q.params); e != nil {
		return e
	}
	if q.resource != "" {
		all := scopesAt(index, q.resource, q.client.scopes)
		if len(all) == 0 {
			return errInvalidTarget
		}
		if len(asked) == 0 {
			asked = all
		}
	}
	for _, scope := range asked {
		registered := scope
		if strings.HasPrefix(scope, oauth.ScopeOrgPrefix) {
			registered = oauth.ScopeOrg // org:<slug> needs, and is granted as, org
		}
		audience := index.Audience(scope)
		switch {
		case !oauth.IsStandardScope(registered) && audience == nil:
			continue
		case !slices.Contains(q.client.scopes, registered):
			return refuse("invalid_scope", "The scope "+registered+" is not registered for this client.")
		case q.resource != "" && audience != nil && !slices.Contains(audience, q.resource):
			continue // no token of this grant will be for another resource, so the person is not asked for its scopes
		}
		q.org.Scopes = append(q.org.Scopes, scope)
		if !slices.Contains(q.scopes, registered) {
			q.scopes = append(q.scopes, registered)
			q.audience = appendMissing(q.audience, audience...)
		}
	}
	if len(q.scopes) == 0 {
		return refuse("invalid_scope", unknownScopes(asked))
	}
	switch {
	case q.resource != "" && len(scopesAt(index, q.resource, q.scopes)) == 0:
		return errNoResourceScope
	case q.resource != "":
		q.audience = []string{q.resource}
	case len(q.audience) == 0:
		q.audience = []string{p.issuer}
	}
	// Without the grant type there would be no refresh token: do not ask the person for it.
	if !q.client.hasGrantType(oauth.GrantRefreshToken) {
		q.scopes = slices.DeleteFunc(q.scopes, func(s string) bool { return s == oauth.ScopeOfflineAccess })
	}
	return nil
}

// unknownScopes says that a request asks for nothing that is known. Unknown scopes beside known ones are ignored.
func unknownScopes(asked []string) string {
	if len(asked) == 0 {
		return "The request has no scope."
	}
	return describeValue("scope", asked[0]) + " is not known here, and the request asks for no other that is."
}

func appendMissing(list []string, more ...string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// checkChallenge applies the client's require_pkce, and RFC 7636 with S256 alone: a method that is absent means plain.
// A challenge that was sent is checked whatever the registration says.
func (p *Provider) checkChallenge(_ context.Context, q *request) *Error {
	challenge, method := q.params.Get("code_challenge"), q.params.Get("code_challenge_method")
	switch {
	case challenge != "":
	case q.client.Public():
		return refuse("invalid_request", "A public client must use PKCE: send code_challenge and code_challenge_method=S256.")
	case method != "":
		return refuse("invalid_request", "The request has code_challenge_method without a code_challenge.")
	case q.client.Metadata.RequirePKCE == storage.PKCERequired:
		return refuse("invalid_request", "This client must use PKCE: send code_challenge and code_challenge_method=S256, "+
			"or register the client with require_pkce auto or false.")
	case q.client.Metadata.RequirePKCE == storage.PKCEAuto && !q.hasNonce():
		return refuse("invalid_request", "This client must use PKCE or a nonce: send code_challenge and code_challenge_method=S256, "+
			"or a nonce with the scope openid, or register the client with require_pkce false.")
	default:
		return nil
	}
	switch {
	case method != oauth.ChallengeS256:
		return refuse("invalid_request",
			describeValue("code_challenge_method", cmp.Or(method, "plain"))+" is not supported: it must be S256.")
	case !challengeFormat.MatchString(challenge):
		return refuse("invalid_request", "code_challenge must be the base64url SHA-256 of the verifier, 43 characters without padding.")
	}
	return nil
}

// hasNonce reports whether the ID token will let the client tell an injected code from its own.
func (q *request) hasNonce() bool {
	return q.params.Get("nonce") != "" && slices.Contains(q.scopes, oauth.ScopeOpenID)
}

// isUnprotected reports that nothing in the request protects its code from being injected into another sign-in.
func (q *request) isUnprotected() bool { return q.params.Get("code_challenge") == "" && !q.hasNonce() }

func (p *Provider) checkPrompt(_ context.Context, q *request) *Error {
	q.prompt = strings.Fields(q.params.Get("prompt"))
	for _, v := range q.prompt {
		if !slices.Contains(oauth.Prompts(), v) {
			return refuse("invalid_request", describeValue("prompt", v)+" is not known: use "+strings.Join(oauth.Prompts(), ", ")+".")
		}
	}
	if q.prompted(oauth.PromptNone) && len(q.prompt) > 1 {
		return refuse("invalid_request", "prompt=none cannot be combined with other values.")
	}
	if raw := q.params.Get("max_age"); q.params.Has("max_age") {
		seconds, err := strconv.ParseInt(raw, 10, 64)
		if err != nil || strings.HasPrefix(raw, "+") || strings.HasPrefix(raw, "-") {
			return refuse("invalid_request", "max_age must be a whole number of seconds, 0 or more.")
		}
		q.maxAge = time.Duration(min(seconds, math.MaxInt32)) * time.Second
	} else if d := q.client.Metadata.DefaultMaxAge; d != nil {
		q.maxAge = time.Duration(min(*d, math.MaxInt32)) * time.Second
	}
	return nil
}

func (q *request) prompted(value string) bool { return slices.Contains(q.prompt, value) }

// signInAfter is the time before which an auth_time does not count.
func (q *request) signInAfter(requested time.Time) time.Time {
	switch {
	case q.prompted(oauth.PromptLogin) || q.prompted(oauth.PromptSelectAccount):
		return requested
	case q.maxAge >= 0:
		return requested.Add(-q.maxAge)
	}
	return time.Time{}
}

func (p *Provider) checkHint(_ context.Context, q *request) *Error {
	q.org.PromptNone = q.prompted(oauth.PromptNone)
	if raw := q.params.Get("id_token_hint"); raw != "" {
		hint, err := p.readHint(raw)
		if err != nil {
			return refuse("invalid_request", "The id_token_hint is not an ID token of this server.").because(err)
		}
		q.tokenHint = hint
	}
	if q.tokenHint != nil {
		q.org.Hint, q.subjects = q.tokenHint.Organization, []string{q.tokenHint.Subject}
	}
	return nil
}

// restrictSubjects returns those of subjects that are among values; all values if subjects is nil.
func restrictSubjects(subjects, values []string) []string {
	if subjects == nil {
		return values
	}
	return slices.DeleteFunc(slices.Clone(subjects), func(sub string) bool { return !slices.Contains(values, sub) })
}

// checkClaims reads acr_values and the claims parameter (OpenID Connect Core 1.0, section 5.5).
func (p *Provider) checkClaims(_ context.Context, q *request) *Error {
	q.consentScopes = q.scopes
	q.acr = strings.Fields(q.params.Get("acr_values"))
	if len(q.acr) == 0 {
		q.acr = q.client.Metadata.DefaultACRValues
	}
	raw := q.params.Get("claims")
	if raw == "" {
		return nil
	}
	asked, err := parseClaimsRequest(raw)
	if err != nil {
		return refuse("invalid_request", "The claims parameter is not the JSON object that OpenID Connect Core 1.0, section 5.5 describes.").because(err)
	}
	if acr, ok := asked.IDToken["acr"]; ok && acr != nil {
		if values := acr.stringValues(); len(values) > 0 {
			q.acr, q.acrEssential = values, acr.Essential
		}
	}
	for _, part := range []map[string]*claimRequest{asked.IDToken, asked.Userinfo} {
		sub := part["sub"]
		if sub == nil || sub.Value == nil && len(sub.Values) == 0 {
			continue
		}
		if q.subjects = restrictSubjects(q.subjects, sub.stringValues()); len(q.subjects) == 0 {
			return refuse("login_required", "id_token_hint and the sub that claims asks for leave nobody who could sign in.")
		}
	}
	q.consentScopes = appendMissing(slices.Clone(q.scopes), asked.permit(q.client.scopes)...)
	kept, err := json.Marshal(asked)
	if err != nil {
		return errServer.because(err)
	}
	q.claims = string(kept)
	return nil
}

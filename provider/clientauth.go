package provider

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// maxAssertion is how far ahead an assertion may expire, and how long its jti is kept.
const maxAssertion = 5 * time.Minute

// assertionLeeway is what clocks of clients may be off.
const assertionLeeway = 30 * time.Second

// credentials are how a request says who its client is: one method and no other
// (RFC 6749, section 2.3).
type credentials struct {
	method string
	id     string
	// secrets are the ways to read the secret that was sent; of Basic there are
	// two, for clients that do not encode it (RFC 6749, section 2.3.1).
	secrets   []string
	assertion string
}

// authenticate returns the enabled client of a request to the endpoint at path, or
// errInvalidClient whatever is wrong.
func (p *Provider) authenticate(ctx context.Context, r *http.Request, form url.Values, path string) (*client, error) {
	cred, err := readCredentials(r, form)
	if err != nil {
		return nil, err
	}
	if cred.assertion != "" && cred.id == "" {
		cred.id = unverifiedSubject(cred.assertion)
	}
	c, err := p.requestClient(ctx, cred.id)
	if err != nil {
		return nil, replace(err, errUnknownClient, errInvalidClient.because(err))
	}
	// Both forms of a secret show the server the same, and a library chooses between them: either is accepted.
	if registered := c.authMethod(); cred.method != registered && !(oauth.UsesSecret(cred.method) && oauth.UsesSecret(registered)) {
		return nil, errInvalidClient.because(errors.New("the client used " + cred.method + " and is registered for " + registered))
	}
	switch cred.method {
	case oauth.AuthNone:
	case oauth.AuthPrivateKeyJWT:
		if err := p.checkAssertion(ctx, c, cred.assertion, path); err != nil {
			return nil, err
		}
		notesOf(ctx).authenticated = true
	default:
		if err := p.checkSecret(ctx, c, cred.secrets); err != nil {
			return nil, err
		}
		notesOf(ctx).authenticated = true
		return c, nil
	}
	p.identity.Clients.NoteUse(c.ID)
	return c, nil
}

// authMethod is the registered one; client_secret_basic if none is named (RFC 7591, section 2).
func (c *client) authMethod() string {
	return cmp.Or(c.Metadata.TokenEndpointAuthMethod, oauth.AuthSecretBasic)
}

func readCredentials(r *http.Request, form url.Values) (*credentials, error) {
	header := r.Header.Values("Authorization")
	// A parameter without a value counts as omitted (RFC 6749, section 3.2); public clients do send client_secret= .
	hasSecret := form.Get("client_secret") != ""
	hasAssertion := form.Get("client_assertion") != "" || form.Get("client_assertion_type") != ""
	methods := 0
	for _, used := range []bool{len(header) > 0, hasSecret, hasAssertion} {
		if used {
			methods++
		}
	}
	id := form.Get("client_id")
	switch {
	case methods > 1 || len(header) > 1:
		return nil, refuse("invalid_request", "The request authenticates the client in more than one way.")
	case len(header) == 1:
		return readBasic(header[0], id)
	case hasSecret:
		return &credentials{method: oauth.AuthSecretPost, id: id, secrets: []string{form.Get("client_secret")}}, nil
	case hasAssertion:
		if form.Get("client_assertion_type") != assertionType || form.Get("client_assertion") == "" {
			return nil, errInvalidClient.because(errors.New("client_assertion or its type is missing or unknown"))
		}
		return &credentials{method: oauth.AuthPrivateKeyJWT, id: id, assertion: form.Get("client_assertion")}, nil
	case id == "":
		return nil, errInvalidClient.because(errors.New("the request names no client"))
	}
	return &credentials{method: oauth.AuthNone, id: id}, nil
}

// readBasic decodes HTTP Basic credentials, which are form-encoded inside (RFC 6749, section 2.3.1).
func readBasic(header, formID string) (*credentials, error) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return nil, errInvalidClient.because(errors.New("the Authorization header is not Basic"))
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return nil, errInvalidClient.because(errors.New("the Basic credentials are not base64"))
	}
	id, pass, ok := strings.Cut(string(raw), ":")
	if !ok {
		return nil, errInvalidClient.because(errors.New("the Basic credentials have no colon"))
	}
	decodedID, err := url.QueryUnescape(id)
	if err != nil {
		decodedID = id
	}
	secrets := []string{pass}
	if decoded, err := url.QueryUnescape(pass); err == nil && decoded != pass {
		secrets = []string{decoded, pass}
	}
	if formID != "" && formID != decodedID {
		return nil, refuse("invalid_request", "client_id and the Authorization header name two clients.")
	}
	return &credentials{method: oauth.AuthSecretBasic, id: decodedID, secrets: secrets}, nil
}

// checkSecret verifies a secret. A correct one always passes, and wrong ones are
// counted against the client. Past the limit nothing is compared with a secret that
// still waits for its first use as a PHC string: each guess would cost a slow hash.
func (p *Provider) checkSecret(ctx context.Context, c *client, secrets []string) error {
	known := c.Client
	if slices.ContainsFunc(known.Secrets, slow) && p.failures.ClientBlocked(c.ID) != nil {
		fast := *known
		fast.Secrets = slices.DeleteFunc(slices.Clone(known.Secrets), slow)
		known = &fast
	}
	for _, s := range secrets {
		if s == "" {
			continue
		}
		ok, err := p.identity.Clients.VerifySecret(ctx, known, s)
		if err != nil {
			return err
		}
		if ok {
			return nil
		}
	}
	if err := p.failures.ClientFailure(ctx, c.ID); err != nil {
		return err
	}
	return errInvalidClient.because(errors.New("the client secret is wrong"))
}

// slow reports whether a stored secret takes a slow hash to compare with.
func slow(k storage.ClientSecret) bool { return len(k.MAC) == 0 }

// assertionClaims are those of a client assertion (RFC 7523, section 3).
type assertionClaims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience oneOrAll `json:"aud"`
	ID       string   `json:"jti"`
	Expires  float64  `json:"exp"`
	Issued   float64  `json:"iat"`
	From     float64  `json:"nbf"`
}

// oneOrAll reads an audience, which is a string or a list of them.
type oneOrAll []string

func (o *oneOrAll) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*o = oneOrAll{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(o))
}

// unverifiedSubject names the client whose key an assertion is to be checked with.
func unverifiedSubject(assertion string) string {
	parts := strings.Split(assertion[:min(len(assertion), maxJWS)], ".")
	if len(parts) != 3 {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var c assertionClaims
	if json.Unmarshal(raw, &c) != nil {
		return ""
	}
	return c.Subject
}

// checkAssertion verifies private_key_jwt (RFC 7523, section 3). Its jti is spent
// last, so that an assertion that fails otherwise does not use one up.
func (p *Provider) checkAssertion(ctx context.Context, c *client, assertion string, path string) error {
	payload, err := p.verifyClientJWS(ctx, c, assertion, c.Metadata.TokenEndpointAuthSigningAlg)
	if err != nil {
		return errInvalidClient.because(err)
	}
	var a assertionClaims
	if err := json.Unmarshal(payload, &a); err != nil {
		return errInvalidClient.because(err)
	}
	audiences := []string{p.issuer, p.issuer + pathToken}
	if path == pathPushed {
		audiences = append(audiences, p.issuer+path)
	}
	now := p.now()
	expires := unixFloat(a.Expires)
	var wrong string
	switch {
	case a.Issuer != c.ID || a.Subject != c.ID:
		wrong = "iss and sub must both be the client_id"
	case len(a.Audience) != 1 || !slices.Contains(audiences, a.Audience[0]):
		wrong = "aud must be exactly one value: the issuer or the token endpoint"
	case a.ID == "" || len(a.ID) > 255:
		wrong = "jti is missing or too long"
	case a.Expires == 0 || !now.Before(expires.Add(assertionLeeway)):
		wrong = "exp is missing or past"
	case expires.After(now.Add(maxAssertion + assertionLeeway)):
		wrong = "exp is more than five minutes ahead"
	case a.Issued != 0 && unixFloat(a.Issued).After(now.Add(assertionLeeway)),
		a.From != 0 && unixFloat(a.From).After(now.Add(assertionLeeway)):
		wrong = "iat or nbf is in the future"
	}
	if wrong != "" {
		return errInvalidClient.because(errors.New("client assertion: " + wrong))
	}
	err = p.store.SpendID(ctx, secret.HashOf("assertion\x00"+c.ID+"\x00"+a.ID), expires.Add(assertionLeeway))
	return replace(err, storage.ErrSpent, errInvalidClient.because(errors.New("client assertion: jti was used before")))
}

// unixFloat is a NumericDate (RFC 7519, section 2), kept within what a time can hold.
func unixFloat(seconds float64) time.Time {
	return time.Unix(int64(min(max(seconds, 0), 1<<40)), 0)
}

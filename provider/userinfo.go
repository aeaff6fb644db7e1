package provider

import (
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/web"
)

// userinfo tells about the person of an access token (OpenID Connect Core 1.0,
// section 5.3): JSON, or a signed JWT for clients registered for that.
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	raw, err := requestToken(r)
	if err != nil {
		return err
	}
	t, err := p.lookupToken(ctx, raw)
	if err != nil {
		return replace(err, errInactive, errInvalidToken.because(err))
	}
	if t.token.GrantID == uuid.Nil || !slices.Contains(t.token.Scopes, oauth.ScopeOpenID) {
		return refuse("insufficient_scope", "The access token does not have the scope openid.")
	}
	c, err := p.client(ctx, t.token.ClientID)
	if err != nil {
		return replace(err, errUnknownClient, errInvalidToken.because(err))
	}
	web.AllowOrigin(w, r, c.allowsOrigin)
	claims := userinfoClaims(c, t.auth, t.token.Scopes)
	alg := c.Metadata.UserinfoSignedResponseAlg
	if alg == "" {
		return respondJSON(w, http.StatusOK, claims)
	}
	claims["iss"], claims["aud"] = p.issuer, c.ID
	jwt, err := p.sign(alg, keys.TypeUserInfo, claims)
	if err != nil {
		return err
	}
	return respondBody(w, http.StatusOK, "application/jwt", []byte(jwt))
}

package provider

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/ory/fosite"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// The prefixes tell the kinds of tokens apart before anything is looked up, and let
// scanners find leaked ones.
const (
	accessPrefix  = "sp_at_"
	refreshPrefix = "sp_rt_"
	codePrefix    = "sp_ac_"
)

// isWellFormed reports whether token has a prefix followed by 43 base64url characters.
func isWellFormed(token, prefix string) bool {
	rest, ok := strings.CutPrefix(token, prefix)
	return ok && len(rest) == 43 && strings.Trim(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// strategy makes codes and tokens for fosite. They are 256 random bits; what
// fosite calls a signature is the token itself.
type strategy struct{ p *Provider }

func (*strategy) GenerateAuthorizeCode(context.Context, fosite.Requester) (string, string, error) {
	code := secret.NewToken(codePrefix)
	return code, code, nil
}

func (*strategy) AuthorizeCodeSignature(_ context.Context, code string) string { return code }

// ValidateAuthorizeCode has nothing left to do: the row was found by its hash.
func (*strategy) ValidateAuthorizeCode(context.Context, fosite.Requester, string) error { return nil }

// GenerateAccessToken makes an opaque token, or a JWT for clients registered for those.
// A JWT has no row.
func (s *strategy) GenerateAccessToken(ctx context.Context, r fosite.Requester) (token, signature string, err error) {
	t := tokenRequestOf(ctx)
	t.access = t.newAccessToken(r)
	if t.client.Metadata.AccessTokenFormat == "jwt" {
		t.accessToken, err = s.p.jwtAccessToken(ctx, t)
	} else {
		t.accessToken = secret.NewToken(accessPrefix)
		t.access.Hash, t.redemption.Access = secret.HashOf(t.accessToken), t.access
	}
	return t.accessToken, t.accessToken, err
}

func (p *Provider) jwtAccessToken(ctx context.Context, t *tokenRequest) (string, error) {
	auth := t.auth
	if auth == nil {
		auth = &storage.Authorization{}
		if t.client.Organization != uuid.Nil {
			o, err := p.clientOrganization(ctx, t.client)
			if err != nil {
				return "", err
			}
			auth.Organization = o
		}
	}
	granted, err := p.grantedScopes(ctx, t.access, auth)
	if err != nil {
		return "", err
	}
	claims := p.accessTokenClaims(t.client, auth, t.access, granted, uuid.NewString())
	return p.sign(t.client.idTokenAlg(), keys.TypeAccessToken, claims)
}

func (*strategy) AccessTokenSignature(_ context.Context, token string) string { return token }

func (*strategy) ValidateAccessToken(context.Context, fosite.Requester, string) error {
	return errUnused
}

// GenerateRefreshToken makes the first refresh token of a grant.
func (*strategy) GenerateRefreshToken(ctx context.Context, _ fosite.Requester) (string, string, error) {
	token, t := secret.NewToken(refreshPrefix), tokenRequestOf(ctx)
	t.redemption.Refresh = t.newRefreshToken(token)
	return token, token, nil
}

func (*strategy) RefreshTokenSignature(_ context.Context, token string) string { return token }

func (*strategy) ValidateRefreshToken(context.Context, fosite.Requester, string) error {
	return errUnused
}

// GenerateIDToken signs the ID token of an exchange from the authorization that
// this request has read.
func (s *strategy) GenerateIDToken(ctx context.Context, _ time.Duration, r fosite.Requester) (string, error) {
	t, sess := tokenRequestOf(ctx), r.GetSession().(*grantSession)
	if sess.auth.Grant.ID == uuid.Nil {
		return "", errors.New("an ID token needs an authorization")
	}
	alg := t.client.idTokenAlg()
	claims := s.p.idTokenClaims(t.client, sess.auth, r.GetGrantedScopes(), sess.nonce, atHash(alg, t.accessToken), t.now)
	return s.p.sign(alg, keys.TypeIDToken, claims)
}

// atHash is at_hash of OpenID Connect Core 1.0, section 3.1.3.6: the left half of
// the hash that belongs to alg; for EdDSA that is SHA-512.
func atHash(alg, accessToken string) string {
	if alg == oauth.EdDSA {
		sum := sha512.Sum512([]byte(accessToken))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// sign makes a JWT of claims.
func (p *Provider) sign(alg, typ string, claims map[string]any) (string, error) {
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return p.keys.SignJWT(alg, typ, body)
}

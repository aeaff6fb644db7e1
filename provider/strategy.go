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
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// The prefixes tell a kind of token from the others before anything is looked up,
// and make leaked ones findable.
const (
	accessPrefix  = "sp_at_"
	refreshPrefix = "sp_rt_"
	codePrefix    = "sp_ac_"
)

// wellFormed reports whether token has a prefix followed by 43 base64url characters.
func wellFormed(token, prefix string) bool {
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
func (s *strategy) GenerateAccessToken(ctx context.Context, r fosite.Requester) (string, string, error) {
	u := unitOf(ctx)
	var err error
	if u.jwt = u.client.Metadata.AccessTokenFormat == "jwt"; u.jwt {
		u.accessToken, err = s.p.jwtAccessToken(ctx, u, u.newAccessToken(r))
	} else {
		u.accessToken = secret.NewToken(accessPrefix)
	}
	return u.accessToken, u.accessToken, err
}

func (p *Provider) jwtAccessToken(ctx context.Context, u *unit, t *storage.AccessToken) (string, error) {
	auth := u.auth
	if auth == nil {
		auth = &storage.Authorization{}
		if u.client.Organization != uuid.Nil {
			o, err := p.clientOrganization(ctx, u.client)
			if err != nil {
				return "", err
			}
			auth.Organization = o
		}
	}
	granted, err := p.grantedScopes(ctx, t, auth)
	if err != nil {
		return "", err
	}
	return p.sign(u.client.idTokenAlg(), keys.TypeAccessToken, p.accessTokenClaims(u.client, auth, t, granted, uuid.NewString()))
}

func (*strategy) AccessTokenSignature(_ context.Context, token string) string { return token }

func (*strategy) ValidateAccessToken(context.Context, fosite.Requester, string) error {
	return errUnused
}

func (*strategy) GenerateRefreshToken(context.Context, fosite.Requester) (string, string, error) {
	token := secret.NewToken(refreshPrefix)
	return token, token, nil
}

func (*strategy) RefreshTokenSignature(_ context.Context, token string) string { return token }

func (*strategy) ValidateRefreshToken(context.Context, fosite.Requester, string) error {
	return errUnused
}

// GenerateIDToken signs the ID token of an exchange from the authorization that
// this request has read.
func (s *strategy) GenerateIDToken(ctx context.Context, _ time.Duration, r fosite.Requester) (string, error) {
	u, sess := unitOf(ctx), r.GetSession().(*grantSession)
	if sess.auth.Grant.ID == uuid.Nil {
		return "", errors.New("an ID token needs an authorization")
	}
	alg := u.client.idTokenAlg()
	claims := s.p.idTokenClaims(u.client, sess.auth, r.GetGrantedScopes(), sess.nonce, atHash(alg, u.accessToken), u.now)
	return s.p.sign(alg, keys.TypeIDToken, claims)
}

// atHash is at_hash of OpenID Connect Core 1.0, section 3.1.3.6: the left half of
// the hash that belongs to alg; for EdDSA that is SHA-512.
func atHash(alg, accessToken string) string {
	if alg == "EdDSA" {
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

package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

// The Type constants say what a signed token is for: its typ header (RFC 8725 section 3.11). Verify compares
// it, so that no token passes for one of another kind.
const (
	TypeIDToken       = "JWT"
	TypeAccessToken   = "at+jwt"                  // RFC 9068
	TypeLogoutToken   = "logout+jwt"              // OpenID Connect Back-Channel Logout 1.0
	TypeIntrospection = "token-introspection+jwt" // RFC 9701
	TypeUserInfo      = "userinfo+jwt"
)

// Algorithms returns names of algorithms as the allow-list that go-jose requires.
func Algorithms(names []string) []jose.SignatureAlgorithm {
	algs := make([]jose.SignatureAlgorithm, len(names))
	for n, name := range names {
		algs[n] = jose.SignatureAlgorithm(name)
	}
	return algs
}

var types = []string{TypeIDToken, TypeAccessToken, TypeLogoutToken, TypeIntrospection, TypeUserInfo}

// clockLeeway is how far the clocks and the knowledge of two nodes may be apart: the
// one that signs, and the one that verifies or has replaced the key.
const clockLeeway = 5 * time.Second

// maxToken bounds what Verify looks at, in bytes.
const maxToken = 16 << 10

// ErrToken: the token was not signed by this installation, or not with an
// algorithm that the caller accepts. Its text says why, for logs; never tell the sender.
var ErrToken = errors.New("not a token of ours")

// ErrRevoked: the token was signed by a key that was revoked since, so by anybody.
var ErrRevoked = errors.New("the key that signed it was revoked")

// maxVerified is how many tokens are remembered whose signature is good.
const maxVerified = 1024

// Token is what Verify found. Nothing in its claims has been checked. It is shared: do not change it.
type Token struct {
	KID    string
	Alg    string
	Type   string // the typ header as it was signed
	Claims []byte // a JSON object
}

// SignJWT returns claims, a JSON object, as a JWT in compact form (RFC 7519)
// signed by the active key of alg. typ is one of the Type constants.
func (k *Keyset) SignJWT(alg, typ string, claims []byte) (string, error) {
	p := k.current.Load().signers[alg]
	if p == nil || p.private == nil {
		return "", fmt.Errorf("keys: there is no key to sign %q with", alg)
	}
	header, ok := p.headers[typ]
	if !ok {
		return "", fmt.Errorf("keys: %q is not a type of token", typ)
	}
	// Room for an RSA-2048 signature, so that the token is built in one piece.
	token := make([]byte, 0, len(header)+base64.RawURLEncoding.EncodedLen(len(claims))+1+base64.RawURLEncoding.EncodedLen(256))
	token = append(token, header...)
	token = base64.RawURLEncoding.AppendEncode(token, claims)
	signature, err := sign(p.private, token)
	if err != nil {
		return "", fmt.Errorf("keys: sign: %w", err)
	}
	return string(base64.RawURLEncoding.AppendEncode(append(token, '.'), signature)), nil
}

// sign makes a JWS signature (RFC 7518 sections 3.3 and 3.4, RFC 8037 section 3.1).
func sign(private crypto.Signer, input []byte) ([]byte, error) {
	switch private := private.(type) {
	case *rsa.PrivateKey:
		sum := sha256.Sum256(input)
		return rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		sum := sha256.Sum256(input)
		r, s, err := ecdsa.Sign(rand.Reader, private, sum[:])
		if err != nil {
			return nil, err
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signature, nil
	case ed25519.PrivateKey:
		return ed25519.Sign(private, input), nil
	}
	return nil, fmt.Errorf("a %T does not sign", private)
}

// Verify checks that this installation signed token as one of the type typ, and
// returns what it says; the caller checks exp. ErrToken otherwise. The key is found by
// its id alone; keys and algorithms that the token brings along are not looked at.
//
// Which keys count depends on what the token is for. An ID token comes back as a hint
// only, so one of an archived key does too. Everything else grants something: the key
// must sign, or have signed when the token was issued, so that a key that others have
// learned is of no use to them once it is replaced. A revoked key never counts: ErrRevoked.
func (k *Keyset) Verify(token, typ string) (*Token, error) {
	t, err := k.verifySignature(token)
	if err != nil {
		return nil, err
	}
	p := k.current.Load().byKID[t.KID]
	switch {
	case p == nil:
		return nil, fmt.Errorf("%w: its key is gone", ErrToken)
	case t.Type != typ:
		return nil, fmt.Errorf("%w: it is of another type", ErrToken)
	case p.row.State == storage.KeyRevoked:
		return nil, ErrRevoked
	case typ != TypeIDToken && !p.signedAt(k.clock(), t.Claims):
		return nil, fmt.Errorf("%w: its key does not sign, or did not when the token says that it was issued", ErrToken)
	}
	return t, nil
}

// verifySignature checks a token against the key that its header names. A good signature
// is remembered, because resource servers ask about the same token again and again; the
// state of its key is not, so that Verify sees each change of it.
func (k *Keyset) verifySignature(token string) (*Token, error) {
	if len(token) > maxToken {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrToken, maxToken)
	}
	digest := sha256.Sum256([]byte(token))
	if t, ok := k.verified.Get(digest); ok {
		return t, nil
	}
	jws, err := jose.ParseSignedCompact(token, Algorithms(oauth.SigningAlgs()))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	h := jws.Signatures[0].Header
	p := k.current.Load().byKID[h.KeyID]
	switch {
	case p == nil:
		return nil, fmt.Errorf("%w: no such key", ErrToken)
	case h.Algorithm != p.row.Alg:
		return nil, fmt.Errorf("%w: the algorithm is not the key's", ErrToken)
	case h.ExtraHeaders["crit"] != nil || h.ExtraHeaders["b64"] != nil:
		// RFC 7515 section 4.1.11: an extension that is not understood refuses the token, and none is here.
		return nil, fmt.Errorf("%w: the header demands an extension", ErrToken)
	case !isCanonical(token):
		return nil, fmt.Errorf("%w: it is not base64url in its one spelling", ErrToken)
	}
	claims, err := jws.Verify(p.public.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: the signature is wrong", ErrToken)
	}
	t := &Token{KID: h.KeyID, Alg: h.Algorithm, Claims: claims}
	t.Type, _ = h.ExtraHeaders[jose.HeaderType].(string)
	k.verified.Add(digest, t)
	return t, nil
}

// isCanonical reports whether each part of a token is spelled as an encoder would: two
// spellings of one token would be two tokens to a list of them. go-jose decodes both.
func isCanonical(token string) bool {
	for part := range strings.SplitSeq(token, ".") {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return false
		}
	}
	return !strings.ContainsAny(token, "\r\n")
}

// signedAt reports whether the key may have signed a token with these claims by now.
func (p *keyPair) signedAt(now time.Time, claims []byte) bool {
	switch p.row.State {
	case storage.KeyActive:
		return true
	case storage.KeyPending: // another node may have activated it a moment ago
		return !now.Before(p.row.ActivatesAt.Add(-clockLeeway))
	case storage.KeyRetired:
		var c struct {
			Issued int64 `json:"iat"`
		}
		return json.Unmarshal(claims, &c) == nil && c.Issued > 0 && c.Issued <= p.row.RetiredAt.Add(clockLeeway).Unix()
	}
	return false
}

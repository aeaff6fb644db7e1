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
	"math/big"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// What a signed token is for: its typ header (RFC 8725 section 3.11). Whoever
// verifies a token compares it, so that none passes for one of another kind.
const (
	TypeIDToken       = "JWT"
	TypeAccessToken   = "at+jwt"                  // RFC 9068
	TypeLogoutToken   = "logout+jwt"              // OpenID Connect Back-Channel Logout 1.0
	TypeIntrospection = "token-introspection+jwt" // RFC 9701
	TypeUserInfo      = "userinfo+jwt"
)

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

// Token is what Verify found. Nothing in its claims has been checked.
type Token struct {
	KID    string
	Alg    string
	Type   string // the typ header as it was signed
	Claims []byte // a JSON object
}

// base64url is strict: two spellings of one token would be two tokens to a list of revoked ones.
var base64url = base64.RawURLEncoding.Strict()

// SignJWT returns claims, a JSON object, as a JWT in compact form (RFC 7519)
// signed by the active key of alg. typ is one of the Type constants.
func (k *Keyset) SignJWT(alg, typ string, claims []byte) (string, error) {
	p := k.now.Load().signers[alg]
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
	if len(token) > maxToken {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrToken, maxToken)
	}
	head, rest, _ := strings.Cut(token, ".")
	body, tail, ok := strings.Cut(rest, ".")
	if !ok || strings.ContainsAny(tail, ".") || strings.ContainsAny(token, "\r\n") {
		return nil, fmt.Errorf("%w: not three parts", ErrToken)
	}
	h, err := parseHeader(head)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	p := k.now.Load().byKID[h.KID]
	switch {
	case p == nil:
		return nil, fmt.Errorf("%w: no such key", ErrToken)
	case h.Alg != p.row.Alg:
		return nil, fmt.Errorf("%w: the algorithm is not the key's", ErrToken)
	case h.Typ != typ:
		return nil, fmt.Errorf("%w: it is of another type", ErrToken)
	}
	signature, err := base64url.DecodeString(tail)
	if err != nil || !verify(p.public.Key, []byte(token[:len(head)+1+len(body)]), signature) {
		return nil, fmt.Errorf("%w: the signature is wrong", ErrToken)
	}
	claims, err := base64url.DecodeString(body)
	if err != nil {
		return nil, fmt.Errorf("%w: the claims are not base64url", ErrToken)
	}
	if p.row.State == storage.KeyRevoked {
		return nil, ErrRevoked
	}
	if typ != TypeIDToken && !p.signedAt(k.clock(), claims) {
		return nil, fmt.Errorf("%w: its key does not sign, or did not when the token says that it was issued", ErrToken)
	}
	return &Token{KID: h.KID, Alg: h.Alg, Type: h.Typ, Claims: claims}, nil
}

// signedAt reports whether the key may have signed a token with these claims by now.
func (p *pair) signedAt(now time.Time, claims []byte) bool {
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

type header struct {
	Alg  string          `json:"alg"`
	KID  string          `json:"kid"`
	Typ  string          `json:"typ"`
	Crit json.RawMessage `json:"crit"`
	B64  json.RawMessage `json:"b64"`
}

func parseHeader(encoded string) (header, error) {
	var h header
	raw, err := base64url.DecodeString(encoded)
	if err != nil {
		return h, errors.New("the header is not base64url")
	}
	if err := json.Unmarshal(raw, &h); err != nil {
		return h, errors.New("the header is not JSON")
	}
	// RFC 7515 section 4.1.11: what must be understood and is not, refuses the token. We understand none.
	if h.Crit != nil || h.B64 != nil {
		return h, errors.New("the header demands an extension")
	}
	return h, nil
}

// verify checks a JWS signature against a key that parse has found fit for its algorithm.
func verify(public any, input, signature []byte) bool {
	switch public := public.(type) {
	case *rsa.PublicKey:
		sum := sha256.Sum256(input)
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature) == nil
	case *ecdsa.PublicKey:
		if len(signature) != 64 {
			return false
		}
		sum := sha256.Sum256(input)
		return ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	case ed25519.PublicKey:
		return ed25519.Verify(public, input, signature)
	}
	return false
}

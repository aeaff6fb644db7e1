package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// keyPair is a parsed key. It is immutable.
type keyPair struct {
	row     storage.SigningKey
	public  jose.JSONWebKey
	private crypto.Signer     // nil for a key that does not sign
	headers map[string]string // by typ: the first part of a token, its dot included
}

// isSigning reports whether the key has, or will get, the right to sign.
func (p *keyPair) isSigning() bool {
	return p.row.State == storage.KeyActive || p.row.State == storage.KeyPending
}

// isPublished reports whether relying parties are told about the key.
func (p *keyPair) isPublished() bool { return p.isSigning() || p.row.State == storage.KeyRetired }

// generate makes a key pair. RSA takes a good part of a second: never on a request's path.
func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case oauth.RS256:
		return rsa.GenerateKey(rand.Reader, 2048)
	case oauth.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case oauth.EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("there are no signing keys for %q", alg)
}

// fits reports whether a public key is of the kind and the strength of alg.
func fits(alg string, public any) bool {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return alg == oauth.RS256 && public.N.BitLen() >= 2048
	case *ecdsa.PublicKey:
		return alg == oauth.ES256 && public.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return alg == oauth.EdDSA && len(public) == ed25519.PublicKeySize
	}
	return false
}

// newRow is a fresh key pair as a row of which only the state and its times are missing.
func newRow(alg string, sealer *secret.Sealer) (*storage.SigningKey, error) {
	private, err := generate(alg)
	if err != nil {
		return nil, err
	}
	key := jose.JSONWebKey{Key: private, Algorithm: alg, Use: "sig"}
	if key.KeyID, err = thumbprint(&key); err != nil {
		return nil, err
	}
	public, err := key.Public().MarshalJSON()
	if err != nil {
		return nil, err
	}
	plain, err := key.MarshalJSON()
	if err != nil {
		return nil, err
	}
	sealed, err := sealer.Seal(plain, place(key.KeyID, alg))
	if err != nil {
		return nil, err
	}
	return &storage.SigningKey{KID: key.KeyID, Alg: alg, Public: public, Sealed: sealed}, nil
}

// thumbprint is the key id: RFC 7638 with SHA-256.
func thumbprint(key *jose.JSONWebKey) (string, error) {
	sum, err := key.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// place binds a sealed private half to its row. No part can hold a zero byte.
func place(kid, alg string) []byte {
	return []byte("signing_keys\x00" + kid + "\x00" + alg + "\x00sig")
}

// parse reads the public half of a row, and believes nothing that it says about itself.
func parse(row storage.SigningKey) (*keyPair, error) {
	var key jose.JSONWebKey
	if err := json.Unmarshal(row.Public, &key); err != nil {
		return nil, fmt.Errorf("signing key %s: the public half cannot be read: %w", row.KID, err)
	}
	kid, err := thumbprint(&key)
	if err != nil || kid != row.KID || !key.IsPublic() || !fits(row.Alg, key.Key) {
		return nil, fmt.Errorf("signing key %s: the public half is not that of this %s key", row.KID, row.Alg)
	}
	// Only these members are ever published, whatever the column holds.
	p := &keyPair{row: row, public: jose.JSONWebKey{Key: key.Key, KeyID: row.KID, Algorithm: row.Alg, Use: "sig"}}
	return p, nil
}

// openOnce takes the private half from former, where it was opened already, or opens it.
// A key id is the digest of the key, so what has the same id is the same.
func (p *keyPair) openOnce(sealer *secret.Sealer, former *snapshot) error {
	if former != nil {
		if before := former.byKID[p.row.KID]; before != nil && before.private != nil {
			p.private, p.headers = before.private, before.headers
			return nil
		}
	}
	return p.open(sealer)
}

// open reads the private half, so that the key can sign.
func (p *keyPair) open(sealer *secret.Sealer) error {
	plain, err := sealer.Open(p.row.Sealed, place(p.row.KID, p.row.Alg))
	if errors.Is(err, secret.ErrNoKey) {
		return fmt.Errorf("signing key %s (%s) was sealed under another ENCRYPTION_KEY: put the former key back behind the new one (ENCRYPTION_KEY=new,former), then run `sallyport secrets rotate`: %w",
			p.row.KID, p.row.Alg, err)
	}
	if err != nil {
		return fmt.Errorf("signing key %s (%s) does not open: its row was changed or comes from elsewhere; restore the table signing_keys from a backup: %w", p.row.KID, p.row.Alg, err)
	}
	var key jose.JSONWebKey
	if err := json.Unmarshal(plain, &key); err != nil {
		return fmt.Errorf("signing key %s: the private half cannot be read", p.row.KID) // the cause could quote it
	}
	private, ok := key.Key.(crypto.Signer)
	if !ok || !private.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(p.public.Key) {
		return fmt.Errorf("signing key %s: the two halves do not belong together", p.row.KID)
	}
	p.private, p.headers = private, map[string]string{}
	for _, typ := range types {
		header := fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":%q}`, p.row.Alg, p.row.KID, typ)
		p.headers[typ] = base64.RawURLEncoding.EncodeToString([]byte(header)) + "."
	}
	return nil
}

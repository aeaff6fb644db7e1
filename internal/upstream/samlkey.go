package upstream

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

const (
	samlKeyBits = 3072
	// samlKeyLife is long, because identity providers keep the certificate, and some refuse it after its end.
	samlKeyLife = 10 * 365 * 24 * time.Hour
)

// SAMLKey signs requests to an identity provider and decrypts what it encrypts for this server.
type SAMLKey struct {
	Private     *rsa.PrivateKey
	Certificate *x509.Certificate
}

// NewSAMLKey returns a new key with a certificate that it signs itself, as SAML metadata needs one.
func NewSAMLKey(now time.Time) (SAMLKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, samlKeyBits)
	if err != nil {
		return SAMLKey{}, fmt.Errorf("make a SAML key: %w", err)
	}
	template := &x509.Certificate{SerialNumber: new(big.Int).SetBytes(secret.Random(16)),
		Subject: pkix.Name{CommonName: "Sallyport"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(samlKeyLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return SAMLKey{}, fmt.Errorf("make the certificate of a SAML key: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	return SAMLKey{private, certificate}, err
}

// storedKey is a SAMLKey as it is sealed.
type storedKey struct {
	Private     []byte `json:"private"` // PKCS #8
	Certificate []byte `json:"certificate"`
}

// Seal returns the key encrypted for its connection, with the keys of CA_ENCRYPTION_KEY.
func (k SAMLKey) Seal(sealer *secret.Sealer, connection uuid.UUID) ([]byte, error) {
	private, err := x509.MarshalPKCS8PrivateKey(k.Private)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(storedKey{private, k.Certificate.Raw})
	if err != nil {
		return nil, err
	}
	return sealer.Seal(plain, samlKeyPlace(connection))
}

// OpenSAMLKey returns the key that Seal encrypted for the same connection.
func OpenSAMLKey(sealer *secret.Sealer, connection uuid.UUID, sealed []byte) (SAMLKey, error) {
	plain, err := sealer.Open(sealed, samlKeyPlace(connection))
	if err != nil {
		return SAMLKey{}, err
	}
	var stored storedKey
	if err := json.Unmarshal(plain, &stored); err != nil {
		return SAMLKey{}, errors.New("the sealed SAML key cannot be read")
	}
	private, err := x509.ParsePKCS8PrivateKey(stored.Private)
	if err != nil {
		return SAMLKey{}, errors.New("the sealed SAML key cannot be read")
	}
	key, ok := private.(*rsa.PrivateKey)
	if !ok {
		return SAMLKey{}, errors.New("the sealed SAML key is not an RSA key")
	}
	certificate, err := x509.ParseCertificate(stored.Certificate)
	return SAMLKey{key, certificate}, err
}

// samlKeyPlace binds a sealed key to its connection, so that it cannot be moved to another one.
func samlKeyPlace(connection uuid.UUID) []byte {
	return []byte("saml key of connection " + connection.String())
}

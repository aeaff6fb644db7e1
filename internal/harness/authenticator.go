package harness

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// TOTP is the code of a key in base32 at a time (RFC 6238: SHA-1, 30 s, 6 digits).
func TOTP(t testing.TB, key string, at time.Time) string {
	t.Helper()
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(key)
	if err != nil {
		t.Fatalf("%q is no key: %v", key, err)
	}
	mac := hmac.New(sha1.New, raw)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(at.Unix())/30))
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[offset:])&0x7fffffff)%1_000_000)
}

// Phone is an authenticator app with the recovery codes that came with it.
type Phone struct {
	Key           string // base32
	RecoveryCodes []string

	clock *Clock
}

// Code is what the app shows for the next 30 seconds, after those of before: each
// counts once.
func (p *Phone) Code(t testing.TB) string {
	t.Helper()
	p.clock.Advance(30 * time.Second)
	return TOTP(t, p.Key, p.clock.Now())
}

// Phone enrols an authenticator app for a person. Their sessions end.
func (s *Server) Phone(t testing.TB, who Person) *Phone {
	t.Helper()
	w := s.who(t, who)
	begun, err := s.App.Factors.BeginTOTP(t.Context(), w, "Phone")
	if err != nil {
		t.Fatal(err)
	}
	p := &Phone{Key: begun.Secret, clock: s.Clock}
	added, err := s.App.Factors.ConfirmTOTP(t.Context(), w, p.Code(t), "")
	if err != nil {
		t.Fatal(err)
	}
	p.RecoveryCodes = added.RecoveryCodes
	return p
}

// SecurityKey enrols a new authenticator for a person. Their sessions end. The
// server's issuer must have a name.
func (s *Server) SecurityKey(t testing.TB, who Person) *Authenticator {
	t.Helper()
	w, a := s.who(t, who), s.Authenticator(t)
	options, err := s.App.Factors.BeginWebAuthn(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	added, err := s.App.Factors.ConfirmWebAuthn(t.Context(), w, "Key", json.RawMessage(a.Create(t, options)))
	if err != nil {
		t.Fatal(err)
	}
	a.RecoveryCodes = added.RecoveryCodes
	return a
}

// who is a person in no session: all of theirs end.
func (s *Server) who(t testing.TB, who Person) factor.Subject {
	t.Helper()
	return factor.Subject{User: s.User(t, who), SessionHash: secret.HashOf(secret.NewToken(""))}
}

// User reads a person.
func (s *Server) User(t testing.TB, who Person) *storage.User {
	t.Helper()
	key, err := identity.EmailKey(who.Email)
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.App.Store.UserByEmail(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Authenticator is a passkey or security key that confirms whatever it is asked,
// with user verification unless Options say otherwise. It belongs to whoever
// created a credential with it.
type Authenticator struct {
	Origin, RPID string
	Options      virtualwebauthn.AuthenticatorOptions
	// RecoveryCodes came with it, if it was the person's first second step.
	RecoveryCodes []string

	credential virtualwebauthn.Credential
}

// Authenticator returns a new one for this server's pages.
func (s *Server) Authenticator(t testing.TB) *Authenticator {
	t.Helper()
	return NewAuthenticator(t, s.Issuer)
}

// NewAuthenticator returns a new one for an issuer's pages.
func NewAuthenticator(t testing.TB, issuer string) *Authenticator {
	t.Helper()
	u, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	return &Authenticator{Origin: issuer, RPID: u.Hostname(), credential: newCredential()}
}

// coseKeyBytes is the length of a P-256 key in COSE, whose coordinates have 32 bytes
// each (RFC 9053, section 7.1.1).
const coseKeyBytes = 77

// newCredential makes a key that is rightly encoded: virtualwebauthn leaves out the
// zeros that a coordinate in 128 begins with, and no server takes that.
func newCredential() virtualwebauthn.Credential {
	for {
		c := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
		if len(c.Key.AttestationData()) == coseKeyBytes {
			return c
		}
	}
}

// Create answers the argument of navigator.credentials.create with the JSON of a credential.
func (a *Authenticator) Create(t testing.TB, options []byte) string {
	t.Helper()
	asked, err := virtualwebauthn.ParseAttestationOptions(string(options))
	if err != nil {
		t.Fatalf("%v: %s", err, options)
	}
	a.Options.UserHandle = []byte(asked.UserID)
	return virtualwebauthn.CreateAttestationResponse(a.party(), a.authenticator(), a.credential, *asked)
}

// Get answers the argument of navigator.credentials.get with the JSON of a credential.
func (a *Authenticator) Get(t testing.TB, options []byte) string {
	t.Helper()
	asked, err := virtualwebauthn.ParseAssertionOptions(string(options))
	if err != nil {
		t.Fatalf("%v: %s", err, options)
	}
	return virtualwebauthn.CreateAssertionResponse(a.party(), a.authenticator(), a.credential, *asked)
}

func (a *Authenticator) party() virtualwebauthn.RelyingParty {
	return virtualwebauthn.RelyingParty{ID: a.RPID, Origin: a.Origin}
}

func (a *Authenticator) authenticator() virtualwebauthn.Authenticator {
	return virtualwebauthn.NewAuthenticatorWithOptions(a.Options)
}

// Ceremony does what passkey.js does with a form of a page: it asks for the
// challenge, has the authenticator answer it, and sends the form.
func (b *Browser) Ceremony(t testing.TB, f *Form, a *Authenticator, set ...string) *Page {
	t.Helper()
	return b.Submit(t, f, append(set, "credential", b.Answer(t, f, a))...)
}

// Answer is what the authenticator says to the challenge of a form.
func (b *Browser) Answer(t testing.TB, f *Form, a *Authenticator) string {
	t.Helper()
	p := b.Post(t, f.Begin, url.Values{"csrf": {f.Values.Get("csrf")}})
	if p.Status != http.StatusOK {
		t.Fatalf("%s answers %d: %s", f.Begin, p.Status, p.Body)
	}
	if f.WebAuthn == "create" {
		return a.Create(t, []byte(p.Body))
	}
	return a.Get(t, []byte(p.Body))
}

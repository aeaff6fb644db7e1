package factor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	maxAnswer       = 64 << 10
	maxCredentialID = 1023 // WebAuthn Level 3 section 7.1, step 25
)

// amrPresence says that the user touched the authenticator (RFC 8176 section 2).
const amrPresence = "user"

// authenticators are WebAuthn authenticators. There is one origin and one RP ID, those of the issuer, so that a
// credential for another host is not accepted.
type authenticators struct {
	store      *storage.Store
	library    *webauthn.WebAuthn
	challenges challenges
	origin     string
	name       func() string // of this site, as authenticators show it
	now        func() time.Time
}

// newAuthenticators returns nil if the issuer's host is an IP address, which cannot be an RP ID.
func newAuthenticators(store *storage.Store, c challenges, issuer *url.URL, name func() string,
	now func() time.Time) (*authenticators, error) {
	if protocol.ValidateRPID(issuer.Hostname()) != nil {
		return nil, nil
	}
	origin := issuer.Scheme + "://" + issuer.Host
	timeout := webauthn.TimeoutConfig{Timeout: challengeLife, TimeoutUVD: challengeLife}
	library, err := webauthn.New(&webauthn.Config{
		RPID: issuer.Hostname(), RPDisplayName: issuer.Hostname(), RPOrigins: []string{origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, RequireResidentKey: protocol.ResidentKeyNotRequired(),
			UserVerification: protocol.VerificationPreferred,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
		// Section 9: unsolicited extension outputs must be ignored.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("factor: %w", err)
	}
	return &authenticators{store: store, library: library, challenges: c, origin: origin, name: name, now: now}, nil
}

// algorithms are the accepted algorithms of a credential's key, the preferred one first.
func algorithms() []protocol.CredentialParameter {
	var all []protocol.CredentialParameter
	for _, alg := range []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA,
		webauthncose.AlgRS256} {
		all = append(all, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: alg})
	}
	return all
}

// holder is a user as the library sees one. The user handle that authenticators store and send is the sub, which does
// not identify the person (section 14.6.1).
type holder struct {
	user        *storage.User
	credentials []webauthn.Credential
}

func (h *holder) WebAuthnID() []byte                         { return h.user.Sub[:] }
func (h *holder) WebAuthnName() string                       { return h.user.Email }
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.credentials }
func (h *holder) WebAuthnDisplayName() string {
	return cmp.Or(h.user.Profile.Name, h.user.Email)
}

// credential is the credential in a row. The counter is the column's, which is newer.
func credential(f *storage.Factor) (webauthn.Credential, error) {
	var c webauthn.Credential
	if err := json.Unmarshal(f.Credential, &c); err != nil {
		return c, fmt.Errorf("the credential of factor %s is not one: %w", f.ID, err)
	}
	c.Authenticator.SignCount = uint32(f.Counter)
	return c, nil
}

func newHolder(u *storage.User, mine []storage.Factor) (*holder, error) {
	h := &holder{user: u}
	for n := range mine {
		c, err := credential(&mine[n])
		if err != nil {
			return nil, err
		}
		h.credentials = append(h.credentials, c)
	}
	return h, nil
}

// beginCreate asks for an authenticator that is not enrolled yet.
func (a *authenticators) beginCreate(w *Subject, all []storage.Factor) (json.RawMessage, error) {
	h, err := newHolder(w.User, confirmed(all, storage.FactorWebAuthn))
	if err != nil {
		return nil, err
	}
	challenge, err := a.challenges.give(forEnrolment, w.SessionHash, w.User.ID)
	if err != nil {
		return nil, err
	}
	return marshal(a.library.BeginRegistration(h, webauthn.WithCredentialParameters(algorithms()),
		webauthn.WithExclusions(webauthn.Credentials(h.credentials).CredentialDescriptors()),
		webauthn.WithExtensions(webauthn.WithExtensionCredProps()),
		func(o *protocol.PublicKeyCredentialCreationOptions) error {
			o.Challenge, o.RelyingParty.Name = challenge, a.name()
			return nil
		}))
}

// marshal returns the options of the library as JSON. Its session data are not used: see challenges.
func marshal[Options any](options *Options, _ *webauthn.SessionData, err error) (json.RawMessage, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(options)
}

// beginGet asks for one of the user's authenticators.
func (a *authenticators) beginGet(w *Subject, all []storage.Factor) (json.RawMessage, error) {
	h, err := newHolder(w.User, confirmed(all, storage.FactorWebAuthn))
	if err != nil {
		return nil, err
	}
	if len(h.credentials) == 0 {
		return nil, storage.ErrNotFound
	}
	challenge, err := a.challenges.give(forSecondStep, w.SessionHash, w.User.ID)
	if err != nil {
		return nil, err
	}
	return marshal(a.library.BeginLogin(h, webauthn.WithChallenge(challenge)))
}

// beginPasskey asks for any passkey of this site. It names no credentials, so it reveals nothing about a user. A
// passkey is the only factor here, so user verification is required.
func (a *authenticators) beginPasskey(bind secret.Hash) (json.RawMessage, error) {
	challenge, err := a.challenges.give(forPasskey, bind, uuid.Nil)
	if err != nil {
		return nil, err
	}
	return marshal(a.library.BeginDiscoverableLogin(webauthn.WithChallenge(challenge),
		webauthn.WithUserVerification(protocol.VerificationRequired)))
}

func (a *authenticators) confirm(w *Subject, all []storage.Factor, name string, answer []byte) (*storage.NewFactor, error) {
	if len(answer) > maxAnswer {
		return nil, ErrVerification
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return nil, wrong(err)
	}
	data := &parsed.Response.CollectedClientData
	challenge, err := a.challenges.take(data.Challenge, forEnrolment, w.SessionHash, w.User.ID)
	if err != nil {
		return nil, err
	}
	if err := a.mayEnrol(parsed); err != nil {
		return nil, err
	}
	h := &holder{user: w.User}
	c, err := a.library.CreateCredential(h, webauthn.SessionData{Challenge: challenge.text, UserID: h.WebAuthnID(),
		CredParams: algorithms(), UserVerification: protocol.VerificationPreferred,
		Extensions: protocol.SessionExtensions{Requested: []string{protocol.ExtensionCredProps}}}, parsed)
	if err != nil {
		return nil, wrong(err)
	}
	record, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	passkey := isDiscoverable(c)
	row := storage.Factor{ID: uuid.Must(uuid.NewV7()), UserID: w.User.ID, Kind: storage.FactorWebAuthn,
		Name: cmp.Or(clean(name), modelName(c, passkey)), Credential: record, CredentialHash: secret.HashOf(string(c.ID)),
		Passkey: passkey, Counter: int64(c.Authenticator.SignCount), CreatedAt: a.now()}
	return &storage.NewFactor{Factor: row, Challenge: challenge.hash, ChallengeExpires: challenge.expires}, nil
}

// mayEnrol checks a new credential beyond what the library checks: exactly our origin, no attestation, and a key that
// can be used.
func (a *authenticators) mayEnrol(p *protocol.ParsedCredentialCreationData) error {
	object := &p.Response.AttestationObject
	// No attestation was requested, so a client sends at most the credential's own signature (section 5.1.3), and no
	// certificate of a stranger is ever parsed.
	_, chain := object.AttStatement["x5c"]
	plain := object.Format == string(protocol.AttestationFormatNone) ||
		object.Format == string(protocol.AttestationFormatPacked)
	_, err := webauthncose.ParsePublicKey(object.AuthData.AttData.CredentialPublicKey)
	if p.Response.CollectedClientData.Origin != a.origin || chain || !plain || err != nil {
		return ErrVerification
	}
	return nil
}

// isDiscoverable reports whether the authenticator itself stores the credential: it says so, or it says nothing but
// synchronizes, which only such ones do.
func isDiscoverable(c *webauthn.Credential) bool {
	if c.Extensions.RK != nil {
		return *c.Extensions.RK
	}
	return c.Flags.BackupEligible
}

func (a *authenticators) verify(ctx context.Context, w *Subject, all []storage.Factor, answer []byte) (*storage.Factor,
	*storage.FactorUse, error) {
	parsed, err := a.parse(answer)
	if err != nil {
		return nil, nil, err
	}
	challenge, err := a.challenges.take(parsed.Response.CollectedClientData.Challenge, forSecondStep, w.SessionHash,
		w.User.ID)
	if err != nil {
		return nil, nil, err
	}
	mine := confirmed(all, storage.FactorWebAuthn)
	hash := secret.HashOf(string(parsed.RawID))
	n := slices.IndexFunc(mine, func(f storage.Factor) bool { return f.CredentialHash == hash })
	if n < 0 {
		return nil, nil, ErrVerification
	}
	h, err := newHolder(w.User, mine)
	if err != nil {
		return nil, nil, err
	}
	session := webauthn.SessionData{Challenge: challenge.text, UserID: h.WebAuthnID(),
		UserVerification: protocol.VerificationPreferred}
	for _, c := range h.credentials {
		session.AllowedCredentialIDs = append(session.AllowedCredentialIDs, c.ID)
	}
	c, err := a.library.ValidateLogin(h, session, parsed)
	if err != nil {
		return nil, nil, wrong(err)
	}
	use, err := a.use(ctx, &mine[n], c, parsed, challenge, w.RequestID)
	return &mine[n], use, err
}

// passkey finds the user of the passkey that answered. User handle and credential must belong to the same user.
func (a *authenticators) passkey(ctx context.Context, bind secret.Hash, answer []byte) (*storage.User, *storage.Factor,
	*storage.FactorUse, error) {
	parsed, err := a.parse(answer)
	if err != nil {
		return nil, nil, nil, err
	}
	challenge, err := a.challenges.take(parsed.Response.CollectedClientData.Challenge, forPasskey, bind, uuid.Nil)
	if err != nil {
		return nil, nil, nil, err
	}
	f, u, err := a.store.Factors.FindByCredential(ctx, secret.HashOf(string(parsed.RawID)))
	if errors.Is(err, storage.ErrNotFound) || err == nil && !u.Active() {
		return nil, nil, nil, ErrVerification
	}
	if err != nil {
		return nil, nil, nil, err
	}
	h, err := newHolder(u, []storage.Factor{*f})
	if err != nil {
		return nil, nil, nil, err
	}
	// ValidatePasskeyLogin requires a user handle and compares it with the holder's.
	session := webauthn.SessionData{Challenge: challenge.text, UserVerification: protocol.VerificationRequired}
	find := func([]byte, []byte) (webauthn.User, error) { return h, nil }
	_, c, err := a.library.ValidatePasskeyLogin(find, session, parsed)
	if err != nil {
		return nil, nil, nil, wrong(err)
	}
	use, err := a.use(ctx, f, c, parsed, challenge, "")
	return u, f, use, err
}

// parse reads an assertion of bounded size from exactly our origin.
func (a *authenticators) parse(answer []byte) (*protocol.ParsedCredentialAssertionData, error) {
	if len(answer) > maxAnswer {
		return nil, ErrVerification
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return nil, wrong(err)
	}
	if len(parsed.RawID) > maxCredentialID || parsed.Response.CollectedClientData.Origin != a.origin {
		return nil, ErrVerification
	}
	return parsed, nil
}

// use is what a verified assertion spends. A counter that did not grow means that the key may have been copied: the
// assertion is refused and recorded (section 6.1.1). Authenticators that do not count stay at zero.
func (a *authenticators) use(ctx context.Context, f *storage.Factor, c *webauthn.Credential,
	p *protocol.ParsedCredentialAssertionData, challenge *answered, requestID string) (*storage.FactorUse, error) {
	if c.Authenticator.CloneWarning {
		e := &storage.Event{Type: storage.EventFactorCloneSuspected, User: f.UserID, RequestID: requestID,
			Facts: map[string]any{"factor": f.ID, "stored": f.Counter, "given": p.Response.AuthenticatorData.Counter}}
		if err := a.store.Record(ctx, e); err != nil {
			return nil, err
		}
		return nil, ErrVerification
	}
	record, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return &storage.FactorUse{Factor: f.ID, Counter: int64(c.Authenticator.SignCount), Credential: record,
		Challenge: challenge.hash, ChallengeExpires: challenge.expires}, nil
}

// proves is phishing-resistant in every case: as a second factor, or as the only one with user verification.
func (a *authenticators) proves(f *storage.Factor) Strength {
	key := assurance.AMRHardwareKey
	if c, err := credential(f); err == nil && c.Flags.BackupEligible {
		key = assurance.AMRSoftwareKey
	}
	return Strength{ACR: assurance.ACRPhishingResistant, AMR: []string{key, amrPresence, assurance.AMRMFA}}
}

// wrong is ErrVerification with the library's short reason, which contains no input.
func wrong(err error) error {
	var e *protocol.Error
	if errors.As(err, &e) {
		return fmt.Errorf("%w: %s", ErrVerification, e.Type)
	}
	return ErrVerification
}

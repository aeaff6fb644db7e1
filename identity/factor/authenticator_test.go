package factor

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	virtual "github.com/descope/virtualwebauthn"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// The flags of authenticator data (WebAuthn Level 3 section 6.1).
const (
	flagPresent  = 1 << 0
	flagVerified = 1 << 2
	flagEligible = 1 << 3 // to be backed up
	flagBackedUp = 1 << 4
	flagAttested = 1 << 6
)

// ceremony is everything that an authenticator and a browser put into an answer,
// for tests that put something else there.
type ceremony struct {
	client    map[string]any // the client data
	rpID      string
	flags     byte
	counter   uint32
	id        []byte // of the credential, as attested
	rawID     []byte // the same, as told
	key       []byte // the public one, in COSE
	format    string
	statement map[string]any
	handle    []byte
	outputs   map[string]any // of extensions
	more      []byte         // after the authenticator data
	sign      func(message []byte) []byte
}

// testKey is an authenticator with one credential.
type testKey struct {
	id      []byte
	public  []byte
	counter uint32
	flags   byte
	handle  []byte
	sign    func(message []byte) []byte
}

// newTestKey is one that verifies its user, syncs, and does not count.
func newTestKey(kind virtual.KeyType) *testKey {
	c := virtual.NewCredential(kind)
	// The library of the virtual authenticator cuts zeros at the beginning of a coordinate.
	for kind == virtual.KeyTypeEC2 && len(c.Key.AttestationData()) != 77 {
		c = virtual.NewCredential(kind)
	}
	return &testKey{id: c.ID, public: c.Key.AttestationData(), flags: flagPresent | flagVerified | flagEligible | flagBackedUp, sign: func(m []byte) []byte {
		digest := sha256.Sum256(m)
		signature, err := c.Key.Sign(digest[:])
		if err != nil {
			panic(err)
		}
		return signature
	}}
}

// newEdKey signs with Ed25519, which the virtual authenticator cannot.
func newEdKey(t testing.TB) *testKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	k := newTestKey(virtual.KeyTypeEC2)
	k.public = cborOf(t, map[int]any{1: 1, 3: -8, -1: 6, -2: []byte(public)})
	k.sign = func(m []byte) []byte { return ed25519.Sign(private, m) }
	return k
}

func cborOf(t testing.TB, v any) []byte {
	t.Helper()
	b, err := webauthncbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// begun are the options that a browser is given.
type begun struct {
	PublicKey struct {
		Challenge string
		RPID      string `json:"rpId"`
		RP        struct{ ID, Name string }
		User      struct{ ID, Name, DisplayName string }
		Timeout   int
		Params    []struct {
			Type string
			Alg  int
		} `json:"pubKeyCredParams"`
		Exclude          []struct{ ID string } `json:"excludeCredentials"`
		Allow            []struct{ ID string } `json:"allowCredentials"`
		UserVerification string                `json:"userVerification"`
		Attestation      string
		Selection        struct {
			ResidentKey      string `json:"residentKey"`
			UserVerification string `json:"userVerification"`
		} `json:"authenticatorSelection"`
		Extensions map[string]any
	} `json:"publicKey"`
}

func read(t testing.TB, options json.RawMessage) *begun {
	t.Helper()
	var b begun
	if err := json.Unmarshal(options, &b); err != nil {
		t.Fatal(err)
	}
	return &b
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// ceremony is what this key answers to options in the browser of a person at the issuer.
func (k *testKey) ceremony(t testing.TB, kind string, options json.RawMessage) *ceremony {
	return &ceremony{client: map[string]any{"type": kind, "challenge": read(t, options).PublicKey.Challenge, "origin": testIssuer, "crossOrigin": false},
		rpID: "id.wonderland.example", flags: k.flags, counter: k.counter, id: k.id, rawID: k.id, key: k.public, format: "none", statement: map[string]any{},
		handle: k.handle, outputs: map[string]any{}, sign: k.sign}
}

func (c *ceremony) head() []byte {
	hash := sha256.Sum256([]byte(c.rpID))
	return binary.BigEndian.AppendUint32(append(hash[:], c.flags), c.counter)
}

func (c *ceremony) answer(t testing.TB, response map[string]any) json.RawMessage {
	response["clientDataJSON"] = b64(jsonOf(t, c.client))
	return jsonOf(t, map[string]any{"id": b64(c.rawID), "rawId": b64(c.rawID), "type": "public-key", "clientExtensionResults": c.outputs, "response": response})
}

func (c *ceremony) attestation(t testing.TB) []byte {
	c.flags |= flagAttested
	data := append(c.head(), make([]byte, 16)...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(c.id)))
	data = bytes.Join([][]byte{data, c.id, c.key, c.more}, nil)
	return cborOf(t, map[string]any{"fmt": c.format, "attStmt": c.statement, "authData": data})
}

// create answers navigator.credentials.create.
func (k *testKey) create(t testing.TB, options json.RawMessage, change ...func(*ceremony)) json.RawMessage {
	t.Helper()
	c := k.ceremony(t, "webauthn.create", options)
	for _, change := range change {
		change(c)
	}
	k.handle, _ = base64.RawURLEncoding.DecodeString(read(t, options).PublicKey.User.ID)
	return c.answer(t, map[string]any{"attestationObject": b64(c.attestation(t)), "transports": []string{"internal", "hybrid"}})
}

// get answers navigator.credentials.get.
func (k *testKey) get(t testing.TB, options json.RawMessage, change ...func(*ceremony)) json.RawMessage {
	t.Helper()
	c := k.ceremony(t, "webauthn.get", options)
	for _, change := range change {
		change(c)
	}
	data := append(c.head(), c.more...)
	hash := sha256.Sum256(jsonOf(t, c.client))
	return c.answer(t, map[string]any{"authenticatorData": b64(data), "signature": b64(c.sign(append(bytes.Clone(data), hash[:]...))), "userHandle": b64(c.handle)})
}

// enrolKey gives a person an authenticator.
func (in *installation) enrolKey(t testing.TB, w Subject, k *testKey) *Enrolment {
	t.Helper()
	options, err := in.BeginWebAuthn(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	e, err := in.ConfirmWebAuthn(t.Context(), w, "", k.create(t, options))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (in *installation) challenge(t testing.TB, w Subject) json.RawMessage {
	t.Helper()
	options, err := in.ChallengeWebAuthn(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return options
}

func (in *installation) passkeyChallenge(t testing.TB, w Subject) json.RawMessage {
	t.Helper()
	options, err := in.ChallengePasskey(t.Context(), w.SessionHash)
	if err != nil {
		t.Fatal(err)
	}
	return options
}

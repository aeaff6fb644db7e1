package factor

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	virtual "github.com/descope/virtualwebauthn"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// An independent authenticator, from the options to the sign-in.
func TestAnAuthenticatorIsEnrolledAndSignsIn(t *testing.T) {
	for _, kind := range []virtual.KeyType{virtual.KeyTypeEC2, virtual.KeyTypeRSA} {
		eachEngine(t, func(t *testing.T, in *installation) {
			alice := in.person(t, "alice@acme-corp.com")
			rp := virtual.RelyingParty{ID: "id.wonderland.example", Name: "Wonderland", Origin: testIssuer}
			device, credential := virtual.NewAuthenticator(), virtual.NewCredential(kind)
			for kind == virtual.KeyTypeEC2 && len(credential.Key.AttestationData()) != 77 {
				credential = virtual.NewCredential(kind)
			}
			credential.Counter = 1
			options, err := in.BeginWebAuthn(t.Context(), alice)
			if err != nil {
				t.Fatal(err)
			}
			wanted, err := virtual.ParseAttestationOptions(string(options))
			if err != nil {
				t.Fatal(err)
			}
			e, err := in.ConfirmWebAuthn(t.Context(), alice, "My key", json.RawMessage(virtual.CreateAttestationResponse(rp, device, credential, *wanted)))
			if err != nil {
				t.Fatal(err)
			}
			want := Strength{ACR: assurance.ACRPhishingResistant, AMR: []string{"hwk", "user", "mfa"}}
			if diff := cmp.Diff(want, e.Strength); diff != "" || len(e.RecoveryCodes) != 3 || e.Factor.Name != "My key" || e.Factor.Passkey {
				t.Errorf("got %+v", e)
			}
			get, err := virtual.ParseAssertionOptions(string(in.challenge(t, alice)))
			if err != nil {
				t.Fatal(err)
			}
			credential.Counter = 2
			v, err := in.VerifyWebAuthn(t.Context(), alice, json.RawMessage(virtual.CreateAssertionResponse(rp, device, credential, *get)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, v.Strength); diff != "" {
				t.Error(diff)
			}
			wantError(t, "signing in", signIn(t, in.store, v), nil)
			wantError(t, "the same use again", signIn(t, in.store, v), storage.ErrSpent)
			wantMails(t, in, "factoradded")
		})
	}
}

// The options sent to browsers decide what authenticators do.
func TestWhatABrowserIsAskedForToEnrol(t *testing.T) {
	in := onSQLite(t)
	alice := in.person(t, "alice@acme-corp.com", func(u *storage.User) { u.Profile.Name = "Alice Liddell" })
	key := newTestKey(virtual.KeyTypeEC2)
	in.enrolKey(t, alice, key)
	options, err := in.BeginWebAuthn(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	o := read(t, options).PublicKey
	algs := []int{}
	for _, p := range o.Params {
		algs = append(algs, p.Alg)
	}
	got := []any{o.RP.ID, o.RP.Name, o.User.ID, o.User.Name, o.User.DisplayName, algs, o.Attestation, o.Selection.ResidentKey, o.Selection.UserVerification, len(o.Exclude), o.Exclude[0].ID, o.Timeout, o.Extensions}
	want := []any{"id.wonderland.example", "Wonderland: Identity", b64(alice.User.Sub[:]), "alice@acme-corp.com", "Alice Liddell", []int{-7, -8, -257}, "none", "preferred", "preferred", 1, b64(key.id),
		300000, map[string]any{"credProps": true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("create (-want +got):\n%s", diff)
	}
	g := read(t, in.challenge(t, alice)).PublicKey
	if diff := cmp.Diff([]any{"id.wonderland.example", "preferred", 1, b64(key.id)}, []any{g.RPID, g.UserVerification, len(g.Allow), g.Allow[0].ID}); diff != "" {
		t.Errorf("get (-want +got):\n%s", diff)
	}
	if g.Challenge == o.Challenge || g.Challenge == read(t, in.challenge(t, alice)).PublicKey.Challenge {
		t.Error("two ceremonies have the same challenge")
	}
	_, err = in.ChallengeWebAuthn(t.Context(), in.person(t, "bob@acme-corp.com"))
	wantError(t, "somebody without one", err, storage.ErrNotFound)
}

// WA-01, WA-05, WA-07: everything that an assertion is bound to.
func TestAnAnswerToAnythingElseIsRefused(t *testing.T) {
	in := onSQLite(t)
	alice, bob := in.person(t, "alice@acme-corp.com"), in.person(t, "bob@acme-corp.com")
	key, bobs, other := newTestKey(virtual.KeyTypeEC2), newTestKey(virtual.KeyTypeEC2), newTestKey(virtual.KeyTypeEC2)
	in.enrolKey(t, alice, key)
	in.enrolKey(t, bob, bobs)
	client := func(name string, value any) func(*ceremony) {
		return func(c *ceremony) { c.client[name] = value }
	}
	for what, c := range map[string]struct {
		change func(*ceremony)
		want   error
	}{
		"as it should be":           {func(*ceremony) {}, nil},
		"without a handle":          {func(c *ceremony) { c.handle = nil }, nil},
		"unasked outputs":           {func(c *ceremony) { c.outputs = map[string]any{"appid": false, "of": "a later standard"} }, nil},
		"another origin":            {client("origin", "https://evil.example"), ErrVerification},
		"an origin below":           {client("origin", "https://evil.id.wonderland.example"), ErrVerification},
		"an origin above":           {client("origin", "https://wonderland.example"), ErrVerification},
		"another scheme":            {client("origin", "http://id.wonderland.example"), ErrVerification},
		"another port":              {client("origin", "https://id.wonderland.example:8443"), ErrVerification},
		"an origin with a path":     {client("origin", testIssuer+"/"), ErrVerification},
		"an origin with a user":     {client("origin", "https://evil@id.wonderland.example"), ErrVerification},
		"an origin in capitals":     {client("origin", strings.ToUpper(testIssuer)), ErrVerification},
		"no origin":                 {client("origin", ""), ErrVerification},
		"another RP ID":             {func(c *ceremony) { c.rpID = "wonderland.example" }, ErrVerification},
		"an origin as RP ID":        {func(c *ceremony) { c.rpID = testIssuer }, ErrVerification},
		"an enrolment":              {client("type", "webauthn.create"), ErrVerification},
		"no type":                   {client("type", ""), ErrVerification},
		"a frame":                   {client("crossOrigin", true), ErrVerification},
		"a frame of":                {client("topOrigin", testIssuer), ErrVerification},
		"a frame and of":            {func(c *ceremony) { c.client["crossOrigin"], c.client["topOrigin"] = true, testIssuer }, ErrVerification},
		"a challenge of its own":    {client("challenge", b64(secret.Random(challengeLength))), ErrChallenge},
		"no challenge":              {client("challenge", ""), ErrChallenge},
		"bob's challenge":           {client("challenge", read(t, in.challenge(t, bob)).PublicKey.Challenge), ErrChallenge},
		"a passkey's challenge":     {client("challenge", read(t, in.passkeyChallenge(t, alice)).PublicKey.Challenge), ErrChallenge},
		"no presence":               {func(c *ceremony) { c.flags &^= flagPresent }, ErrVerification},
		"no longer to be backed up": {func(c *ceremony) { c.flags &^= flagEligible | flagBackedUp }, ErrVerification},
		"backed up, never to be":    {func(c *ceremony) { c.flags &^= flagEligible }, ErrVerification},
		"another key's signature":   {func(c *ceremony) { c.sign = other.sign }, ErrVerification},
		"no signature":              {func(c *ceremony) { c.sign = func([]byte) []byte { return nil } }, ErrVerification},
		"bob's credential":          {func(c *ceremony) { c.rawID, c.sign = bobs.id, bobs.sign }, ErrVerification},
		"bob's handle":              {func(c *ceremony) { c.handle = bob.User.Sub[:] }, ErrVerification},
		"a credential of 40 kB":     {func(c *ceremony) { c.rawID = make([]byte, 40<<10) }, ErrVerification},
		"a credential of 64 kB":     {func(c *ceremony) { c.rawID = make([]byte, 64<<10) }, ErrVerification},
		"bytes after the data":      {func(c *ceremony) { c.more = []byte{0} }, ErrVerification},
		"a legacy application id":   {func(c *ceremony) { c.outputs = map[string]any{"appid": true}; c.rpID = "https://evil.example" }, ErrVerification},
	} {
		_, err := in.VerifyWebAuthn(t.Context(), alice, key.get(t, in.challenge(t, alice), c.change))
		wantError(t, what, err, c.want)
	}
	whole := key.get(t, in.challenge(t, alice))
	for _, answer := range []string{"", "null", "[]", "{}", string(whole) + "{}", string(whole[:len(whole)-1]), strings.Repeat("[", 1<<20)} {
		_, err := in.VerifyWebAuthn(t.Context(), alice, json.RawMessage(answer))
		wantError(t, "the answer "+answer[:min(len(answer), 20)], err, ErrVerification)
	}
	if _, err := in.keys.parse(append(key.get(t, in.challenge(t, alice)), bytes.Repeat([]byte(" "), maxAnswer)...)); err == nil {
		t.Error("an answer without end was read")
	}
	long := key.get(t, in.challenge(t, alice), func(c *ceremony) { c.rawID = make([]byte, maxCredentialID+1) })
	if _, err := in.keys.parse(long); err == nil {
		t.Error("an id that is too long was looked for")
	}
	late := in.challenge(t, alice)
	in.now = in.now.Add(challengeLife)
	_, err := in.VerifyWebAuthn(t.Context(), alice, key.get(t, late))
	wantError(t, "after five minutes", err, ErrChallenge)
	moved := alice
	moved.SessionHash = secret.HashOf("the next session")
	_, err = in.VerifyWebAuthn(t.Context(), moved, key.get(t, in.challenge(t, alice)))
	wantError(t, "in another session", err, ErrChallenge)
}

// WA-07: what is enrolled is what was asked for, of a size that is kept.
func TestAnEnrolmentOfAnythingElseIsRefused(t *testing.T) {
	in := onSQLite(t)
	alice, bob := in.person(t, "alice@acme-corp.com"), in.person(t, "bob@acme-corp.com")
	taken := newTestKey(virtual.KeyTypeEC2)
	in.enrolKey(t, bob, taken)
	begin := func(w Subject) json.RawMessage {
		t.Helper()
		options, err := in.BeginWebAuthn(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		return options
	}
	client := func(name string, value any) func(*ceremony) {
		return func(c *ceremony) { c.client[name] = value }
	}
	long := func(n int) func(*ceremony) {
		return func(c *ceremony) { c.id = secret.Random(n); c.rawID = c.id }
	}
	for what, c := range map[string]struct {
		change func(*ceremony)
		want   error
	}{
		"as it should be":        {func(*ceremony) {}, nil},
		"without verification":   {func(c *ceremony) { c.flags &^= flagVerified }, nil}, // it is a second step then
		"the longest id":         {long(maxCredentialID), nil},
		"an id that is longer":   {long(maxCredentialID + 1), ErrVerification},
		"an id of 64 kB":         {long(1<<16 - 1), ErrVerification},
		"an id that is not its":  {func(c *ceremony) { c.rawID = secret.Random(32) }, ErrVerification},
		"somebody's credential":  {func(c *ceremony) { c.id, c.rawID = taken.id, taken.id }, storage.ErrExists},
		"another origin":         {client("origin", "https://evil.id.wonderland.example"), ErrVerification},
		"an origin with a path":  {client("origin", testIssuer+"/"), ErrVerification},
		"another RP ID":          {func(c *ceremony) { c.rpID = "evil.example" }, ErrVerification},
		"an assertion":           {client("type", "webauthn.get"), ErrVerification},
		"a frame":                {client("crossOrigin", true), ErrVerification},
		"a challenge of its own": {client("challenge", b64(secret.Random(challengeLength))), ErrChallenge},
		"bob's challenge":        {client("challenge", read(t, begin(bob)).PublicKey.Challenge), ErrChallenge},
		"a sign-in's challenge":  {client("challenge", read(t, in.passkeyChallenge(t, alice)).PublicKey.Challenge), ErrChallenge},
		"no presence":            {func(c *ceremony) { c.flags &^= flagPresent }, ErrVerification},
		"backed up, never to be": {func(c *ceremony) { c.flags &^= flagEligible }, ErrVerification},
		"bytes after the data":   {func(c *ceremony) { c.more = []byte{0} }, ErrVerification},
		"an algorithm not offered": {func(c *ceremony) {
			c.key = cborOf(t, map[int]any{1: 2, 3: -35, -1: 2, -2: make([]byte, 48), -3: make([]byte, 48)})
		}, ErrVerification},
		"a point off the curve": {func(c *ceremony) {
			c.key = cborOf(t, map[int]any{1: 2, 3: -7, -1: 1, -2: make([]byte, 32), -3: make([]byte, 32)})
		}, ErrVerification},
		"no key":                 {func(c *ceremony) { c.key = cborOf(t, map[int]any{}) }, ErrVerification},
		"a key that is a string": {func(c *ceremony) { c.key = cborOf(t, "key") }, ErrVerification},
		"a TPM's attestation":    {func(c *ceremony) { c.format = "tpm" }, ErrVerification},
		"a U2F attestation":      {func(c *ceremony) { c.format = "fido-u2f" }, ErrVerification},
		"a certificate": {func(c *ceremony) {
			c.format, c.statement = "packed", map[string]any{"alg": -7, "sig": []byte("s"), "x5c": [][]byte{{1}}}
		}, ErrVerification},
		"a wrong own signature": {func(c *ceremony) { c.format, c.statement = "packed", map[string]any{"alg": -7, "sig": []byte("s")} }, ErrVerification},
		"none with a statement": {func(c *ceremony) { c.statement = map[string]any{"sig": []byte("s")} }, ErrVerification},
	} {
		_, err := in.ConfirmWebAuthn(t.Context(), alice, "", newTestKey(virtual.KeyTypeEC2).create(t, begin(alice), c.change))
		wantError(t, what, err, c.want)
	}
	l, err := in.List(t.Context(), alice.User.ID)
	if err != nil || len(l.Factors) != 3 {
		t.Errorf("%d are enrolled, %v, want the 3 that should be", len(l.Factors), err)
	}
	_, err = in.ConfirmWebAuthn(t.Context(), alice, "", append(newTestKey(virtual.KeyTypeEC2).create(t, begin(alice)), bytes.Repeat([]byte(" "), maxAnswer)...))
	wantError(t, "more than is read", err, ErrVerification)
	options := begin(alice)
	answer := newTestKey(virtual.KeyTypeEC2).create(t, options)
	_, err = in.ConfirmWebAuthn(t.Context(), alice, "", answer)
	wantError(t, "the first answer", err, nil)
	_, err = in.ConfirmWebAuthn(t.Context(), alice, "", answer)
	wantError(t, "it again", err, ErrChallenge)
	_, err = in.ConfirmWebAuthn(t.Context(), alice, "", newTestKey(virtual.KeyTypeEC2).create(t, options))
	wantError(t, "another key's answer to the same", err, ErrChallenge)
	late := begin(alice)
	in.now = in.now.Add(challengeLife)
	_, err = in.ConfirmWebAuthn(t.Context(), alice, "", newTestKey(virtual.KeyTypeEC2).create(t, late))
	wantError(t, "after five minutes", err, ErrChallenge)
}

// No attestation is asked for: whoever sends one that the library would believe is
// refused before it looks.
func TestAttestationsOfStrangersAreNotLookedAt(t *testing.T) {
	in := onSQLite(t)
	options, err := in.BeginWebAuthn(t.Context(), in.person(t, "alice@acme-corp.com"))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		format    string
		statement map[string]any
		want      error
	}{
		"none":          {"none", map[string]any{}, nil},
		"its own":       {"packed", map[string]any{"alg": -7, "sig": []byte("s")}, nil},
		"a chain":       {"packed", map[string]any{"alg": -7, "sig": []byte("s"), "x5c": [][]byte{{1}}}, ErrVerification},
		"an empty one":  {"packed", map[string]any{"alg": -7, "sig": []byte("s"), "x5c": [][]byte{}}, ErrVerification},
		"a TPM's":       {"tpm", map[string]any{}, ErrVerification},
		"several":       {"compound", nil, ErrVerification},
		"Android's":     {"android-key", map[string]any{}, ErrVerification},
		"an older kind": {"fido-u2f", map[string]any{}, ErrVerification},
	} {
		parsed, err := protocol.ParseCredentialCreationResponseBytes(newTestKey(virtual.KeyTypeEC2).create(t, options, func(k *ceremony) { k.format, k.statement = c.format, c.statement }))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		wantError(t, what, in.keys.mayEnrol(parsed), c.want)
	}
}

// Without user verification, or not stored by the authenticator, a key is a second
// step and says so.
func TestWhatIsAPasskey(t *testing.T) {
	in := onSQLite(t)
	alice := in.person(t, "alice@acme-corp.com")
	for what, c := range map[string]struct {
		rk      any
		synced  bool
		passkey bool
		name    string
	}{
		"it says so":           {true, false, true, "Passkey"},
		"it says no":           {false, true, false, "Security key"},
		"silent, but it syncs": {nil, true, true, "Passkey"},
		"silent":               {nil, false, false, "Security key"},
	} {
		options, err := in.BeginWebAuthn(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		e, err := in.ConfirmWebAuthn(t.Context(), alice, "", newTestKey(virtual.KeyTypeEC2).create(t, options, func(k *ceremony) {
			if c.rk != nil {
				k.outputs = map[string]any{"credProps": map[string]any{"rk": c.rk}}
			}
			if !c.synced {
				k.flags &^= flagEligible | flagBackedUp
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if e.Factor.Passkey != c.passkey || e.Factor.Name != c.name {
			t.Errorf("%s: got %v, %q, want %v, %q", what, e.Factor.Passkey, e.Factor.Name, c.passkey, c.name)
		}
	}
}

// WA-03: a counter that did not grow is refused and told; zero stays allowed.
func TestACounterThatDidNotGrowIsRefused(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice := in.person(t, "alice@acme-corp.com")
		key := newTestKey(virtual.KeyTypeEC2)
		e := in.enrolKey(t, alice, key)
		for n, c := range []struct {
			counter uint32
			want    error
		}{{0, nil}, {0, nil}, {7, nil}, {7, ErrVerification}, {6, ErrVerification}, {0, ErrVerification}, {8, nil}} {
			key.counter = c.counter
			v, err := in.VerifyWebAuthn(t.Context(), alice, key.get(t, in.challenge(t, alice)))
			wantError(t, "a counter", err, c.want)
			if err == nil {
				wantError(t, "signing in", signIn(t, in.store, v), nil)
			}
			if t.Failed() {
				t.Fatalf("at %d", n)
			}
		}
		// Two that were verified at once: the later one finds the counter used.
		key.counter = 9
		first, err := in.VerifyWebAuthn(t.Context(), alice, key.get(t, in.challenge(t, alice)))
		if err != nil {
			t.Fatal(err)
		}
		second, err := in.VerifyWebAuthn(t.Context(), alice, key.get(t, in.challenge(t, alice)))
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, "the first", signIn(t, in.store, first), nil)
		wantError(t, "the second", signIn(t, in.store, second), storage.ErrSpent)
		wantClones(t, in, e.Factor.ID, 3)
		// The column counts, whatever the record says.
		wantError(t, "a use that leaves the record", signIn(t, in.store, &Verified{User: alice.User, Use: &storage.FactorUse{Factor: e.Factor.ID, Counter: 20}}), nil)
		key.counter = 15
		_, err = in.VerifyWebAuthn(t.Context(), alice, key.get(t, in.challenge(t, alice)))
		wantError(t, "a count below the column's", err, ErrVerification)
	})
}

// wantClones counts the events about one factor.
func wantClones(t *testing.T, in *installation, factor uuid.UUID, want int) {
	t.Helper()
	n := in.events(t, "factor.clone_suspected", factor.String())
	if n != want {
		t.Errorf("%d events of a clone, want %d", n, want)
	}
}

func TestAChallengeIsAnsweredOnceOnTwoNodes(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice := in.person(t, "alice@acme-corp.com")
		key := newTestKey(virtual.KeyTypeEC2) // it does not count: the challenge alone tells
		in.enrolKey(t, alice, key)
		for what, verify := range map[string]func(f *Factors) (*Verified, error){
			"second step": func() func(f *Factors) (*Verified, error) {
				answer := key.get(t, in.challenge(t, alice))
				return func(f *Factors) (*Verified, error) { return f.VerifyWebAuthn(t.Context(), alice, answer) }
			}(),
			"passkey": func() func(f *Factors) (*Verified, error) {
				answer := key.get(t, in.passkeyChallenge(t, alice))
				return func(f *Factors) (*Verified, error) { return f.VerifyPasskey(t.Context(), alice.SessionHash, answer) }
			}(),
		} {
			t.Run(what, func(t *testing.T) {
				in.once(t, func(f *Factors, s *storage.Store) error {
					v, err := verify(f)
					if err != nil {
						return err
					}
					return signIn(t, s, v)
				})
			})
		}
		t.Run("enrolment", func(t *testing.T) {
			options, err := in.BeginWebAuthn(t.Context(), alice)
			if err != nil {
				t.Fatal(err)
			}
			answer := newTestKey(virtual.KeyTypeEC2).create(t, options)
			in.once(t, func(f *Factors, _ *storage.Store) error {
				_, err := f.ConfirmWebAuthn(t.Context(), alice, "", answer)
				return err
			})
		})
	})
}

// WA-08: one RP ID and one origin, by the issuer; an address is none (section 5.1.2).
func TestAnIssuerThatIsAnAddressHasNoWebAuthn(t *testing.T) {
	in := onSQLite(t)
	alice := in.person(t, "alice@acme-corp.com")
	for issuer, want := range map[string]bool{"http://127.0.0.1:8080": false, "https://[::1]": false, "http://localhost:8080": true, testIssuer: true} {
		f, err := New(Config{Store: in.store, Sealer: in.apps.sealer, Keys: &secret.Keyring{}, Mail: in.notices.writer, Identity: identity.New(identity.Config{Store: in.store}), Issuer: issuer, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if f.HasWebAuthn() != want {
			t.Errorf("%s: got %v, want %v", issuer, f.HasWebAuthn(), want)
		}
		if want {
			continue
		}
		_, err = f.ChallengePasskey(t.Context(), alice.SessionHash)
		wantError(t, issuer, err, ErrUnavailable)
		_, err = f.BeginWebAuthn(t.Context(), alice)
		wantError(t, issuer, err, ErrUnavailable)
	}
}

func TestAKeyAttachesToAProvenAddressOnly(t *testing.T) {
	in := onSQLite(t)
	alice, eve := in.person(t, "alice@acme-corp.com"), in.person(t, "victim@acme-corp.com", unproven)
	_, err := in.BeginWebAuthn(t.Context(), eve)
	wantError(t, "beginning", err, ErrEmailUnverified)
	options, err := in.BeginWebAuthn(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	_, err = in.ConfirmWebAuthn(t.Context(), eve, "", newTestKey(virtual.KeyTypeEC2).create(t, options))
	wantError(t, "enrolling", err, ErrEmailUnverified)
}

// WA-07: foreign bytes may be refused and nothing else.
func FuzzEnrolment(f *testing.F) {
	in := onSQLite(f)
	alice := in.person(f, "alice@acme-corp.com")
	options, err := in.BeginWebAuthn(f.Context(), alice)
	if err != nil {
		f.Fatal(err)
	}
	c := newTestKey(virtual.KeyTypeEC2).ceremony(f, "webauthn.create", options)
	f.Add(c.attestation(f), c.id)
	c.format, c.statement = "packed", map[string]any{"alg": -7, "sig": []byte("s")}
	f.Add(c.attestation(f), c.id)
	f.Add([]byte{0x9f}, []byte{})
	f.Fuzz(func(t *testing.T, object, id []byte) {
		c.rawID = id
		n, err := in.keys.confirm(&alice, nil, "", c.answer(t, map[string]any{"attestationObject": b64(object)}))
		if err == nil && (len(id) == 0 || len(id) > maxCredentialID || n.Factor.CredentialHash != secret.HashOf(string(id))) {
			t.Errorf("enrolled a credential of %d bytes", len(id))
		}
		if err != nil {
			wantError(t, "an enrolment", err, ErrVerification)
		}
	})
}

// The same for the answers of a sign-in, from the outermost bytes on.
func FuzzAssertion(f *testing.F) {
	in := onSQLite(f)
	alice := in.person(f, "alice@acme-corp.com")
	key := newTestKey(virtual.KeyTypeEC2)
	in.enrolKey(f, alice, key)
	f.Add([]byte(key.get(f, in.challenge(f, alice))))
	f.Add([]byte(key.get(f, in.challenge(f, alice), func(c *ceremony) { c.flags |= flagAttested; c.more = make([]byte, 40) })))
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{}}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if parsed, err := in.keys.parse(answer); err == nil && (len(parsed.RawID) > maxCredentialID || parsed.Response.CollectedClientData.Origin != testIssuer) {
			t.Errorf("read an answer of %s with a credential of %d bytes", parsed.Response.CollectedClientData.Origin, len(parsed.RawID))
		} else if err != nil {
			wantError(t, "an answer", err, ErrVerification)
		}
	})
}

package secret

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
)

var cheapArgon = Argon2Params{MemoryKiB: 64, Time: 1, Threads: 1}

func newPasswords(t testing.TB, c PasswordConfig) *Passwords {
	t.Helper()
	if c.Argon2 == (Argon2Params{}) {
		c.Argon2 = cheapArgon
	}
	if c.BcryptCost == 0 {
		c.BcryptCost = 4
	}
	p, err := NewPasswords(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func hashPassword(t testing.TB, p *Passwords, password string) string {
	t.Helper()
	encoded, err := p.Hash(t.Context(), password)
	if err != nil {
		t.Fatalf("Hash: %v", err)
	}
	return encoded
}

func checkVerify(t testing.TB, p *Passwords, encoded, password string, wantOK, wantRehash bool) {
	t.Helper()
	ok, rehash, err := p.Verify(t.Context(), encoded, password)
	if err != nil || ok != wantOK || rehash != wantRehash {
		t.Errorf("Verify(%s, %.80q) = %v, %v, %v, want %v, %v", encoded, password, ok, rehash, err, wantOK, wantRehash)
	}
}

// everyKind runs test for each way a password can be hashed.
func everyKind(t *testing.T, test func(t *testing.T, p *Passwords)) {
	for name, c := range map[string]PasswordConfig{
		"argon2id":        {},
		"argon2id pepper": {Peppers: [][]byte{[]byte("salt")}},
		"bcrypt":          {Kind: Bcrypt},
		"bcrypt pepper":   {Kind: Bcrypt, Peppers: [][]byte{[]byte("salt")}},
	} {
		t.Run(name, func(t *testing.T) { test(t, newPasswords(t, c)) })
	}
}

func TestDefaultsAreThoseOfTheContract(t *testing.T) {
	p, err := NewPasswords(PasswordConfig{})
	if err != nil {
		t.Fatal(err)
	}
	encoded := hashPassword(t, p, "UserPass123!")
	if want := "$argon2id$v=19$m=19456,t=2,p=1$"; !strings.HasPrefix(encoded, want) {
		t.Errorf("Hash = %s, want %s…", encoded, want)
	}
	checkVerify(t, p, encoded, "UserPass123!", true, false)
	if p, err = NewPasswords(PasswordConfig{Kind: Bcrypt}); err != nil || p.cost != 12 {
		t.Errorf("bcrypt cost = %d, %v, want 12", p.cost, err)
	}
}

func TestConfigFaultsAreRefused(t *testing.T) {
	for name, c := range map[string]PasswordConfig{
		"kind":         {Kind: "md5"},
		"cost":         {Kind: Bcrypt, BcryptCost: 16},
		"cost low":     {Kind: Bcrypt, BcryptCost: 3},
		"memory":       {Argon2: Argon2Params{MemoryKiB: 1 << 30, Time: 1, Threads: 1}},
		"no pass":      {Argon2: Argon2Params{MemoryKiB: 64, Threads: 1}},
		"empty pepper": {Peppers: [][]byte{nil}},
	} {
		if _, err := NewPasswords(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// LG-06: every character counts, whatever the length and the bytes. bcrypt by itself ignores what follows byte 72 and
// takes "a" and "a\x00a" for the same.
func TestEveryCharacterCounts(t *testing.T) {
	everyKind(t, func(t *testing.T, p *Passwords) {
		for _, password := range []string{
			"", "a", "1234567", "12345678", strings.Repeat("x", 64), strings.Repeat("x", 72), strings.Repeat("x", 73),
			strings.Repeat("x", 128), strings.Repeat("x", 256), strings.Repeat("🔑", 256),
			"a\x00a", "\x00", "  spaces around  ", "grüße", "🔑🔑🔑",
		} {
			encoded := hashPassword(t, p, password)
			checkVerify(t, p, encoded, password, true, false)
			for _, other := range []string{password + "y", password + "\x00", password + "\x00" + password, " " + password} {
				checkVerify(t, p, encoded, other, false, false)
			}
			if password != "" {
				checkVerify(t, p, encoded, password[:len(password)-1]+"y", false, false)
			}
		}
	})
}

// LG-06: the same text typed on macOS (decomposed) and on Linux (composed).
func TestNormalFormsAreTheSamePassword(t *testing.T) {
	everyKind(t, func(t *testing.T, p *Passwords) {
		checkVerify(t, p, hashPassword(t, p, "gru\u0308\u00dfe"), "gr\u00fc\u00dfe", true, false)
		checkVerify(t, p, hashPassword(t, p, "gr\u00fc\u00dfe"), "gru\u0308\u00dfe", true, false)
	})
	p := newPasswords(t, PasswordConfig{})
	if _, err := p.Hash(t.Context(), strings.Repeat("u\u0308", 256)); err != nil {
		t.Errorf("256 decomposed characters: %v", err)
	}
}

// LG-06: refused before anything is computed: no slot is needed.
func TestLongPasswordsAreRefusedBeforeHashing(t *testing.T) {
	everyKind(t, func(t *testing.T, p *Passwords) {
		p.slots <- struct{}{}
		encoded := p.dummy.String()
		for _, n := range []int{257, 4096, 1_000_000} {
			long := strings.Repeat("x", n)
			if _, err := p.Hash(t.Context(), long); !errors.Is(err, ErrTooLong) {
				t.Errorf("Hash of %d characters: %v, want ErrTooLong", n, err)
			}
			checkVerify(t, p, encoded, long, false, false)
			if err := p.VerifyNone(t.Context(), long); err != nil {
				t.Errorf("VerifyNone of %d characters: %v", n, err)
			}
		}
	})
}

func TestForeignHashesVerifyAndAskForOurs(t *testing.T) {
	p := newPasswords(t, PasswordConfig{})
	b := newPasswords(t, PasswordConfig{Kind: Bcrypt})
	const (
		// Openwall crypt_blowfish, wrapper.c
		openwall = ".E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
		// phc-winner-argon2, README
		phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	)
	for _, kind := range []string{"2a", "2b", "2y"} {
		checkVerify(t, p, "$"+kind+"$05$CCCCCCCCCCCCCCCCCCCCC"+openwall, "U*U", true, true)
		checkVerify(t, b, "$"+kind+"$05$CCCCCCCCCCCCCCCCCCCCC"+openwall, "U*U", true, true)
		checkVerify(t, p, "$"+kind+"$05$CCCCCCCCCCCCCCCCCCCCC"+openwall, "U*V", false, false)
	}
	checkVerify(t, p, phc, "password", true, true)
	checkVerify(t, b, phc, "password", true, true)
	checkVerify(t, p, phc, "Password", false, false)
	checkVerify(t, b, hashPassword(t, p, "x"), "x", true, true)
	checkVerify(t, p, hashPassword(t, b, "x"), "x", true, true)
	// A hash of ours for a password that bcrypt cannot take is recognised by the other kind as well.
	checkVerify(t, p, hashPassword(t, b, strings.Repeat("x", 100)), strings.Repeat("x", 100), true, true)
}

func TestChangedParametersAskForANewHash(t *testing.T) {
	p := newPasswords(t, PasswordConfig{})
	for _, a := range []Argon2Params{{MemoryKiB: 128, Time: 1, Threads: 1}, {MemoryKiB: 64, Time: 2, Threads: 1}, {MemoryKiB: 64, Time: 1, Threads: 2}} {
		checkVerify(t, p, hashPassword(t, newPasswords(t, PasswordConfig{Argon2: a}), "x"), "x", true, true)
	}
	b := newPasswords(t, PasswordConfig{Kind: Bcrypt})
	checkVerify(t, b, hashPassword(t, newPasswords(t, PasswordConfig{Kind: Bcrypt, BcryptCost: 5}), "x"), "x", true, true)
}

// Flask-Security: base64(HMAC-SHA512(SECURITY_PASSWORD_SALT, password)); computed here with openssl.
func TestPepperIsThatOfFlaskSecurity(t *testing.T) {
	p := newPasswords(t, PasswordConfig{Peppers: [][]byte{[]byte("flask-salt")}})
	got, err := p.input(encodedHash{kind: Argon2id, prehash: PepperID([]byte("flask-salt"))}, "password with umlaut: grüße")
	want := "zLPcS1qjvVJ6/+BSbbMqRcYOUHiFL2RyHnsUvkIZ0L/XlavLCmi7VSm+SLP+CoklLrxSk3oIejXvBuuRJE9hMw=="
	if err != nil || string(got) != want {
		t.Errorf("input = %s, %v, want %s", got, err, want)
	}
}

func TestPepperIsNeededAndRotates(t *testing.T) {
	for _, kind := range []string{Argon2id, Bcrypt} {
		none := newPasswords(t, PasswordConfig{Kind: kind})
		before := newPasswords(t, PasswordConfig{Kind: kind, Peppers: [][]byte{[]byte("old")}})
		after := newPasswords(t, PasswordConfig{Kind: kind, Peppers: [][]byte{[]byte("new"), []byte("old")}})

		encoded := hashPassword(t, before, "x")
		if !strings.Contains(encoded, "keyid="+PepperID([]byte("old"))+"$") || strings.Contains(encoded, "old$") {
			t.Errorf("Hash = %s, want the id of the pepper and not the pepper", encoded)
		}
		checkVerify(t, before, encoded, "x", true, false)
		checkVerify(t, after, encoded, "x", true, true)
		checkVerify(t, after, hashPassword(t, none, "x"), "x", true, true)
		checkVerify(t, after, hashPassword(t, after, "x"), "x", true, false)
		if ok, _, err := none.Verify(t.Context(), encoded, "x"); ok || !errors.Is(err, ErrBadHash) {
			t.Errorf("without the pepper: %v, %v, want ErrBadHash", ok, err)
		}
		// The pepper matters: the same hash under another pepper's id does not verify.
		swapped := strings.Replace(encoded, PepperID([]byte("old")), PepperID([]byte("new")), 1)
		checkVerify(t, after, swapped, "x", false, false)
	}
}

// LG-09: refused at once, without an error that repeats the hash, and at the price of an honest hash. (A cost of 31
// would take hours, and m=4 GiB the machine.)
func TestMalformedAndOverCostHashesAreRefused(t *testing.T) {
	p := newPasswords(t, PasswordConfig{})
	for _, encoded := range badHashes {
		ok, _, err := p.Verify(t.Context(), encoded, "x")
		if ok || !errors.Is(err, ErrBadHash) {
			t.Errorf("Verify(%.80q) = %v, %v, want ErrBadHash", encoded, ok, err)
		}
		if len(encoded) > 30 && err != nil && strings.Contains(err.Error(), encoded[len(encoded)-20:]) {
			t.Errorf("the error %q repeats the hash", err)
		}
	}
}

// LG-08: no more than Slots hashes at a time and no more than Queue callers waiting; the rest is told at once.
func TestHashingIsBounded(t *testing.T) {
	p := newPasswords(t, PasswordConfig{Slots: 1, Queue: 2})
	encoded := hashPassword(t, p, "x")
	p.slots <- struct{}{} // somebody is at work

	var wg sync.WaitGroup
	results := make(chan error, 2)
	for range 2 {
		wg.Go(func() {
			_, _, err := p.Verify(context.Background(), encoded, "x")
			results <- err
		})
	}
	for p.waiting.Load() < 2 {
		runtime.Gosched()
	}
	for range 200 {
		if err := p.VerifyNone(t.Context(), "x"); !errors.Is(err, ErrBusy) {
			t.Fatalf("with the queue full: %v, want ErrBusy", err)
		}
	}
	<-p.slots
	wg.Wait()
	for range 2 {
		if err := <-results; err != nil {
			t.Errorf("a caller in the queue got %v", err)
		}
	}
	if n := p.waiting.Load(); n != 0 || len(p.slots) != 0 {
		t.Errorf("%d wait and %d slots are taken after everybody is done", n, len(p.slots))
	}
}

func TestACallerWhoLeavesIsNotHashedFor(t *testing.T) {
	p := newPasswords(t, PasswordConfig{Slots: 1})
	p.slots <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Hash(ctx, "x"); !errors.Is(err, ErrBusy) || !errors.Is(err, context.Canceled) {
		t.Errorf("Hash = %v, want ErrBusy and context.Canceled", err)
	}
	if n := p.waiting.Load(); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

// The dummy must be usable: a malformed one would be compared in no time and give unknown accounts away (LG-01).
func TestUnknownPeopleCostAHashOfTodaysKind(t *testing.T) {
	everyKind(t, func(t *testing.T, p *Passwords) {
		e, err := parseHash(p.dummy.String())
		if err != nil || e.kind != p.kind || e.cost != 0 && e.cost != p.cost || e.kind == Argon2id && e.argon != p.argon {
			t.Errorf("dummy = %+v, %v", e, err)
		}
		for _, password := range []string{"x", strings.Repeat("x", 100), "a\x00"} {
			if err := p.VerifyNone(t.Context(), password); err != nil {
				t.Errorf("VerifyNone(%q) = %v", password, err)
			}
		}
	})
}

// LG-01: whoever is found with a hash of today's kind costs as much as nobody, however odd the guess: longer than
// bcrypt reads, with NUL, or in another normal form than it is typed in.
func TestAWrongPasswordCostsWhatNobodyCosts(t *testing.T) {
	pepper := [][]byte{[]byte("a pepper")}
	for name, c := range map[string]PasswordConfig{
		"argon2id": {Argon2: cheapArgon}, "argon2id, pepper": {Argon2: cheapArgon, Peppers: pepper},
		"bcrypt": {Kind: Bcrypt, BcryptCost: 4}, "bcrypt, pepper": {Kind: Bcrypt, BcryptCost: 4, Peppers: pepper},
	} {
		p := newPasswords(t, c)
		for _, stored := range []string{"UserPass123!", strings.Repeat("long", 30), "a\x00b"} {
			encoded := hashPassword(t, p, stored)
			for _, guess := range []string{"x", strings.Repeat("x", 80), "a\x00", "u\u0308\ufb01\u00e9", strings.Repeat("\ufb01\u00e9", 40)} {
				before := p.hashed.Load()
				if ok, _, err := p.Verify(t.Context(), encoded, guess); ok || err != nil {
					t.Fatalf("%s: Verify(%q) = %v, %v", name, guess, ok, err)
				}
				somebody := p.hashed.Load() - before
				if err := p.VerifyNone(t.Context(), guess); err != nil {
					t.Fatal(err)
				}
				if nobody := p.hashed.Load() - before - somebody; somebody != 1 || nobody != 1 {
					t.Errorf("%s, %q for %q: %d hashes, %d for nobody; want 1 and 1", name, guess, stored, somebody, nobody)
				}
			}
		}
	}
}

// Between two collections no more memory is taken than three hashes need, however many are asked for, and a rest
// brings the usual pace back.
func TestTheCollectorKeepsPaceWithHashing(t *testing.T) {
	const kib = 4 << 10
	p := newPasswords(t, PasswordConfig{Argon2: Argon2Params{MemoryKiB: kib, Time: 1, Threads: 1}, Slots: 1})
	usual := debug.SetGCPercent(100)
	debug.SetGCPercent(usual)
	collect := &collector{}
	defer func(c *collector) { pace = c }(pace)
	pace = collect

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const hashes = 12
	for range hashes {
		if err := p.VerifyNone(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.NumGC - before.NumGC; n != hashes/hashesPerCollection {
		t.Errorf("%d collections for %d hashes, want %d", n, hashes, hashes/hashesPerCollection)
	}
	if n := after.NumForcedGC - before.NumForcedGC; n != hashes/hashesPerCollection {
		t.Errorf("%d of them by the slot, want all", n)
	}
	collect.rest()
	if got := debug.SetGCPercent(usual); got != usual {
		t.Errorf("the pace after a rest is %d, want %d", got, usual)
	}
}

// Larger hashes leave more behind, so the collector comes sooner, and not never.
func TestTheCollectorCountsTheMemoryOfAHash(t *testing.T) {
	for kib, want := range map[uint32]int{8: 1, 19456: 1, 2*19456 - 1: 1, 2 * 19456: 2, 65536: 3, 262144: 13} {
		p := newPasswords(t, PasswordConfig{Argon2: Argon2Params{MemoryKiB: kib, Time: 1, Threads: 1}})
		if got := p.garbage(); got != want {
			t.Errorf("%d KiB: got %d, want %d", kib, got, want)
		}
	}
}

// An unknown address costs what a known one costs, whatever the parameters are set to: a dummy of the default ones
// would tell by its time who has an account.
func TestWhoIsUnknownCostsTodaysParameters(t *testing.T) {
	for _, params := range []Argon2Params{Argon2Floor, {MemoryKiB: 64, Time: 3, Threads: 2}, {MemoryKiB: 47104, Time: 2, Threads: 1}, {MemoryKiB: 19456, Time: 5, Threads: 4}} {
		p := newPasswords(t, PasswordConfig{Argon2: params})
		if p.dummy.kind != Argon2id || p.dummy.argon != params || !p.isCurrent(p.dummy) {
			t.Errorf("%+v: the dummy is %s with %+v", params, p.dummy.kind, p.dummy.argon)
		}
	}
}

func BenchmarkArgon2id(b *testing.B) {
	p, err := NewPasswords(PasswordConfig{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.VerifyNone(b.Context(), "UserPass123!"); err != nil {
			b.Fatal(err)
		}
	}
}

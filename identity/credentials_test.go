package identity

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	oldPassword = "a quiet river bends north"
	newPassword = "seven lanterns over the pier"
)

// check reads the account of a typed address and compares the password, as a sign-in does.
func (in *installation) check(ctx context.Context, email, password string) (c *storage.LoginRecord, hash string, err error) {
	if c, err = in.store.LoginRecord(ctx, AttemptKey(email), nil); err != nil {
		return nil, "", err
	}
	hash, err = in.Accounts.CheckCredentials(ctx, c, password)
	return c, hash, err
}

// signsIn reports whether an address and a password do.
func (in *installation) signsIn(t testing.TB, email, password string) bool {
	t.Helper()
	_, hash, err := in.check(t.Context(), email, password)
	if err != nil && !errors.Is(err, ErrCredentials) {
		t.Fatal(err)
	}
	return err == nil && hash != ""
}

// LG-03: spellings of one address are one account; what is none is counted too, and bounded.
func TestAccounts(t *testing.T) {
	for _, same := range []string{"bob@example.com", " Bob@Example.COM\t", "BOB@EXAMPLE.com"} {
		if got := AttemptKey(same); got != "bob@example.com" {
			t.Errorf("%q: got %q", same, got)
		}
	}
	if AttemptKey("no address") != AttemptKey(" NO ADDRESS ") || AttemptKey("no address") == AttemptKey("another") {
		t.Error("what is no address is not counted for itself")
	}
	if got := AttemptKey(strings.Repeat("é", 10_000)); len(got) > maxTyped+40 || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("got %d bytes", len(got))
	}
}

// LG-01: every kind of no is the same error, and says whom to count it for.
func TestWhoMaySignInWithAPassword(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		bob := in.user(t, "bob@acme-corp.com", false)
		in.user(t, "eve@acme-corp.com", false)
		none, err := in.People.Create(t.Context(), Operator(), NewUser{Email: "none@acme-corp.com"})
		if err != nil {
			t.Fatal(err)
		}
		off := in.user(t, "off@acme-corp.com", false)
		if _, err := in.People.Disable(t.Context(), Operator(), off.ID); err != nil {
			t.Fatal(err)
		}
		bad := in.user(t, "bad@acme-corp.com", false)
		if err := in.store.SetPassword(t.Context(), bad.ID, "$argon2id$what", uuid.Nil, &storage.Event{Type: "test"}); err != nil {
			t.Fatal(err)
		}
		unproven := in.unproven(t, "new@acme-corp.com")
		for name, tc := range map[string]struct {
			email, password string
			confirm         bool
			want            bool
			counted         uuid.UUID
		}{
			"right":                         {" BOB@acme-corp.com", oldPassword, false, true, bob.ID},
			"wrong":                         {"bob@acme-corp.com", newPassword, false, false, bob.ID},
			"nobody":                        {"nobody@acme-corp.com", oldPassword, false, false, uuid.Nil},
			"no address":                    {"bob", oldPassword, false, false, uuid.Nil},
			"disabled":                      {"off@acme-corp.com", oldPassword, false, false, off.ID},
			"without a password":            {"none@acme-corp.com", "", false, false, none.ID},
			"a hash that cannot be used":    {"bad@acme-corp.com", oldPassword, false, false, bad.ID},
			"unproven":                      {"new@acme-corp.com", oldPassword, false, true, unproven.ID},
			"unproven, where it must be":    {"new@acme-corp.com", oldPassword, true, false, unproven.ID},
			"proven, where it must be":      {"bob@acme-corp.com", oldPassword, true, true, bob.ID},
			"a password that is a megabyte": {"bob@acme-corp.com", strings.Repeat("x", 1<<20), false, false, bob.ID},
		} {
			in.Accounts.confirmEmail = tc.confirm
			c, hash, err := in.check(t.Context(), tc.email, tc.password)
			if tc.want != (err == nil) || !tc.want && !errors.Is(err, ErrCredentials) {
				t.Errorf("%s: got %v, want allowed %v", name, err, tc.want)
				continue
			}
			if c.User.ID != tc.counted || (hash != "") != tc.want {
				t.Errorf("%s: counted for %v, hash %q", name, c.User.ID, hash)
			}
			if errors.Is(err, secret.ErrBadHash) != (tc.email == "bad@acme-corp.com") {
				t.Errorf("%s: got %v; a hash that cannot be used is said for the log", name, err)
			}
		}
	})
}

// LG-09: hashes of another kind, or of less work, are replaced when they can be.
func TestAHashIsMadeAnewAtASignIn(t *testing.T) {
	in := onSQLite(t)
	bob := in.user(t, "bob@acme-corp.com", false)
	old := in.Passwords.Passwords
	for _, c := range []secret.PasswordConfig{
		{Kind: secret.Bcrypt, BcryptCost: 4}, {Kind: secret.Bcrypt, BcryptCost: 5}, {Argon2: secret.Argon2Params{MemoryKiB: 16, Time: 1, Threads: 1}},
	} {
		today, err := secret.NewPasswords(c)
		if err != nil {
			t.Fatal(err)
		}
		in.Passwords.Passwords = today
		_, got, err := in.check(t.Context(), bob.Email, oldPassword)
		if err != nil {
			t.Fatal(err)
		}
		_, stored, err := in.store.UserWithPassword(t.Context(), bob.EmailKey)
		if err != nil || got != stored {
			t.Errorf("the hash to sign in with is not the one that is stored: %v", err)
		}
		if ok, rehash, err := today.Verify(t.Context(), stored, oldPassword); !ok || rehash || err != nil {
			t.Errorf("%+v: got %v, rehash %v, %v", c, ok, rehash, err)
		}
	}
	in.Passwords.Passwords = old
	if !in.signsIn(t, bob.Email, oldPassword) {
		t.Error("the password does not sign in any more")
	}
}

func TestChangingAPasswordNeedsThePresentOne(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		bob := in.user(t, "bob@acme-corp.com", false)
		me := Actor{UserID: bob.ID, RequestID: "req"}
		here, there := in.session(t, bob), in.session(t, bob)
		var faults FieldErrors
		for name, tc := range map[string]struct{ current, next string }{
			"common": {oldPassword, "password1"}, "the same": {oldPassword, oldPassword}, "the address": {oldPassword, bob.Email},
		} {
			if err := in.Accounts.ChangePassword(t.Context(), me, tc.current, tc.next, here.ID, request.Info{}); !errors.As(err, &faults) {
				t.Errorf("%s: got %v, want faults", name, err)
			}
		}
		for _, wrong := range []string{"", newPassword, strings.ToUpper(oldPassword)} {
			if err := in.Accounts.ChangePassword(t.Context(), me, wrong, "eleven geese cross the moat", here.ID, request.Info{}); !errors.Is(err, ErrWrongPassword) {
				t.Errorf("%q: got %v, want ErrWrongPassword", wrong, err)
			}
		}
		if got := in.letters(t); len(got) != 0 || !in.lives(t, there) {
			t.Errorf("refused, and yet: mails %v", got)
		}
		if err := in.Accounts.ChangePassword(t.Context(), me, oldPassword, newPassword, here.ID, request.Info{Device: "Firefox on Linux"}); err != nil {
			t.Fatal(err)
		}
		if in.signsIn(t, bob.Email, oldPassword) || !in.signsIn(t, bob.Email, newPassword) {
			t.Error("the password is not the new one")
		}
		if !in.lives(t, here) || in.lives(t, there) {
			t.Error("the present session must stay and the other end")
		}
		got := in.letters(t)
		if len(got) != 1 || got[0].Kind != "passwordchanged" || got[0].To != bob.Email || !strings.Contains(got[0].Text, "Firefox on Linux") {
			t.Errorf("mails: got %+v", got)
		}
	})
}

func TestAPersonWithoutAPasswordSetsOne(t *testing.T) {
	in := onSQLite(t)
	none, err := in.People.Create(t.Context(), Operator(), NewUser{Email: "none@acme-corp.com"})
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Accounts.ChangePassword(t.Context(), Actor{UserID: none.ID}, "", newPassword, uuid.Nil, request.Info{}); err != nil {
		t.Fatal(err)
	}
	if !in.signsIn(t, none.Email, newPassword) {
		t.Error("the password does not sign in")
	}
}

// LG-06: what is accepted counts in full, however long; what is not is refused
// before anything is computed from it.
func TestLengthsAndFormsOfPasswords(t *testing.T) {
	in := onSQLite(t)
	long := func(n int) string { return manyCharacters(n) }
	for n, tc := range []struct {
		password string
		ok       bool
		same     string // the same password, typed on another system
		other    string // another password
	}{
		{"k", false, "", ""}, {long(7), false, "", ""}, {long(8), true, "", long(9)}, {long(64), true, "", long(63)}, {long(72), true, "", long(73)},
		{long(73), true, "", long(72)}, {long(128), true, "", long(127)}, {long(256), true, "", long(255)}, {long(257), false, "", ""}, {long(4096), false, "", ""},
		{strings.Repeat("x", 1<<20), false, "", ""},
		{"river\x00bends north", true, "", "river"},
		{"caf\u00e9 au lait \u00e0 midi", true, "cafe\u0301 au lait a\u0300 midi", "cafe au lait a midi"},
		{"  " + oldPassword, true, "", oldPassword},
		{"🦊🌿🪵 and six chairs", true, "", "🦊🌿 and six chairs"},
	} {
		email := "person" + string(rune('a'+n)) + "@a.example"
		_, _, err := in.Registrations.Register(t.Context(), Registration{Email: email, Password: tc.password})
		if (err == nil) != tc.ok {
			t.Errorf("%d bytes: got %v, want accepted %v", len(tc.password), err, tc.ok)
			continue
		}
		if !tc.ok {
			continue
		}
		if !in.signsIn(t, email, tc.password) || tc.same != "" && !in.signsIn(t, email, tc.same) || in.signsIn(t, email, tc.other) {
			t.Errorf("%.20q: signs in %v, in another form %v, another one %v", tc.password, in.signsIn(t, email, tc.password), in.signsIn(t, email, tc.same), in.signsIn(t, email, tc.other))
		}
	}
}

// LG-01: the work is the same whatever is found. A hash takes its memory at once,
// so that what was allocated tells how many there were.
func TestEveryAnswerCostsOneHash(t *testing.T) {
	const kib = 16 << 10
	in := onSQLite(t, func(c *Config) {
		p, err := secret.NewPasswords(secret.PasswordConfig{Argon2: secret.Argon2Params{MemoryKiB: kib, Time: 1, Threads: 1}})
		if err != nil {
			t.Fatal(err)
		}
		c.Passwords.Hasher = p
	})
	in.user(t, "bob@acme-corp.com", false)
	off := in.user(t, "off@acme-corp.com", false)
	if _, err := in.People.Disable(t.Context(), Operator(), off.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := in.People.Create(t.Context(), Operator(), NewUser{Email: "none@acme-corp.com"}); err != nil {
		t.Fatal(err)
	}
	in.unproven(t, "new@acme-corp.com")
	in.Accounts.confirmEmail = true
	for _, email := range []string{"bob@acme-corp.com", "off@acme-corp.com", "none@acme-corp.com", "new@acme-corp.com", "nobody@acme-corp.com", "no address"} {
		for what, ask := range map[string]func() error{
			"signing in": func() error { _, _, err := in.check(t.Context(), email, newPassword); return err },
			"registering": func() error {
				return in.Registrations.Request(t.Context(), Registration{Email: email, Password: newPassword})
			},
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := ask()
			runtime.ReadMemStats(&after)
			hashes := (after.TotalAlloc - before.TotalAlloc) / (kib << 10)
			want := uint64(1)
			if faults, ok := errors.AsType[FieldErrors](err); ok && faults[0].Field == "email" {
				want = 0 // what is no address is told at once, to everybody
			}
			if hashes != want {
				t.Errorf("%s, %s: %d hashes, want %d (%v)", email, what, hashes, want, err)
			}
		}
	}
}

// A user who signs in twice at once with an old hash is let in twice, and counted as
// no failure, though only one of the two replaces it.
func TestSigningInTwiceAtOnceWithAnOldHash(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		bob := in.user(t, "bob@acme-corp.com", false)
		today, err := secret.NewPasswords(secret.PasswordConfig{Kind: secret.Bcrypt, BcryptCost: 4, Slots: 4})
		if err != nil {
			t.Fatal(err)
		}
		in.Passwords.Passwords = today
		found := make([]string, 4)
		errs := make([]error, len(found))
		var all sync.WaitGroup
		for n := range found {
			all.Go(func() { _, found[n], errs[n] = in.check(t.Context(), bob.Email, oldPassword) })
		}
		all.Wait()
		_, stored, err := in.store.UserWithPassword(t.Context(), bob.EmailKey)
		if err != nil {
			t.Fatal(err)
		}
		for n, hash := range found {
			if errs[n] != nil || hash != stored {
				t.Errorf("%d: %v, with the hash that is stored %v", n, errs[n], errs[n] == nil && hash == stored)
			}
		}
	})
}

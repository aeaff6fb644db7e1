package storage

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// mailed stores a link of an hour.
func mailed(t *testing.T, s *Store, purpose string, user uuid.UUID) secret.Hash {
	t.Helper()
	l := &Link{Hash: secret.HashOf(secret.NewToken("")), Purpose: purpose, UserID: user, Payload: []byte(`{"a":1}`), Browser: secret.HashOf("browser"),
		CreatedAt: s.clock(), ExpiresAt: s.clock().Add(time.Hour)}
	if err := s.CreateLink(t.Context(), l, &Event{Type: "test"}); err != nil {
		t.Fatal(err)
	}
	return l.Hash
}

func TestALinkIsOfOnePurposeAndForATime(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		user := guest(t, s)
		hash := mailed(t, s, LinkVerify, user)
		l, err := s.Link(t.Context(), hash, LinkVerify)
		if err != nil || l.UserID != user || string(l.Payload) != `{"a":1}` || l.Browser != secret.HashOf("browser") || !l.ExpiresAt.Equal(clock.t.Add(time.Hour)) {
			t.Errorf("got %+v, %v", l, err)
		}
		for _, purpose := range []string{LinkRegister, LinkReset, LinkSetup, ""} {
			if _, err := s.Link(t.Context(), hash, purpose); !errors.Is(err, ErrNotFound) {
				t.Errorf("for %q: got %v, want ErrNotFound", purpose, err)
			}
			err := s.VerifyEmail(t.Context(), &EmailVerification{UserID: user, EmailKey: user.String() + "@example.com", Link: hash, Purpose: purpose, Event: &Event{Type: "test"}})
			if !errors.Is(err, ErrSpent) {
				t.Errorf("used for %q: got %v, want ErrSpent", purpose, err)
			}
		}
		clock.add(time.Hour - time.Microsecond)
		if _, err := s.Link(t.Context(), hash, LinkVerify); err != nil {
			t.Errorf("in its last moment: %v", err)
		}
		clock.add(time.Microsecond)
		if _, err := s.Link(t.Context(), hash, LinkVerify); !errors.Is(err, ErrSpent) {
			t.Errorf("a moment later: got %v, want ErrSpent", err)
		}
	})
}

func TestAFirstProofThatClaimsTakesEverything(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		for name, tc := range map[string]struct {
			proven, claim bool
			password      string
			session       string // why it ends
			hash          string // of the password that is left
		}{
			"a claim":                          {false, true, "", EndVerified, ""},
			"a claim with a password":          {false, true, "new", EndVerified, "new"},
			"by whoever made it":               {false, false, "", "", "phc"},
			"a claim on what is somebody's":    {true, true, "", "", "phc"},
			"a reset of what is somebody's":    {true, true, "new", EndPasswordChanged, "new"},
			"a new password without any claim": {false, false, "new", EndPasswordChanged, "new"},
		} {
			user := guest(t, s)
			key := user.String() + "@example.com"
			if tc.proven {
				behind(t, s, `UPDATE users SET email_verified_at = 1 WHERE id = ?`, id(user))
			}
			behind(t, s, `UPDATE users SET profile = '{"name":"Mallory"}' WHERE id = ?`, id(user))
			consentTo(t, s, user, "app", uuid.Nil, s.clock().Add(time.Hour))
			_, ended := access(t, s, user, "app", uuid.Nil)
			hash := mailed(t, s, LinkVerify, user)
			p := &EmailVerification{UserID: user, EmailKey: key, Link: hash, Purpose: LinkVerify, Claim: tc.claim, Profile: &Profile{Name: "Bob"}, PasswordHash: tc.password,
				Next: &Link{Hash: secret.HashOf(key), Purpose: LinkReset, UserID: user, CreatedAt: s.clock(), ExpiresAt: s.clock().Add(time.Hour)}, Event: &Event{Type: "test"}}
			if err := s.VerifyEmail(t.Context(), p); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			wantEnds(t, ended, tc.session, tc.session)
			u, left, err := s.UserWithPassword(t.Context(), key)
			if err != nil || left != tc.hash || !u.EmailVerified() {
				t.Errorf("%s: password %q, want %q; %v", name, left, tc.hash, err)
			}
			claimed := tc.claim && !tc.proven
			if n := counted(t, s, `SELECT count(*) FROM consents WHERE user_id = ? AND withdrawn_at IS NULL`, id(user)); (n == 0) != claimed || (u.Profile.Name == "Bob") != claimed {
				t.Errorf("%s: %d consents are left, the name is %q", name, n, u.Profile.Name)
			}
			if _, err := s.Link(t.Context(), secret.HashOf(key), LinkReset); err != nil {
				t.Errorf("%s: the next link: %v", name, err)
			}
			if err := s.VerifyEmail(t.Context(), p); !errors.Is(err, ErrSpent) {
				t.Errorf("%s: again: got %v, want ErrSpent", name, err)
			}
		}
	})
}

// A refusal leaves the link: nothing has happened.
func TestWhomNoLinkProves(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		for name, tc := range map[string]struct {
			key   string
			spoil string
			want  error
		}{
			"disabled":        {"", `UPDATE users SET disabled_at = 1 WHERE id = ?`, ErrNotFound},
			"gone":            {"", `UPDATE users SET deleted_at = 1, email_key = NULL WHERE id = ?`, ErrNotFound},
			"another address": {"another@example.com", ``, ErrConflict},
		} {
			user := guest(t, s)
			hash := mailed(t, s, LinkReset, user)
			if tc.key == "" {
				tc.key = user.String() + "@example.com"
			}
			if tc.spoil != "" {
				behind(t, s, tc.spoil, id(user))
			}
			err := s.VerifyEmail(t.Context(), &EmailVerification{UserID: user, EmailKey: tc.key, Link: hash, Purpose: LinkReset, Claim: true, PasswordHash: "new", Event: &Event{Type: "test"}})
			if !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", name, err, tc.want)
			}
			if n := counted(t, s, `SELECT count(*) FROM passwords WHERE user_id = ? AND hash = 'phc'`, id(user)); n != 1 {
				t.Errorf("%s: the password was changed", name)
			}
			if _, err := s.Link(t.Context(), hash, LinkReset); err != nil {
				t.Errorf("%s: the link is gone: %v", name, err)
			}
		}
	})
}

func TestARegistrationIsAllOrNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		hash := mailed(t, s, LinkRegister, uuid.Nil)
		make := func(email string) *Registration {
			u := newPerson(s, email)
			return &Registration{Person: NewUser{User: u, Events: []*Event{{Type: "user.registered", User: u.ID}}}, Link: hash,
				Next:  &Link{Hash: secret.HashOf("next"), Purpose: LinkReset, UserID: u.ID, CreatedAt: s.clock(), ExpiresAt: s.clock().Add(time.Hour)},
				Mails: []*Message{{Kind: "mail", Payload: []byte(`{}`)}}}
		}
		person(t, s, "taken@acme-corp.com")
		if err := s.Register(t.Context(), make("taken@acme-corp.com")); !errors.Is(err, ErrExists) {
			t.Errorf("a taken address: got %v, want ErrExists", err)
		}
		if n := counted(t, s, `SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM links WHERE spent_at IS NOT NULL)`); n != 0 {
			t.Error("a refused registration has left something")
		}
		if err := s.Register(t.Context(), make("new@acme-corp.com")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Link(t.Context(), secret.HashOf("next"), LinkReset); err != nil || counted(t, s, `SELECT count(*) FROM outbox`) != 1 {
			t.Errorf("the next link or the mail is missing: %v", err)
		}
		if err := s.Register(t.Context(), make("newer@acme-corp.com")); !errors.Is(err, ErrSpent) {
			t.Errorf("with the same link: got %v, want ErrSpent", err)
		}
	})
}

func TestAFirstSignInIsNotedOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		user := guest(t, s)
		organization(t, s, "acme-corp", user)
		noted := func() time.Time {
			t.Helper()
			if made, err := s.OnFirstSignIn(t.Context(), user, false, nil); made != nil || err != nil {
				t.Fatalf("got %v, %v, want nothing to be made", made, err)
			}
			u, err := s.User(t.Context(), user)
			if err != nil {
				t.Fatal(err)
			}
			return u.FirstSignInAt
		}
		first := noted()
		if again := noted(); first.IsZero() || !again.Equal(first) {
			t.Errorf("noted at %v, then at %v", first, again)
		}
	})
}

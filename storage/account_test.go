package storage

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// A user who changes a password that an intruder knows is not overtaken by the intruder.
func TestAPasswordIsChangedFromTheOneThatWasShown(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		user := person(t, s, "bob@acme-corp.com")
		change := func(old, hash string) error {
			return s.ChangePassword(t.Context(), user, old, hash, uuid.Nil, &Event{Type: "test"})
		}
		if err := change("hash of bob@acme-corp.com", "mine"); err != nil {
			t.Fatal(err)
		}
		for _, old := range []string{"hash of bob@acme-corp.com", "", "x"} {
			if err := change(old, "theirs"); !errors.Is(err, ErrConflict) {
				t.Errorf("from %q: got %v, want ErrConflict", old, err)
			}
		}
		if _, hash, err := s.UserWithPassword(t.Context(), "bob@acme-corp.com"); err != nil || hash != "mine" {
			t.Errorf("got %q, %v", hash, err)
		}
		if err := s.ChangePassword(t.Context(), uuid.New(), "", "x", uuid.Nil, &Event{Type: "test"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("nobody: got %v, want ErrNotFound", err)
		}
		none := newPerson(s, "none@acme-corp.com")
		if err := s.CreateUsers(t.Context(), &NewUser{User: none}); err != nil {
			t.Fatal(err)
		}
		if err := s.ChangePassword(t.Context(), none.ID, "", "first", uuid.Nil, &Event{Type: "test"}); err != nil {
			t.Errorf("the first: %v", err)
		}
	})
}

func TestAChangedPasswordKeepsOneSession(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		user := person(t, s, "bob@acme-corp.com")
		keep, kept := access(t, s, user, "app", uuid.Nil)
		_, ended := access(t, s, user, "app", uuid.Nil)
		reset := &Link{Hash: secret.HashOf("reset"), Purpose: LinkReset, UserID: user, CreatedAt: s.clock(), ExpiresAt: s.clock().Add(1 << 40)}
		if err := s.CreateLink(t.Context(), reset, &Event{Type: "test"}); err != nil {
			t.Fatal(err)
		}
		if err := s.ChangePassword(t.Context(), user, "hash of bob@acme-corp.com", "new", keep, &Event{Type: "user.password_changed"}, &Message{Kind: "mail", Payload: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		wantEnds(t, kept, "", EndPasswordChanged)
		wantEnds(t, ended, EndPasswordChanged, EndPasswordChanged)
		if _, err := s.Link(t.Context(), reset.Hash, LinkReset); !errors.Is(err, ErrSpent) {
			t.Errorf("a link to reset it: got %v, want ErrSpent", err)
		}
		if diff := cmp.Diff([]string{"test", "user.password_changed"}, recorded(t, s)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n := counted(t, s, `SELECT count(*) FROM outbox`); n != 1 {
			t.Errorf("got %d mails, want 1", n)
		}
	})
}

func TestAProfileIsEditedUnderItsLock(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		user := person(t, s, "bob@acme-corp.com")
		done := make(chan error, 8)
		for range cap(done) {
			go func() {
				done <- s.UpdateProfile(t.Context(), user, func(p *Profile) { p.Nickname += "x" }, &Event{Type: "test"})
			}()
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if u, err := s.User(t.Context(), user); err != nil || u.Profile.Nickname != "xxxxxxxx" {
			t.Errorf("got %+v, %v: an edit was lost", u, err)
		}
		if err := s.UpdateProfile(t.Context(), uuid.New(), func(*Profile) {}, &Event{Type: "test"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("nobody: got %v, want ErrNotFound", err)
		}
	})
}

func TestAnAddressThatIsTakenChangesNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		user := person(t, s, "bob@acme-corp.com")
		person(t, s, "eve@acme-corp.com")
		_, ended := access(t, s, user, "app", uuid.Nil)
		if err := s.ChangeEmail(t.Context(), user, "Eve@acme-corp.com", "eve@acme-corp.com", &Event{Type: "test"}); !errors.Is(err, ErrExists) {
			t.Errorf("got %v, want ErrExists", err)
		}
		wantEnds(t, ended, "", "")
		if err := s.ChangeEmail(t.Context(), user, "New@acme-corp.com", "new@acme-corp.com", &Event{Type: "test"}); err != nil {
			t.Fatal(err)
		}
		wantEnds(t, ended, EndEmailChanged, EndEmailChanged)
	})
}

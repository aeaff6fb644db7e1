package storage

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// SS-08: an act of a session that was under way when the session ended leaves
// nothing behind. Else whoever is in by a stolen session only has to ask all the
// time: of the requests that were let in before a reset of the password, one is
// written after it, and stays.
func TestASessionThatEndedChangesNothingAnyMore(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		acme := organization(t, s, "acme-corp", alice)
		have, waits := enrolKey(t, s, alice, "credential"), waitingApp(t, s, alice)
		stolen, _ := access(t, s, alice, "app", uuid.Nil)
		if err := s.SetPassword(t.Context(), alice, "new hash", uuid.Nil, &Event{Type: "user.password_reset"}); err != nil {
			t.Fatal(err)
		}
		before := everything(t, s)
		e := &Event{Type: "test", User: alice}
		for what, act := range map[string]struct {
			want error
			do   func() error
		}{
			"an authenticator app": {ErrSpent, func() error {
				n := enrolment(s, waits)
				n.Keep = stolen
				_, err := s.Factors.Confirm(t.Context(), n)
				return err
			}},
			"a passkey": {ErrSpent, func() error {
				n := enrolment(s, aKey(s, alice, "another"))
				n.Keep = stolen
				_, err := s.Factors.Confirm(t.Context(), n)
				return err
			}},
			"removing a factor": {ErrNotFound, func() error {
				return s.Factors.Remove(t.Context(), &FactorRemoval{UserID: alice, Factors: []uuid.UUID{have.ID}, Keep: stolen, Events: []*Event{e}})
			}},
			"recovery codes": {ErrConflict, func() error {
				return s.Factors.ReplaceRecoveryCodes(t.Context(), alice, stolen, []secret.Hash{secret.HashOf("code")}, e)
			}},
			"a password": {ErrConflict, func() error {
				return s.ChangePassword(t.Context(), alice, "new hash", "another", stolen, e)
			}},
			"a token": {ErrNotFound, func() error {
				return s.CreatePersonalToken(t.Context(), &PersonalToken{ID: uuid.New(), Hash: secret.HashOf("t"), UserID: alice, Session: stolen, Organization: acme,
					Name: "CI", Scopes: []string{"sallyport:read"}, CreatedAt: s.clock(), ExpiresAt: s.clock().Add(time.Hour)}, 50, e)
			}},
		} {
			if err := act.do(); !errors.Is(err, act.want) {
				t.Errorf("%s: got %v, want %v", what, err, act.want)
			}
		}
		if after := everything(t, s); after != before {
			t.Errorf("something has changed:\n%s\nwas\n%s", after, before)
		}
		bob := person(t, s, "bob@acme-corp.com")
		n := enrolment(s, aKey(s, bob, "a third"))
		n.Keep, _ = access(t, s, alice, "other app", uuid.Nil)
		if _, err := s.Factors.Confirm(t.Context(), n); !errors.Is(err, ErrSpent) {
			t.Errorf("in another person's session: got %v, want ErrSpent", err)
		}
	})
}

// What a used link stood for is gone: for a registration it was an address, a name
// and the hash of a password, of somebody whom a later deletion would not find here.
func TestAUsedLinkStandsForNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		l := &Link{Hash: secret.HashOf("link"), Purpose: LinkRegister, Payload: []byte(`{"canary":1}`), CreatedAt: s.clock(), ExpiresAt: s.clock().Add(time.Hour)}
		if err := s.CreateLink(t.Context(), l, &Event{Type: "test"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Register(t.Context(), &Registration{Person: NewUser{User: newPerson(s, "bob@acme-corp.com")}, Link: l.Hash}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(everything(t, s), "canary") {
			t.Error("the payload is still there")
		}
		if _, err := s.Link(t.Context(), l.Hash, LinkRegister); !errors.Is(err, ErrSpent) {
			t.Errorf("opening it: got %v, want ErrSpent", err)
		}
	})
}

// RS-06: inviting and taking back again and again is a way to mail the world.
func TestInvitationsThatWereTakenBackCountForADay(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		acme := organization(t, s, "acme-corp", uuid.Nil)
		limited := func(email string) error {
			i := &Invitation{ID: uuid.Must(uuid.NewV7()), OrganizationID: acme.ID, Email: email, EmailKey: email, Role: RoleMember,
				Token: secret.HashOf(uuid.NewString()), CreatedAt: s.clock(), ExpiresAt: s.clock().Add(7 * 24 * time.Hour)}
			return s.CreateInvitation(t.Context(), i, 3, &Event{Type: "invitation.created"})
		}
		first := invite(t, s, acme.ID, "a@example.com")
		if err := s.RevokeInvitation(t.Context(), acme.ID, first.ID, &Event{Type: "invitation.revoked"}); err != nil {
			t.Fatal(err)
		}
		invite(t, s, acme.ID, "b@example.com")
		invite(t, s, acme.ID, "b@example.com") // takes the place of the one before
		if err := limited("c@example.com"); !errors.Is(err, ErrConflict) {
			t.Errorf("the fourth of a day: got %v, want ErrConflict", err)
		}
		clock.add(24 * time.Hour)
		if err := limited("c@example.com"); err != nil {
			t.Errorf("a day later: %v", err)
		}
		joins := invite(t, s, acme.ID, "d@example.com")
		if err := accept(t, s, joins, person(t, s, "d@example.com")); err != nil {
			t.Fatal(err)
		}
		if err := limited("e@example.com"); err != nil {
			t.Errorf("one that was accepted counts: %v", err)
		}
	})
}

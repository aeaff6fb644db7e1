package storage

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// invite stores an invitation to an organization and returns its token's hash.
func invite(t *testing.T, s *Store, organization uuid.UUID, email string, change ...func(*Invitation)) *Invitation {
	t.Helper()
	i := &Invitation{ID: uuid.Must(uuid.NewV7()), OrganizationID: organization, Email: email, EmailKey: email, Role: RoleMember,
		Token: secret.HashOf(uuid.NewString()), CreatedAt: s.clock(), ExpiresAt: s.clock().Add(time.Hour)}
	for _, c := range change {
		c(i)
	}
	if err := s.CreateInvitation(t.Context(), i, 100, &Event{Type: "invitation.created"}); err != nil {
		t.Fatal(err)
	}
	return i
}

func accept(t *testing.T, s *Store, i *Invitation, user uuid.UUID) error {
	t.Helper()
	return s.AcceptInvitation(t.Context(), &Acceptance{Token: i.Token, EmailKey: i.EmailKey, Event: &Event{Type: "invitation.accepted"}, Verified: &Event{Type: "user.email_proven"}}, user)
}

func TestAnInvitationComesBackAsCreated(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		acme := organization(t, s, "acme-corp", alice)
		i := invite(t, s, acme.ID, "bob@acme-corp.com", func(i *Invitation) { i.InvitedBy = alice; i.Role = RoleAdmin })
		i.Inviter = "alice@acme-corp.com"
		got, o, err := s.Invitation(t.Context(), i.Token)
		if err != nil {
			t.Fatal(err)
		}
		listed, err := s.Invitations(t.Context(), acme.ID, uuid.Nil, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(listed) != 1 {
			t.Fatalf("listed: got %d, want 1", len(listed))
		}
		if diff := cmp.Diff([]any{i, i}, []any{got, &listed[0]}); diff != "" {
			t.Error(diff)
		}
		if o.ID != acme.ID {
			t.Errorf("organization: got %s, want %s", o.ID, acme.ID)
		}
		if next, err := s.Invitations(t.Context(), acme.ID, i.ID, 10); err != nil || len(next) != 0 {
			t.Errorf("after the last: got %v, %v", next, err)
		}
	})
}

// OR-04: single use; expiry and revocation are checked at use; what is over is in no list.
func TestAnInvitationIsUsedOnceAndInTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		acme := organization(t, s, "acme-corp", uuid.Nil)
		bob, eve := person(t, s, "bob@acme-corp.com"), person(t, s, "eve@evil.example")
		if err := accept(t, s, &Invitation{Token: secret.HashOf("none"), EmailKey: "bob@acme-corp.com"}, bob); !errors.Is(err, ErrNotFound) {
			t.Errorf("no invitation: got %v, want ErrNotFound", err)
		}
		used := invite(t, s, acme.ID, "bob@acme-corp.com")
		if err := accept(t, s, used, eve); !errors.Is(err, ErrConflict) {
			t.Errorf("by another address: got %v, want ErrConflict", err)
		}
		forged := *used
		forged.EmailKey = "eve@evil.example"
		if err := accept(t, s, &forged, eve); !errors.Is(err, ErrConflict) {
			t.Errorf("with another address than was invited: got %v, want ErrConflict", err)
		}
		if err := accept(t, s, used, bob); err != nil {
			t.Fatal(err)
		}
		if role, err := s.Role(t.Context(), acme.ID, bob); err != nil || role != RoleMember {
			t.Errorf("role: got %q, %v", role, err)
		}
		if err := accept(t, s, used, bob); !errors.Is(err, ErrSpent) {
			t.Errorf("again: got %v, want ErrSpent", err)
		}
		expired := invite(t, s, acme.ID, "eve@evil.example", func(i *Invitation) { i.ExpiresAt = s.clock() })
		if err := accept(t, s, expired, eve); !errors.Is(err, ErrSpent) {
			t.Errorf("expired: got %v, want ErrSpent", err)
		}
		if err := s.RevokeInvitation(t.Context(), acme.ID, expired.ID, &Event{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("revoking an expired one: got %v, want ErrNotFound", err)
		}
		revoked := invite(t, s, acme.ID, "eve@evil.example")
		if err := s.RevokeInvitation(t.Context(), uuid.New(), revoked.ID, &Event{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("revoking that of another organization: got %v, want ErrNotFound", err)
		}
		if err := s.RevokeInvitation(t.Context(), acme.ID, revoked.ID, &Event{Type: "invitation.revoked"}); err != nil {
			t.Fatal(err)
		}
		if err := accept(t, s, revoked, eve); !errors.Is(err, ErrSpent) {
			t.Errorf("revoked: got %v, want ErrSpent", err)
		}
		for name, i := range map[string]*Invitation{"used": used, "expired": expired, "revoked": revoked} {
			if _, _, err := s.Invitation(t.Context(), i.Token); !errors.Is(err, ErrSpent) {
				t.Errorf("%s: got %v, want ErrSpent", name, err)
			}
		}
		if open, err := s.Invitations(t.Context(), acme.ID, uuid.Nil, 10); err != nil || len(open) != 0 {
			t.Errorf("open: got %v, %v, want none", open, err)
		}
		if _, err := s.Role(t.Context(), acme.ID, eve); !errors.Is(err, ErrNotFound) {
			t.Errorf("eve's role: got %v, want ErrNotFound", err)
		}
	})
}

func TestASecondInvitationReplacesTheFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		acme, tech := organization(t, s, "acme-corp", uuid.Nil), organization(t, s, "tech-startup", uuid.Nil)
		bob := person(t, s, "bob@acme-corp.com")
		elsewhere := invite(t, s, tech.ID, "bob@acme-corp.com")
		first := invite(t, s, acme.ID, "bob@acme-corp.com", func(i *Invitation) { i.Role = RoleOwner })
		second := invite(t, s, acme.ID, "bob@acme-corp.com")
		if err := accept(t, s, first, bob); !errors.Is(err, ErrSpent) {
			t.Errorf("the first: got %v, want ErrSpent", err)
		}
		if err := accept(t, s, second, bob); err != nil {
			t.Errorf("the second: %v", err)
		}
		if err := accept(t, s, elsewhere, bob); err != nil {
			t.Errorf("that of another organization: %v", err)
		}
		err := s.CreateInvitation(t.Context(), &Invitation{ID: uuid.New(), OrganizationID: acme.ID, EmailKey: "bob@acme-corp.com"}, 100, &Event{})
		if !errors.Is(err, ErrExists) {
			t.Errorf("inviting a member: got %v, want ErrExists", err)
		}
		invite(t, s, acme.ID, "carol@acme-corp.com")
		err = s.CreateInvitation(t.Context(), &Invitation{ID: uuid.New(), OrganizationID: acme.ID, EmailKey: "dave@acme-corp.com"}, 1, &Event{})
		if !errors.Is(err, ErrConflict) {
			t.Errorf("one too many: got %v, want ErrConflict", err)
		}
	})
}

// A place given meanwhile is not changed by an invitation that was made before it.
func TestAMemberKeepsTheirRoleWhenTheyAccept(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		acme := organization(t, s, "acme-corp", uuid.Nil)
		bob := person(t, s, "bob@acme-corp.com")
		i := invite(t, s, acme.ID, "bob@acme-corp.com", func(i *Invitation) { i.Role = RoleOwner })
		if err := s.AddMember(t.Context(), acme.ID, bob, RoleGuest, &Event{}); err != nil {
			t.Fatal(err)
		}
		if err := accept(t, s, i, bob); err != nil {
			t.Fatal(err)
		}
		if role, err := s.Role(t.Context(), acme.ID, bob); err != nil || role != RoleGuest {
			t.Errorf("role: got %q, %v, want guest", role, err)
		}
	})
}

func TestNobodyJoinsWhatOrWhoIsGone(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice, bob := person(t, s, "alice@acme-corp.com"), person(t, s, "bob@acme-corp.com")
		acme, tech := organization(t, s, "acme-corp", alice), organization(t, s, "tech-startup", uuid.Nil)
		toAcme, toTech := invite(t, s, acme.ID, "bob@acme-corp.com"), invite(t, s, tech.ID, "bob@acme-corp.com")
		if err := s.DeleteUser(t.Context(), alice, uuid.Nil, &Event{Type: "user.deleted"}); err != nil { // acme-corp ends with her
			t.Fatal(err)
		}
		if err := accept(t, s, toAcme, bob); !errors.Is(err, ErrSpent) {
			t.Errorf("an organization that is gone: got %v, want ErrSpent", err)
		}
		if _, _, err := s.Invitation(t.Context(), toAcme.Token); !errors.Is(err, ErrNotFound) {
			t.Errorf("its invitation: got %v, want ErrNotFound", err)
		}
		shut := organization(t, s, "shut", uuid.Nil)
		toShut := invite(t, s, shut.ID, "bob@acme-corp.com")
		if _, err := s.exec(t.Context(), `UPDATE organizations SET deleted_at = ? WHERE id = ?`, usec(s.clock()), id(shut.ID)); err != nil {
			t.Fatal(err)
		}
		if err := accept(t, s, toShut, bob); !errors.Is(err, ErrSpent) {
			t.Errorf("an organization that is gone, whatever the invitation says: got %v, want ErrSpent", err)
		}
		if _, err := s.DisableUser(t.Context(), bob, &Event{}); err != nil {
			t.Fatal(err)
		}
		if err := accept(t, s, toTech, bob); !errors.Is(err, ErrNotFound) {
			t.Errorf("a disabled person: got %v, want ErrNotFound", err)
		}
		if _, err := s.Role(t.Context(), tech.ID, bob); !errors.Is(err, ErrNotFound) {
			t.Errorf("their role: got %v, want ErrNotFound", err)
		}
	})
}

// An address belongs to nobody until proven. The token was mailed to it.
func TestAcceptingProvesTheAddressAndEndsOtherAccess(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		acme := organization(t, s, "acme-corp", uuid.Nil)
		u := newPerson(s, "bob@acme-corp.com")
		u.EmailVerifiedAt = time.Time{}
		if err := s.CreateUsers(t.Context(), &NewUser{User: u, PasswordHash: "theirs"}); err != nil {
			t.Fatal(err)
		}
		_, ended := access(t, s, u.ID, "app", uuid.Nil)
		if err := accept(t, s, invite(t, s, acme.ID, "bob@acme-corp.com"), u.ID); err != nil {
			t.Fatal(err)
		}
		got, hash, err := s.UserWithPassword(t.Context(), u.EmailKey)
		if err != nil || !got.EmailVerified() || hash != "theirs" {
			t.Errorf("got proven %v, password %q, %v", got.EmailVerified(), hash, err)
		}
		wantEnds(t, ended, EndVerified, EndVerified)
	})
}

// A stranger who makes an account with another user's address and waits for the
// invitation gets nothing: the account goes to the owner of the address, without what
// the stranger put there.
func TestRegisteringByInvitationTakesOverWhatWasNeverProven(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		acme := organization(t, s, "acme-corp", uuid.Nil)
		squat := newPerson(s, "bob@acme-corp.com")
		squat.EmailVerifiedAt, squat.Profile.Name = time.Time{}, "Mallory"
		if err := s.CreateUsers(t.Context(), &NewUser{User: squat, PasswordHash: "mallory's"}); err != nil {
			t.Fatal(err)
		}
		_, ended := access(t, s, squat.ID, "app", uuid.Nil)
		i := invite(t, s, acme.ID, "bob@acme-corp.com")
		p := &NewUser{User: newPerson(s, "bob@acme-corp.com"), PasswordHash: "bob's", Events: []*Event{{Type: "user.created"}}}
		p.User.Profile.Name = "Bob"
		register := func(p *NewUser, m ...*Message) error {
			return s.RegisterInvited(t.Context(), &Acceptance{Token: i.Token, EmailKey: p.User.EmailKey, Event: &Event{Type: "invitation.accepted"}}, p, &Event{Type: "user.claimed"}, m...)
		}
		if err := register(p); err != nil {
			t.Fatal(err)
		}
		got, hash, err := s.UserWithPassword(t.Context(), "bob@acme-corp.com")
		if err != nil || got.ID != squat.ID || p.User.ID != squat.ID || !got.EmailVerified() || got.Profile.Name != "Bob" || hash != "bob's" {
			t.Errorf("got %+v with password %q, %v", got, hash, err)
		}
		wantEnds(t, ended, EndVerified, EndVerified)
		if role, err := s.Role(t.Context(), acme.ID, squat.ID); err != nil || role != RoleMember {
			t.Errorf("role: got %q, %v", role, err)
		}
		if diff := cmp.Diff([]string{"organization.created", "invitation.created", "user.claimed", "invitation.accepted"}, recorded(t, s)); diff != "" {
			t.Error(diff)
		}
	})
}

// Account, membership and the use of the invitation are one: none without the others.
func TestRegisteringByInvitationIsAllOrNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		acme := organization(t, s, "acme-corp", uuid.Nil)
		register := func(i *Invitation, email string) error {
			p := &NewUser{User: newPerson(s, email), PasswordHash: "h", Events: []*Event{{Type: "user.created"}}}
			return s.RegisterInvited(t.Context(), &Acceptance{Token: i.Token, EmailKey: email, Event: &Event{Type: "invitation.accepted"}}, p, &Event{},
				&Message{Kind: "mail", Payload: []byte("{}"), Dedupe: "welcome " + email})
		}
		i := invite(t, s, acme.ID, "bob@acme-corp.com")
		if err := register(i, "eve@evil.example"); !errors.Is(err, ErrConflict) {
			t.Errorf("another address: got %v, want ErrConflict", err)
		}
		if _, err := s.UserByEmail(t.Context(), "eve@evil.example"); !errors.Is(err, ErrNotFound) {
			t.Errorf("an account was left behind: %v", err)
		}
		if err := register(i, "bob@acme-corp.com"); err != nil {
			t.Fatal(err)
		}
		if members, err := s.Members(t.Context(), acme.ID, uuid.Nil, 10); err != nil || len(members) != 1 || members[0].User.Email != "bob@acme-corp.com" {
			t.Errorf("members: got %v, %v", members, err)
		}
		if n, _, err := s.Outbox.CountWaiting(t.Context()); err != nil || n != 1 {
			t.Errorf("mails: got %d, %v, want 1", n, err)
		}
		person(t, s, "carol@acme-corp.com")
		carols := invite(t, s, acme.ID, "carol@acme-corp.com")
		if err := register(carols, "carol@acme-corp.com"); !errors.Is(err, ErrExists) {
			t.Errorf("an address with a proven account: got %v, want ErrExists", err)
		}
		if _, _, err := s.Invitation(t.Context(), carols.Token); err != nil {
			t.Errorf("its invitation: %v, want it to stay", err)
		}
	})
}

// An invitation is made on somebody's authority. Mallory invites an accomplice, and is
// removed or disabled before the accomplice accepts: an owner must confirm it first,
// even if Mallory is let in again.
func TestAnInvitationWaitsWhenItsInviterMayNotMakeIt(t *testing.T) {
	type invitationCase struct {
		name, role, as string // the inviter's role, and the invitation's
		gone           func(s *Store, o Organization, mallory uuid.UUID) error
		waits          bool
	}
	e := func() *Event { return &Event{Type: "test"} }
	setRole := func(role string) func(*Store, Organization, uuid.UUID) error {
		return func(s *Store, o Organization, m uuid.UUID) error {
			return s.SetRole(context.Background(), o.ID, m, role, e())
		}
	}
	raw := func(query string) func(*Store, Organization, uuid.UUID) error {
		return func(s *Store, _ Organization, m uuid.UUID) error {
			_, err := s.exec(context.Background(), query, id(m))
			return err
		}
	}
	cases := []invitationCase{
		{"removed", RoleOwner, RoleOwner, func(s *Store, o Organization, m uuid.UUID) error {
			return s.RemoveMember(context.Background(), o.ID, m, e())
		}, true},
		{"disabled", RoleAdmin, RoleMember, func(s *Store, _ Organization, m uuid.UUID) error {
			_, err := s.DisableUser(context.Background(), m, e())
			return err
		}, true},
		{"made a member", RoleAdmin, RoleGuest, setRole(RoleMember), true},
		{"no owner any more, for an owner", RoleOwner, RoleOwner, setRole(RoleAdmin), true},
		{"no owner any more, for a member", RoleOwner, RoleMember, setRole(RoleAdmin), false},
		{"changed by no method", RoleAdmin, RoleMember, raw(`UPDATE memberships SET role = 'guest' WHERE user_id = ?`), true},
		{"not proven", RoleOwner, RoleMember, raw(`UPDATE users SET email_verified_at = NULL WHERE id = ?`), true},
		{"no superadmin any more", "", RoleOwner, func(s *Store, _ Organization, m uuid.UUID) error {
			_, err := s.SetPlatformRole(context.Background(), m, RoleSuperadmin, false, e())
			return err
		}, true},
		{"as before", RoleAdmin, RoleMember, func(*Store, Organization, uuid.UUID) error { return nil }, false},
	}
	eachEngine(t, func(t *testing.T, s *Store) {
		for n, c := range cases {
			boss, mallory, friend := person(t, s, fmt.Sprintf("boss%d@acme.example", n)), person(t, s, fmt.Sprintf("mallory%d@acme.example", n)), person(t, s, fmt.Sprintf("friend%d@acme.example", n))
			o := organization(t, s, fmt.Sprintf("acme-%d", n), boss)
			if c.role != "" {
				must(t, s.AddMember(t.Context(), o.ID, mallory, c.role, e()))
			} else {
				_, err := s.SetPlatformRole(t.Context(), mallory, RoleSuperadmin, true, e())
				must(t, err)
			}
			i := invite(t, s, o.ID, fmt.Sprintf("friend%d@acme.example", n), func(i *Invitation) { i.InvitedBy, i.Role = mallory, c.as })
			must(t, c.gone(s, o, mallory))
			if got, _, err := s.Invitation(t.Context(), i.Token); err != nil || got.Suspended != c.waits {
				t.Errorf("%s: read %+v, %v", c.name, got, err)
			}
			if !c.waits {
				must(t, accept(t, s, i, friend))
				continue
			}
			if err := accept(t, s, i, friend); !errors.Is(err, ErrSuspended) {
				t.Errorf("%s: accepting got %v, want ErrSuspended", c.name, err)
			}
			if _, err := s.Role(t.Context(), o.ID, friend); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: the accomplice is in: %v", c.name, err)
			}
			if c.name == "disabled" {
				_, err := s.EnableUser(t.Context(), mallory, e())
				must(t, err)
				if err := accept(t, s, i, friend); !errors.Is(err, ErrSuspended) {
					t.Errorf("enabled again: accepting got %v, want ErrSuspended", err)
				}
			}
			confirmed := e()
			confirmed.Actor = boss
			must(t, s.ConfirmInvitation(t.Context(), o.ID, i.ID, confirmed))
			if err := s.ConfirmInvitation(t.Context(), o.ID, i.ID, confirmed); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: confirmed twice: %v", c.name, err)
			}
			must(t, accept(t, s, i, friend))
			if role, err := s.Role(t.Context(), o.ID, friend); err != nil || role != c.as {
				t.Errorf("%s: joined as %q, %v", c.name, role, err)
			}
		}
	})
}

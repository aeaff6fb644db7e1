package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// everything is the text of all rows of all tables.
func everything(t *testing.T, s *Store) string {
	t.Helper()
	names := `SELECT name FROM sqlite_master WHERE type = 'table'`
	if s.engine == Postgres {
		names = `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`
	}
	var tables []string
	if err := s.rows(t.Context(), func(r scanner) error {
		var name string
		err := r.Scan(&name)
		tables = append(tables, name)
		return err
	}, names); err != nil || len(tables) < 20 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	var b strings.Builder
	for _, table := range tables {
		if err := s.rows(t.Context(), func(r scanner) error {
			row, err := r.(convertedRow).rows.SliceScan()
			for _, v := range row {
				if raw, ok := v.([]byte); ok {
					v = string(raw)
				}
				fmt.Fprintf(&b, "%s: %v\n", table, v)
			}
			return err
		}, `SELECT * FROM `+table); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// Of a deleted person nothing is left that names them, in whatever table.
func TestATombstoneNamesNobody(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		u := newPerson(s, "canary@acme-corp.com")
		u.Profile = Profile{Name: "Canary Bird", Picture: "https://canary.example/me.png"}
		created := &Event{Type: "user.created", User: u.ID, Personal: map[string]string{"email": u.Email, "browser": "Canary on Linux"}}
		if err := s.CreateUsers(t.Context(), &NewUser{User: u, PasswordHash: "canary hash", Events: []*Event{created}}); err != nil {
			t.Fatal(err)
		}
		o := organization(t, s, "shared", guest(t, s))
		app := enrolApp(t, s, u.ID, "code")
		behind(t, s, `UPDATE factors SET name = 'canary phone' WHERE id = ?`, id(app.ID))
		session, ended := access(t, s, u.ID, "app", uuid.Nil)
		behind(t, s, `UPDATE sessions SET browser = 'Canary on Linux', network4 = 'canary net' WHERE id = ?`, id(session))
		consentTo(t, s, u.ID, "app", uuid.Nil, s.clock().Add(time.Hour))
		l := &Link{Hash: secret.HashOf("link"), Purpose: LinkReset, UserID: u.ID, Payload: []byte(`{"canary":1}`), CreatedAt: s.clock(), ExpiresAt: s.clock().Add(time.Hour)}
		if err := s.CreateLink(t.Context(), l, &Event{Type: "test", User: u.ID, Personal: map[string]string{"device": "Canary"}}); err != nil {
			t.Fatal(err)
		}
		behind(t, s, `INSERT INTO personal_access_tokens (id, hash, user_id, organization_id, name, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, 'canary script', '', 1, 2)`,
			uuid.NewString(), secret.HashOf("pat"), id(u.ID), id(o.ID))
		behind(t, s, `INSERT INTO invitations (id, organization_id, email, email_key, role, token_hash, created_at, expires_at, accepted_at, accepted_by)
			VALUES (?, ?, ?, ?, 'member', ?, 1, 2, 1, ?)`, uuid.NewString(), id(o.ID), u.Email, u.EmailKey, secret.HashOf("invitation"), id(u.ID))
		behind(t, s, `INSERT INTO invitations (id, organization_id, email, email_key, role, token_hash, created_at, expires_at)
			VALUES (?, ?, ?, ?, 'member', ?, 1, 2)`, uuid.NewString(), id(o.ID), u.Email, u.EmailKey, secret.HashOf("to them"))
		behind(t, s, `INSERT INTO invitations (id, organization_id, email, email_key, role, token_hash, invited_by, created_at, expires_at)
			VALUES (?, ?, 'friend-of-canary@x.example', 'friend-of-canary@x.example', 'member', ?, ?, 1, 2)`, uuid.NewString(), id(o.ID), secret.HashOf("by them"), id(u.ID))
		organization(t, s, "canarys-organization", u.ID)
		if before := everything(t, s); strings.Count(strings.ToLower(before), "canary") < 10 {
			t.Fatalf("the search finds too little:\n%s", before)
		}

		if err := s.DeleteUser(t.Context(), u.ID, uuid.Nil, &Event{Type: "user.deleted", User: u.ID}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(everything(t, s), "\n") {
			if strings.Contains(strings.ToLower(line), "canary") {
				t.Errorf("left: %s", line)
			}
		}
		if n := counted(t, s, `SELECT count(*) FROM invitations WHERE accepted_at IS NULL AND revoked_at IS NULL`); n != 0 {
			t.Errorf("%d invitations to or by them are open", n)
		}
		again := &NewOrganization{Organization: Organization{ID: uuid.New(), Slug: "canarys-organization", CreatedAt: s.clock(), UpdatedAt: s.clock()}, Event: &Event{Type: "test"}}
		if err := s.CreateOrganizations(t.Context(), again); !errors.Is(err, ErrExists) {
			t.Errorf("the slug is given out again: %v", err)
		}
		wantEnds(t, ended, EndUserDeleted, EndUserDeleted)
		if n := counted(t, s, `SELECT count(*) FROM users WHERE sub = ? AND deleted_at IS NOT NULL`, id(u.Sub)); n != 1 {
			t.Error("the sub is not kept from being given out again")
		}
		if n := counted(t, s, `SELECT count(*) FROM audit_events WHERE user_id = ? AND personal_digest IS NOT NULL`, id(u.ID)); n != 2 {
			t.Errorf("%d digests are left for the chain, want 2", n)
		}
		if _, err := s.Link(t.Context(), l.Hash, LinkReset); !errors.Is(err, ErrSpent) {
			t.Errorf("their link: got %v, want ErrSpent", err)
		}
	})
}

// With its only member an organization ends, and with it whatever is its own.
func TestAnOrganizationEndsWithItsOnlyMember(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		user, other := person(t, s, "bob@acme-corp.com"), person(t, s, "eve@acme-corp.com")
		own, shared := organization(t, s, "own", user), organization(t, s, "shared", user)
		if err := s.AddMember(t.Context(), shared.ID, other, RoleMember, &Event{Type: "test"}); err != nil {
			t.Fatal(err)
		}
		edit(t, s, func(ctx context.Context, r *RegistryEdit) error {
			c := newClient("app")
			c.Organization = own.ID
			return r.CreateClient(ctx, c, &Event{Type: "client.created"})
		})
		_, ended := access(t, s, other, "app", uuid.Nil)
		blocking, ending, err := s.SoleOwnerships(t.Context(), user)
		if err != nil || len(blocking) != 1 || blocking[0].ID != shared.ID || len(ending) != 1 || ending[0].ID != own.ID {
			t.Fatalf("got %v and %v, %v", blocking, ending, err)
		}
		gone := &Event{Type: "user.deleted", User: user}
		if err := s.DeleteUser(t.Context(), user, uuid.Nil, gone); !errors.Is(err, ErrConflict) {
			t.Errorf("got %v, want ErrConflict", err)
		}
		if _, err := s.Organization(t.Context(), own.ID); err != nil {
			t.Errorf("a refused deletion has ended an organization: %v", err)
		}
		if err := s.SetRole(t.Context(), shared.ID, other, RoleOwner, &Event{Type: "test"}); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteUser(t.Context(), user, uuid.Nil, gone); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Organization(t.Context(), own.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("their own: got %v, want ErrNotFound", err)
		}
		if members, err := s.Members(t.Context(), shared.ID, uuid.Nil, 10); err != nil || len(members) != 1 {
			t.Errorf("the shared one: got %v, %v", members, err)
		}
		if c, err := s.Client(t.Context(), "app"); err != nil || c.DeletedAt.IsZero() {
			t.Errorf("the client of an organization that ended works on: %v", err)
		}
		wantEnds(t, ended, "", EndClientDeleted)
		if !slices.Contains(recorded(t, s), "organization.deleted") {
			t.Error("no event tells of it")
		}
	})
}

// Accounts that must stay do not keep those behind them from lapsing.
func TestLapsingGoesOnBehindThoseWhoStay(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		proven := person(t, s, "proven@acme-corp.com")
		var unproven []uuid.UUID
		for n := range 7 {
			u := newPerson(s, fmt.Sprintf("u%d@acme-corp.com", n))
			u.EmailVerifiedAt = time.Time{}
			if err := s.CreateUsers(t.Context(), &NewUser{User: u}); err != nil {
				t.Fatal(err)
			}
			unproven = append(unproven, u.ID)
		}
		for n, u := range unproven[:3] {
			o := organization(t, s, fmt.Sprintf("org-%d", n), u)
			if err := s.AddMember(t.Context(), o.ID, proven, RoleMember, &Event{Type: "test"}); err != nil {
				t.Fatal(err)
			}
		}
		before := clock.t
		if n, err := s.DeleteUnverified(t.Context(), before.Add(-time.Microsecond), &Pace{Smallest: 1, Largest: 2}); n != 0 || err != nil {
			t.Errorf("too early: got %d, %v", n, err)
		}
		if n, err := s.DeleteUnverified(t.Context(), before, &Pace{Smallest: 1, Largest: 2}); n != 4 || err != nil {
			t.Errorf("got %d, %v, want 4", n, err)
		}
		var left []uuid.UUID
		all, err := s.Users(t.Context(), uuid.Nil, 10)
		for _, u := range all {
			left = append(left, u.ID)
		}
		if diff := cmp.Diff(append([]uuid.UUID{proven}, unproven[:3]...), left); diff != "" || err != nil {
			t.Errorf("left (-want +got):\n%s%v", diff, err)
		}
	})
}

// A user who verifies the address at the last moment stays: the row is looked at again
// when it is held.
func TestLapsingLooksAgainAtWhoItTakes(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		user := person(t, s, "bob@acme-corp.com") // was found unproven, and proved it since
		if done, err := s.lapse(t.Context(), user, s.clock()); done || err != nil {
			t.Errorf("got %v, %v", done, err)
		}
		if _, err := s.User(t.Context(), user); err != nil {
			t.Error(err)
		}
	})
}

// A user who ends the session that an intruder is in is not overtaken by a deletion.
func TestAnEndedSessionDeletesNoAccount(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		bob := person(t, s, "bob@acme-corp.com")
		session, _ := access(t, s, bob, "app", uuid.Nil)
		behind(t, s, `UPDATE sessions SET ended_at = 1 WHERE id = ?`, id(session))
		if err := s.DeleteUser(t.Context(), bob, session, &Event{Type: "user.deleted", User: bob}); !errors.Is(err, ErrSpent) {
			t.Errorf("got %v, want ErrSpent", err)
		}
		if _, err := s.User(t.Context(), bob); err != nil {
			t.Error(err)
		}
	})
}

// Of two superadmins who leave at once one stays; the operator may take the last.
func TestTheLastSuperadminStays(t *testing.T) {
	leave := map[string]func(s *Store, u uuid.UUID, e *Event) error{
		"delete":  func(s *Store, u uuid.UUID, e *Event) error { return s.DeleteUser(t.Context(), u, uuid.Nil, e) },
		"disable": func(s *Store, u uuid.UUID, e *Event) error { _, err := s.DisableUser(t.Context(), u, e); return err },
		"role": func(s *Store, u uuid.UUID, e *Event) error {
			_, err := s.SetPlatformRole(t.Context(), u, RoleSuperadmin, false, e)
			return err
		},
	}
	eachEngine(t, func(t *testing.T, s *Store) {
		for name, act := range leave {
			var all []uuid.UUID
			for n := range 2 {
				u := person(t, s, fmt.Sprint(name, n, "@acme-corp.com"))
				if _, err := s.SetPlatformRole(t.Context(), u, RoleSuperadmin, true, &Event{Type: "test"}); err != nil {
					t.Fatal(err)
				}
				all = append(all, u)
			}
			errs := make([]error, 2)
			var wg sync.WaitGroup
			for n, u := range all {
				wg.Go(func() { errs[n] = act(s, u, &Event{Type: "test", Actor: u, User: u}) })
			}
			wg.Wait()
			if last := errors.Is(errs[0], ErrLastSuperadmin); last == errors.Is(errs[1], ErrLastSuperadmin) || (errs[0] == nil) == (errs[1] == nil) {
				t.Errorf("%s: got %v", name, errs)
			}
			for _, u := range all {
				if err := act(s, u, &Event{Type: "test", User: u}); err != nil && !errors.Is(err, ErrNotFound) {
					t.Errorf("%s by the operator: %v", name, err)
				}
			}
		}
	})
}

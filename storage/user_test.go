package storage

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// person creates somebody with a password and returns their id.
func person(t *testing.T, s *Store, email string) uuid.UUID {
	t.Helper()
	p := &NewUser{User: newPerson(s, email), PasswordHash: "hash of " + email}
	if err := s.CreateUsers(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return p.User.ID
}

func newPerson(s *Store, email string) User {
	return User{ID: uuid.Must(uuid.NewV7()), Sub: uuid.New(), Email: email, EmailKey: email, EmailVerifiedAt: s.clock(), CreatedAt: s.clock(), UpdatedAt: s.clock()}
}

// access gives a person a live session and a live grant, and returns a function
// that tells why each has ended: "" while it lives.
func access(t *testing.T, s *Store, user uuid.UUID, client string, organization uuid.UUID) (session uuid.UUID, ended func() (session, grant string)) {
	t.Helper()
	now, later := s.clock(), s.clock().Add(time.Hour)
	session, grant := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	if _, err := s.exec(t.Context(), `INSERT INTO sessions (id, token_hash, user_id, auth_time, acr, amr, browser, created_at, last_seen_at, idle_expires_at, expires_at)
		VALUES (?, ?, ?, ?, '', '', '', ?, ?, ?, ?)`, id(session), secret.HashOf(session.String()), id(user), usec(now), usec(now), usec(now), usec(later), usec(later)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.exec(t.Context(), `INSERT INTO grants (id, user_id, client_id, organization_id, session_id, offline, scopes, audience, auth_time, acr, amr, created_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, '', '', ?, '', '', ?, ?)`, id(grant), id(user), client, id(organization), id(session), true, usec(now), usec(now), usec(later)); err != nil {
		t.Fatal(err)
	}
	return session, func() (string, string) {
		t.Helper()
		var sessionEnd, grantEnd string
		if err := s.row(t.Context(), `SELECT CASE WHEN ended_at IS NULL THEN '' ELSE end_reason END FROM sessions WHERE id = ?`, id(session)).Scan(&sessionEnd); err != nil {
			t.Fatal(err)
		}
		if err := s.row(t.Context(), `SELECT CASE WHEN revoked_at IS NULL THEN '' ELSE revoke_reason END FROM grants WHERE id = ?`, id(grant)).Scan(&grantEnd); err != nil {
			t.Fatal(err)
		}
		return sessionEnd, grantEnd
	}
}

func wantEnds(t *testing.T, ended func() (string, string), session, grant string) {
	t.Helper()
	gotSession, gotGrant := ended()
	if gotSession != session || gotGrant != grant {
		t.Errorf("ended (session, grant): got %q, %q, want %q, %q", gotSession, gotGrant, session, grant)
	}
}

// recorded lists the types of all events, in order.
func recorded(t *testing.T, s *Store) []string {
	t.Helper()
	var types []string
	if err := s.rows(t.Context(), func(r scanner) error {
		var typ string
		err := r.Scan(&typ)
		types = append(types, typ)
		return err
	}, `SELECT type FROM audit_events ORDER BY id`); err != nil {
		t.Fatal(err)
	}
	return types
}

func TestAPersonComesBackAsCreated(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		u := newPerson(s, "bob@acme-corp.com")
		u.PlatformRoles = []string{"admin", "superadmin"}
		u.Profile = Profile{Name: "Bob", PhoneNumberVerified: true, Address: &Address{Country: "DE"}}
		if err := s.CreateUsers(t.Context(), &NewUser{User: u, PasswordHash: "h"}); err != nil {
			t.Fatal(err)
		}
		byID, err := s.User(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		byEmail, hash, err := s.UserWithPassword(t.Context(), u.EmailKey)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []*User{byID, byEmail} {
			if diff := cmp.Diff(&u, got); diff != "" {
				t.Error(diff)
			}
		}
		if hash != "h" {
			t.Errorf("password hash: got %q, want h", hash)
		}
		if has, err := s.HasSuperadmin(t.Context()); err != nil || !has {
			t.Errorf("HasSuperadmin: got %v, %v, want true", has, err)
		}
	})
}

// All or none: a batch with one address that is taken leaves nothing behind.
func TestAnAddressBelongsToOnePerson(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		person(t, s, "bob@acme-corp.com")
		fresh := newPerson(s, "new@acme-corp.com")
		err := s.CreateUsers(t.Context(), &NewUser{User: fresh, Events: []*Event{{Type: "user.created"}}}, &NewUser{User: newPerson(s, "bob@acme-corp.com")})
		if !errors.Is(err, ErrExists) {
			t.Errorf("got %v, want ErrExists", err)
		}
		if _, err := s.User(t.Context(), fresh.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("the other one of the batch: got %v, want ErrNotFound", err)
		}
		if got := recorded(t, s); got != nil {
			t.Errorf("events: got %v, want none", got)
		}
	})
}

func TestANewPasswordEndsOtherSessionsAndAllGrants(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		bob, alice := person(t, s, "bob@acme-corp.com"), person(t, s, "alice@acme-corp.com")
		mine, here := access(t, s, bob, "app", uuid.Nil)
		_, elsewhere := access(t, s, bob, "app", uuid.Nil)
		_, others := access(t, s, alice, "app", uuid.Nil)
		if err := s.SetPassword(t.Context(), bob, "new", mine, &Event{Type: "user.password_changed"}); err != nil {
			t.Fatal(err)
		}
		wantEnds(t, here, "", EndPasswordChanged)
		wantEnds(t, elsewhere, EndPasswordChanged, EndPasswordChanged)
		wantEnds(t, others, "", "")
		if _, hash, err := s.UserWithPassword(t.Context(), "bob@acme-corp.com"); err != nil || hash != "new" {
			t.Errorf("hash: got %q, %v, want new", hash, err)
		}
		// A re-hash worked out from the old password must not bring it back.
		if changed, err := s.Rehash(t.Context(), bob, "hash of bob@acme-corp.com", "old again"); err != nil || changed {
			t.Fatalf("a late re-hash: %v, %v", changed, err)
		}
		if _, hash, _ := s.UserWithPassword(t.Context(), "bob@acme-corp.com"); hash != "new" {
			t.Errorf("hash after a late re-hash: got %q, want new", hash)
		}
	})
}

func TestDisablingShutsAPersonOutOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		bob := person(t, s, "bob@acme-corp.com")
		_, ended := access(t, s, bob, "app", uuid.Nil)
		for _, want := range []bool{true, false} {
			if changed, err := s.DisableUser(t.Context(), bob, &Event{Type: "user.disabled"}); err != nil || changed != want {
				t.Errorf("DisableUser: got %v, %v, want %v", changed, err, want)
			}
		}
		wantEnds(t, ended, EndUserDisabled, EndUserDisabled)
		for _, want := range []bool{true, false} {
			if changed, err := s.EnableUser(t.Context(), bob, &Event{Type: "user.enabled"}); err != nil || changed != want {
				t.Errorf("EnableUser: got %v, %v, want %v", changed, err, want)
			}
		}
		if diff := cmp.Diff([]string{"user.disabled", "user.enabled"}, recorded(t, s)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPlatformRolesAreASet(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		bob := person(t, s, "bob@acme-corp.com")
		for _, step := range []struct {
			role          string
			has, changed  bool
			roles         []string
			hasSuperadmin bool
		}{
			{"superadmin", true, true, []string{"superadmin"}, true},
			{"superadmin", true, false, []string{"superadmin"}, true},
			{"admin", true, true, []string{"admin", "superadmin"}, true},
			{"superadmin", false, true, []string{"admin"}, false},
			{"superadmin", false, false, []string{"admin"}, false},
		} {
			changed, err := s.SetPlatformRole(t.Context(), bob, step.role, step.has, &Event{Type: "user.role_changed"})
			if err != nil || changed != step.changed {
				t.Errorf("%+v: got %v, %v", step, changed, err)
			}
			u, err := s.User(t.Context(), bob)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(step.roles, u.PlatformRoles); diff != "" {
				t.Error(diff)
			}
			if has, err := s.HasSuperadmin(t.Context()); err != nil || has != step.hasSuperadmin {
				t.Errorf("HasSuperadmin: got %v, %v, want %v", has, err, step.hasSuperadmin)
			}
		}
		if _, err := s.SetPlatformRole(t.Context(), uuid.New(), "admin", true, &Event{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("an unknown person: got %v, want ErrNotFound", err)
		}
	})
}

// Of a deleted person the identifying columns are cleared, the sub is never given out
// again, and sessions, consents and grants go in the same transaction.
func TestADeletedPersonIsATombstone(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		u := newPerson(s, "bob@acme-corp.com")
		u.Profile.Name = "Bob"
		created := &Event{Type: "user.created", User: u.ID, Personal: map[string]string{"email": u.Email}}
		if err := s.CreateUsers(t.Context(), &NewUser{User: u, PasswordHash: "h", Events: []*Event{created}}); err != nil {
			t.Fatal(err)
		}
		_, ended := access(t, s, u.ID, "app", uuid.Nil)
		if _, err := s.exec(t.Context(), `INSERT INTO consents (user_id, client_id, organization_id, scopes, granted_at, expires_at) VALUES (?, 'app', ?, '', 0, 1)`,
			id(u.ID), uuid.Nil.String()); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteUser(t.Context(), u.ID, uuid.Nil, &Event{Type: "user.deleted", User: u.ID}); err != nil {
			t.Fatal(err)
		}
		wantEnds(t, ended, EndUserDeleted, EndUserDeleted)
		var left int
		if err := s.row(t.Context(), `SELECT (SELECT count(*) FROM users WHERE email IS NOT NULL OR email_key IS NOT NULL OR profile <> '{}' OR deleted_at IS NULL)
			+ (SELECT count(*) FROM passwords) + (SELECT count(*) FROM consents WHERE withdrawn_at IS NULL)
			+ (SELECT count(*) FROM audit_events WHERE personal IS NOT NULL OR personal_salt IS NOT NULL)`).Scan(&left); err != nil || left != 0 {
			t.Errorf("rows that still tell of them: got %d, %v, want 0", left, err)
		}
		var digests int
		if err := s.row(t.Context(), `SELECT count(*) FROM audit_events WHERE personal_digest IS NOT NULL`).Scan(&digests); err != nil || digests != 1 {
			t.Errorf("digests that the chain needs: got %d, %v, want 1", digests, err)
		}
		if _, err := s.User(t.Context(), u.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("User: got %v, want ErrNotFound", err)
		}
		again := newPerson(s, "bob@acme-corp.com")
		again.Sub = u.Sub
		if err := s.CreateUsers(t.Context(), &NewUser{User: again}); !errors.Is(err, ErrExists) {
			t.Errorf("the sub for another: got %v, want ErrExists", err)
		}
		again.Sub = uuid.New()
		if err := s.CreateUsers(t.Context(), &NewUser{User: again}); err != nil {
			t.Errorf("the address for another: %v", err)
		}
	})
}

func TestPeopleAreListedInPages(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		var want, got []uuid.UUID
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			want = append(want, person(t, s, name+"@acme-corp.com"))
		}
		for after := uuid.Nil; ; {
			page, err := s.Users(t.Context(), after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, u := range page {
				got = append(got, u.ID)
			}
			after = got[len(got)-1]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// A stranger who made an account with another user's address gets no rights that are
// meant for that user; rights given by mistake can be taken away.
func TestNobodyUnprovenIsGivenRights(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		n := &NewUser{User: newPerson(s, "ops@corp.com")}
		n.User.EmailVerifiedAt = time.Time{}
		if err := s.CreateUsers(ctx, n); err != nil {
			t.Fatal(err)
		}
		squatter, owner := n.User.ID, person(t, s, "owner@corp.com")
		o := Organization{ID: uuid.Must(uuid.NewV7()), Slug: "corp", Name: "Corp", CreatedAt: s.clock(), UpdatedAt: s.clock()}
		if err := s.CreateOrganizations(ctx, &NewOrganization{Organization: o, Owner: owner, Event: &Event{Type: "made"}}); err != nil {
			t.Fatal(err)
		}
		before := len(recorded(t, s))
		_, role := s.SetPlatformRole(ctx, squatter, RoleSuperadmin, true, &Event{Type: "role"})
		for what, err := range map[string]error{
			"a platform role":    role,
			"a place":            s.AddMember(ctx, o.ID, squatter, RoleGuest, &Event{Type: "place"}),
			"no role to be kept": s.SetRole(ctx, o.ID, squatter, RoleOwner, &Event{Type: "raised"}),
		} {
			if want := map[bool]error{true: ErrNotFound, false: ErrEmailUnverified}[what == "no role to be kept"]; !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", what, err, want)
			}
		}
		if got := recorded(t, s)[before:]; len(got) != 0 {
			t.Errorf("events of what was refused: %v", got)
		}
		// They came by some of it before that was refused, or by an import.
		for _, q := range []string{`UPDATE users SET platform_roles = 'superadmin' WHERE id = ?`,
			`INSERT INTO memberships (organization_id, user_id, role, created_at) VALUES ('` + o.ID.String() + `', ?, 'member', 1)`} {
			if _, err := s.exec(ctx, q, id(squatter)); err != nil {
				t.Fatal(err)
			}
		}
		for _, higher := range []string{RoleAdmin, RoleOwner} {
			if err := s.SetRole(ctx, o.ID, squatter, higher, &Event{Type: "raised"}); !errors.Is(err, ErrEmailUnverified) {
				t.Errorf("a higher role: got %v, want ErrEmailUnverified", err)
			}
		}
		if err := s.SetRole(ctx, o.ID, squatter, RoleGuest, &Event{Type: "lowered"}); err != nil {
			t.Errorf("a lower role: %v", err)
		}
		if changed, err := s.SetPlatformRole(ctx, squatter, RoleSuperadmin, false, &Event{Type: "taken"}); !changed || err != nil {
			t.Errorf("taking a platform role: %v, %v", changed, err)
		}
		if err := s.RemoveMember(ctx, o.ID, squatter, &Event{Type: "removed"}); err != nil {
			t.Errorf("taking a place: %v", err)
		}
	})
}

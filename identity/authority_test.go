package identity

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// beginConnector calls before whenever a transaction begins on its connections.
type beginConnector struct {
	driver.Connector
	before func()
}

func (c beginConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	return beginConn{conn, c.before}, err
}

type beginConn struct {
	driver.Conn
	before func()
}

func (c beginConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	c.before()
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}

func (c beginConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
}

// overtaken is another process on the same database. What take holds is called once
// when the next transaction begins: after the act was allowed, before it is done.
func (in *installation) overtaken(t *testing.T) (*Domain, *atomic.Pointer[func()]) {
	t.Helper()
	var take atomic.Pointer[func()]
	before := func() {
		if f := take.Swap(nil); f != nil {
			(*f)()
		}
	}
	s, err := storage.Open(t.Context(), storage.Config{URL: in.url, Conns: 4, Now: func() time.Time { return in.now },
		Wrap: func(c driver.Connector) driver.Connector { return beginConnector{c, before} }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c := in.made
	c.Store = s
	return New(c), &take
}

// An act is allowed by a role that was read. The role is gone when the act is done, and
// so nothing of it may happen: who removes somebody because of what they do must not
// find it done afterwards.
func TestAnActIsNotDoneOnARoleThatIsGone(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		acting, take := in.overtaken(t)
		web := storage.Metadata{ClientName: "App", RedirectURIs: []string{"https://app.example/cb"}, Scope: "openid"}
		ctx, root, boss := t.Context(), in.user(t, "root@wonderland.example", true), Operator()
		acme, owner := in.organization(t, "acme-corp")
		bob := in.member(t, acme, "bob@acme-corp.com", storage.RoleMember)
		_, open := in.invited(t, owner, acme, "open@acme-corp.com", storage.RoleMember)
		in.client(t, NewClient{ID: "app", Metadata: web})

		admin := in.member(t, acme, "mallory@acme-corp.com", storage.RoleAdmin)
		demote := func() {
			if err := in.Organizations.SetRole(ctx, owner, acme.ID, admin.UserID, storage.RoleMember); err != nil {
				t.Error(err)
			}
		}
		promote := func() {
			if err := in.Organizations.SetRole(ctx, owner, acme.ID, admin.UserID, storage.RoleAdmin); err != nil {
				t.Error(err)
			}
		}
		for name, act := range map[string]func(a Actor) error{
			"SetRole": func(a Actor) error {
				return acting.Organizations.SetRole(ctx, a, acme.ID, bob.UserID, storage.RoleAdmin)
			},
			"RemoveMember": func(a Actor) error { return acting.Organizations.RemoveMember(ctx, a, acme.ID, bob.UserID) },
			"Invite": func(a Actor) error {
				_, err := acting.Invitations.Create(ctx, a, acme.ID, "accomplice@acme-corp.com", storage.RoleAdmin)
				return err
			},
			"RevokeInvitation": func(a Actor) error { return acting.Invitations.Revoke(ctx, a, acme.ID, open.ID) },
			"Rename":           func(a Actor) error { return acting.Organizations.Rename(ctx, a, acme.ID, "Owned") },
			"SetMFAPolicy": func(a Actor) error {
				_, err := acting.Policies.SetMFA(ctx, a, acme.ID, storage.MFAPolicy{Require: storage.RequireAny})
				return err
			},
		} {
			for way, gone := range map[string]struct {
				take, back func()
				want       error
			}{
				"demoted": {demote, promote, ErrForbidden},
				"removed": {
					func() { wantNo(t, in.Organizations.RemoveMember(ctx, owner, acme.ID, admin.UserID)) },
					func() { wantNo(t, in.Organizations.AddMember(ctx, boss, acme.ID, admin.UserID, storage.RoleAdmin)) },
					storage.ErrNotFound},
				"disabled": {
					func() { _, err := in.People.Disable(ctx, boss, admin.UserID); wantNo(t, err) },
					func() { _, err := in.People.Enable(ctx, boss, admin.UserID); wantNo(t, err) },
					ErrForbidden},
			} {
				take.Store(&gone.take)
				if err := act(admin); !errors.Is(err, gone.want) {
					t.Errorf("%s by one who is %s: got %v, want %v", name, way, err, gone.want)
				}
				if take.Load() != nil {
					t.Fatalf("%s begins no transaction", name)
				}
				gone.back()
			}
		}

		// An admin may act on a member, but not on one who has become an owner meanwhile.
		for name, act := range map[string]func() error{
			"SetRole":      func() error { return acting.Organizations.SetRole(ctx, admin, acme.ID, bob.UserID, storage.RoleGuest) },
			"RemoveMember": func() error { return acting.Organizations.RemoveMember(ctx, admin, acme.ID, bob.UserID) },
		} {
			raise := func() { wantNo(t, in.Organizations.SetRole(ctx, owner, acme.ID, bob.UserID, storage.RoleOwner)) }
			take.Store(&raise)
			if err := act(); !errors.Is(err, ErrForbidden) {
				t.Errorf("%s over a new owner: got %v, want ErrForbidden", name, err)
			}
			wantNo(t, in.Organizations.SetRole(ctx, owner, acme.ID, bob.UserID, storage.RoleMember))
		}
		in.wantUnchanged(t, acme, bob, open)

		mallory := Actor{UserID: root.ID}
		wantNo(t, in.Resources.Create(ctx, boss, storage.Resource{Identifier: "https://things.example", Name: "Things"}))
		in.user(t, "other@wonderland.example", true)
		for name, act := range map[string]func(a Actor) error{
			"CreateUser": func(a Actor) error {
				_, err := acting.People.Create(ctx, a, NewUser{Email: "new@acme-corp.com"})
				return err
			},
			"AddMember": func(a Actor) error {
				return acting.Organizations.AddMember(ctx, a, acme.ID, root.ID, storage.RoleOwner)
			},
			"CreateOrganization": func(a Actor) error {
				_, err := acting.Organizations.Create(ctx, a, "new-org", "New", uuid.Nil)
				return err
			},
			"SetEmail": func(a Actor) error { return acting.People.SetEmail(ctx, a, bob.UserID, "evil@acme-corp.com") },
			"SetPassword": func(a Actor) error {
				return acting.People.SetPassword(ctx, a, bob.UserID, "quite another phrase 4", uuid.Nil)
			},
			"DisableUser": func(a Actor) error { _, err := acting.People.Disable(ctx, a, bob.UserID); return err },
			"AddPlatformRole": func(a Actor) error {
				_, err := acting.People.AddPlatformRole(ctx, a, bob.UserID, storage.RoleSuperadmin)
				return err
			},
			"DeleteUser": func(a Actor) error { return acting.People.Delete(ctx, a, bob.UserID) },
			"CreateClient": func(a Actor) error {
				_, _, err := acting.Clients.Create(ctx, a, NewClient{ID: "evil", Metadata: web})
				return err
			},
			"RotateSecret":  func(a Actor) error { _, err := acting.Clients.RotateSecret(ctx, a, "app", 0); return err },
			"DisableClient": func(a Actor) error { return acting.Clients.Disable(ctx, a, "app") },
			"DeleteClient":  func(a Actor) error { return acting.Clients.Delete(ctx, a, "app") },
			"UpdateClient": func(a Actor) error {
				_, err := acting.Clients.Update(ctx, a, "app", func(m *storage.Metadata) error { m.ClientName = "Owned"; return nil })
				return err
			},
			"CreateResource": func(a Actor) error {
				return acting.Resources.Create(ctx, a, storage.Resource{Identifier: "https://evil.example", Name: "Evil"})
			},
			"DeleteResource": func(a Actor) error { return acting.Resources.Delete(ctx, a, "https://things.example") },
			"Invite": func(a Actor) error {
				_, err := acting.Invitations.Create(ctx, a, acme.ID, "accomplice@acme-corp.com", storage.RoleOwner)
				return err
			},
			"SetPlatformMFAPolicy": func(a Actor) error {
				_, err := acting.Policies.SetPlatformMFA(ctx, a, storage.MFAPolicy{Require: storage.RequireAny})
				return err
			},
			"SetBrand":   func(a Actor) error { return acting.Installation.SetBrand(ctx, a, storage.BrandSettings{Name: "Owned"}) },
			"NoteUnlock": func(a Actor) error { return acting.People.NoteUnlock(ctx, a, bob.UserID) },
		} {
			demote := func() {
				_, err := in.People.RemovePlatformRole(ctx, boss, root.ID, storage.RoleSuperadmin)
				wantNo(t, err)
			}
			take.Store(&demote)
			if err := act(mallory); !errors.Is(err, ErrForbidden) && !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("%s by one who is no superadmin any more: got %v, want ErrForbidden", name, err)
			}
			if take.Load() != nil {
				t.Fatalf("%s begins no transaction", name)
			}
			_, err := in.People.AddPlatformRole(ctx, boss, root.ID, storage.RoleSuperadmin)
			wantNo(t, err)
		}
		in.wantUnchanged(t, acme, bob, open)
	})
}

func wantNo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// wantUnchanged checks that nothing of what was refused has happened.
func (in *installation) wantUnchanged(t *testing.T, o *storage.Organization, bob Actor, open *storage.Invitation) {
	t.Helper()
	ctx := t.Context()
	if role, err := in.store.Role(ctx, o.ID, bob.UserID); err != nil || role != storage.RoleMember {
		t.Errorf("Bob is %q, %v; want a member", role, err)
	}
	if u, err := in.store.User(ctx, bob.UserID); err != nil || !u.Active() || u.Email != "bob@acme-corp.com" || len(u.PlatformRoles) > 0 {
		t.Errorf("Bob is %+v, %v", u, err)
	}
	if now, err := in.store.Organization(ctx, o.ID); err != nil || now.Name != o.Name {
		t.Errorf("the organization is %+v, %v", now, err)
	}
	all, err := in.store.Invitations(ctx, o.ID, uuid.Nil, 10)
	if err != nil || len(all) != 1 || all[0].ID != open.ID {
		t.Errorf("invitations: %+v, %v", all, err)
	}
	if c, err := in.store.Client(ctx, "app"); err != nil || !c.Active() || len(c.Secrets) != 1 {
		t.Errorf("the client is %+v, %v", c, err)
	}
	if _, err := in.store.Client(ctx, "evil"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a client was registered: %v", err)
	}
	if p, err := in.store.PlatformSettings(ctx); err != nil || p.MFA.Require != "" || p.Brand.Name != "" {
		t.Errorf("the settings are %+v, %v", p, err)
	}
}

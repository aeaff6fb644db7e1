package identity

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// A platform admin reads what a superadmin reads, and changes nothing: neither the installation nor an organization.
func TestAPlatformAdminReadsEverythingAndChangesNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		ctx, boss := t.Context(), Operator()
		acme, _ := in.organization(t, "acme-corp")
		bob := in.member(t, acme, "bob@acme-corp.com", storage.RoleMember)
		in.client(t, NewClient{ID: "app", Metadata: storage.Metadata{ClientName: "App", RedirectURIs: []string{"https://app.example/cb"}, Scope: "openid"}})
		wantNo(t, in.Resources.Create(ctx, boss, storage.Resource{Identifier: "https://things.example", Name: "Things"}))
		people := map[string]Actor{}
		for name, roles := range map[string][]string{"superadmin": {storage.RoleSuperadmin}, "admin": {storage.RolePlatformAdmin}, "nobody": nil} {
			u := in.user(t, name+"@wonderland.example", false)
			for _, role := range roles {
				if _, err := in.People.AddPlatformRole(ctx, boss, u.ID, role); err != nil {
					t.Fatal(err)
				}
			}
			people[name] = Actor{UserID: u.ID}
		}
		for name, read := range map[string]func(a Actor) error{
			"UserByEmail":        func(a Actor) error { _, err := in.People.ByEmail(ctx, a, "bob@acme-corp.com"); return err },
			"Users":              func(a Actor) error { _, err := in.People.List(ctx, a, uuid.Nil, 10); return err },
			"OrganizationBySlug": func(a Actor) error { _, err := in.Organizations.BySlug(ctx, a, "acme-corp"); return err },
			"Organizations":      func(a Actor) error { _, err := in.Organizations.List(ctx, a, uuid.Nil, 10); return err },
			"Client":             func(a Actor) error { _, err := in.Clients.Get(ctx, a, "app"); return err },
			"Clients":            func(a Actor) error { _, err := in.Clients.List(ctx, a, "", 10); return err },
			"Refusals":           func(a Actor) error { _, err := in.Clients.Refusals(ctx, a, "app", 10); return err },
			"Resources":          func(a Actor) error { _, err := in.Resources.List(ctx, a); return err },
			"ClientOrganization": func(a Actor) error {
				_, err := in.Clients.Organization(ctx, a, &storage.Client{Organization: acme.ID})
				return err
			},
			"SecretKeys":        func(a Actor) error { _, _, err := in.Clients.SecretKeys(ctx, a); return err },
			"MFAPolicy":         func(a Actor) error { _, err := in.Policies.MFA(ctx, a, acme.ID); return err },
			"PlatformMFAPolicy": func(a Actor) error { _, err := in.Policies.PlatformMFA(ctx, a); return err },
			"Members":           func(a Actor) error { _, err := in.Organizations.Members(ctx, a, acme.ID, uuid.Nil, 10); return err },
			"Compliance":        func(a Actor) error { _, err := in.Policies.Compliance(ctx, a, acme.ID, uuid.Nil, 10); return err },
			"Invitations":       func(a Actor) error { _, err := in.Invitations.List(ctx, a, acme.ID, uuid.Nil, 10); return err },
		} {
			for who, allowed := range map[string]bool{"superadmin": true, "admin": true, "nobody": false} {
				err := read(people[who])
				if refused := errors.Is(err, ErrForbidden) || errors.Is(err, storage.ErrNotFound); (err == nil) != allowed || !allowed && !refused {
					t.Errorf("%s by %s: %v, want it allowed %v", name, who, err, allowed)
				}
			}
		}
		for name, act := range map[string]func(a Actor) error{
			"CreateUser": func(a Actor) error {
				_, err := in.People.Create(ctx, a, NewUser{Email: "eve@acme-corp.com"})
				return err
			},
			"SetEmail": func(a Actor) error { return in.People.SetEmail(ctx, a, bob.UserID, "bobby@acme-corp.com") },
			"SetPassword": func(a Actor) error {
				return in.People.SetPassword(ctx, a, bob.UserID, "another quiet river bends", uuid.Nil)
			},
			"DisableUser": func(a Actor) error { _, err := in.People.Disable(ctx, a, bob.UserID); return err },
			"EnableUser":  func(a Actor) error { _, err := in.People.Enable(ctx, a, bob.UserID); return err },
			"AddPlatformRole": func(a Actor) error {
				_, err := in.People.AddPlatformRole(ctx, a, a.UserID, storage.RoleSuperadmin)
				return err
			},
			"RemovePlatformRole": func(a Actor) error {
				_, err := in.People.RemovePlatformRole(ctx, a, bob.UserID, storage.RoleSuperadmin)
				return err
			},
			"DeleteUser":   func(a Actor) error { return in.People.Delete(ctx, a, bob.UserID) },
			"ResetFactors": func(a Actor) error { return in.People.ResetFactors(ctx, a, bob.UserID, nil) },
			"CreateOrganization": func(a Actor) error {
				_, err := in.Organizations.Create(ctx, a, "evil-corp", "Evil", a.UserID)
				return err
			},
			"RenameOrganization": func(a Actor) error { return in.Organizations.Rename(ctx, a, acme.ID, "Owned") },
			"AddMember":          func(a Actor) error { return in.Organizations.AddMember(ctx, a, acme.ID, a.UserID, storage.RoleOwner) },
			"SetRole":            func(a Actor) error { return in.Organizations.SetRole(ctx, a, acme.ID, bob.UserID, storage.RoleAdmin) },
			"RemoveMember":       func(a Actor) error { return in.Organizations.RemoveMember(ctx, a, acme.ID, bob.UserID) },
			"Invite": func(a Actor) error {
				_, err := in.Invitations.Create(ctx, a, acme.ID, "eve@acme-corp.com", storage.RoleAdmin)
				return err
			},
			"RevokeInvitation":     func(a Actor) error { return in.Invitations.Revoke(ctx, a, acme.ID, uuid.New()) },
			"SetMFAPolicy":         func(a Actor) error { _, err := in.Policies.SetMFA(ctx, a, acme.ID, storage.MFAPolicy{}); return err },
			"SetPlatformMFAPolicy": func(a Actor) error { _, err := in.Policies.SetPlatformMFA(ctx, a, storage.MFAPolicy{}); return err },
			"SetBrand":             func(a Actor) error { return in.Installation.SetBrand(ctx, a, storage.BrandSettings{}) },
			"CreateClient":         func(a Actor) error { _, _, err := in.Clients.Create(ctx, a, NewClient{ID: "evil"}); return err },
			"UpdateClient": func(a Actor) error {
				_, err := in.Clients.Update(ctx, a, "app", func(m *storage.Metadata) error { m.ClientName = "Owned"; return nil })
				return err
			},
			"CreateResource": func(a Actor) error {
				return in.Resources.Create(ctx, a, storage.Resource{Identifier: "https://evil.example", Name: "Evil"})
			},
			"DeleteResource": func(a Actor) error { return in.Resources.Delete(ctx, a, "https://things.example") },
			"RotateSecret":   func(a Actor) error { _, err := in.Clients.RotateSecret(ctx, a, "app", time.Hour); return err },
			"DisableClient":  func(a Actor) error { return in.Clients.Disable(ctx, a, "app") },
			"EnableClient":   func(a Actor) error { return in.Clients.Enable(ctx, a, "app") },
			"DeleteClient":   func(a Actor) error { return in.Clients.Delete(ctx, a, "app") },
			"NewSetupToken":  func(a Actor) error { _, _, err := in.Installation.NewSetupToken(ctx, a); return err },
		} {
			if err := act(people["admin"]); !errors.Is(err, ErrForbidden) && !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("%s by a platform admin: got %v, want it refused", name, err)
			}
		}
		if c := in.read(t, "app"); !c.Active() {
			t.Error("the client was changed by a platform admin")
		}
	})
}

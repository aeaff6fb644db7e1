package identity

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// Every action is allowed to exactly the kinds of actors that are listed, and hidden from those who may not know the
// organization.
func TestWhoMayDoWhat(t *testing.T) {
	in := onSQLite(t)
	acme, owner := in.organization(t, "acme-corp")
	other, stranger := in.organization(t, "other")
	platform := func(name, role string) Actor {
		u := in.user(t, name+"@wonderland.example", false)
		if _, err := in.People.AddPlatformRole(t.Context(), Operator(), u.ID, role); err != nil {
			t.Fatal(err)
		}
		return Actor{UserID: u.ID}
	}
	token := func(a Actor, o *storage.Organization, scopes ...string) Actor {
		text, _, err := in.Tokens.Create(t.Context(), a, NewToken{OrganizationID: o.ID, Name: "CI", Scopes: scopes})
		if err != nil {
			t.Fatal(err)
		}
		b, err := in.Tokens.ByHash(t.Context(), secret.HashOf(text))
		if err != nil {
			t.Fatal(err)
		}
		return b.Actor("")
	}
	member := in.member(t, acme, "member@acme.example", storage.RoleMember)
	disabled := in.member(t, acme, "disabled@acme.example", storage.RoleOwner)
	if _, err := in.People.Disable(t.Context(), Operator(), disabled.UserID); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]Actor{
		"operator": Operator(), "superadmin": platform("root", storage.RoleSuperadmin), "platform-admin": platform("reader", storage.RolePlatformAdmin),
		"owner": owner, "admin": in.member(t, acme, "admin@acme.example", storage.RoleAdmin), "member": member,
		"guest": in.member(t, acme, "guest@acme.example", storage.RoleGuest), "stranger": stranger, "disabled": disabled, "nobody": {},
		"token": token(owner, acme, ScopeRead, ScopeWrite), "read-token": token(owner, acme, ScopeRead), "member-token": token(member, acme, ScopeRead),
		"other-token": token(stranger, other, ScopeRead, ScopeWrite),
	}
	allowed := map[Action]string{
		ReadPlatform:       "operator superadmin platform-admin",
		ManagePlatform:     "operator superadmin",
		SeeOrganization:    "operator superadmin platform-admin owner admin member guest token read-token member-token",
		ReadOrganization:   "operator superadmin platform-admin owner admin token read-token",
		ManageOrganization: "operator superadmin owner admin token",
		ManageMembers:      "operator superadmin owner admin",
		ManageOwners:       "operator superadmin owner",
	}
	if len(allowed) != len(permissions) {
		t.Errorf("%d actions are tested, want all %d", len(allowed), len(permissions))
	}
	for action, names := range allowed {
		for kind, a := range kinds {
			organization := acme.ID
			if action <= ManagePlatform {
				organization = [16]byte{}
			}
			want := error(nil)
			hidden := kind == "stranger" || kind == "other-token" && action <= ManageOrganization || strings.HasPrefix(kind, "platform") && action > ReadOrganization
			switch {
			case slices.Contains(strings.Fields(names), kind):
			case hidden && action > ManagePlatform:
				want = storage.ErrNotFound
			default:
				want = ErrForbidden
			}
			if err := in.Authorize(t.Context(), &a, action, organization); !errors.Is(err, want) {
				t.Errorf("action %d by %s: got %v, want %v", action, kind, err, want)
			}
		}
	}
	if err := in.Authorize(t.Context(), &owner, Action(99), acme.ID); !errors.Is(err, ErrForbidden) {
		t.Errorf("an action without a row: got %v, want it refused", err)
	}
}

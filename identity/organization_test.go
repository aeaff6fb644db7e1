package identity

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// OR-08: one spelling, nothing that reads like a part of the product.
func TestSlugs(t *testing.T) {
	for slug, want := range map[string]bool{
		"acme-corp": true, "a1": true, "x-": true, "a" + strings.Repeat("b", 38): true, "xn--bcher": true,
		"": false, "a": false, "1a": false, "-a": false, "Acme": false, "acme.corp": false, "..": false, "a/b": false, "a b": false, "äcme": false,
		"a" + strings.Repeat("b", 39): false, "admin": false, "well-known": false, ".well-known": false, "oauth2": false, "orgs": false, "acme\n": false, "a\x00": false,
		"abcdef01-2345-6789-abcd-ef0123456789": false, // could be taken for an id
	} {
		if err := CheckSlug(slug); (err == nil) != want {
			t.Errorf("%q: got %v, want allowed %v", slug, err, want)
		}
	}
	for _, slug := range reservedSlugs {
		if !slugGrammar.MatchString(slug) {
			t.Errorf("%q is reserved and could not be one anyway", slug)
		}
	}
}

func TestNamesAreOneVisibleLine(t *testing.T) {
	for name, want := range map[string]bool{
		"Acme Corp": true, "Ünïcode 株式会社 👩‍👩‍👧": true, strings.Repeat("a", 100): true,
		"": false, " Acme": false, "Acme ": false, "Ac\nme": false, "Ac\x00me": false, "Ac\u202eme": false, "Ac\u200bme": false, "Ac\u2028me": false,
		strings.Repeat("a", 101): false, "\xff": false, "\t": false,
	} {
		var faults FieldErrors
		if checkName(&faults, "name", name, 100); (len(faults) == 0) != want {
			t.Errorf("%q: got %v, want allowed %v", name, faults, want)
		}
	}
}

// Every role in the organization, a member of another one, and nobody, on every act:
// a stranger cannot even learn that the organization exists.
func TestWhoMayDoWhatInAnOrganization(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		acme, err := in.Organizations.Create(t.Context(), Operator(), "acme-corp", "Acme", uuid.Nil)
		if err != nil {
			t.Fatal(err)
		}
		people := map[string]uuid.UUID{"nobody": uuid.Nil, "unknown": uuid.New()}
		for _, role := range []string{storage.RoleOwner, storage.RoleAdmin, storage.RoleMember, storage.RoleGuest} {
			people[role] = in.user(t, role+"@acme-corp.com", false).ID
			if err := in.Organizations.AddMember(t.Context(), Operator(), acme.ID, people[role], role); err != nil {
				t.Fatal(err)
			}
		}
		people["superadmin"] = in.user(t, "root@sallyport.test", true).ID
		people["owner of another"] = in.user(t, "eve@evil.example", false).ID
		if _, err := in.Organizations.Create(t.Context(), Operator(), "evil", "Evil", people["owner of another"]); err != nil {
			t.Fatal(err)
		}
		other := in.user(t, "other@acme-corp.com", false).ID
		second := in.user(t, "second@acme-corp.com", false).ID
		if err := in.Organizations.AddMember(t.Context(), Operator(), acme.ID, second, storage.RoleOwner); err != nil {
			t.Fatal(err)
		}
		reset := func() {
			_ = in.store.AddMember(t.Context(), acme.ID, other, storage.RoleMember, &storage.Event{})
			_ = in.store.SetRole(t.Context(), acme.ID, other, storage.RoleMember, &storage.Event{})
			_ = in.store.AddMember(t.Context(), acme.ID, second, storage.RoleOwner, &storage.Event{})
			_ = in.store.SetRole(t.Context(), acme.ID, second, storage.RoleOwner, &storage.Event{})
		}
		all, owners, admins := "owner admin member guest superadmin", "owner superadmin", "owner admin superadmin"
		for act, tc := range map[string]struct {
			may string
			do  func(a Actor) error
		}{
			"see": {all, func(a Actor) error { _, err := in.Organizations.BySlug(t.Context(), a, "acme-corp"); return err }},
			"list members": {admins, func(a Actor) error {
				_, err := in.Organizations.Members(t.Context(), a, acme.ID, uuid.Nil, 9)
				return err
			}},
			"rename": {admins, func(a Actor) error { return in.Organizations.Rename(t.Context(), a, acme.ID, "Acme Inc") }},
			"make admin": {admins, func(a Actor) error {
				return in.Organizations.SetRole(t.Context(), a, acme.ID, other, storage.RoleAdmin)
			}},
			"make owner": {owners, func(a Actor) error {
				return in.Organizations.SetRole(t.Context(), a, acme.ID, other, storage.RoleOwner)
			}},
			"unseat owner": {owners, func(a Actor) error {
				return in.Organizations.SetRole(t.Context(), a, acme.ID, second, storage.RoleGuest)
			}},
			"remove member": {admins, func(a Actor) error { return in.Organizations.RemoveMember(t.Context(), a, acme.ID, other) }},
			"remove owner":  {owners, func(a Actor) error { return in.Organizations.RemoveMember(t.Context(), a, acme.ID, second) }},
			"add themselves": {"superadmin", func(a Actor) error {
				return in.Organizations.AddMember(t.Context(), a, acme.ID, uuid.New(), storage.RoleOwner)
			}},
		} {
			for who, id := range people {
				reset()
				err := tc.do(Actor{UserID: id})
				may := strings.Contains(" "+tc.may+" ", " "+who+" ")
				refused := errors.Is(err, ErrForbidden) || errors.Is(err, storage.ErrNotFound)
				if act == "add themselves" && may {
					refused = false // it is only the person to add who does not exist
				}
				if refused == may {
					t.Errorf("%s by %s: got %v, want allowed %v", act, who, err, may)
				}
				if who == "owner of another" && act != "add themselves" && !errors.Is(err, storage.ErrNotFound) {
					t.Errorf("%s by %s: got %v, want ErrNotFound", act, who, err)
				}
			}
		}
		if err := in.Organizations.RemoveMember(t.Context(), Actor{UserID: people["guest"]}, acme.ID, people["guest"]); err != nil {
			t.Errorf("leaving: %v", err)
		}
		var faults FieldErrors
		if err := in.Organizations.SetRole(t.Context(), Operator(), acme.ID, other, "king"); !errors.As(err, &faults) {
			t.Errorf("a role that is none: got %v, want a fault", err)
		}
	})
}

package identity

import (
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

func TestAPersonIsCreatedByWhoeverAdministersTheInstallation(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		u := in.user(t, " Bob@ACME-corp.com", true)
		if u.Email != "Bob@ACME-corp.com" || u.EmailKey != "bob@acme-corp.com" || u.EmailVerifiedAt.IsZero() || u.Sub == u.ID || u.Sub.Version() != 4 {
			t.Errorf("got %+v", u)
		}
		found, err := in.People.ByEmail(t.Context(), Actor{UserID: u.ID}, "bob@acme-CORP.com")
		if err != nil || found.ID != u.ID {
			t.Errorf("found: got %+v, %v", found, err)
		}
		_, err = in.People.Create(t.Context(), Operator(), NewUser{Email: "BOB@acme-corp.com"})
		if !errors.Is(err, storage.ErrExists) {
			t.Errorf("the same address: got %v, want ErrExists", err)
		}
		var faults FieldErrors
		_, err = in.People.Create(t.Context(), Operator(), NewUser{Email: "bob@@acme", Password: "short"})
		if !errors.As(err, &faults) || len(faults) != 2 {
			t.Errorf("both fields wrong: got %v, want two faults", err)
		}
	})
}

// OR-12: what is about the person as a whole is the platform's or their own, never
// an organization's; and roles count as they are now.
func TestOnlyThePlatformAndThePersonActOnAPerson(t *testing.T) {
	in := onSQLite(t)
	root, bob := in.user(t, "root@sallyport.test", true), in.user(t, "bob@acme-corp.com", false)
	owner := in.user(t, "alice@acme-corp.com", false)
	acme, err := in.Organizations.Create(t.Context(), Operator(), "acme-corp", "Acme", owner.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Organizations.AddMember(t.Context(), Operator(), acme.ID, root.ID, storage.RoleMember); err != nil {
		t.Fatal(err)
	}
	acts := map[string]func(a Actor) error{
		"create": func(a Actor) error {
			_, err := in.People.Create(t.Context(), a, NewUser{Email: uuid.NewString() + "@a.example"})
			return err
		},
		"find": func(a Actor) error { _, err := in.People.ByEmail(t.Context(), a, "bob@acme-corp.com"); return err },
		"list": func(a Actor) error { _, err := in.People.List(t.Context(), a, uuid.Nil, 1); return err },
		"password": func(a Actor) error {
			return in.People.SetPassword(t.Context(), a, bob.ID, "another quiet river bends", uuid.Nil)
		},
		"disable":  func(a Actor) error { _, err := in.People.Disable(t.Context(), a, bob.ID); return err },
		"enable":   func(a Actor) error { _, err := in.People.Enable(t.Context(), a, bob.ID); return err },
		"add role": func(a Actor) error { _, err := in.People.AddPlatformRole(t.Context(), a, bob.ID, "admin"); return err },
		"remove role": func(a Actor) error {
			_, err := in.People.RemovePlatformRole(t.Context(), a, bob.ID, "admin")
			return err
		},
		"new org": func(a Actor) error {
			_, err := in.Organizations.Create(t.Context(), a, "x"+uuid.NewString()[:8], "X", uuid.Nil)
			return err
		},
		"new client": func(a Actor) error { _, _, err := in.Clients.Create(t.Context(), a, machine()); return err },
	}
	own := map[string]bool{"password": true}
	for name, act := range acts {
		for who, tc := range map[string]struct {
			a    Actor
			want bool
		}{
			"operator": {Operator(), true}, "superadmin": {Actor{UserID: root.ID}, true}, "self": {Actor{UserID: bob.ID}, own[name]},
			"owner of their organization": {Actor{UserID: owner.ID}, false}, "nobody": {Actor{}, false}, "stranger": {Actor{UserID: uuid.New()}, false},
		} {
			err := act(tc.a)
			if tc.want && err != nil || !tc.want && !errors.Is(err, ErrForbidden) {
				t.Errorf("%s by %s: got %v, want allowed %v", name, who, err, tc.want)
			}
			// The acts come in any order: none may leave bob disabled, or a platform admin, for the next.
			if _, err := in.People.Enable(t.Context(), Operator(), bob.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := in.People.RemovePlatformRole(t.Context(), Operator(), bob.ID, storage.RolePlatformAdmin); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := in.People.Disable(t.Context(), Operator(), root.ID); err != nil {
		t.Fatal(err)
	}
	if err := acts["list"](Actor{UserID: root.ID}); !errors.Is(err, ErrForbidden) {
		t.Errorf("a disabled superadmin: got %v, want ErrForbidden", err)
	}
	var faults FieldErrors
	if _, err := in.People.AddPlatformRole(t.Context(), Operator(), bob.ID, "owner"); !errors.As(err, &faults) {
		t.Errorf("a role that is none: got %v, want a fault", err)
	}
	if err := in.People.Delete(t.Context(), Actor{UserID: bob.ID}, bob.ID); err != nil {
		t.Errorf("deleting oneself: %v", err)
	}
	if err := in.People.Delete(t.Context(), Operator(), owner.ID); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("deleting the last owner: got %v, want ErrConflict", err)
	}
}

func machine() NewClient {
	return NewClient{Metadata: storage.Metadata{GrantTypes: []string{"client_credentials"}}}
}

func TestANewPasswordIsTheOneThatVerifies(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		bob := in.user(t, "bob@acme-corp.com", false)
		if err := in.People.SetPassword(t.Context(), Actor{UserID: bob.ID}, bob.ID, "another quiet river bends", uuid.Nil); err != nil {
			t.Fatal(err)
		}
		_, hash, err := in.store.UserWithPassword(t.Context(), bob.EmailKey)
		if err != nil {
			t.Fatal(err)
		}
		for password, want := range map[string]bool{"another quiet river bends": true, "a quiet river bends north": false} {
			if ok, _, err := in.Passwords.Verify(t.Context(), hash, password); err != nil || ok != want {
				t.Errorf("%q: got %v, %v, want %v", password, ok, err, want)
			}
		}
		var faults FieldErrors
		if err := in.People.SetPassword(t.Context(), Operator(), bob.ID, "bob@acme-corp.com", uuid.Nil); !errors.As(err, &faults) {
			t.Errorf("the address as a password: got %v, want a fault", err)
		}
	})
}

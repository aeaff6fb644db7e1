package identity

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// bearer creates a token with both scopes and returns who acts by it.
func (in *installation) bearer(t *testing.T, a Actor, o *storage.Organization) (token string, b *Bearer) {
	t.Helper()
	token, _, err := in.Tokens.Create(t.Context(), a, NewToken{OrganizationID: o.ID, Name: "CI", Scopes: []string{ScopeWrite, ScopeRead, ScopeRead}})
	if err != nil {
		t.Fatal(err)
	}
	b, err = in.Tokens.ByHash(t.Context(), secret.HashOf(token))
	if err != nil {
		t.Fatal(err)
	}
	return token, b
}

func TestAPersonalAccessToken(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		acme, owner := in.organization(t, "acme")
		token, b := in.bearer(t, owner, acme)
		if !strings.HasPrefix(token, TokenPrefix) || b.Token.Organization.ID != acme.ID || b.User.ID != owner.UserID || b.Role != storage.RoleOwner ||
			!slices.Equal(b.Scopes, []string{ScopeRead, ScopeWrite}) || !b.Token.ExpiresAt.Equal(in.now.Add(TokenLife)) {
			t.Errorf("got %q and %+v", token, b)
		}
		listed, err := in.Tokens.List(t.Context(), owner)
		if err != nil || len(listed) != 1 || listed[0].ID != b.Token.ID || !listed[0].LastUsedAt.IsZero() {
			t.Fatalf("listed: got %+v, %v", listed, err)
		}
		if err := in.WriteUses(t.Context(), &storage.Pace{}); err != nil {
			t.Fatal(err)
		}
		if listed, err = in.Tokens.List(t.Context(), owner); err != nil || !listed[0].LastUsedAt.Equal(in.now) {
			t.Errorf("last used: got %v, %v, want %v", listed[0].LastUsedAt, err, in.now)
		}
		bob := in.member(t, acme, "bob@acme.example", storage.RoleMember)
		if err := in.Tokens.Revoke(t.Context(), bob, b.Token.ID); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("revoked by another: got %v, want ErrNotFound", err)
		}
		if err := in.Tokens.Revoke(t.Context(), owner, b.Token.ID); err != nil {
			t.Fatal(err)
		}
		short, _ := in.bearer(t, owner, acme)
		in.now = in.now.Add(TokenLife)
		for name, dead := range map[string]string{"revoked": token, "expired": short, "none": TokenPrefix, "empty": ""} {
			if _, err := in.Tokens.ByHash(t.Context(), secret.HashOf(dead)); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("%s: got %v, want ErrNotFound", name, err)
			}
		}
	})
}

func TestWhatATokenCanBeAskedFor(t *testing.T) {
	in := onSQLite(t)
	acme, owner := in.organization(t, "acme")
	guest := in.member(t, acme, "guest@acme.example", storage.RoleGuest)
	read := []string{ScopeRead}
	for name, c := range map[string]struct {
		a    Actor
		n    NewToken
		want bool
	}{
		"90 days":             {owner, NewToken{Name: "CI", Scopes: read, Life: MaxTokenLife}, true},
		"longer":              {owner, NewToken{Name: "CI", Scopes: read, Life: MaxTokenLife + time.Second}, false},
		"since yesterday":     {owner, NewToken{Name: "CI", Scopes: read, Life: -time.Hour}, false},
		"no scope":            {owner, NewToken{Name: "CI"}, false},
		"a scope of others":   {owner, NewToken{Name: "CI", Scopes: []string{"sallyport:admin"}}, false},
		"no name":             {owner, NewToken{Scopes: read}, false},
		"a guest reads":       {guest, NewToken{Name: "CI", Scopes: read}, true},
		"a guest writes":      {guest, NewToken{Name: "CI", Scopes: []string{ScopeWrite}}, false},
		"a guest does either": {guest, NewToken{Name: "CI", Scopes: []string{ScopeRead, ScopeWrite}}, false},
	} {
		c.n.OrganizationID = acme.ID
		_, _, err := in.Tokens.Create(t.Context(), c.a, c.n)
		var faults FieldErrors
		if (err == nil) != c.want || err != nil && !errors.As(err, &faults) {
			t.Errorf("%s: got %v, want allowed %v", name, err, c.want)
		}
	}
	_, stranger := in.organization(t, "other")
	if _, _, err := in.Tokens.Create(t.Context(), stranger, NewToken{OrganizationID: acme.ID, Name: "CI", Scopes: read}); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a stranger: got %v, want ErrNotFound", err)
	}
	u, _, err := in.Registrations.Register(t.Context(), Registration{Email: "new@acme.example", Password: "a quiet river bends north"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := in.Tokens.Create(t.Context(), Actor{UserID: u.ID}, NewToken{OrganizationID: acme.ID, Name: "CI", Scopes: read}); !errors.Is(err, ErrForbidden) {
		t.Errorf("an address that is not proven: got %v, want ErrForbidden", err)
	}
	for range maxTokens - 1 {
		in.bearer(t, owner, acme)
	}
	if _, _, err := in.Tokens.Create(t.Context(), owner, NewToken{OrganizationID: acme.ID, Name: "CI", Scopes: read}); !errors.Is(err, ErrTooManyTokens) {
		t.Errorf("one more: got %v, want ErrTooManyTokens", err)
	}
}

// Never above the person's role at use, and MF-07: the organization's policy
// binds tokens too.
func TestATokenIsJudgedWhenItIsUsed(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		acme, owner := in.organization(t, "acme")
		admin := in.member(t, acme, "admin@acme.example", storage.RoleAdmin)
		token, _ := in.bearer(t, admin, acme)
		use := func() *Bearer {
			t.Helper()
			b, err := in.Tokens.ByHash(t.Context(), secret.HashOf(token))
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		if err := in.Organizations.SetRole(t.Context(), owner, acme.ID, admin.UserID, storage.RoleMember); err != nil {
			t.Fatal(err)
		}
		if b := use(); b.Role != storage.RoleMember || !slices.Equal(b.Scopes, []string{ScopeRead}) {
			t.Errorf("after the role went: got %+v", b)
		}
		if _, err := in.Policies.SetMFA(t.Context(), owner, acme.ID, storage.MFAPolicy{Require: storage.RequireAny, GraceDays: 1}); err != nil {
			t.Fatal(err)
		}
		if use().Overdue {
			t.Error("overdue before the deadline")
		}
		in.now = in.now.Add(assurance.Days(1))
		if !use().Overdue {
			t.Error("not overdue after the deadline")
		}
		if _, err := in.Policies.SetMFA(t.Context(), owner, acme.ID, storage.MFAPolicy{}); err != nil {
			t.Fatal(err)
		}
		if use().Overdue {
			t.Error("overdue without a policy")
		}
		if _, err := in.Policies.SetPlatformMFA(t.Context(), Operator(), storage.MFAPolicy{Require: storage.RequireTOTP}); err != nil {
			t.Fatal(err)
		}
		if !use().Overdue {
			t.Error("not overdue under the installation's policy")
		}
	})
}

// A stolen token reaches what its person may do in one organization: not their
// other ones, not the platform, not their credentials, and nothing that outlasts it.
func TestWhatATokenNeverDoes(t *testing.T) {
	in := onSQLite(t)
	acme, owner := in.organization(t, "acme")
	other, _ := in.organization(t, "other")
	if err := in.Organizations.AddMember(t.Context(), Operator(), other.ID, owner.UserID, storage.RoleOwner); err != nil {
		t.Fatal(err)
	}
	if _, err := in.People.AddPlatformRole(t.Context(), Operator(), owner.UserID, storage.RoleSuperadmin); err != nil {
		t.Fatal(err)
	}
	bob := in.member(t, acme, "bob@acme.example", storage.RoleMember)
	_, b := in.bearer(t, owner, acme)
	a := b.Actor("request")
	if members, err := in.Organizations.Members(t.Context(), a, acme.ID, uuid.Nil, 10); err != nil || len(members) != 2 {
		t.Errorf("its own organization: got %v, %v", members, err)
	}
	if err := in.Organizations.Rename(t.Context(), a, acme.ID, "Acme Inc"); err != nil {
		t.Errorf("renaming its own organization: %v", err)
	}
	ctx := t.Context()
	for name, c := range map[string]struct {
		err, want error
	}{
		"another organization": {in.Organizations.Rename(ctx, a, other.ID, "Mine"), storage.ErrNotFound},
		"the platform":         {second(in.People.List(ctx, a, uuid.Nil, 10)), ErrForbidden},
		"a role":               {in.Organizations.SetRole(ctx, a, acme.ID, bob.UserID, storage.RoleOwner), ErrForbidden},
		"a member":             {in.Organizations.RemoveMember(ctx, a, acme.ID, bob.UserID), ErrForbidden},
		"leaving":              {in.Organizations.RemoveMember(ctx, a, acme.ID, owner.UserID), ErrForbidden},
		"an invitation":        {second(in.Invitations.Create(ctx, a, acme.ID, "eve@evil.example", storage.RoleMember)), ErrForbidden},
		"its password":         {in.People.SetPassword(ctx, a, owner.UserID, "a quiet river bends south", uuid.Nil), ErrForbidden},
		"deleting its person":  {in.People.Delete(ctx, a, owner.UserID), ErrForbidden},
		"another token":        {third(in.Tokens.Create(ctx, a, NewToken{OrganizationID: acme.ID, Name: "x", Scopes: []string{ScopeRead}})), ErrForbidden},
		"the list of tokens":   {second(in.Tokens.List(ctx, a)), ErrForbidden},
		"ending itself":        {in.Tokens.Revoke(ctx, a, b.Token.ID), ErrForbidden},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: got %v, want %v", name, c.err, c.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func third[T, U any](_ T, _ U, err error) error { return err }

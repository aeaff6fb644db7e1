package identity_test

import (
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// A sign-in has six round trips. Welcoming takes none of them from whoever has
// signed in before, and one from a newcomer who belongs somewhere; a personal access
// token costs one.
func TestRoundTripsOfWelcomesAndTokens(t *testing.T) {
	var count harness.Counter
	store, err := storage.Open(t.Context(), storage.Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "test.db"), Wrap: count.Wrap})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	in := identity.New(identity.Config{Store: store, Accounts: identity.AccountConfig{PersonalOrg: identity.PersonalUninvited}})
	acme, err := in.Organizations.Create(t.Context(), identity.Operator(), "acme-corp", "Acme", uuid.Nil)
	if err != nil {
		t.Fatal(err)
	}
	member := func(email string) *storage.User {
		u, err := in.People.Create(t.Context(), identity.Operator(), identity.NewUser{Email: email})
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Organizations.AddMember(t.Context(), identity.Operator(), acme.ID, u.ID, storage.RoleOwner); err != nil {
			t.Fatal(err)
		}
		return u
	}
	warm, bob := member("warm@acme.example"), member("bob@acme.example")
	token, _, err := in.Tokens.Create(t.Context(), identity.Actor{UserID: bob.ID}, identity.NewToken{OrganizationID: acme.ID, Name: "CI", Scopes: []string{identity.ScopeRead}})
	if err != nil {
		t.Fatal(err)
	}
	use := func() error {
		_, err := in.Tokens.ByHash(t.Context(), secret.HashOf(token))
		return err
	}
	if err := in.Accounts.OnFirstSignIn(t.Context(), warm); err != nil {
		t.Fatal(err)
	}
	if err := use(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		act  func() error
		want int64
	}{
		{"a newcomer who belongs somewhere", func() error { return in.Accounts.OnFirstSignIn(t.Context(), bob) }, 1},
		{"a personal access token", use, 1},
		{"whoever has signed in before", func() error {
			u := *bob
			u.FirstSignInAt = u.CreatedAt
			return in.Accounts.OnFirstSignIn(t.Context(), &u)
		}, 0},
	} {
		count.Reset()
		if err := c.act(); err != nil {
			t.Fatal(err)
		}
		if n, what := count.Trips(); n != c.want {
			t.Errorf("%s: got %d round trips, want %d: %q", c.what, n, c.want, what)
		}
	}
}

package identity

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

const founding = "a quiet river bends north"

// bootstrapped is the first administrator of an installation.
func bootstrapped(t *testing.T, in *installation) *storage.User {
	t.Helper()
	token, expires, err := in.Installation.NewSetupToken(t.Context(), Operator())
	if err != nil || !expires.Equal(in.now.Add(SetupTokenFor)) || in.Installation.SetupLink(token) != issuer+"/setup?token="+token {
		t.Fatalf("got a token until %v, %v", expires, err)
	}
	u, hash, err := in.Installation.Bootstrap(t.Context(), token, NewUser{Email: "Ada@Example.com", Password: founding}, "")
	if err != nil || hash == "" {
		t.Fatal(err)
	}
	return u
}

// AD-02, and: the page "/" asks on every request whether there is an administrator.
func TestTheFirstRunIsOpenUntilThereIsAnAdministrator(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		open := func() bool {
			t.Helper()
			open, err := in.Installation.NeedsSetup(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return open
		}
		if !open() {
			t.Fatal("it is closed before there is anybody")
		}
		u := bootstrapped(t, in)
		if open() {
			t.Error("it is open beside an administrator")
		}
		if _, _, err := in.Installation.NewSetupToken(t.Context(), Operator()); !errors.Is(err, ErrAlreadySetUp) {
			t.Errorf("another token: got %v, want ErrAlreadySetUp", err)
		}
		if _, err := in.People.Disable(t.Context(), Operator(), u.ID); err != nil {
			t.Fatal(err)
		}
		if open() {
			t.Error("an answer from memory asked the database")
		}
		in.now = in.now.Add(time.Minute)
		if !open() {
			t.Error("it stays closed when nobody is left who administers it")
		}
	})
}

func TestWhoBeginsAnInstallationFollowsTheRules(t *testing.T) {
	in := onSQLite(t)
	token, _, err := in.Installation.NewSetupToken(t.Context(), Operator())
	if err != nil {
		t.Fatal(err)
	}
	for field, n := range map[string]NewUser{
		"email":    {Email: "nobody", Password: founding},
		"password": {Email: "ada@example.com", Password: "password1"},
		"name":     {Email: "ada@example.com", Password: founding, Profile: storage.Profile{Name: "A\u202eda"}},
	} {
		_, _, err := in.Installation.Bootstrap(t.Context(), token, n, "")
		var faults FieldErrors
		if !errors.As(err, &faults) || faults[0].Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
	if _, _, err := in.Installation.Bootstrap(t.Context(), "guess", NewUser{Email: "ada@example.com", Password: founding}, ""); !errors.Is(err, ErrSetupToken) {
		t.Errorf("a guess: got %v, want ErrSetupToken", err)
	}
	if _, err := in.People.Create(t.Context(), Operator(), NewUser{Email: "ada@example.com"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := in.Installation.Bootstrap(t.Context(), token, NewUser{Email: "ADA@example.com", Password: founding}, ""); !errors.Is(err, ErrRegistered) {
		t.Errorf("a taken address: got %v, want ErrRegistered", err)
	}
	if err := in.Installation.CheckSetupToken(t.Context(), token); err != nil {
		t.Errorf("a refusal used the token up: %v", err)
	}
}

// Only who administers the installation begins, brands or tests anything.
func TestTheFirstRunIsNotForOthers(t *testing.T) {
	in := onSQLite(t)
	u, err := in.People.Create(t.Context(), Operator(), NewUser{Email: "bob@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.People.AddPlatformRole(t.Context(), Operator(), u.ID, storage.RolePlatformAdmin); err != nil {
		t.Fatal(err)
	}
	for who, a := range map[string]Actor{"a reader": {UserID: u.ID}, "nobody": {}} {
		_, _, token := in.Installation.NewSetupToken(t.Context(), a)
		_, start := in.Clients.StartTest(t.Context(), a, "app", "secret")
		for what, err := range map[string]error{"a token": token, "a brand": in.Installation.SetBrand(t.Context(), a, storage.BrandSettings{Name: "Evil"}), "a test": start,
			"the end of one": in.Clients.EndTest(t.Context(), a, "app", true), "an unlock": in.People.NoteUnlock(t.Context(), a, u.ID)} {
			if !errors.Is(err, ErrForbidden) {
				t.Errorf("%s gets %s: %v", who, what, err)
			}
		}
	}
}

// A server without an app's own keys cannot stand in for it.
func TestAppsThatCannotBeTested(t *testing.T) {
	in := onSQLite(t)
	pushed, ok := ClientPreset(ClientWeb)
	pushed.RedirectURIs, pushed.RequirePushedRequests = []string{"https://app.example/cb"}, true
	disabled, _ := ClientPreset(ClientWeb)
	disabled.RedirectURIs = []string{"https://app.example/cb"}
	if _, unknown := ClientPreset("toaster"); !ok || unknown {
		t.Fatal("the presets are not those of the types")
	}
	for id, m := range map[string]storage.Metadata{"pushed": pushed, "disabled": disabled} {
		if _, _, err := in.Clients.Create(t.Context(), Operator(), NewClient{ID: id, Metadata: m}); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.Clients.Disable(t.Context(), Operator(), "disabled"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"pushed", "disabled"} {
		var faults FieldErrors
		if _, err := in.Clients.StartTest(t.Context(), Operator(), id, "secret"); !errors.As(err, &faults) || faults[0].Remedy == "" {
			t.Errorf("%s: got %v, want a fault with a remedy", id, err)
		}
	}
	if _, err := in.Clients.StartTest(t.Context(), Operator(), "nobody", "secret"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("an unknown one: got %v", err)
	}
	if err := in.Clients.EndTest(t.Context(), Operator(), "pushed", false); err != nil {
		t.Errorf("a test that has ended already: got %v", err)
	}
}

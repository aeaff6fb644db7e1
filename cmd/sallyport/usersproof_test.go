package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// squatter is whoever has registered an address without proving it, signed in.
func (f terminalless) squatter(a *app.App, email string) (*storage.User, *harness.Browser) {
	f.t.Helper()
	b := f.node(a)
	b.Submit(f.t, b.Get(f.t, "/register").Form(f.t, "register"), "name", "Mallory", "email", email, "password", "mallory waits for the owner")
	if !strings.Contains(b.Get(f.t, "/account").Body, email) {
		f.t.Fatal("nobody is signed in")
	}
	return f.user(a, email), b
}

func (f terminalless) user(a *app.App, email string) *storage.User {
	f.t.Helper()
	u, err := a.Identity.People.ByEmail(f.t.Context(), identity.Operator(), email)
	if err != nil {
		f.t.Fatal(err)
	}
	return u
}

// An attacker registers the address of the operator, who is told at /setup to give the
// account the role: no command gives a stranger anything.
func TestNoCommandGivesRightsToWhoeverRegisteredAnAddress(t *testing.T) {
	f := emptyFolder(t)
	const email = "ops@corp.com"
	f.want(0, "", "orgs", "create", "corp")
	a := f.opened()
	squatter, b := f.squatter(a, email)
	for _, args := range [][]string{
		{"users", "add-role", "superadmin", "-e", email}, {"users", "add-role", "admin", "-e", email},
		{"orgs", "add-member", "corp", "-e", email}, {"orgs", "create", "theirs", "--owner", email},
	} {
		if _, stderr := f.want(1, "", args...); !strings.Contains(stderr, "nobody has proven this address") || !strings.Contains(stderr, "sallyport users set-email") {
			t.Errorf("%v: got %q, want why and what to do", args, stderr)
		}
	}
	if u := f.user(a, email); len(u.PlatformRoles) != 0 {
		t.Fatalf("the squatter has the roles %v", u.PlatformRoles)
	}
	if _, stderr := f.want(1, passphrase, "users", "create", "-e", email, "-p", "-", "--super-admin"); !strings.Contains(stderr, "strangers can have made that account") {
		t.Errorf("create: got %q", stderr)
	}
	if _, stderr := f.want(0, passphrase, "users", "reset-password", "-e", email, "-p", "-"); !strings.Contains(stderr, "nobody has proven this address") {
		t.Errorf("reset-password: got %q", stderr)
	}
	if _, stderr := f.want(0, passphrase, "users", "reset-password", "-e", email, "-p", "-", "--set", "CONFIRM_EMAIL=true"); !strings.Contains(stderr, "cannot sign in with it") {
		t.Errorf("reset-password, addresses to be confirmed: got %q", stderr)
	}

	// The steps that the message names end in an account of the operator's own.
	f.want(2, "y\n", "users", "set-email", "-e", email, "--to", email) // nobody is there to ask
	if out, _ := f.want(0, "", "users", "set-email", "-e", email, "--to", email, "--yes"); !strings.Contains(out, "sallyport users reset-password -e "+email) {
		t.Errorf("set-email: got %q", out)
	}
	f.want(0, passphrase, "users", "reset-password", "-e", email, "-p", "-")
	f.want(0, "", "users", "add-role", "superadmin", "-e", email)
	u := f.user(a, email)
	if !u.EmailVerified() || !slices.Contains(u.PlatformRoles, storage.RoleSuperadmin) || u.ID != squatter.ID || u.Profile.Name != "" {
		t.Errorf("got %+v", u)
	}
	if p := b.Get(t, "/account"); p.URL.Path != "/login" {
		t.Error("whoever registered the address is in still, now as superadmin")
	}
}

// Section 6: a superadmin may change an address; that ends sessions and mails the old one.
func TestSetEmailGivesAPersonAnotherAddress(t *testing.T) {
	f := emptyFolder(t)
	f.want(0, passphrase, "users", "create", "-e", "bob@example.com", "-p", "-")
	f.want(0, passphrase, "users", "create", "-e", "taken@example.com", "-p", "-")
	a := f.opened()
	b := f.node(a)
	b.Submit(t, b.Get(t, "/login").Form(t, "login"), "email", "bob@example.com", "password", passphrase)
	if !strings.Contains(b.Get(t, "/account").Body, "bob@example.com") {
		t.Fatal("nobody is signed in")
	}
	if _, stderr := f.want(1, "", "users", "set-email", "-e", "bob@example.com", "--to", "Taken@example.com", "-y"); !strings.Contains(stderr, "is taken") {
		t.Errorf("a taken address: got %q", stderr)
	}
	f.want(1, "", "users", "set-email", "-e", "bob@example.com", "--to", "bob@@b", "-y")
	f.want(1, "", "users", "set-email", "-e", "nobody@example.com", "--to", "x@example.com", "-y")
	f.want(2, "", "users", "set-email", "-e", "bob@example.com", "-y")
	before, bob := f.messages(a), f.user(a, "bob@example.com")
	f.want(0, "", "users", "set-email", "-e", "BOB@example.com", "--to", "Robert@example.com", "-y")
	if u := f.user(a, "robert@example.com"); u.ID != bob.ID || !u.EmailVerified() {
		t.Errorf("got %+v", u)
	}
	if n := f.messages(a); n != before+1 {
		t.Errorf("%d mails, want one more than %d", n, before)
	}
	if p := b.Get(t, "/account"); p.URL.Path != "/login" {
		t.Error("the session goes on")
	}
	events, err := a.Store.EventsAbout(t.Context(), bob.ID, 10)
	if err != nil || !slices.ContainsFunc(events, func(e storage.Event) bool { return e.Type == "user.email_changed" && e.Actor == uuid.Nil }) {
		t.Errorf("it is not in the audit log: %+v, %v", events, err)
	}
}

package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// opened is the installation of the folder, for what no command does.
func (f terminalless) opened() *app.App {
	f.t.Helper()
	cfg, err := app.Load(app.LoadOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	a, err := app.Open(f.t.Context(), cfg, app.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if err := a.Close(); err != nil {
			f.t.Error(err)
		}
	})
	return a
}

// AD-02: once somebody administers the installation, no command opens it again.
func TestBootstrapPrintsATokenUntilThereIsAnAdministrator(t *testing.T) {
	f := emptyFolder(t)
	first, _ := f.want(0, "", "admin", "bootstrap")
	out, _ := f.want(0, "", "admin", "bootstrap", "--json")
	var printed struct {
		Token     string    `json:"token"`
		URL       string    `json:"url"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal([]byte(out), &printed); err != nil || printed.URL != "http://localhost:5000/setup?token="+printed.Token || time.Until(printed.ExpiresAt) > time.Hour {
		t.Fatalf("got %s, %v", out, err)
	}
	a := f.opened()
	if err := a.Identity.Installation.CheckSetupToken(t.Context(), printed.Token); err != nil {
		t.Errorf("the token does not count: %v", err)
	}
	_, older, _ := strings.Cut(first, "/setup?token=")
	if err := a.Identity.Installation.CheckSetupToken(t.Context(), older[:43]); err == nil {
		t.Error("the token before counts still")
	}
	f.want(0, passphrase, "users", "create", "-e", "ada@example.com", "-p", "-", "--super-admin")
	if out, stderr := f.want(1, "", "admin", "bootstrap"); out != "" || !strings.Contains(stderr, "already") || !strings.Contains(stderr, "sallyport users create --super-admin") {
		t.Errorf("beside an administrator: got %q and %q", out, stderr)
	}
}

// A user who lost every second factor gets back in with their password, and is told.
func TestResetMFATakesEverySecondStepAway(t *testing.T) {
	f := emptyFolder(t)
	f.want(0, passphrase, "users", "create", "-e", "ada@example.com", "-p", "-")
	if _, stderr := f.want(1, "", "admin", "reset-mfa", "-e", "ada@example.com", "--yes"); !strings.Contains(stderr, "has no second step") {
		t.Errorf("without one: got %q", stderr)
	}
	a := f.opened()
	u, err := a.Identity.People.ByEmail(t.Context(), identity.Operator(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	who := factor.Subject{User: u, SessionHash: secret.HashOf("browser")}
	begun, err := a.Factors.BeginTOTP(t.Context(), who, "Phone")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Factors.ConfirmTOTP(t.Context(), who, harness.TOTP(t, begun.Secret, time.Now()), ""); err != nil {
		t.Fatal(err)
	}
	f.want(2, "y\n", "admin", "reset-mfa", "-e", "ada@example.com") // nobody is there to ask
	if left, err := a.Factors.List(t.Context(), u.ID); err != nil || len(left.Factors) != 1 {
		t.Fatalf("it was taken away without a yes: %+v, %v", left, err)
	}
	before := f.messages(a)
	f.want(0, "", "admin", "reset-mfa", "-e", "ADA@example.com", "--yes")
	if left, err := a.Factors.List(t.Context(), u.ID); err != nil || len(left.Factors) != 0 || left.RecoveryCodesLeft != 0 {
		t.Errorf("got %+v, %v, want nothing left", left, err)
	}
	if n := f.messages(a); n != before+1 {
		t.Errorf("%d mails, want one more than %d", n, before)
	}
	f.want(1, "", "admin", "reset-mfa", "-e", "nobody@example.com", "--yes")
	f.want(2, "", "admin", "reset-mfa")
}

func (f terminalless) messages(a *app.App) int {
	f.t.Helper()
	all, err := a.Store.Outbox.List(f.t.Context(), "mail", [16]byte{}, 100)
	if err != nil {
		f.t.Fatal(err)
	}
	return len(all)
}

// node is a browser at a server of the installation that has nothing in memory.
func (f terminalless) node(a *app.App) *harness.Browser {
	f.t.Helper()
	s, err := a.NewServer(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	site := httptest.NewServer(s.Handler())
	f.t.Cleanup(site.Close)
	return harness.NewBrowser(f.t, a.Config.Issuer, &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, site.Listener.Addr().String())
	}})
}

// After too many wrong passwords a person waits, unless somebody lets them in.
func TestUnlockLetsAPersonTryAgain(t *testing.T) {
	f := emptyFolder(t)
	f.want(0, passphrase, "users", "create", "-e", "ada@example.com", "-p", "-")
	a := f.opened()
	try := func(b *harness.Browser) int {
		return b.Submit(t, b.Get(t, "/login").Form(t, "login"), "email", "ada@example.com", "password", "not hers").Status
	}
	b, tries := f.node(a), 0
	for ; try(b) != http.StatusTooManyRequests; tries++ {
		if tries > 20 {
			t.Fatal("20 wrong passwords do not block the account")
		}
	}
	if status := try(f.node(f.opened())); status != http.StatusTooManyRequests {
		t.Fatalf("on another node: got %d, want 429", status)
	}
	f.want(0, "", "admin", "unlock", "-e", "Ada@Example.com")
	if status := try(f.node(f.opened())); status != http.StatusUnprocessableEntity {
		t.Errorf("afterwards: got %d, want another try", status)
	}
	u, err := a.Identity.People.ByEmail(t.Context(), identity.Operator(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	events, err := a.Store.EventsAbout(t.Context(), u.ID, 10)
	if err != nil || !slices.ContainsFunc(events, func(e storage.Event) bool { return e.Type == "user.unlocked" }) {
		t.Errorf("it is not in the audit log: %+v, %v", events, err)
	}
	f.want(1, "", "admin", "unlock", "-e", "nobody@example.com")
}

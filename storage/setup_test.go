package storage

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// setupLink stores a new setup link and returns its hash.
func setupLink(t *testing.T, s *Store, now time.Time) secret.Hash {
	t.Helper()
	l := &Link{Hash: secret.HashOf(secret.NewToken("")), Purpose: LinkSetup, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	if err := s.NewSetupLink(t.Context(), l, &Event{Type: "setup.token_created"}); err != nil {
		t.Fatal(err)
	}
	return l.Hash
}

// founder is an administrator to be.
func founder(now time.Time) *NewUser {
	user := uuid.Must(uuid.NewV7())
	address := user.String() + "@example.com"
	return &NewUser{PasswordHash: "phc", Events: []*Event{{Type: "user.created", User: user}},
		User: User{ID: user, Sub: uuid.New(), Email: address, EmailKey: address, EmailVerifiedAt: now, PlatformRoles: []string{RoleSuperadmin}, CreatedAt: now, UpdatedAt: now}}
}

// AD-02: the newest token counts, once, for an hour, and never again after that.
func TestOnlyTheNewestSetupLinkMakesAnAdministrator(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		older := setupLink(t, s, clock.t)
		newest := setupLink(t, s, clock.t)
		other := secret.HashOf("a link of another purpose")
		if err := s.CreateLink(t.Context(), &Link{Hash: other, Purpose: LinkVerify, CreatedAt: clock.t, ExpiresAt: clock.t.Add(time.Hour)}, &Event{Type: "link.created"}); err != nil {
			t.Fatal(err)
		}
		for name, link := range map[string]secret.Hash{"an older one": older, "a guess": secret.HashOf("guess"), "another purpose": other, "none": {}} {
			if err := s.Bootstrap(t.Context(), link, founder(clock.t)); !errors.Is(err, ErrSpent) {
				t.Errorf("%s: got %v, want ErrSpent", name, err)
			}
		}
		clock.add(time.Hour)
		if err := s.Bootstrap(t.Context(), newest, founder(clock.t)); !errors.Is(err, ErrSpent) {
			t.Errorf("after an hour: got %v, want ErrSpent", err)
		}
		next := setupLink(t, s, clock.t)
		taken := founder(clock.t)
		if err := s.CreateUsers(t.Context(), &NewUser{User: User{ID: uuid.Must(uuid.NewV7()), Sub: uuid.New(), Email: taken.User.Email, EmailKey: taken.User.EmailKey, CreatedAt: clock.t, UpdatedAt: clock.t}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Bootstrap(t.Context(), next, taken); !errors.Is(err, ErrExists) {
			t.Errorf("an address that somebody has: got %v, want ErrExists", err)
		}
		first := founder(clock.t)
		if err := s.Bootstrap(t.Context(), next, first); err != nil {
			t.Fatalf("the link did not outlast a refusal: %v", err)
		}
		if u, err := s.User(t.Context(), first.User.ID); err != nil || !u.EmailVerified() || !cmp.Equal(u.PlatformRoles, []string{RoleSuperadmin}) {
			t.Errorf("got %+v, %v, want a proven superadmin", u, err)
		}
		if err := s.Bootstrap(t.Context(), next, founder(clock.t)); !errors.Is(err, ErrSpent) {
			t.Errorf("again: got %v, want ErrSpent", err)
		}
		l := &Link{Hash: secret.HashOf("late"), Purpose: LinkSetup, CreatedAt: clock.t, ExpiresAt: clock.t.Add(time.Hour)}
		if err := s.NewSetupLink(t.Context(), l, &Event{Type: "setup.token_created"}); !errors.Is(err, ErrConflict) {
			t.Errorf("a new link beside an administrator: got %v, want ErrConflict", err)
		}
	})
}

// A link that still waits is worth nothing once somebody became superadmin another way.
func TestASetupLinkIsWorthNothingBesideAnAdministrator(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		link := setupLink(t, s, clock.t)
		if err := s.CreateUsers(t.Context(), founder(clock.t)); err != nil {
			t.Fatal(err)
		}
		if err := s.Bootstrap(t.Context(), link, founder(clock.t)); !errors.Is(err, ErrConflict) {
			t.Errorf("got %v, want ErrConflict", err)
		}
	})
}

// AD-02: racing callers, with one link or with links made at the same moment.
func TestRacesMakeOneAdministrator(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		const callers = 16
		links := make([]secret.Hash, callers)
		var all sync.WaitGroup
		for i := range links {
			all.Go(func() { links[i] = setupLink(t, s, clock.t) })
		}
		all.Wait()
		if n := counted(t, s, `SELECT count(*) FROM links WHERE purpose = ? AND spent_at IS NULL`, LinkSetup); n != 1 {
			t.Errorf("%d links count, want 1", n)
		}
		for _, link := range links {
			for range 2 {
				all.Go(func() { _ = s.Bootstrap(t.Context(), link, founder(clock.t)) })
			}
		}
		all.Wait()
		if n := counted(t, s, `SELECT count(*) FROM users`); n != 1 {
			t.Errorf("%d administrators, want 1", n)
		}
	})
}

// A test leaves the registration as it was, whatever else happened meanwhile.
func TestAClientTestLeavesNothingBehind(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		const here = "https://id.example/setup/test"
		edit := func(f func(r *RegistryEdit) error) error { return s.EditRegistry(t.Context(), 0, f) }
		c := &Client{ID: "app", Metadata: Metadata{RedirectURIs: []string{"https://app.example/cb"}, TokenEndpointAuthMethod: "client_secret_basic"},
			Secrets: []ClientSecret{{KeyID: "k", MAC: []byte("its own")}}}
		if err := edit(func(r *RegistryEdit) error { return r.CreateClient(t.Context(), c, &Event{Type: "client.created"}) }); err != nil {
			t.Fatal(err)
		}
		clock.t = clock.t.Add(time.Minute)
		until := clock.t.Add(10 * time.Minute)
		start := func() error {
			return edit(func(r *RegistryEdit) error {
				return r.SetClientTest(t.Context(), "app", here, &ClientSecret{KeyID: "k", MAC: []byte("the test's"), ExpiresAt: until}, until, &Event{Type: "client.test_started"})
			})
		}
		for range 2 { // two administrators at once
			if err := start(); err != nil {
				t.Fatal(err)
			}
		}
		during, err := s.Client(t.Context(), "app")
		if err != nil || !cmp.Equal(during.Metadata.RedirectURIs, []string{"https://app.example/cb", here}) || len(during.Secrets) != 3 {
			t.Fatalf("during the test: got %+v, %v", during, err)
		}
		if !during.UpdatedAt.Equal(clock.t) {
			t.Errorf("the change is of %v, want %v", during.UpdatedAt, clock.t)
		}
		tests, err := s.ClientTests(t.Context())
		if err != nil || len(tests["app"].Secrets) != 2 || !tests["app"].Until.Equal(until) {
			t.Errorf("got %+v, %v", tests, err)
		}
		// A rotation in the middle of it must keep the client's own secret.
		if err := edit(func(r *RegistryEdit) error {
			return r.AddSecret(t.Context(), "app", &ClientSecret{KeyID: "k", MAC: []byte("its next")}, clock.t.Add(time.Hour), &Event{Type: "client.secret_rotated"})
		}); err != nil {
			t.Fatal(err)
		}
		if err := edit(func(r *RegistryEdit) error {
			return r.EndClientTest(t.Context(), "app", &Event{Type: "client.test_ended"})
		}); err != nil {
			t.Fatal(err)
		}
		after, err := s.Client(t.Context(), "app")
		if err != nil {
			t.Fatal(err)
		}
		var macs []string
		for _, k := range after.Secrets {
			macs = append(macs, string(k.MAC))
		}
		if diff := cmp.Diff([]string{"https://app.example/cb"}, after.Metadata.RedirectURIs); diff != "" {
			t.Errorf("redirect URIs (-want +got):\n%s", diff)
		}
		if len(macs) != 2 || !(macs[0] == "its own" || macs[1] == "its own") || !(macs[0] == "its next" || macs[1] == "its next") {
			t.Errorf("secrets: got %q, want its own and its next", macs)
		}
		if err := edit(func(r *RegistryEdit) error {
			return r.EndClientTest(t.Context(), "app", &Event{Type: "client.test_ended"})
		}); !errors.Is(err, ErrNotFound) {
			t.Errorf("ending it again: got %v, want ErrNotFound", err)
		}
		if err := edit(func(r *RegistryEdit) error {
			return r.SetClientTest(t.Context(), "nobody", here, nil, until, &Event{Type: "client.test_started"})
		}); !errors.Is(err, ErrNotFound) {
			t.Errorf("a client that there is not: got %v, want ErrNotFound", err)
		}
	})
}

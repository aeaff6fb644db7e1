package identity

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

func (in *installation) client(t *testing.T, n NewClient) (*storage.Client, string) {
	t.Helper()
	c, text, err := in.Clients.Create(t.Context(), Operator(), n)
	if err != nil {
		t.Fatal(err)
	}
	return in.read(t, c.ID), text
}

func (in *installation) read(t *testing.T, clientID string) *storage.Client {
	t.Helper()
	c, err := in.store.Client(t.Context(), clientID)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (in *installation) wantSecret(t *testing.T, i *Domain, clientID, text string, want bool) {
	t.Helper()
	if ok, err := i.Clients.VerifySecret(t.Context(), in.read(t, clientID), text); err != nil || ok != want {
		t.Errorf("secret of %s: got %v, %v, want %v", clientID, ok, err, want)
	}
}

func TestASecretIsShownOnceAndVerifies(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		c, text := in.client(t, NewClient{ID: "app", Metadata: web()})
		if len(text) != 43 || strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" || c.Secrets[0].Weak {
			t.Errorf("the secret: got %d characters, weak %v", len(text), c.Secrets[0].Weak)
		}
		in.wantSecret(t, in.Domain, "app", text, true)
		for _, wrong := range []string{"", " " + text, text + " ", text[1:], strings.ToUpper(text), strings.Repeat("a", 1<<20), "\x00"} {
			in.wantSecret(t, in.Domain, "app", wrong, false)
		}
		// Bound to its client: the same text is worth nothing for another.
		_, other := in.client(t, NewClient{ID: "other", Metadata: web()})
		in.wantSecret(t, in.Domain, "app", other, false)

		public := web()
		public.TokenEndpointAuthMethod = "none"
		if c, text := in.client(t, NewClient{Metadata: public}); text != "" || len(c.Secrets) != 0 || len(c.ID) != 36 {
			t.Errorf("a public client: got secret %v, id %q", text != "", c.ID)
		}
		if err := in.WriteUses(t.Context(), &storage.Pace{}); err != nil {
			t.Fatal(err)
		}
		if c := in.read(t, "app"); !c.LastUsedAt.Equal(in.now) || !c.Secrets[0].LastUsedAt.Equal(in.now) {
			t.Errorf("last used: got %v and %v, want %v", c.LastUsedAt, c.Secrets[0].LastUsedAt, in.now)
		}
		if c := in.read(t, "other"); !c.LastUsedAt.IsZero() {
			t.Errorf("last used of the other: got %v", c.LastUsedAt)
		}
	})
}

func TestRotatedSecretsOverlap(t *testing.T) {
	in := onSQLite(t)
	_, first := in.client(t, NewClient{ID: "app", Metadata: web()})
	in.now = in.now.Add(time.Second)
	second, err := in.Clients.RotateSecret(t.Context(), Operator(), "app", SecretOverlap)
	if err != nil {
		t.Fatal(err)
	}
	in.wantSecret(t, in.Domain, "app", first, true)
	in.wantSecret(t, in.Domain, "app", second, true)
	in.now = in.now.Add(SecretOverlap)
	in.wantSecret(t, in.Domain, "app", first, false)
	in.wantSecret(t, in.Domain, "app", second, true)
	third, err := in.Clients.RotateSecret(t.Context(), Operator(), "app", 0)
	if err != nil {
		t.Fatal(err)
	}
	in.wantSecret(t, in.Domain, "app", second, false)
	in.wantSecret(t, in.Domain, "app", third, true)
}

// A change of SECRET_KEY: the old key verifies while it is configured, what is used
// meanwhile moves to the new one, and the rest is lost with the old key.
func TestSecretsSurviveARotationOfTheKey(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		_, used := in.client(t, NewClient{ID: "used", Metadata: web()})
		_, unused := in.client(t, NewClient{ID: "unused", Metadata: web()})
		with := func(keys secret.Subkeys) *Domain {
			return New(Config{Store: in.store, Passwords: PasswordConfig{Hasher: cheapPasswords(t)}, ClientSecrets: keys, Now: func() time.Time { return in.now }})
		}
		both := with(subkeys(t, 2))
		in.wantSecret(t, both, "used", used, true)
		if got, want := in.read(t, "used").Secrets[0].KeyID, subkeys(t, 2).KeyIDs()[0]; got != want {
			t.Errorf("key of a used secret: got %s, want %s", got, want)
		}
		in.wantSecret(t, both, "used", used, true)
		in.wantSecret(t, in.Domain, "unused", unused, true)

		key := make([]byte, 32)
		key[0] = 2
		ring, err := secret.NewKeyring([][]byte{key})
		if err != nil {
			t.Fatal(err)
		}
		onlyNew := with(ring.Subkeys("client-secret"))
		in.wantSecret(t, onlyNew, "used", used, true)
		in.wantSecret(t, onlyNew, "unused", unused, false)
	})
}

// A password-grade hash is worked on once, whatever comes at the same time, and is
// gone from the database afterwards.
func TestAPHCSecretIsReplacedAtItsFirstUse(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		phc, err := in.Passwords.Hash(t.Context(), "legacy secret")
		if err != nil {
			t.Fatal(err)
		}
		m := web()
		SetDefaults(&m)
		err = in.store.EditRegistry(t.Context(), 0, func(r *storage.RegistryEdit) error {
			return r.CreateClient(t.Context(), &storage.Client{ID: "legacy", Metadata: m, Secrets: []storage.ClientSecret{{PHC: phc}}}, &storage.Event{})
		})
		if err != nil {
			t.Fatal(err)
		}
		stale := in.read(t, "legacy") // as the registry of this process has it
		in.wantSecret(t, in.Domain, "legacy", "wrong", false)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if ok, err := in.Clients.VerifySecret(t.Context(), stale, "legacy secret"); err != nil || !ok {
					t.Errorf("at once: got %v, %v, want true", ok, err)
				}
			})
		}
		wg.Wait()
		k := in.read(t, "legacy").Secrets[0]
		if len(k.MAC) == 0 || !IsFromPHC(&k, phc) || strings.Contains(k.PHC, "argon2") {
			t.Errorf("stored form: got %+v", k)
		}
		in.wantSecret(t, in.Domain, "legacy", "legacy secret", true)
		in.wantSecret(t, in.Domain, "legacy", "wrong", false)

		// No slot is needed any more: not with the stale copy, not with the new one.
		in.Clients.phc.slot <- struct{}{}
		defer func() { <-in.Clients.phc.slot }()
		if ok, err := in.Clients.VerifySecret(t.Context(), stale, "legacy secret"); err != nil || !ok {
			t.Errorf("from memory: got %v, %v, want true", ok, err)
		}
		in.wantSecret(t, in.Domain, "legacy", "legacy secret", true)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := in.Clients.VerifySecret(ctx, stale, "wrong"); !errors.Is(err, secret.ErrBusy) {
			t.Errorf("while the slot is taken: got %v, want ErrBusy", err)
		}
	})
}

func TestWeakSecretsAreMarked(t *testing.T) {
	for text, want := range map[string]bool{
		"acme_secret_portal_2024": true, "short": true, strings.Repeat("a", 64): true, "passwordpasswordpasswordpasswordpassword": true,
		NewClientSecret(): false, "1f0c7d2a9b3e4f5a6c8d7e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901a2b3c4": false,
	} {
		if got := weakSecret(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestAClientIsStoppedAndDeleted(t *testing.T) {
	in := onSQLite(t)
	in.client(t, NewClient{ID: "app", Metadata: web()})
	if err := in.Clients.Disable(t.Context(), Operator(), "app"); err != nil || in.read(t, "app").Active() {
		t.Errorf("disabled: got %v", err)
	}
	if err := in.Clients.Enable(t.Context(), Operator(), "app"); err != nil || !in.read(t, "app").Active() {
		t.Errorf("enabled: got %v", err)
	}
	if err := in.Clients.Delete(t.Context(), Operator(), "app"); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Clients.Get(t.Context(), Operator(), "app"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("deleted: got %v, want ErrNotFound", err)
	}
	if _, _, err := in.Clients.Create(t.Context(), Operator(), NewClient{ID: "app", Metadata: web()}); !errors.Is(err, storage.ErrExists) {
		t.Errorf("its client_id again: got %v, want ErrExists", err)
	}
	var faults FieldErrors
	_, _, err := in.Clients.Create(t.Context(), Operator(), NewClient{ID: "x y", Metadata: storage.Metadata{Scope: "openid nope", RedirectURIs: []string{"http://evil"}}})
	if !errors.As(err, &faults) || len(faults) != 3 {
		t.Errorf("three faults: got %v", err)
	}
}

// The one on every token request: it must cost next to nothing.
func BenchmarkVerifyClientSecret(b *testing.B) {
	ring, err := secret.NewKeyring([][]byte{make([]byte, 32)})
	if err != nil {
		b.Fatal(err)
	}
	i := New(Config{ClientSecrets: ring.Subkeys("client-secret")})
	text := NewClientSecret()
	c := &storage.Client{ID: "app", Secrets: []storage.ClientSecret{i.Clients.StoredSecret("app", text)}}
	for b.Loop() {
		if ok, err := i.Clients.VerifySecret(b.Context(), c, text); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

package factor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

const testIssuer = "https://id.wonderland.example"

// installation is a Factors over an empty database, under a clock that stands still.
type installation struct {
	*Factors
	store *storage.Store
	url   string
	now   time.Time
}

// eachEngine runs f on an empty installation over each engine.
func eachEngine(t *testing.T, f func(t *testing.T, in *installation)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, onSQLite(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, install(t, postgresURL(t))) })
}

// onSQLite is for rules that no engine can change.
func onSQLite(t testing.TB) *installation {
	t.Helper()
	return install(t, "sqlite://"+filepath.Join(t.TempDir(), "test.db"))
}

func install(t testing.TB, databaseURL string) *installation {
	t.Helper()
	in := &installation{url: databaseURL, now: time.Date(2027, 3, 1, 12, 0, 15, 0, time.UTC)}
	in.store = in.open(t)
	if err := in.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	in.Factors = in.factors(t, in.store, 1)
	return in
}

// open is a store over the same database: another node's.
func (in *installation) open(t testing.TB) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), storage.Config{URL: in.url, Conns: 8, Now: func() time.Time { return in.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// factors are those of a node with keys 1 … n, the n-th in use.
func (in *installation) factors(t testing.TB, s *storage.Store, n byte) *Factors {
	t.Helper()
	var keys [][]byte
	for k := n; k > 0; k-- {
		key := make([]byte, 32)
		key[0] = k
		keys = append(keys, key)
	}
	ring, err := secret.NewKeyring(keys)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := secret.NewSealer(keys)
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return in.now }
	f, err := New(Config{Store: s, Sealer: sealer, Keys: ring, Mail: mail.NewWriter(sealer, testIssuer), Identity: identity.New(identity.Config{Store: s, Now: clock}),
		Issuer: testIssuer, Name: func() string { return "Wonderland: Identity" }, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func postgresURL(t *testing.T) string {
	t.Helper()
	raw := os.Getenv("SALLYPORT_TEST_POSTGRES_URL")
	if raw == "" {
		t.Fatal("SALLYPORT_TEST_POSTGRES_URL is not set: run `make test`, which starts a PostgreSQL for the tests")
	}
	admin, err := sqlx.Connect("postgres", raw)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("sallyport_test_%x", secret.Random(8))
	if _, err := admin.Exec(`CREATE DATABASE ` + name + ` TEMPLATE template0`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer admin.Close()
		if _, err := admin.Exec(`DROP DATABASE ` + name + ` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// person is somebody with a proven address, in front of a browser of their own.
func (in *installation) person(t testing.TB, email string, change ...func(*storage.User)) Subject {
	t.Helper()
	u := storage.User{ID: uuid.Must(uuid.NewV7()), Sub: uuid.New(), Email: email, EmailKey: email, EmailVerifiedAt: in.now, CreatedAt: in.now, UpdatedAt: in.now}
	for _, c := range change {
		c(&u)
	}
	if err := in.store.CreateUsers(t.Context(), &storage.NewUser{User: u}); err != nil {
		t.Fatal(err)
	}
	return Subject{User: &u, SessionHash: secret.HashOf("the browser of " + email), From: request.Info{At: in.now, Device: "Firefox on Linux"}, RequestID: "req"}
}

func unproven(u *storage.User) { u.EmailVerifiedAt = time.Time{} }

// signIn spends a use on one of the nodes.
func signIn(t testing.TB, s *storage.Store, v *Verified) error {
	now := time.Now()
	_, err := s.SignIn(t.Context(), &storage.SignIn{Use: v.Use, Session: storage.Session{ID: uuid.Must(uuid.NewV7()), TokenHash: secret.HashOf(secret.NewToken("")),
		UserID: v.User.ID, AuthTime: now, ACR: v.ACR, AMR: v.AMR, CreatedAt: now, LastSeenAt: now, IdleExpiresAt: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour)}})
	return err
}

// mails are the kinds of mails that wait, in order, and what is readable of them.
func (in *installation) mails(t testing.TB) (kinds []string) {
	t.Helper()
	all, err := in.store.Outbox.Lease(t.Context(), mail.Kind, 100, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b *storage.Message) int { return slices.Compare(a.ID[:], b.ID[:]) })
	for _, m := range all {
		var p struct{ Mail string }
		if err := json.Unmarshal(m.Payload, &p); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, p.Mail)
	}
	return kinds
}

func wantMails(t testing.TB, in *installation, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, in.mails(t)); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
}

func wantError(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// once runs try 16 times at once on two nodes over one database, and wants exactly
// one success. The others must be told that they came late.
func (in *installation) once(t *testing.T, try func(f *Factors, s *storage.Store) error) {
	t.Helper()
	other := in.open(t)
	stores := []*storage.Store{in.store, other}
	nodes := []*Factors{in.Factors, in.factors(t, other, 1)}
	var succeeded atomic.Int64
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			switch err := try(nodes[n%2], stores[n%2]); {
			case err == nil:
				succeeded.Add(1)
			case !errors.Is(err, storage.ErrSpent) && !errors.Is(err, ErrVerification) && !errors.Is(err, ErrChallenge):
				t.Errorf("a late one: got %v, want ErrSpent, ErrWrong or ErrChallenge", err)
			}
		})
	}
	wg.Wait()
	if n := succeeded.Load(); n != 1 {
		t.Errorf("it succeeded %d times, want once", n)
	}
}

// A session that has shown more keeps what it had.
func TestAProofAddsToWhatASessionHasProven(t *testing.T) {
	otp := Strength{ACR: assurance.ACRMFA, AMR: []string{"otp", "mfa"}}
	phr := Strength{ACR: assurance.ACRPhishingResistant, AMR: []string{"hwk", "user", "mfa"}}
	for _, c := range []struct {
		proof   Strength
		acr     string
		amr     []string
		wantACR string
		wantAMR []string
	}{
		{otp, assurance.ACRPassword, []string{"pwd"}, assurance.ACRMFA, []string{"pwd", "otp", "mfa"}},
		{phr, assurance.ACRMFA, []string{"pwd", "otp", "mfa"}, assurance.ACRPhishingResistant, []string{"pwd", "otp", "mfa", "hwk", "user"}},
		{otp, assurance.ACRPhishingResistant, []string{"hwk", "user", "mfa"}, assurance.ACRPhishingResistant, []string{"hwk", "user", "mfa", "otp"}},
		{otp, "", nil, assurance.ACRMFA, []string{"otp", "mfa"}},
	} {
		acr, amr := c.proof.Combine(c.acr, c.amr)
		if diff := cmp.Diff([]any{c.wantACR, c.wantAMR}, []any{acr, amr}); diff != "" {
			t.Errorf("%v over %s %v (-want +got):\n%s", c.proof, c.acr, c.amr, diff)
		}
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	in := onSQLite(t)
	whole := Config{Store: in.store, Sealer: in.apps.sealer, Keys: &secret.Keyring{}, Mail: in.notices.writer, Identity: identity.New(identity.Config{Store: in.store}), Issuer: testIssuer}
	for what, change := range map[string]func(*Config){
		"no store":         func(c *Config) { c.Store = nil },
		"no sealer":        func(c *Config) { c.Sealer = nil },
		"no keys":          func(c *Config) { c.Keys = nil },
		"no mail":          func(c *Config) { c.Mail = nil },
		"no identity":      func(c *Config) { c.Identity = nil },
		"no issuer":        func(c *Config) { c.Issuer = "" },
		"an issuer's host": func(c *Config) { c.Issuer = "id.wonderland.example" },
	} {
		c := whole
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	f, err := New(whole)
	if err != nil {
		t.Fatal(err)
	}
	if f.recovery.count != 3 || f.apps.issuer() != "id.wonderland.example" {
		t.Errorf("got %d codes of %s, want 3 of the issuer's host", f.recovery.count, f.apps.issuer())
	}
}

// events counts those of a type about a factor.
func (in *installation) events(t testing.TB, kind, factor string) (n int) {
	t.Helper()
	driver, source := "sqlite", strings.TrimPrefix(in.url, "sqlite://")
	if strings.HasPrefix(in.url, "postgres") {
		driver, source = "postgres", in.url
	}
	db, err := sqlx.Connect(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Get(&n, db.Rebind(`SELECT count(*) FROM audit_events WHERE type = ? AND facts LIKE ?`), kind, "%"+factor+"%"); err != nil {
		t.Fatal(err)
	}
	return n
}

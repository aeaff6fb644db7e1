package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// installation is an Identity over an empty database.
type installation struct {
	*Domain
	store *storage.Store
	now   time.Time
	ahead time.Duration                    // of the database's clock
	url   string                           // of the database
	made  Config                           // what it is made of
	again func(t testing.TB) *installation // another process on the same database
}

// configured is how tests change what an installation is made of.
type configured func(*Config)

// eachEngine runs f on an empty installation over each engine.
func eachEngine(t *testing.T, f func(t *testing.T, in *installation), how ...configured) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, install(t, sqliteURL(t), how...)) })
	t.Run("postgres", func(t *testing.T) { f(t, install(t, postgresURL(t), how...)) })
}

// onSQLite is for rules that no engine can change.
func onSQLite(t testing.TB, how ...configured) *installation {
	t.Helper()
	return install(t, sqliteURL(t), how...)
}

func install(t testing.TB, databaseURL string, how ...configured) *installation {
	t.Helper()
	in := &installation{url: databaseURL, now: time.Now().UTC().Truncate(time.Microsecond)}
	clock := func() time.Time { return in.now }
	var err error
	if in.store, err = storage.Open(t.Context(), storage.Config{URL: databaseURL, Conns: 8, Now: clock, DatabaseNow: func() time.Time { return in.now.Add(-in.ahead) }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := in.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := Config{Store: in.store, ClientSecrets: subkeys(t, 1), Issuer: issuer, Now: clock,
		GrantTypes: oauth.Names(oauth.GrantTypes()),
		Passwords:  PasswordConfig{Hasher: cheapPasswords(t), ContextWords: []string{"Sallyport", issuer}},
		Mail:       MailConfig{Writer: mail.NewWriter(sealer(t), issuer), Sealer: sealer(t)}, Accounts: AccountConfig{Recovery: true}}
	for _, h := range how {
		h(&c)
	}
	in.Domain, in.made = New(c), c
	in.again = func(t testing.TB) *installation {
		other := install(t, databaseURL, how...)
		other.now = in.now
		return other
	}
	return in
}

// database runs a statement beside the installation.
func (in *installation) database(t testing.TB, query string) {
	t.Helper()
	engine, source := "postgres", in.url
	if file, ok := strings.CutPrefix(in.url, "sqlite://"); ok {
		engine, source = "sqlite", file // the driver that package storage brings along
	}
	db, err := sqlx.Connect(engine, source)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(query)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// issuer is where the installations of tests are.
const issuer = "https://id.wonderland.example"

// sealer is the same for all who ask.
func sealer(t testing.TB) *secret.Sealer {
	t.Helper()
	s, err := secret.NewSealer([][]byte{bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// letter is a mail that waits to be sent.
type letter struct {
	To   string
	Kind string // "verifyemail"
	Text string // all it says, as JSON
	Link string
}

// letters are the mails that were written since the last call.
func (in *installation) letters(t testing.TB) []letter {
	t.Helper()
	var all []letter
	for _, m := range in.waiting(t, mail.Kind) {
		var outer struct{ Mail string }
		var inner struct {
			Email string
			Mail  json.RawMessage
		}
		var links struct{ Link string }
		if err := errors.Join(json.Unmarshal(m.Payload, &outer), in.People.unseal(m.Payload, "outbox.payload "+m.ID.String(), &inner), json.Unmarshal(inner.Mail, &links)); err != nil {
			t.Fatal(err)
		}
		all = append(all, letter{To: inner.Email, Kind: outer.Mail, Text: string(inner.Mail), Link: links.Link})
	}
	return all
}

// waiting takes the messages of a kind out of the outbox.
func (in *installation) waiting(t testing.TB, kind string) []*storage.Message {
	t.Helper()
	all, err := in.store.Outbox.Lease(t.Context(), kind, 1000, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if err := in.store.Outbox.Finish(t.Context(), m, false); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(all, func(a, b *storage.Message) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all
}

// work does what the outbox worker does, and returns the mails that came of it.
func (in *installation) work(t testing.TB) []letter {
	t.Helper()
	for kind, handler := range in.MessageHandlers() {
		for _, m := range in.waiting(t, kind) {
			if err := handler.Deliver(t.Context(), m); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
		}
	}
	return in.letters(t)
}

// cheapPasswords costs tests no time; what it costs in earnest is not their subject.
func cheapPasswords(t testing.TB) *secret.Passwords {
	t.Helper()
	p, err := secret.NewPasswords(secret.PasswordConfig{Argon2: secret.Argon2Params{MemoryKiB: 8, Time: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// subkeys are those of an installation with keys 1 … n, the n-th in use.
func subkeys(t testing.TB, n byte) secret.Subkeys {
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
	return ring.Subkeys("client-secret")
}

func inProduction(c *Config) { c.Production = true }

func sqliteURL(t testing.TB) string {
	t.Helper()
	return "sqlite://" + filepath.Join(t.TempDir(), "test.db")
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
		if _, err := admin.ExecContext(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
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

func (in *installation) user(t *testing.T, email string, superadmin bool) *storage.User {
	t.Helper()
	u, err := in.People.Create(t.Context(), Operator(), NewUser{Email: email, Password: "a quiet river bends north", Superadmin: superadmin})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// errs counts what came of tries at once: how often nil, and the other errors.
func errs(t testing.TB, results []error, lost error) (won int) {
	t.Helper()
	for _, err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, lost):
			t.Errorf("got %v, want nil or %v", err, lost)
		}
	}
	return won
}

// atOnce runs try n times, by turns on two processes over one database.
func atOnce(t testing.TB, in *installation, n int, try func(*installation) error) []error {
	t.Helper()
	processes := []*installation{in, in.again(t)}
	out := make(chan error, n)
	start := make(chan struct{})
	for k := range n {
		go func() {
			<-start
			out <- try(processes[k%2])
		}()
	}
	close(start)
	var all []error
	for range n {
		all = append(all, <-out)
	}
	return all
}

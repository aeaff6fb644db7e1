package keys

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/lib/pq"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

var (
	firstKey  = slices.Repeat([]byte{1}, 32)
	secondKey = slices.Repeat([]byte{2}, 32)
)

// clock is a clock that only moves when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// installation is one database; nodes are started on it.
type installation struct {
	url   string
	clock *clock
}

// node is one process with its own connections, not loaded yet.
func (i installation) node(t testing.TB, encryptionKeys ...[]byte) *Keyset {
	t.Helper()
	if encryptionKeys == nil {
		encryptionKeys = [][]byte{firstKey}
	}
	sealer, err := secret.NewSealer(encryptionKeys)
	if err != nil {
		t.Fatal(err)
	}
	s, err := storage.Open(t.Context(), storage.Config{URL: i.url, Conns: 4, Now: i.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return New(Config{Store: s, Sealer: sealer, Now: i.clock.Now, Log: slog.New(slog.DiscardHandler)})
}

// loaded is a node that has started.
func (i installation) loaded(t testing.TB, encryptionKeys ...[]byte) *Keyset {
	t.Helper()
	k := i.node(t, encryptionKeys...)
	if err := k.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}

// eachEngine runs f as a subtest on an empty database of each engine.
func eachEngine(t *testing.T, f func(t *testing.T, i installation)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		f(t, installation{"sqlite://" + filepath.Join(t.TempDir(), "test.db"), newClock()})
	})
	t.Run("postgres", func(t *testing.T) { f(t, installation{postgresURL(t), newClock()}) })
}

func postgresURL(t *testing.T) string {
	t.Helper()
	server := os.Getenv("SALLYPORT_TEST_POSTGRES_URL")
	if server == "" {
		t.Fatal("SALLYPORT_TEST_POSTGRES_URL is not set: run `make test`, which starts a PostgreSQL for the tests")
	}
	c, err := pq.NewConnector(server)
	if err != nil {
		t.Fatal(err)
	}
	admin := sql.OpenDB(c)
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
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// published are the key ids in a node's published set.
func published(t testing.TB, k *Keyset) []string {
	t.Helper()
	body, _ := k.JWKS()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		t.Error(err)
	}
	var kids []string
	for _, key := range set.Keys {
		kids = append(kids, key.KeyID)
	}
	return kids
}

// signed is a token and the id of the key that signed it.
func signed(t testing.TB, k *Keyset, alg string) (token, kid string) {
	t.Helper()
	token, err := k.SignJWT(alg, TypeIDToken, []byte(`{"sub":"someone"}`))
	if err != nil {
		t.Error(err) // not Fatal: nodes are tested from goroutines of their own
		return "", ""
	}
	parsed, err := k.Verify(token, TypeIDToken)
	if err != nil {
		t.Error(err)
		return token, ""
	}
	return token, parsed.KID
}

func states(k *Keyset, alg string) []storage.KeyState {
	var got []storage.KeyState
	for _, key := range k.List() {
		if key.Alg == alg {
			got = append(got, key.State)
		}
	}
	return got
}

// Nodes of a new installation start at the same moment.
func TestNodesThatStartTogetherAgree(t *testing.T) {
	eachEngine(t, func(t *testing.T, i installation) {
		nodes := []*Keyset{i.node(t), i.node(t)}
		var wg sync.WaitGroup
		for _, k := range nodes {
			wg.Go(func() {
				if err := k.Load(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		if got := len(published(t, nodes[0])); got != len(oauth.SigningAlgs()) {
			t.Errorf("%d keys are published, want %d", got, len(oauth.SigningAlgs()))
		}
		a, etagA := nodes[0].JWKS()
		for _, k := range []*Keyset{nodes[1], i.loaded(t)} { // at once, and at a later start
			b, etagB := k.JWKS()
			if diff := cmp.Diff(string(a), string(b)); diff != "" || etagA != etagB {
				t.Errorf("published sets differ:\n%s", diff)
			}
		}
		for _, alg := range oauth.SigningAlgs() {
			signed(t, nodes[0], alg) // a new installation signs at once
		}
	})
}

// A published set with a private member gives the installation away.
func TestOnlyPublicMembersArePublished(t *testing.T) {
	i := installation{"sqlite://" + filepath.Join(t.TempDir(), "test.db"), newClock()}
	body, _ := i.loaded(t).JWKS()
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		oauth.RS256: {"alg", "e", "kid", "kty", "n", "use"},
		oauth.ES256: {"alg", "crv", "kid", "kty", "use", "x", "y"},
		oauth.EdDSA: {"alg", "crv", "kid", "kty", "use", "x"},
	}
	for _, key := range set.Keys {
		var members []string
		for name := range key {
			members = append(members, name)
		}
		slices.Sort(members)
		if diff := cmp.Diff(want[key["alg"]], members); diff != "" {
			t.Errorf("members of the %s key (-want +got):\n%s", key["alg"], diff)
		}
		if key["use"] != "sig" {
			t.Errorf("use of the %s key is %q, want sig", key["alg"], key["use"])
		}
	}
	if len(set.Keys) != len(want) {
		t.Errorf("%d keys, want %d", len(set.Keys), len(want))
	}
}

// With the wrong ENCRYPTION_KEY the answer is a clear error, never new keys.
func TestKeysThatDoNotOpenStopTheStart(t *testing.T) {
	eachEngine(t, func(t *testing.T, i installation) {
		before := i.loaded(t).List()
		if err := i.node(t, secondKey).Load(t.Context()); !errorMentions(err, "ENCRYPTION_KEY", "sallyport secrets rotate") {
			t.Errorf("start with another ENCRYPTION_KEY: got %v, want an error that says what to do", err)
		}
		k := i.loaded(t, secondKey, firstKey)
		if diff := cmp.Diff(before, k.List()); diff != "" {
			t.Errorf("keys changed (-before +after):\n%s", diff)
		}
		// A ciphertext that was moved to another row does not open there.
		rows, _, err := k.Store.Keys.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Store.Keys.Reseal(t.Context(), rows[0].KID, rows[0].Sealed, rows[1].Sealed, &storage.Event{Type: "test"}); err != nil {
			t.Fatal(err)
		}
		if err := i.node(t).Load(t.Context()); !errorMentions(err, rows[0].KID, "backup") {
			t.Errorf("start with a moved ciphertext: got %v, want an error that names the key", err)
		}
	})
}

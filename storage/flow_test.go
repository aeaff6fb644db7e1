package storage

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// newFlow is one of a browser of its own, made at now.
func newFlow(s *Store, name string) *Flow {
	now := s.clock()
	return &Flow{IDHash: secret.HashOf(name), ClientID: "app", Request: url.Values{"scope": {"openid"}, "state": {"junk-" + name}},
		RedirectURI: "https://app.example/cb", Hint: &Hint{Subject: "sub-" + name, Audience: []string{"app"}}, PushedHash: secret.HashOf("pushed " + name),
		BrowserHash: secret.HashOf("browser of " + name), RequestedAt: now, ExpiresAt: now.Add(30 * time.Minute)}
}

// unfinished are the names of those flows that are still there.
func unfinished(t *testing.T, s *Store, names ...string) string {
	t.Helper()
	var left []string
	for _, name := range names {
		f, err := s.Flow(t.Context(), secret.HashOf(name))
		if err == nil && f.SpentAt.IsZero() {
			left = append(left, name)
		} else if err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	}
	return strings.Join(left, " ")
}

// ticking makes each look at the clock a later one, so that rows have an order.
func ticking(s *Store) (advance func(time.Duration)) {
	var mu sync.Mutex
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	move := func(d time.Duration) time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
		return now
	}
	s.now = func() time.Time { return move(time.Microsecond) }
	return func(d time.Duration) { move(d) }
}

// A flow that no browser has opened makes room for the next, the oldest first; one that
// a browser has opened never does.
func TestUnopenedFlowsMakeRoom(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		ticking(s)
		of := func(network string, limit int) FlowBudget {
			return FlowBudget{CountedFor: secret.HashOf(network), Unfinished: limit, New: Budget{Hash: secret.HashOf(network), Limit: 100, Length: time.Minute}}
		}
		create := func(name string, b FlowBudget) error { return s.CreateFlow(t.Context(), newFlow(s, name), b) }
		open := func(name string) {
			t.Helper()
			if err := s.OpenFlow(t.Context(), secret.HashOf(name), secret.HashOf("browser of "+name)); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"a", "b", "c"} {
			if err := create(name, of("office", 3)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.OpenFlow(t.Context(), secret.HashOf("b"), secret.HashOf("another browser")); !errors.Is(err, ErrSpent) {
			t.Errorf("another browser opens a flow: %v", err)
		}
		open("a")
		if err := create("elsewhere", of("home", 3)); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"d", "e"} {
			if err := create(name, of("office", 3)); err != nil {
				t.Fatal(err)
			}
		}
		if got := unfinished(t, s, "a", "b", "c", "d", "e", "elsewhere"); got != "a d e elsewhere" {
			t.Errorf("left are %s, want what was opened and the newest", got)
		}
		if err := s.OpenFlow(t.Context(), secret.HashOf("b"), secret.HashOf("browser of b")); !errors.Is(err, ErrSpent) {
			t.Errorf("a flow that was dropped opens: %v", err)
		}
		open("d")
		open("e")
		if err := create("f", of("office", 3)); !errors.Is(err, ErrConflict) {
			t.Errorf("beyond opened flows: got %v, want ErrConflict", err)
		}
		if got := unfinished(t, s, "a", "d", "e", "f"); got != "a d e" {
			t.Errorf("left are %s, want all that were opened", got)
		}
		if err := s.SpendFlow(t.Context(), secret.HashOf("a")); err != nil {
			t.Fatal(err)
		}
		if err := create("g", of("office", 3)); err != nil {
			t.Errorf("after one has finished: %v", err)
		}
	})
}

// A known person is refused nothing, and costs nobody else a flow: beyond the budget
// the oldest flows of their own go, those that no browser has opened before others.
func TestKnownDevicesAreNeverRefused(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		ticking(s)
		mine := FlowBudget{CountedFor: secret.HashOf("device"), Unfinished: 3}
		theirs := FlowBudget{CountedFor: secret.HashOf("office"), Unfinished: 3, New: Budget{Hash: secret.HashOf("office"), Limit: 1, Length: time.Minute}}
		for i := range 6 {
			if err := s.CreateFlow(t.Context(), newFlow(s, fmt.Sprint("their", i)), theirs); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.OpenFlow(t.Context(), secret.HashOf("their5"), secret.HashOf("browser of their5")); err != nil {
			t.Fatal(err)
		}
		if err := s.CreateFlow(t.Context(), newFlow(s, "their6"), theirs); !errors.Is(err, ErrConflict) {
			t.Fatalf("the network's budget: got %v, want ErrConflict", err)
		}
		for i := range 6 {
			name := fmt.Sprint("mine", i)
			if err := s.CreateFlow(t.Context(), newFlow(s, name), mine); err != nil {
				t.Fatal(err)
			}
			if i == 2 {
				continue
			}
			if err := s.OpenFlow(t.Context(), secret.HashOf(name), secret.HashOf("browser of "+name)); err != nil {
				t.Fatal(err)
			}
		}
		if got := unfinished(t, s, "mine0", "mine1", "mine2", "mine3", "mine4", "mine5", "their5"); got != "mine3 mine4 mine5 their5" {
			t.Errorf("left are %s", got)
		}
	})
}

// New flows are counted however they end, but for one that a person signed in in.
func TestNewFlowsAreCountedHoweverTheyEnd(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		advance := ticking(s)
		bob := newPerson(s, "bob@acme-corp.com")
		if err := s.CreateUsers(t.Context(), &NewUser{User: bob, PasswordHash: "hash"}); err != nil {
			t.Fatal(err)
		}
		b := FlowBudget{CountedFor: secret.HashOf("office"), Unfinished: 100, New: Budget{Hash: secret.HashOf("office"), Limit: 3, Length: time.Minute}}
		names := 0
		finish := func(end func(f *Flow)) error {
			t.Helper()
			names++
			f := newFlow(s, fmt.Sprint(names))
			err := s.CreateFlow(t.Context(), f, b)
			if err == nil {
				if err := s.OpenFlow(t.Context(), f.IDHash, f.BrowserHash); err != nil {
					t.Fatal(err)
				}
				end(f)
			}
			return err
		}
		cancel := func(f *Flow) {
			if err := s.SpendFlow(t.Context(), f.IDHash); err != nil {
				t.Fatal(err)
			}
		}
		for _, passwordHash := range []string{"hash", "", "hash", "", "hash"} { // with a password in one statement, without in steps
			if err := finish(func(f *Flow) {
				now := s.clock()
				in := &SignIn{Browser: f.BrowserHash, PasswordHash: passwordHash, Session: Session{ID: uuid.New(), TokenHash: secret.HashOf(uuid.NewString()), UserID: bob.ID,
					AuthTime: now, CreatedAt: now, LastSeenAt: now, IdleExpiresAt: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour)}}
				for range 2 { // signing in again in the same flow gives nothing back
					if _, err := s.SignIn(t.Context(), in); err != nil {
						t.Fatal(err)
					}
					in.Browser, in.Session.TokenHash, in.Session.ID = in.Session.TokenHash, secret.HashOf(uuid.NewString()), uuid.New()
				}
			}); err != nil {
				t.Fatalf("a sign-in is counted for the network: %v", err)
			}
		}
		for i := range 3 {
			if err := finish(cancel); err != nil {
				t.Fatalf("cancelled flow %d: %v", i+1, err)
			}
		}
		if err := finish(cancel); !errors.Is(err, ErrConflict) {
			t.Errorf("the fourth in a minute: got %v, want ErrConflict", err)
		}
		advance(time.Minute)
		if err := finish(cancel); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
}

// Requests at the same time get no further than one after the other.
func TestABurstOfFlowsStaysWithinTheBudget(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		b := FlowBudget{CountedFor: secret.HashOf("office"), Unfinished: 100, New: Budget{Hash: secret.HashOf("office"), Limit: 10, Length: time.Hour}}
		var refused atomic.Int64
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() {
				err := s.CreateFlow(t.Context(), newFlow(s, fmt.Sprint(i)), b)
				if errors.Is(err, ErrConflict) {
					refused.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := count(t, s, "flows"); n != 10 || refused.Load() > 50 {
			t.Errorf("%d flows are left of a burst, %d were refused; want 10", n, refused.Load())
		}
	})
}

// The budget of pushed requests is counted with the row, and shared by all nodes.
func TestPushedRequestsStayWithinTheirBudget(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		advance := ticking(s)
		b := Budget{Hash: secret.HashOf("office"), Limit: 10, Length: time.Minute}
		var stored atomic.Int64
		var all sync.WaitGroup
		push := func() error {
			now := s.clock()
			return s.CreatePushedRequest(t.Context(), &PushedRequest{Hash: secret.HashOf(uuid.NewString()), ClientID: "app", Request: url.Values{"scope": {"openid"}},
				CreatedAt: now, ExpiresAt: now.Add(5 * time.Minute)}, b)
		}
		for range 60 {
			all.Go(func() {
				if err := push(); err == nil {
					stored.Add(1)
				} else if !errors.Is(err, ErrConflict) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := count(t, s, "pushed_requests"); n != 10 || stored.Load() != 10 {
			t.Errorf("%d rows for %d answers, want 10", n, stored.Load())
		}
		advance(time.Minute)
		if err := push(); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
}

// contents are all rows of a table as text.
func contents(t *testing.T, s *Store, table string) string {
	t.Helper()
	rows, err := s.writer.QueryxContext(t.Context(), `SELECT * FROM `+table)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = scanAll(rows, nil, func(r *sqlx.Rows) error {
		row := map[string]any{}
		if err := r.MapScan(row); err != nil {
			return err
		}
		for name, v := range row {
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			fmt.Fprintf(&out, "%s=%v ", name, v)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A row that has finished or expired keeps hash, client, redirect URI and times only.
func TestFinishedRowsKeepNoRequest(t *testing.T) {
	personal := []string{"junk-", "sub-", secret.HashOf("browser of one").String(), "openid"}
	for name, end := range map[string]func(t *testing.T, s *Store, f *Flow, p *PushedRequest){
		"refused": func(t *testing.T, s *Store, f *Flow, p *PushedRequest) {
			if err := s.SpendFlow(t.Context(), f.IDHash); err != nil {
				t.Fatal(err)
			}
			raw(t, s, endPushed, usec(s.clock()), p.Hash, p.ClientID)
		},
		"expired": func(t *testing.T, s *Store, f *Flow, p *PushedRequest) {
			at := f.ExpiresAt
			s.now = func() time.Time { return at }
			if _, err := sweepAll(t, s); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, s *Store) {
				f := newFlow(s, "one")
				f.UserID = uuid.New()
				p := &PushedRequest{Hash: f.PushedHash, ClientID: "app", Request: f.Request, Hint: f.Hint, CreatedAt: f.RequestedAt, ExpiresAt: f.ExpiresAt}
				if err := errors.Join(s.CreateFlow(t.Context(), f, FlowBudget{Unfinished: 10}), s.CreatePushedRequest(t.Context(), p, Budget{Hash: secret.HashOf("office"), Limit: 1, Length: time.Minute})); err != nil {
					t.Fatal(err)
				}
				if err := s.ChooseOrganization(t.Context(), f.IDHash, f.BrowserHash, uuid.New()); err != nil {
					t.Fatal(err)
				}
				end(t, s, f, p)
				got, err := s.Flow(t.Context(), f.IDHash)
				if err != nil {
					t.Fatal(err)
				}
				if got.ClientID != "app" || got.RedirectURI != f.RedirectURI || !got.RequestedAt.Equal(f.RequestedAt) {
					t.Errorf("the row keeps %+v", got)
				}
				for _, table := range []string{"flows", "pushed_requests"} {
					rows := contents(t, s, table)
					if rows == "" {
						t.Fatalf("%s is empty", table)
					}
					for _, junk := range append(personal, string(f.BrowserHash[:]), f.UserID.String()) {
						if strings.Contains(rows, junk) {
							t.Errorf("%s keep %q: %s", table, junk, rows)
						}
					}
				}
			})
		})
	}
}

// Rows from before only what is read was stored lose the rest: finished ones all of
// their request, those under way what nobody reads. A flow with a token in it ends.
func TestTheMigrationClearsStoredRequests(t *testing.T) {
	eachEmpty(t, func(t *testing.T, url string) {
		s := open(t, url)
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		for strings.Contains(fmt.Sprint(schemaOf(t, s).Columns), "flows.hint:") {
			if err := s.MigrateDown(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		row := func(name, request string, spent any) {
			raw(t, s, `INSERT INTO flows (id_hash, client_id, request, browser_hash, address, requested_at, expires_at, spent_at) VALUES (?, 'app', ?, ?, '192.0.2.1', 0, 1, ?)`,
				secret.HashOf(name), request, secret.HashOf("browser"), spent)
			raw(t, s, `INSERT INTO pushed_requests (hash, client_id, request, created_at, expires_at, spent_at) VALUES (?, 'app', ?, 0, 1, ?)`, secret.HashOf(name), request, spent)
		}
		row("finished", `{"state":["finished-state"],"junk":["stray"]}`, 1)
		row("under way", `{"state":["<kept> \"ü\" & so"],"resource":["a","b"],"junk":["stray"],"password":["stray"]}`, nil)
		row("stray alone", `{"junk":["stray"]}`, nil)
		row("with a token", `{"state":["x"],"id_token_hint":["stray.token.hint"]}`, nil)
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"flows", "pushed_requests"} {
			rows := contents(t, s, table)
			if strings.Contains(rows, "stray") || strings.Contains(rows, "finished-state") || count(t, s, table) != 3 {
				t.Errorf("%s hold %s", table, rows)
			}
		}
		f, err := s.Flow(t.Context(), secret.HashOf("under way"))
		if err != nil || f.Request.Get("state") != `<kept> "ü" & so` || len(f.Request["resource"]) != 2 || len(f.Request) != 2 || f.BrowserHash.IsZero() {
			t.Errorf("under way: %+v, %v", f, err)
		}
	})
}

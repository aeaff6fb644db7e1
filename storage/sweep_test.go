package storage

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// raw writes a row as nothing but a test would.
func raw(t *testing.T, s *Store, query string, args ...any) {
	t.Helper()
	if _, err := s.writer.ExecContext(t.Context(), s.writer.Rebind(query), args...); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, s *Store, table string) int {
	t.Helper()
	var n int
	if err := s.writer.GetContext(t.Context(), &n, `SELECT count(*) FROM `+table); err != nil {
		t.Fatal(err)
	}
	return n
}

// expiring inserts one row that expired (was done, for the outbox) at a time.
var expiring = map[string]func(t *testing.T, s *Store, at time.Time){
	"flows": func(t *testing.T, s *Store, at time.Time) {
		raw(t, s, `INSERT INTO flows (id_hash, client_id, request, requested_at, expires_at) VALUES (?, 'c', '{}', 0, ?)`, secret.HashOf(uuid.NewString()), usec(at))
	},
	"pushed_requests": func(t *testing.T, s *Store, at time.Time) {
		raw(t, s, `INSERT INTO pushed_requests (hash, client_id, request, created_at, expires_at) VALUES (?, 'c', '{}', 0, ?)`, secret.HashOf(uuid.NewString()), usec(at))
	},
	"codes": func(t *testing.T, s *Store, at time.Time) {
		raw(t, s, `INSERT INTO codes (hash, grant_id, client_id, redirect_uri, expires_at) VALUES (?, ?, 'c', '', ?)`, secret.HashOf(uuid.NewString()), uuid.NewString(), usec(at))
	},
	"access_tokens": func(t *testing.T, s *Store, at time.Time) {
		raw(t, s, `INSERT INTO access_tokens (hash, client_id, scopes, audience, created_at, expires_at) VALUES (?, 'c', '', '', 0, ?)`, secret.HashOf(uuid.NewString()), usec(at))
	},
	"refresh_tokens": func(t *testing.T, s *Store, at time.Time) { refreshToken(t, s, uuid.New(), at) },
	"grants":         func(t *testing.T, s *Store, at time.Time) { grantUntil(t, s, uuid.New(), at) },
	"replay_ids": func(t *testing.T, s *Store, at time.Time) {
		raw(t, s, `INSERT INTO replay_ids (hash, expires_at) VALUES (?, ?)`, secret.HashOf(uuid.NewString()), usec(at))
	},
	"revoked_tokens": func(t *testing.T, s *Store, at time.Time) {
		raw(t, s, `INSERT INTO revoked_tokens (hash, expires_at) VALUES (?, ?)`, secret.HashOf(uuid.NewString()), usec(at))
	},
	"sessions": func(t *testing.T, s *Store, at time.Time) {
		raw(t, s, `INSERT INTO sessions (id, token_hash, user_id, auth_time, acr, amr, browser, created_at, last_seen_at, idle_expires_at, expires_at)
			VALUES (?, ?, ?, 0, '', '', '', 0, 0, 0, ?)`, uuid.NewString(), secret.HashOf(uuid.NewString()), uuid.NewString(), usec(at))
	},
	"consents": func(t *testing.T, s *Store, at time.Time) {
		raw(t, s, `INSERT INTO consents (user_id, client_id, organization_id, scopes, granted_at, expires_at) VALUES (?, 'c', ?, '', 0, ?)`, uuid.NewString(), uuid.NewString(), usec(at))
	},
	"counters": func(t *testing.T, s *Store, at time.Time) {
		raw(t, s, `INSERT INTO counters (hash, n, expires_at) VALUES (?, 1, ?)`, secret.HashOf(uuid.NewString()), usec(at))
	},
	"browser_states": func(t *testing.T, s *Store, at time.Time) {
		raw(t, s, `INSERT INTO browser_states (id, name, data, expires_at) VALUES (?, 'notice', ?, ?)`, secret.HashOf(uuid.NewString()), []byte("sealed"), usec(at))
	},
	"links": func(t *testing.T, s *Store, at time.Time) {
		raw(t, s, `INSERT INTO links (hash, purpose, created_at, expires_at) VALUES (?, 'reset', 0, ?)`, secret.HashOf(uuid.NewString()), usec(at))
	},
	"invitations": func(t *testing.T, s *Store, at time.Time) {
		o := organization(t, s, "o-"+uuid.NewString()[:8], uuid.Nil)
		raw(t, s, `INSERT INTO invitations (id, organization_id, email, email_key, role, token_hash, created_at, expires_at) VALUES (?, ?, 'e', 'e', 'member', ?, 0, ?)`,
			uuid.NewString(), o.ID.String(), secret.HashOf(uuid.NewString()), usec(at))
	},
	"personal_access_tokens": func(t *testing.T, s *Store, at time.Time) {
		o, u := organization(t, s, "o-"+uuid.NewString()[:8], uuid.Nil), person(t, s, uuid.NewString())
		raw(t, s, `INSERT INTO personal_access_tokens (id, hash, user_id, organization_id, name, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, 'n', '', 0, ?)`,
			uuid.NewString(), secret.HashOf(uuid.NewString()), u.String(), o.ID.String(), usec(at))
	},
	"refusals": func(t *testing.T, s *Store, at time.Time) {
		clientID := "c-" + uuid.NewString()
		raw(t, s, `INSERT INTO clients (id, name, metadata, created_at, updated_at) VALUES (?, '', '{}', 0, 0)`, clientID)
		raw(t, s, `INSERT INTO refusals (client_id, minute, line, occurred_at, n) VALUES (?, 0, 1, ?, 1)`, clientID, usec(at))
	},
	"registry_changes": func(t *testing.T, s *Store, at time.Time) {
		raw(t, s, `INSERT INTO registry_changes (version, kind, id, changed_at) VALUES (?, 'client', ?, ?)`, time.Now().UnixNano(), uuid.NewString(), usec(at))
	},
	"outbox": func(t *testing.T, s *Store, at time.Time) {
		raw(t, s, `INSERT INTO outbox (id, kind, payload, created_at, available_at, done_at) VALUES (?, 'k', '', 0, 0, ?)`, uuid.NewString(), usec(at))
	},
}

func grantUntil(t *testing.T, s *Store, grant uuid.UUID, at time.Time) {
	t.Helper()
	raw(t, s, `INSERT INTO grants (id, user_id, client_id, offline, scopes, audience, auth_time, acr, amr, created_at, expires_at)
		VALUES (?, ?, 'c', ?, '', '', 0, '', '', 0, ?)`, grant.String(), uuid.NewString(), true, usec(at))
}

func refreshToken(t *testing.T, s *Store, grant uuid.UUID, at time.Time) {
	t.Helper()
	raw(t, s, `INSERT INTO refresh_tokens (hash, grant_id, client_id, salt, created_at, expires_at) VALUES (?, ?, 'c', ?, 0, ?)`,
		secret.HashOf(uuid.NewString()), grant.String(), []byte("salt"), usec(at))
}

// sweepAll runs the sweeper once without pauses, and returns how many rows of each table went.
func sweepAll(t *testing.T, s *Store) (map[string]int64, error) {
	gone := map[string]int64{}
	w := Sweeper{Store: s, Pace: Pace{Rest: Hurry}, Swept: func(table string, n int64) { gone[table] += n }}
	return gone, w.Run(t.Context())
}

// What was used must be recognised when it comes again, and nothing that still works may go.
func TestSweepTakesWhatHasExpiredAndNothingElse(t *testing.T) {
	keep := map[string]time.Duration{
		"flows": 24 * time.Hour, "pushed_requests": 24 * time.Hour, "codes": 24 * time.Hour, "grants": 24 * time.Hour, "refresh_tokens": 90 * 24 * time.Hour, "replay_ids": 5 * time.Minute,
		"revoked_tokens": 5 * time.Minute, "sessions": 30 * 24 * time.Hour, "consents": 30 * 24 * time.Hour, "outbox": 7 * 24 * time.Hour,
		"registry_changes": time.Hour, "refusals": 14 * 24 * time.Hour, "links": 7 * 24 * time.Hour, "invitations": 30 * 24 * time.Hour, "personal_access_tokens": 30 * 24 * time.Hour,
	}
	eachEngine(t, func(t *testing.T, s *Store) {
		now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		s.now = func() time.Time { return now }
		want := map[string]int64{}
		for table, insert := range expiring {
			insert(t, s, now.Add(-keep[table]))
			insert(t, s, now.Add(-keep[table]+time.Microsecond))
			want[table] = 1
		}
		want["flows cleared"], want["pushed_requests cleared"] = 2, 2
		gone, err := sweepAll(t, s)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, gone); diff != "" {
			t.Errorf("swept (-want +got):\n%s", diff)
		}
		for table := range expiring {
			if n := count(t, s, table); n != 1 {
				t.Errorf("%s: %d rows are left, want the one that stays", table, n)
			}
		}
	})
}

// RFC 9700 section 4.14.2: a stolen, spent token ends the grant however old it is.
func TestSweepKeepsRefreshTokensOfALiveGrant(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		s.now = func() time.Time { return now }
		live, over := uuid.New(), uuid.New()
		grantUntil(t, s, live, now.Add(time.Microsecond))
		grantUntil(t, s, over, now)
		for _, grant := range []uuid.UUID{live, over} {
			refreshToken(t, s, grant, now.Add(-365*24*time.Hour))
		}
		if _, err := sweepAll(t, s); err != nil {
			t.Fatal(err)
		}
		var left string
		if err := s.writer.Get(&left, `SELECT CAST(grant_id AS text) FROM refresh_tokens`); err != nil || left != live.String() {
			t.Errorf("left is the token of %s, %v, want that of the live grant %s", left, err, live)
		}
	})
}

func TestSweepIsBounded(t *testing.T) {
	counters := sweeps[slices.IndexFunc(sweeps, func(w sweep) bool { return w.table == "counters" })]
	eachEngine(t, func(t *testing.T, s *Store) {
		for range 7 {
			expiring["counters"](t, s, time.Unix(1, 0))
		}
		for _, want := range []int64{5, 2, 0} {
			if gone, err := s.sweep(t.Context(), counters, s.clock(), 5); err != nil || gone != want {
				t.Errorf("swept %d, %v, want %d", gone, err, want)
			}
		}
	})
}

// A node whose clock is wrong gets no job that deletes or tells by the time: it would delete what lives.
func TestAWrongClockGetsNoJob(t *testing.T) {
	s := open(t, postgresURL(t))
	for _, ahead := range []time.Duration{30 * 24 * time.Hour, -30 * 24 * time.Hour, 3 * time.Second} {
		s.now = func() time.Time { return time.Now().Add(ahead) }
		mine, err := s.AcquireJob(t.Context(), "sweep", "node", time.Minute)
		if mine || !errors.Is(err, ErrClock) || !strings.Contains(err.Error(), "NTP") {
			t.Errorf("%v ahead: got %v, %v; want ErrClock with the remedy", ahead, mine, err)
		}
	}
	s.now = time.Now
	if mine, err := s.AcquireJob(t.Context(), "sweep", "node", time.Minute); err != nil || !mine {
		t.Errorf("with a good clock: got %v, %v", mine, err)
	}
}

// No statement deletes more than a batch, and between two batches of whatever table requests have their turn.
func TestTheSweeperPausesBetweenBatches(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		const rows = 60
		for range rows {
			for _, table := range []string{"counters", "access_tokens", "replay_ids", "outbox"} {
				expiring[table](t, s, time.Unix(1, 0))
			}
		}
		swept, pauses, batches := map[string]int64{}, 0, 0
		w := Sweeper{Store: s, Swept: func(table string, n int64) {
			swept[table] += n
			if batches++; n > 25 {
				t.Errorf("%d rows of %s went at once, want at most 25", n, table)
			}
		}}
		w.Pace.Elapsed = func() time.Duration { return time.Duration(batches) * 5 * time.Millisecond } // each is too slow to grow
		w.Pace.Rest = func(_ context.Context, d time.Duration) error {
			if pauses++; d < 45*time.Millisecond {
				t.Errorf("a pause of %v after a batch of 5 ms, want 45 ms", d)
			}
			return nil
		}
		if err := w.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := map[string]int64{"counters": rows, "access_tokens": rows, "replay_ids": rows, "outbox": rows}
		if diff := cmp.Diff(want, swept); diff != "" {
			t.Errorf("swept (-want +got):\n%s", diff)
		}
		if pauses < 8 {
			t.Errorf("%d pauses in %d batches", pauses, batches)
		}
	})
}

// One round sweeps more than one batch.
func TestTheSweeperFinishes(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		batch := sweepBatch[s.engine]
		for left := 2*batch + 1; left > 0; left -= 500 {
			hashes := make([]any, min(left, 500))
			for n := range hashes {
				hashes[n] = secret.HashOf(uuid.NewString())
			}
			raw(t, s, `INSERT INTO replay_ids (hash, expires_at) VALUES `+strings.TrimSuffix(strings.Repeat("(?, 1), ", len(hashes)), ", "), hashes...)
		}
		total := int64(0)
		w := Sweeper{Store: s, Pace: Pace{Rest: Hurry}, Swept: func(_ string, n int64) { total += n }}
		if err := w.Run(t.Context()); err != nil || total != int64(2*batch+1) {
			t.Errorf("swept %d, %v, want %d", total, err, 2*batch+1)
		}
	})
}

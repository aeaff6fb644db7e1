package storage

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// liveSession returns the live session of a browser, or ErrNotFound.
func liveSession(t *testing.T, s *Store, browser secret.Hash) (*Session, error) {
	found, err := s.SessionContext(t.Context(), SessionQuery{Browser: browser})
	if err != nil {
		return nil, err
	}
	return &found.Session, nil
}

// testClock is a clock that stands still until it is told to move.
type testClock struct{ t time.Time }

func (c *testClock) add(d time.Duration) { c.t = c.t.Add(d) }

// stopClock gives s a clock of the test's own.
func stopClock(s *Store) *testClock {
	c := &testClock{time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)}
	s.now = func() time.Time { return c.t }
	return c
}

// behind changes the database behind the back of the methods.
func behind(t *testing.T, s *Store, query string, args ...any) {
	t.Helper()
	if _, err := s.exec(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// counted is the answer to a SELECT count(*).
func counted(t *testing.T, s *Store, query string, args ...any) (n int) {
	t.Helper()
	if err := s.row(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// guest is somebody with the password hash "phc".
func guest(t *testing.T, s *Store) uuid.UUID {
	t.Helper()
	user := uuid.Must(uuid.NewV7())
	address := user.String() + "@example.com"
	behind(t, s, `INSERT INTO users (id, sub, email, email_key, created_at, updated_at) VALUES (?, ?, ?, ?, 1, 1)`,
		id(user), uuid.NewString(), address, address)
	behind(t, s, `INSERT INTO passwords (user_id, hash, changed_at) VALUES (?, 'phc', 1)`, id(user))
	return user
}

// grantTo is a grant of the session.
func grantTo(t *testing.T, s *Store, user, session uuid.UUID, offline bool) uuid.UUID {
	t.Helper()
	grant := uuid.Must(uuid.NewV7())
	behind(t, s, `INSERT INTO grants (id, user_id, client_id, session_id, offline, scopes, audience, auth_time, acr, amr, created_at, expires_at)
		VALUES (?, ?, 'app', ?, ?, 'openid', '', 1, '', '', 1, 9000000000000000)`, id(grant), id(user), id(session), offline)
	return grant
}

func isRevoked(t *testing.T, s *Store, grant uuid.UUID) bool {
	return counted(t, s, `SELECT count(*) FROM grants WHERE id = ? AND revoked_at IS NOT NULL`, id(grant)) == 1
}

func signIn(s *Store, user uuid.UUID, before, after secret.Hash) *SignIn {
	now := s.clock()
	return &SignIn{
		Session: Session{ID: uuid.Must(uuid.NewV7()), TokenHash: after, UserID: user, AuthTime: now, ACR: "urn:sallyport:acr:pwd", AMR: []string{"pwd"},
			Browser: "Firefox on Linux", Network4: "192.0.2.0/24", CreatedAt: now, LastSeenAt: now, IdleExpiresAt: now.Add(2 * time.Hour), ExpiresAt: now.Add(24 * time.Hour)},
		Browser: before, PasswordHash: "phc", RequestID: "req", Personal: map[string]string{"address": "192.0.2.1"},
	}
}

func mustSignIn(t *testing.T, s *Store, in *SignIn) SignedIn {
	t.Helper()
	got, err := s.SignIn(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func flowOf(t *testing.T, s *Store, browser secret.Hash, change func(*Flow)) secret.Hash {
	t.Helper()
	now := s.clock()
	f := &Flow{IDHash: secret.HashOf(secret.NewToken("")), ClientID: "app", Request: url.Values{"scope": {"openid"}}, BrowserHash: browser,
		RequestedAt: now, ExpiresAt: now.Add(30 * time.Minute)}
	if change != nil {
		change(f)
	}
	if err := s.CreateFlow(t.Context(), f, FlowBudget{Unfinished: 100}); err != nil {
		t.Fatal(err)
	}
	return f.IDHash
}

func mustFlow(t *testing.T, s *Store, idHash secret.Hash) *Flow {
	t.Helper()
	f, err := s.Flow(t.Context(), idHash)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func browserOf(name string) secret.Hash { return secret.HashOf(name) }

// eventTypes are the events written, in order.
func eventTypes(t *testing.T, s *Store) (all []string) {
	t.Helper()
	st, err := s.reader.QueryxContext(t.Context(), `SELECT type FROM audit_events ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for st.Next() {
		var one string
		if err := st.Scan(&one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// SS-01: a token planted before sign-in is worth nothing after; the person's flows go on.
func TestSignInMovesTheBrowserToANewToken(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		stopClock(s)
		user := guest(t, s)
		mine, other := flowOf(t, s, browserOf("old"), nil), flowOf(t, s, browserOf("stranger"), nil)
		got := mustSignIn(t, s, signIn(s, user, browserOf("old"), browserOf("new")))
		if got.Renewed {
			t.Error("a first sign-in says it renewed a session")
		}
		if _, err := s.SessionContext(t.Context(), SessionQuery{Browser: browserOf("old")}); !errors.Is(err, ErrNotFound) {
			t.Errorf("the old token: got %v, want ErrNotFound", err)
		}
		v, err := s.SessionContext(t.Context(), SessionQuery{Browser: browserOf("new")})
		if err != nil {
			t.Fatal(err)
		}
		want := signIn(s, user, browserOf("old"), browserOf("new")).Session
		want.ID = got.ID
		if diff := cmp.Diff(want, v.Session); diff != "" {
			t.Errorf("session (-want +got):\n%s", diff)
		}
		if f := mustFlow(t, s, mine); f.BrowserHash != browserOf("new") || f.UserID != user {
			t.Errorf("the browser's flow: got browser %v, person %v", f.BrowserHash, f.UserID)
		}
		if f := mustFlow(t, s, other); f.BrowserHash != browserOf("stranger") || f.UserID != uuid.Nil {
			t.Error("another browser's flow was moved")
		}
		if n := counted(t, s, `SELECT count(*) FROM audit_events WHERE type = 'session.created' AND user_id = ? AND request_id = 'req' AND facts LIKE ?`,
			id(user), "%"+got.ID.String()+"%"); n != 1 {
			t.Errorf("got %d events with the sid, want 1", n)
		}
	})
}

// The same person again: tokens keep their sid, auth_time moves, the old token is dead.
func TestSigningInAgainRenewsTheSession(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		user := guest(t, s)
		first := mustSignIn(t, s, signIn(s, user, browserOf("0"), browserOf("1")))
		grant := grantTo(t, s, user, first.ID, false)
		organization := uuid.Must(uuid.NewV7())
		flow := flowOf(t, s, browserOf("1"), func(f *Flow) { f.UserID = user })
		if err := s.ChooseOrganization(t.Context(), flow, browserOf("1"), organization); err != nil {
			t.Fatal(err)
		}
		clock.add(time.Minute)
		again := mustSignIn(t, s, signIn(s, user, browserOf("1"), browserOf("2")))
		if !again.Renewed || again.ID != first.ID {
			t.Errorf("got %+v, want the session %v renewed", again, first.ID)
		}
		got, err := liveSession(t, s, browserOf("2"))
		if err != nil {
			t.Fatal(err)
		}
		if !got.AuthTime.Equal(clock.t) || !got.ExpiresAt.Equal(clock.t.Add(24*time.Hour)) {
			t.Errorf("got auth_time %v, end %v", got.AuthTime, got.ExpiresAt)
		}
		if _, err := liveSession(t, s, browserOf("1")); !errors.Is(err, ErrNotFound) {
			t.Errorf("the old token: got %v, want ErrNotFound", err)
		}
		if isRevoked(t, s, grant) {
			t.Error("the person's own grant was revoked")
		}
		if f := mustFlow(t, s, flow); f.OrganizationID != organization {
			t.Error("the person's own choice of organization was dropped")
		}
		if diff := cmp.Diff([]string{"session.created", "session.renewed"}, eventTypes(t, s)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if n := counted(t, s, `SELECT count(*) FROM audit_events WHERE type = 'session.renewed' AND facts LIKE ?`, "%"+first.ID.String()+"%"); n != 1 {
			t.Error("the event does not name the session")
		}
	})
}

// SS-13: somebody else in the same browser takes nothing over: not the session, its grants, or an answer in a flow.
func TestAnotherPersonEndsTheSession(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		alice, bob := guest(t, s), guest(t, s)
		first := mustSignIn(t, s, signIn(s, alice, browserOf("0"), browserOf("1")))
		online, offline := grantTo(t, s, alice, first.ID, false), grantTo(t, s, alice, first.ID, true)
		elsewhere := grantTo(t, s, alice, uuid.Must(uuid.NewV7()), false)
		flow := flowOf(t, s, browserOf("1"), func(f *Flow) { f.UserID = alice })
		if err := s.ChooseOrganization(t.Context(), flow, browserOf("1"), uuid.Must(uuid.NewV7())); err != nil {
			t.Fatal(err)
		}
		behind(t, s, `UPDATE flows SET consent = '{"scopes":["openid"]}'`)
		clock.add(time.Minute)
		second := mustSignIn(t, s, signIn(s, bob, browserOf("1"), browserOf("2")))
		if second.Renewed || second.ID == first.ID {
			t.Errorf("got %+v, want a session of its own", second)
		}
		if n := counted(t, s, `SELECT count(*) FROM sessions WHERE id = ? AND ended_at IS NOT NULL AND end_reason = ?`, id(first.ID), EndReplaced); n != 1 {
			t.Error("the first session goes on")
		}
		if !isRevoked(t, s, online) || isRevoked(t, s, offline) || isRevoked(t, s, elsewhere) {
			t.Errorf("revoked: got online %v, offline %v, another session's %v; want only the first", isRevoked(t, s, online), isRevoked(t, s, offline), isRevoked(t, s, elsewhere))
		}
		if f := mustFlow(t, s, flow); f.UserID != bob || f.OrganizationID != uuid.Nil || f.Consent != nil {
			t.Errorf("the flow kept what the other chose: %+v", f)
		}
		if n := counted(t, s, `SELECT count(*) FROM audit_events WHERE type = 'session.ended' AND user_id = ? AND actor_id = ? AND facts LIKE ?`,
			id(alice), id(alice), "%"+first.ID.String()+"%"); n != 1 {
			t.Error("the end of the first session is not in the audit log")
		}
	})
}

// A session that ran out is never brought back to life by its cookie.
func TestSignInDoesNotRenewASessionThatRanOut(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		user := guest(t, s)
		for _, idle := range []bool{true, false} {
			in := signIn(s, user, secret.Hash{}, browserOf("1"))
			if idle {
				in.Session.IdleExpiresAt = clock.t.Add(time.Hour)
			} else {
				in.Session.ExpiresAt = clock.t.Add(time.Hour)
			}
			first := mustSignIn(t, s, in)
			grant := grantTo(t, s, user, first.ID, false)
			clock.add(time.Hour)
			if got := mustSignIn(t, s, signIn(s, user, browserOf("1"), secret.HashOf(secret.NewToken("")))); got.Renewed {
				t.Errorf("idle %v: renewed", idle)
			}
			if !isRevoked(t, s, grant) {
				t.Errorf("idle %v: the old session's grant lives on", idle)
			}
			behind(t, s, `DELETE FROM sessions`)
		}
	})
}

// RT-07, LG-11: what was true when the password was checked must still be true.
func TestSignInIsRefusedWhenThePersonChangedMeanwhile(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		stopClock(s)
		for name, change := range map[string]string{
			"password": `UPDATE passwords SET hash = 'new' WHERE user_id = ?`,
			"disabled": `UPDATE users SET disabled_at = 1 WHERE id = ?`,
			"deleted":  `UPDATE users SET deleted_at = 1 WHERE id = ?`,
		} {
			alice, user := guest(t, s), guest(t, s)
			mustSignIn(t, s, signIn(s, alice, secret.Hash{}, browserOf(name+"1")))
			flow := flowOf(t, s, browserOf(name+"1"), nil)
			behind(t, s, change, id(user))
			before := len(eventTypes(t, s))
			if _, err := s.SignIn(t.Context(), signIn(s, user, browserOf(name+"1"), browserOf(name+"2"))); !errors.Is(err, ErrConflict) {
				t.Errorf("%s: got %v, want ErrConflict", name, err)
			}
			if _, err := liveSession(t, s, browserOf(name+"1")); err != nil {
				t.Errorf("%s: the session that was there: %v", name, err)
			}
			if f := mustFlow(t, s, flow); f.BrowserHash != browserOf(name+"1") {
				t.Errorf("%s: the flow was moved", name)
			}
			if got := len(eventTypes(t, s)); got != before {
				t.Errorf("%s: %d events were written", name, got-before)
			}
		}
	})
}

// Two tabs send the form at once: at most one session has the old one's place, and no statement fails.
func TestConcurrentSignInsInOneBrowser(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		stopClock(s)
		user := guest(t, s)
		mustSignIn(t, s, signIn(s, user, secret.Hash{}, browserOf("1")))
		results := make([]SignedIn, 8)
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() {
				var err error
				if results[i], err = s.SignIn(context.Background(), signIn(s, user, browserOf("1"), secret.HashOf(secret.NewToken("")))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		renewed := 0
		for _, r := range results {
			if r.Renewed {
				renewed++
			}
		}
		if renewed != 1 {
			t.Errorf("got %d renewals, want 1", renewed)
		}
	})
}

func TestEndSessionEndsItOnceWithItsGrants(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		stopClock(s)
		alice, bob := guest(t, s), guest(t, s)
		sid := mustSignIn(t, s, signIn(s, alice, secret.Hash{}, browserOf("a"))).ID
		mustSignIn(t, s, signIn(s, bob, secret.Hash{}, browserOf("b")))
		online, offline := grantTo(t, s, alice, sid, false), grantTo(t, s, alice, sid, true)
		for i, want := range []bool{true, false} {
			got, err := s.EndSession(t.Context(), browserOf("a"), EndSignOut, "req")
			if err != nil || got != want {
				t.Errorf("time %d: got %v, %v, want %v", i+1, got, err, want)
			}
		}
		if got, err := s.EndSession(t.Context(), secret.Hash{}, EndSignOut, ""); got || err != nil {
			t.Errorf("no token: got %v, %v", got, err)
		}
		if !isRevoked(t, s, online) || isRevoked(t, s, offline) {
			t.Errorf("revoked: got online %v, offline %v", isRevoked(t, s, online), isRevoked(t, s, offline))
		}
		if _, err := liveSession(t, s, browserOf("a")); !errors.Is(err, ErrNotFound) {
			t.Errorf("ended session: got %v", err)
		}
		if _, err := liveSession(t, s, browserOf("b")); err != nil {
			t.Errorf("another browser's session: %v", err)
		}
		if n := counted(t, s, `SELECT count(*) FROM audit_events WHERE type = 'session.ended' AND user_id = ? AND facts LIKE ?`, id(alice), "%"+sid.String()+"%"); n != 1 {
			t.Errorf("got %d events, want 1", n)
		}
	})
}

// The first network of each family counts; a recorded one is never replaced.
func TestRecordNetworkFillsInOnly(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		stopClock(s)
		sid := mustSignIn(t, s, signIn(s, guest(t, s), secret.Hash{}, browserOf("a"))).ID
		for _, networks := range [][2]string{{"", "2001:db8::/56"}, {"198.51.100.0/24", "2001:db8:1::/56"}} {
			if err := s.RecordNetwork(t.Context(), sid, networks[0], networks[1]); err != nil {
				t.Fatal(err)
			}
		}
		got, err := liveSession(t, s, browserOf("a"))
		if err != nil {
			t.Fatal(err)
		}
		if got.Network4 != "192.0.2.0/24" || got.Network6 != "2001:db8::/56" {
			t.Errorf("got %s and %s", got.Network4, got.Network6)
		}
	})
}

// RT-07: however a sign-in and a change of the password meet, nobody stays in with the old one.
func TestSignInWhileThePasswordChanges(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		stopClock(s)
		for range 20 {
			user := guest(t, s)
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := s.SetPassword(context.Background(), user, "new", uuid.Nil, &Event{Type: "password.changed", User: user}); err != nil {
					t.Error(err)
				}
			})
			for range 3 {
				wg.Go(func() {
					_, err := s.SignIn(context.Background(), signIn(s, user, secret.Hash{}, secret.HashOf(secret.NewToken(""))))
					if err != nil && !errors.Is(err, ErrConflict) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if n := counted(t, s, `SELECT count(*) FROM sessions WHERE user_id = ? AND ended_at IS NULL`, id(user)); n != 0 {
				t.Fatalf("%d sessions live on the old password", n)
			}
		}
	})
}

package session

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/sallyport-id/sallyport/internal/redis"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// newRedisSite is a site with a Redis of its own. SESSION_IDLE is 2 hours there, so a row is
// written every 15 minutes, and every minute without Redis.
func newRedisSite(t *testing.T) (*site, *miniredis.Miniredis) {
	t.Helper()
	server := miniredis.RunT(t)
	s := newSite(t, func(c *Config) { c.Redis = openRedis(t, server, c.Now) })
	return s, server
}

func openRedis(t *testing.T, server *miniredis.Miniredis, now func() time.Time) *redis.Client {
	t.Helper()
	client, err := redis.Open("redis://"+server.Addr(), discardLog, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// signedIn is a page view: it reports whether someone is signed in, and counts as a request.
func (s *site) signedIn() bool {
	s.t.Helper()
	return s.standing() != Ended
}

// wantIn views a page after a while.
func (s *site) wantIn(after time.Duration, want bool, when string) {
	s.t.Helper()
	s.now = s.now.Add(after)
	if got := s.signedIn(); got != want {
		s.t.Errorf("%s: signed in %v, want %v", when, got, want)
	}
}

func TestWithRedisASessionEndsExactlyAfterItsIdleTime(t *testing.T) {
	for _, last := range []time.Duration{0, time.Second, 14 * time.Minute, 15 * time.Minute, 16 * time.Minute} {
		s, server := newRedisSite(t)
		s.signIn(s.person())
		if last > 0 {
			s.wantIn(last, true, "in use")
		}
		s.wantIn(2*time.Hour-time.Second, true, "just before the end")
		s.wantIn(2*time.Hour, false, "at the end")
		server.FlushAll()
		s.wantIn(0, false, "at the end, when Redis is lost")
		if why, err := s.EndReason(s.request()); err != nil || why != storage.EndIdle {
			t.Errorf("last request after %v: ended by %q, %v", last, why, err)
		}
	}
}

func TestWithRedisARowIsWrittenFourTimesAnHour(t *testing.T) {
	s, _ := newRedisSite(t)
	s.signIn(s.person())
	writes, seen := 0, s.now
	for range 1000 {
		s.wantIn(3600*time.Millisecond, true, "in use")
		if at := s.visit().Session.LastSeenAt; !at.Equal(seen) {
			writes, seen = writes+1, at
		}
	}
	if writes != 4 {
		t.Errorf("%d writes in an hour, want 4", writes)
	}
}

// What Redis has lost lets a session live for one interval of the row's writes more.
func TestALostRedisSignsNobodyOut(t *testing.T) {
	s, server := newRedisSite(t)
	s.signIn(s.person())
	s.wantIn(14*time.Minute, true, "in use")
	server.FlushAll()
	s.wantIn(2*time.Hour-time.Second, true, "flushed, before the end")
	s.wantIn(14*time.Minute, true, "in use")
	server.FlushAll()
	s.wantIn(2*time.Hour+30*time.Second, true, "flushed, not yet the row's end") // the row was written 14 minutes before
	server.FlushAll()
	s.wantIn(2*time.Hour+15*time.Minute, false, "flushed, the row's end")
}

// The entry in Redis is older than requests that it could not be told of: it must not end their session.
func TestAnEntryThatMissedRequestsDoesNotCount(t *testing.T) {
	s, server := newRedisSite(t)
	s.signIn(s.person())
	s.wantIn(5*time.Minute, true, "in use")
	server.SetError("LOADING Redis is not ready")
	s.wantIn(4*time.Minute, true, "without Redis")
	s.wantIn(40*time.Second, true, "without Redis, before another write is due")
	server.SetError("")
	s.wantIn(2*time.Hour-time.Second, true, "Redis is back with what it knew")
	s.wantIn(2*time.Hour, false, "Redis is exact again")
}

// Without Redis a busy session is written once a minute, and while Redis fails too.
func TestWhileRedisFailsTheRowIsWrittenOnceAMinute(t *testing.T) {
	s, server := newRedisSite(t)
	s.signIn(s.person())
	server.SetError("LOADING Redis is not ready")
	writes, seen := 0, s.now
	for range 100 {
		s.wantIn(6*time.Second, true, "in use")
		if at := s.visit().Session.LastSeenAt; !at.Equal(seen) {
			writes, seen = writes+1, at
		}
	}
	if writes != 10 {
		t.Errorf("%d writes in ten minutes, want 10", writes)
	}
	s.wantIn(2*time.Hour-time.Second, true, "before the end")
	s.wantIn(2*time.Hour+time.Minute, false, "after the end")
}

// A sign-in does not renew a session that has idled out: grants that ended with it would come back.
func TestASessionThatHasIdledOutIsNotRenewed(t *testing.T) {
	s, _ := newRedisSite(t)
	user := s.person()
	s.signIn(user)
	first := s.visit().Session.ID
	s.now = s.now.Add(2*time.Hour + time.Minute) // the row alone would keep it alive
	s.signIn(user)
	if again := s.visit(); again == nil || again.Session.ID == first {
		t.Errorf("the session of before is back: %+v", again)
	}
}

// Whatever Redis says, loses or does, it signs nobody in.
func TestRedisSignsNobodyIn(t *testing.T) {
	s, server := newRedisSite(t)
	s.signIn(s.person())
	token := s.cookies["sp_browser"]
	key := "sallyport:browser:session:" + secret.HashOf(token).String()
	if keys := server.Keys(); len(keys) != 1 || keys[0] != key {
		t.Fatalf("keys %v, want the hash of the token alone", keys)
	}
	held, err := server.Get(key)
	if err != nil || held[0] != codecVersion || strings.Contains(held, token) || strings.Contains(held, "idle") {
		t.Fatalf("holds %q, %v: it must be sealed", held, err)
	}
	if ttl := server.TTL(key); ttl < 2*time.Hour+15*time.Minute {
		t.Errorf("kept for %v, want longer than the row lives", ttl)
	}
	for _, poison := range []string{"", "\x01", "\x02{}", "\x01[", held[:len(held)-1], strings.Repeat("x", maxEntry+1)} {
		if err := server.Set(key, poison); err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(2 * time.Hour)
		if !s.signedIn() {
			t.Errorf("poisoned with %.20q: signed out", poison)
		}
	}
	forged := secret.NewToken("")
	if err := server.Set("sallyport:browser:session:"+secret.HashOf(forged).String(), held); err != nil {
		t.Fatal(err)
	}
	s.cookies["sp_browser"] = forged
	s.wantIn(0, false, "with a token that only Redis knows")
	s.cookies["sp_browser"] = token
	r := s.request()
	if err := s.SignOut(httptest.NewRecorder(), r); err != nil {
		t.Fatal(err)
	}
	if err := server.Set(key, held); err != nil {
		t.Fatal(err)
	}
	s.wantIn(0, false, "signed out, with the entry back")
}

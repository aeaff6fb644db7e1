package campaigns

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// redisServer is a Redis of the test's own, to be mistreated.
type redisServer struct {
	address string
	process *os.Process
	client  *redis.Client
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	r := &redisServer{address: freeAddress(t)}
	r.client = redis.NewClient(&redis.Options{Addr: r.address})
	r.start(t)
	t.Cleanup(func() { _ = r.client.Close(); r.kill() })
	return r
}

// start runs an empty Redis at the same address as before.
func (r *redisServer) start(t *testing.T) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		if program, err = exec.LookPath("valkey-server"); err != nil {
			t.Fatal("there is neither redis-server nor valkey-server: run `make test`, which says what to install")
		}
	}
	_, port, err := net.SplitHostPort(r.address)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.process = cmd.Process
	for end := time.Now().Add(30 * time.Second); r.client.Ping(t.Context()).Err() != nil; <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("Redis does not start")
		}
	}
}

func (r *redisServer) kill() {
	_ = r.process.Kill()
	_, _ = r.process.Wait()
}

// Redis only saves time. Killed, flushed, replaced, paused, or holding
// yesterday's entries: nobody is signed out, nothing revoked comes back, failures
// are counted on, and /readyz tells.
func TestWithoutRedisNobodyIsSignedOutOrIn(t *testing.T) {
	r := startRedis(t)
	s := harness.Start(t, storage.Postgres, harness.Options{Environ: []string{"SALLYPORT_REDIS_URL=redis://" + r.address}})
	rp := s.Portal()
	in, out := s.Browser(t), s.Browser(t)
	tokens, revoked := rp.SignIn(t, in, harness.Bob, nil), rp.SignIn(t, out, harness.Alice, nil)
	before := r.entries(t)
	if len(before) == 0 {
		t.Fatal("Redis holds nothing of a session: this test would show nothing")
	}
	// The cookie of an ended session is tried again.
	issuer, err := url.Parse(s.Issuer)
	must(t, err)
	kept := out.HTTP.Jar.Cookies(issuer)
	p := out.Get(t, "/oauth2/logout")
	out.Submit(t, p.FormWith(t, "answer"), "answer", "yes")
	out.HTTP.Jar.SetCookies(issuer, kept)
	if status, _ := rp.Post(t, "/oauth2/revoke", url.Values{"token": {revoked.RefreshToken}}, nil); status != http.StatusOK {
		t.Fatalf("a revocation answers %d", status)
	}
	for _, step := range []struct {
		name   string
		do     func()
		status string
	}{
		{"as it was", func() {}, "ready"},
		{"restored to before the sign-out", func() { r.restore(t, before) }, "ready"},
		{"flushed", func() { must(t, r.client.FlushAll(t.Context()).Err()) }, "ready"},
		{"paused", func() { must(t, r.client.Do(t.Context(), "CLIENT", "PAUSE", 600000, "ALL").Err()) }, "degraded"},
		{"killed", r.kill, "degraded"},
		{"replaced by an empty one", func() { r.start(t) }, "ready"},
	} {
		step.do()
		for end := time.Now().Add(30 * time.Second); health(t, s).Status != step.status; <-time.After(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("Redis %s: %+v, want %s", step.name, health(t, s), step.status)
			}
		}
		if p := in.Get(t, rp.Authorize(url.Values{"prompt": {"none"}}).URL); p.Away == nil || p.Away.Query().Get("code") == "" {
			t.Errorf("Redis %s: a signed-in browser gets %v", step.name, p.Away)
		}
		if p := out.Get(t, rp.Authorize(url.Values{"prompt": {"none"}}).URL); p.Away == nil || p.Away.Query().Get("error") != "login_required" {
			t.Errorf("Redis %s: a browser that was signed out gets %v", step.name, p.Away)
		}
		if status, _ := rp.Userinfo(t, tokens.AccessToken); status != http.StatusOK {
			t.Errorf("Redis %s: userinfo answers %d", step.name, status)
		}
		if got := rp.Introspect(t, revoked.AccessToken); got["active"] != false {
			t.Errorf("Redis %s: a revoked token is back: %v", step.name, got)
		}
		rp.SignIn(t, s.Browser(t), harness.Bob, nil)
	}
	wantNoFault(t, s)
}

// A session that is used writes the database once a minute, and four times an hour where Redis has its last
// request, however many pages it looks at. Whatever happens to Redis, it stays signed in, and once it has ended it
// does not come back.
func TestWritesOfAThousandPageViews(t *testing.T) {
	r := startRedis(t)
	trouble := map[int]func(){
		250: r.kill,
		500: func() { r.start(t) }, // an empty one, after 15 minutes without
		750: func() { must(t, r.client.FlushAll(t.Context()).Err()) },
	}
	for _, c := range []struct {
		name    string
		redis   bool
		trouble map[int]func()
		most    int
	}{{"without Redis", false, nil, 60}, {"with Redis", true, nil, 4}, {"with a Redis that is killed, replaced and flushed", true, trouble, 4 + 15 + 2}} {
		t.Run(c.name, func(t *testing.T) {
			o := harness.Options{Count: true}
			if c.redis {
				o.Environ = []string{"SALLYPORT_REDIS_URL=redis://" + r.address}
			}
			s := harness.Start(t, storage.SQLite, o)
			b, rp := s.Browser(t), s.Portal()
			rp.SignIn(t, b, harness.Bob, nil)
			writes := 0
			for i := range 1000 {
				if do := c.trouble[i]; do != nil {
					do()
				}
				s.Clock.Advance(3600 * time.Millisecond)
				s.Counter.Reset()
				if p := b.Get(t, "/account"); p.Status != http.StatusOK || p.URL.Path != "/account" {
					t.Fatalf("page view %d answers %d at %s", i, p.Status, p.URL)
				}
				_, log := s.Counter.Trips()
				for _, statement := range log {
					if strings.HasPrefix(strings.TrimSpace(statement), "UPDATE sessions") {
						writes++
					}
				}
			}
			t.Logf("%d writes in 1,000 page views within an hour", writes)
			if writes == 0 || writes > c.most {
				t.Errorf("%d writes in 1,000 page views within an hour, want at most %d", writes, c.most)
			}
			s.Clock.Advance(2*time.Hour + 2*time.Minute)
			if p := b.Get(t, "/account"); p.URL.Path != "/login" {
				t.Errorf("idle for more than two hours: still at %s", p.URL)
			}
			if c.redis {
				must(t, r.client.FlushAll(t.Context()).Err())
				if p := b.Get(t, "/account"); p.URL.Path != "/login" {
					t.Errorf("a session that had ended is back: %s", p.URL)
				}
			}
		})
	}
}

// Without Redis the database counts failures: ten guesses at an account, then 429,
// also if Redis goes between them (product: 10 failures in 10 min per account).
func TestFailuresAreCountedWithoutRedis(t *testing.T) {
	r := startRedis(t)
	s := harness.Start(t, storage.Postgres, harness.Options{Environ: []string{"SALLYPORT_REDIS_URL=redis://" + r.address}})
	guess := func(email string) int {
		b := s.Browser(t)
		p := b.Get(t, s.Portal().Authorize(nil).URL)
		return b.Submit(t, p.Form(t, "login"), "email", email, "password", "not the password").Status
	}
	for range 4 {
		if got := guess(harness.Alice.Email); got == http.StatusTooManyRequests {
			t.Fatal("refused after less than ten guesses")
		}
	}
	r.kill()
	// What Redis knew may be lost, no more: ten guesses at most from here.
	for i := 1; ; i++ {
		if got := guess(harness.Alice.Email); got == http.StatusTooManyRequests {
			break
		} else if got >= 500 {
			t.Fatalf("a guess without Redis answers %d", got)
		}
		if i > 10 {
			t.Fatalf("%d guesses without Redis are not refused", i)
		}
	}
}

// entries are all keys with their values as DUMP gives them.
func (r *redisServer) entries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	keys, err := r.client.Keys(t.Context(), "*").Result()
	must(t, err)
	for _, key := range keys {
		all[key], err = r.client.Dump(t.Context(), key).Result()
		must(t, err)
	}
	return all
}

func (r *redisServer) restore(t *testing.T, all map[string]string) {
	t.Helper()
	for key, value := range all {
		must(t, r.client.RestoreReplace(t.Context(), key, 0, value).Err())
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

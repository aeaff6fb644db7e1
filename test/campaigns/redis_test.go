package campaigns

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
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

// FT-04: Redis only saves time. Killed, flushed, replaced, paused, or holding
// yesterday's copies: nobody is signed out, nothing revoked comes back, failures
// are counted on, and /readyz tells.
func TestWithoutRedisNobodyIsSignedOutOrIn(t *testing.T) {
	r := startRedis(t)
	s := harness.Start(t, storage.Postgres, harness.Options{Environ: []string{"SALLYPORT_REDIS_URL=redis://" + r.address}})
	rp := s.Portal()
	in, out := s.Browser(t), s.Browser(t)
	tokens, revoked := rp.SignIn(t, in, harness.Bob, nil), rp.SignIn(t, out, harness.Alice, nil)
	before := r.copies(t)
	if len(before) == 0 {
		t.Fatal("Redis holds no copy of a session: this test would show nothing")
	}
	// Who kept the cookie of a session may try it after its end.
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

// copies are all keys with their values as DUMP gives them.
func (r *redisServer) copies(t *testing.T) map[string]string {
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

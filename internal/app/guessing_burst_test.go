package app_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

var bursts = harness.Options{Host: "localhost", Environ: []string{"SALLYPORT_TRUSTED_PROXIES=127.0.0.1/32", "SALLYPORT_PASSWORD_HASHER=bcrypt", "SALLYPORT_BCRYPT_LOG_ROUNDS=4"}}

// A burst on two nodes gets no further than single guesses do.
func TestABurstOfSignInsGetsNoFurther(t *testing.T) {
	harness.EachEngine(t, bursts, func(t *testing.T, s *harness.Server) {
		nodes := []*harness.Server{s, s.Node(t)}
		for name, c := range map[string]struct {
			tries   int
			most    int64
			attempt func(i int) (address, email string)
		}{
			"300 accounts from one address":  {300, 20, func(i int) (string, string) { return "198.51.100.1", fmt.Sprintf("nobody%d@example.com", i) }},
			"one account from 64 addresses":  {64, 10, func(i int) (string, string) { return fmt.Sprintf("198.18.0.%d", i), harness.Bob.Email }},
			"nobody's account, 64 addresses": {64, 10, func(i int) (string, string) { return fmt.Sprintf("198.18.1.%d", i), "nobody@example.org" }},
		} {
			var guessed atomic.Int64
			var all sync.WaitGroup
			transports := []http.RoundTripper{nodes[0].Transport(), nodes[1].Transport()}
			for i := range c.tries {
				address, email := c.attempt(i)
				all.Go(func() {
					switch got := apiLogin(t, nodes[i%2], harness.Forwarded{RoundTripper: transports[i%2], Address: address}, email, "not the password", nil); got {
					case http.StatusUnauthorized:
						guessed.Add(1)
					case http.StatusTooManyRequests, http.StatusServiceUnavailable:
					default:
						t.Errorf("%s: %d", name, got)
					}
				})
			}
			all.Wait()
			if guessed.Load() > c.most || guessed.Load() == 0 {
				t.Errorf("%s: %d of %d are compared, want at most %d", name, guessed.Load(), c.tries, c.most)
			}
		}
	})
}

// A neighbour behind the same address cannot lock a person's browser out.
func TestNeighboursDoNotLockAKnownBrowserOut(t *testing.T) {
	harness.EachEngine(t, bursts, func(t *testing.T, s *harness.Server) {
		const office = "192.0.2.1"
		own := harness.BrowserAt(t, s, office)
		harness.SignIn(t, own, harness.Bob)
		transport := s.Transport()
		t.Cleanup(transport.CloseIdleConnections)
		for i := range 21 {
			apiLogin(t, s, harness.Forwarded{RoundTripper: transport, Address: office}, fmt.Sprintf("nobody%d@example.com", i), "not the password", nil)
		}
		stranger := harness.BrowserAt(t, s, office)
		for range 6 {
			stranger.Submit(t, stranger.Get(t, "/recover").Form(t, "recover"), "email", "nobody@example.com")
		}
		if p := stranger.Submit(t, stranger.Get(t, "/login").Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password); p.Status != http.StatusTooManyRequests {
			t.Errorf("an unknown browser gets %d", p.Status)
		}
		ownerReturns(t, s, own)
		own.Submit(t, own.Get(t, "/").FormWith(t, "csrf"))
		if p := own.Submit(t, own.Get(t, "/recover").Form(t, "recover"), "email", harness.Bob.Email); p.Status != http.StatusOK {
			t.Errorf("asking for a new password gets %d", p.Status)
		}
	})
}

// A thief of the password cannot use up the owner's tries with a key that does not fit.
func TestKeysThatDoNotFitUseUpNothing(t *testing.T) {
	harness.EachEngine(t, bursts, func(t *testing.T, s *harness.Server) {
		s.Phone(t, harness.Bob)
		key := s.SecurityKey(t, harness.Bob)
		for n := range 3 {
			thief := harness.BrowserAt(t, s, fmt.Sprintf("198.51.100.%d", n+1))
			form := harness.EnterPassword(t, thief, harness.Bob).Form(t, "factor-passkey")
			for _, wrong := range []string{"", "{}", "null", `{"id":"AAAA","type":"public-key"}`, `{"id":1}`, "[]", "x", "{}"} {
				if p := thief.Submit(t, form, "credential", wrong); p.Status != http.StatusUnprocessableEntity {
					t.Errorf("%q: %d at %s", wrong, p.Status, p.URL)
				}
			}
		}
		own := harness.BrowserAt(t, s, "192.0.2.1")
		f := harness.EnterPassword(t, own, harness.Bob).Form(t, "factor-passkey")
		if p := own.Submit(t, f, "credential", own.Answer(t, f, key)); p.URL.Path != "/" {
			t.Errorf("the owner's key: %d at %s", p.Status, p.URL)
		}
		// Its work is bounded all the same.
		thief := harness.BrowserAt(t, s, "198.51.100.9")
		form := harness.EnterPassword(t, thief, harness.Bob).Form(t, "factor-passkey")
		refused := 0
		for range 70 {
			if p := thief.Submit(t, form, "credential", "{}"); p.Status == http.StatusTooManyRequests {
				refused++
			}
		}
		if refused != 10 {
			t.Errorf("%d of 70 are refused, want 10", refused)
		}
	})
}

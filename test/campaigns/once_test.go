package campaigns

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// racers is how many redeem one code, or use one refresh token, at the same time.
const racers = 8

// issued is a code that a browser has brought back.
type issued struct {
	code    string
	request *harness.Request
}

// signedIn are browsers of Bob and Alice whose consent is remembered, so that an
// authorization is one request.
func signedIn(t *testing.T, n *node) []*harness.Browser {
	t.Helper()
	var all []*harness.Browser
	for _, who := range []harness.Person{harness.Bob, harness.Alice} {
		b := n.browser(t)
		n.portal().SignIn(t, b, who, nil)
		all = append(all, b)
	}
	return all
}

// codes makes n codes with browsers that are signed in.
func codes(t *testing.T, node *node, browsers []*harness.Browser, n int) []issued {
	t.Helper()
	all := make([]issued, n)
	inParallel(t, n, 4, func(t testing.TB, i int) {
		r := node.portal().Authorize(nil)
		p := browsers[i%len(browsers)].Get(t, r.URL)
		if p.Away == nil || p.Away.Query().Get("code") == "" {
			t.Fatalf("authorize on a live session with remembered consent ends at %s with %d", p.URL, p.Status)
		}
		all[i] = issued{p.Away.Query().Get("code"), r}
	})
	if t.Failed() {
		t.FailNow()
	}
	return all
}

// inParallel runs f for 0 … n-1 on some workers. A Fatal ends that one call.
func inParallel(t testing.TB, n, workers int, f func(t testing.TB, i int)) {
	t.Helper()
	next := make(chan int)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := range next {
				if err := try(t, func(t testing.TB) { f(t, i) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}

// race runs f for 0 … n-1 at the same time.
func race[T any](t testing.TB, n int, f func(t testing.TB, i int) *T) []*T {
	t.Helper()
	got := make([]*T, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			if err := try(t, func(t testing.TB) { got[i] = f(t, i) }); err != nil {
				t.Error(err)
				got[i] = new(T)
			}
		})
	}
	close(start)
	all.Wait()
	return got
}

// redemption is a token request for a code.
func redemption(rp *harness.RP, c issued, verifier string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {c.code}, "redirect_uri": {rp.RedirectURI}, "code_verifier": {verifier}}
}

// winners returns the successful answers, and fails on any that is neither
// success nor invalid_grant.
func winners(t testing.TB, got []*harness.Tokens) []*harness.Tokens {
	t.Helper()
	var won []*harness.Tokens
	for _, g := range got {
		switch {
		case g.Status == http.StatusOK:
			won = append(won, g)
		case g.Status != http.StatusBadRequest || g.Error != "invalid_grant":
			t.Errorf("a loser gets %d %s: %s; want 400 invalid_grant", g.Status, g.Error, g.Description)
		}
	}
	return won
}

// wantDead checks that nothing of a grant works, at any node.
func wantDead(t testing.TB, nodes []*node, tokens *harness.Tokens) {
	t.Helper()
	for _, n := range nodes {
		if status, _ := n.portal().Userinfo(t, tokens.AccessToken); status != http.StatusUnauthorized {
			t.Errorf("userinfo for an access token of a revoked grant: %d, want 401", status)
		}
		if got := n.portal().Introspect(t, tokens.AccessToken); got["active"] != false {
			t.Errorf("introspection of an access token of a revoked grant: %v, want active false", got)
		}
		if got := n.portal().Refresh(t, tokens.RefreshToken); got.Status != http.StatusBadRequest || got.Error != "invalid_grant" {
			t.Errorf("a refresh token of a revoked grant gets %d %s, want 400 invalid_grant", got.Status, got.Error)
		}
	}
}

// AC-01: of many who redeem a code at once, by two processes, one gets tokens; and
// since the code was used twice, what it got is revoked (RFC 6749, section 4.1.2;
// RFC 9700, section 4.5).
func TestOneOfManyRedeemersOfACodeWinsAndLosesIt(t *testing.T) {
	in := install(t, storage.Postgres)
	nodes := []*node{in.node(t), in.node(t)}
	n := size(150, 1000)
	begin := time.Now()
	all := codes(t, nodes[0], signedIn(t, nodes[0]), n)
	made := time.Now()
	var mu sync.Mutex
	successes := 0
	inParallel(t, n, 4, func(t testing.TB, i int) {
		got := race(t, racers, func(t testing.TB, k int) *harness.Tokens {
			rp := nodes[k%2].portal()
			return rp.Token(t, redemption(rp, all[i], all[i].request.Verifier))
		})
		won := winners(t, got)
		if len(won) != 1 {
			t.Fatalf("%d of %d redeemers of one code succeed, want exactly 1", len(won), racers)
		}
		mu.Lock()
		successes++
		mu.Unlock()
		wantDead(t, nodes, won[0])
	})
	if successes != n {
		t.Errorf("%d codes got tokens, want %d", successes, n)
	}
	t.Logf("%d codes × %d redeemers on 2 processes: %d successes; codes made in %v, raced in %v", n, racers, successes,
		made.Sub(begin).Round(time.Millisecond), time.Since(made).Round(time.Millisecond))
}

// A wrong verifier spends the code; beside a right one that makes two uses, so
// whichever is first nothing that was issued may live on (RFC 9700, section 4.5.3).
func TestAWrongVerifierBesideARightOneLeavesNothing(t *testing.T) {
	in := install(t, storage.Postgres)
	nodes := []*node{in.node(t), in.node(t)}
	n := size(60, 300)
	all := codes(t, nodes[0], signedIn(t, nodes[0]), n)
	var mu sync.Mutex
	rightWon := 0
	inParallel(t, n, 4, func(t testing.TB, i int) {
		got := race(t, 3, func(t testing.TB, k int) *harness.Tokens {
			rp, verifier := nodes[(i+k)%2].portal(), all[i].request.Verifier
			if (i+k)%3 != 0 {
				verifier = secret.NewToken("")
			}
			return rp.Token(t, redemption(rp, all[i], verifier))
		})
		won := winners(t, got)
		if len(won) > 1 {
			t.Fatalf("%d redeemers of one code succeed", len(won))
		}
		if len(won) == 1 {
			mu.Lock()
			rightWon++
			mu.Unlock()
			wantDead(t, nodes, won[0])
		}
	})
	t.Logf("of %d codes, the right verifier was first %d times", n, rightWon)
}

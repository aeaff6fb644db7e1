package campaigns

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// family is a chain of refresh tokens, oldest first, with the newest access token.
type family struct {
	chain  []string
	access string
}

// refreshAtOnce uses a refresh token at all nodes at the same time, and checks
// that everybody gets the same successor.
func refreshAtOnce(t testing.TB, nodes []*node, token string) (successor, access string) {
	t.Helper()
	got := race(t, racers, func(t testing.TB, k int) *harness.Tokens { return nodes[k%len(nodes)].portal().Refresh(t, token) })
	for _, g := range got {
		if g.Status != http.StatusOK {
			t.Fatalf("a parallel refresh gets %d %s: %s; want the same successor as the others", g.Status, g.Error, g.Description)
		}
		if successor == "" {
			successor, access = g.RefreshToken, g.AccessToken
		}
		if g.RefreshToken != successor {
			t.Fatal("parallel refreshes got two successors: two chains live")
		}
	}
	return successor, access
}

// RT-01, RT-02: clients that refresh in parallel at two processes keep one chain,
// and a token that comes back when it should not ends the family.
func TestARefreshFamilyHasOneLiveChain(t *testing.T) {
	in := install(t, storage.Postgres)
	nodes := []*node{in.node(t), in.node(t)}
	n, rounds := size(30, 200), size(3, 5)
	begin := time.Now()
	families := make([]family, n)
	all := codes(t, nodes[0], signedIn(t, nodes[0]), n)
	inParallel(t, n, 4, func(t testing.TB, i int) {
		tokens := nodes[i%2].portal().Redeem(t, all[i].code, all[i].request)
		families[i] = family{[]string{tokens.RefreshToken}, tokens.AccessToken}
	})
	for range rounds {
		inParallel(t, n, 4, func(t testing.TB, i int) {
			f := &families[i]
			successor, access := refreshAtOnce(t, nodes, f.chain[len(f.chain)-1])
			if slices.Contains(f.chain, successor) {
				t.Fatal("a refresh token came back a second time")
			}
			f.chain, f.access = append(f.chain, successor), access
		})
	}
	if t.Failed() {
		return
	}
	t.Logf("%d families × %d refreshers × %d rounds on 2 processes: %d answers, one chain each, in %v",
		n, racers, rounds, n*racers*rounds, time.Since(begin).Round(time.Millisecond))
	if forked := in.scalar(t, `SELECT count(*) FROM (SELECT grant_id FROM refresh_tokens GROUP BY grant_id
		HAVING sum(CASE WHEN spent_at IS NULL THEN 1 ELSE 0 END) <> 1) AS f`); forked != 0 {
		t.Errorf("%d families have not exactly one unspent token", forked)
	}
	for _, node := range nodes {
		if err := node.command("advance 11s"); err != nil {
			t.Fatal(err)
		}
	}
	inParallel(t, n, 4, func(t testing.TB, i int) {
		f, rp := families[i], nodes[i%2].portal()
		live := f.chain[len(f.chain)-1]
		replayed := f.chain[0] // its successor is used: reuse at any time
		if i%2 == 0 {
			replayed = f.chain[len(f.chain)-2] // its successor is not: reuse once the grace is over
		}
		if status, _ := rp.Userinfo(t, f.access); status != http.StatusOK {
			t.Errorf("userinfo before a replay: %d, want 200", status)
		}
		if got := rp.Refresh(t, replayed); got.Status != http.StatusBadRequest || got.Error != "invalid_grant" {
			t.Errorf("a used refresh token gets %d %s, want 400 invalid_grant", got.Status, got.Error)
		}
		wantDead(t, nodes, &harness.Tokens{AccessToken: f.access, RefreshToken: live})
	})
	if n, want := in.scalar(t, `SELECT count(*) FROM audit_events WHERE type = 'refresh_token.replayed'`), int64(n); n != want {
		t.Errorf("%d events tell of replays, want %d", n, want)
	}
}

// Many tabs of one browser authorize at once just when the session's last use is
// to be written: one row that all of them lock must make them wait for each
// other, not fail (PostgreSQL calls the two locks of one transaction a deadlock).
func TestTabsOfOneBrowserDoNotFailEachOther(t *testing.T) {
	in := install(t, storage.Postgres)
	nodes := []*node{in.node(t), in.node(t)}
	b := []*harness.Browser{nodes[0].browser(t), nodes[1].browser(t)}
	nodes[0].portal().SignIn(t, b[0], harness.Bob, nil)
	b[1].HTTP.Jar = b[0].HTTP.Jar // the same browser, by the other node
	for range size(10, 50) {
		for _, n := range nodes {
			if err := n.command("advance 61s"); err != nil {
				t.Fatal(err)
			}
		}
		inParallel(t, 16, 16, func(t testing.TB, i int) {
			r := nodes[i%2].portal().Authorize(nil)
			p := b[i%2].Get(t, r.URL)
			if p.Away == nil || p.Away.Query().Get("code") == "" {
				t.Fatalf("a tab ends at %s with %d, want a code", p.URL, p.Status)
			}
		})
		if t.Failed() {
			return
		}
	}
}

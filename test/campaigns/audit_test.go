package campaigns

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// settle finds out what became of everything whose answer never came, by doing
// what a client does: asking again.
func (l *load) settle(t *testing.T) {
	t.Helper()
	// Refreshes first: the grace of 10 s runs since the one that was not heard.
	for _, f := range l.families {
		if f.unsure {
			if err := l.refreshOne(t, f); err != nil {
				t.Errorf("the refresh token of an unheard answer is refused: %v; want the same successor again", err)
			}
		}
	}
	for _, f := range append([]*offline(nil), l.families...) {
		if f.leaving {
			if err := l.revokeOne(t, f); err != nil {
				t.Errorf("asking for a revocation again: %v", err)
			}
			for _, w := range l.workers {
				if len(w.families) > 0 && w.families[0] == f {
					w.families = w.families[1:]
				}
			}
		}
	}
	// A code whose answer was not heard is redeemed now, or was then: never both.
	rp := l.node.portal()
	for _, c := range l.codes {
		got := rp.Token(t, redemption(rp, c, c.request.Verifier))
		if got.Status != http.StatusOK && got.Error != "invalid_grant" {
			t.Errorf("a code in doubt gets %v", refused(got))
		}
		again := rp.Token(t, redemption(rp, c, c.request.Verifier))
		if again.Status != http.StatusBadRequest || again.Error != "invalid_grant" {
			t.Errorf("a code is redeemed twice: %d %s", again.Status, again.Error)
		}
	}
	l.codes = nil
}

// verify checks that what was acknowledged is there: all of it, or of each kind
// the newest and as many others.
func (l *load) verify(t *testing.T, newest int) {
	t.Helper()
	portal, machine := l.node.portal(), l.node.machine()
	for _, token := range some(l.machine, newest) {
		if got := machine.Introspect(t, token); got["active"] != true {
			t.Errorf("an acknowledged token of client_credentials: %v, want active", got)
		}
	}
	for _, f := range some(l.families, newest) {
		if status, _ := portal.Userinfo(t, f.access); status != http.StatusOK {
			t.Errorf("userinfo with an acknowledged token: %d, want 200", status)
		}
		if err := l.refreshOne(t, f); err != nil {
			t.Errorf("an acknowledged refresh token is refused: %v", err)
		}
	}
	for _, token := range some(l.revoked, newest) {
		if got := portal.Introspect(t, token); got["active"] != false {
			t.Errorf("a token whose revocation was acknowledged: %v, want inactive", got)
		}
	}
	for _, b := range some(l.sessions, newest) {
		r := portal.Authorize(url.Values{"prompt": {"none"}})
		if p := b.Get(t, r.URL); p.Away == nil || p.Away.Query().Get("code") == "" {
			t.Errorf("a signed-in browser with remembered consent gets %v, want a code without a page", p.Away)
		}
	}
	// The newest one by the password, as that is dear.
	for _, who := range some(l.people, min(newest, 1)) {
		b := l.node.browser(t)
		p := b.Get(t, portal.Authorize(nil).URL)
		p = b.Submit(t, p.Form(t, "login"), "email", who.Email, "password", who.Password)
		if p.Away == nil && p.URL.Path != "/consent" {
			t.Errorf("an acknowledged person cannot sign in: %s %d", p.URL.Path, p.Status)
		}
	}
	for _, who := range some(l.agreed, min(newest, 1)) {
		b := l.node.browser(t)
		p := b.Get(t, portal.Authorize(nil).URL)
		p = b.Submit(t, p.Form(t, "login"), "email", who.Email, "password", who.Password)
		if p.Away == nil || p.Away.Query().Get("code") == "" {
			t.Errorf("%s agreed before; now the journey ends at %s with %d, want a code at once", who.Email, p.URL.Path, p.Status)
		}
	}
}

// replay redeems spent codes again, which ends their grants, and checks that.
func (l *load) replay(t *testing.T, n int) {
	t.Helper()
	rp := l.node.portal()
	for _, f := range some(l.families, n) {
		got := rp.Token(t, redemption(rp, f.code, f.code.request.Verifier))
		if got.Status != http.StatusBadRequest || got.Error != "invalid_grant" {
			t.Errorf("an acknowledged redemption happens again: %d %s", got.Status, got.Error)
		}
		wantDead(t, []*node{l.node}, &harness.Tokens{AccessToken: f.access, RefreshToken: f.refresh})
	}
}

// some are the newest n and as many others at random; all if n is not positive.
func some[T any](all []T, n int) []T {
	if n <= 0 || len(all) <= 2*n {
		return all
	}
	out := append([]T(nil), all[len(all)-n:]...)
	for range n {
		out = append(out, all[rand.IntN(len(all)-n)])
	}
	return out
}

var uuidPattern = regexp.MustCompile(`"grant":"([0-9a-f-]{36})"`)

// invariants checks what holds over tables whatever was killed when: no half of
// anything that is written together.
func (in *installation) invariants(t *testing.T) {
	t.Helper()
	begin := time.Now()
	for _, c := range []struct{ rule, query string }{
		{"a code has its grant", `SELECT count(*) FROM codes c WHERE NOT EXISTS (SELECT 1 FROM grants g WHERE g.id = c.grant_id)`},
		{"a grant has exactly one code", `SELECT count(*) FROM grants g WHERE (SELECT count(*) FROM codes c WHERE c.grant_id = g.id) <> 1`},
		{"a grant was made in a session", `SELECT count(*) FROM grants g WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = g.session_id)`},
		{"tokens come from a spent code", `SELECT count(*) FROM access_tokens t JOIN codes c ON c.grant_id = t.grant_id WHERE c.spent_at IS NULL`},
		{"an access token has its grant", `SELECT count(*) FROM access_tokens t WHERE t.grant_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.id = t.grant_id)`},
		{"an offline grant with an access token has a refresh token", `SELECT count(*) FROM grants g WHERE g.offline AND EXISTS (SELECT 1 FROM access_tokens t WHERE t.grant_id = g.id)
			AND NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.grant_id = g.id)`},
		{"a family has one root: its code was redeemed once", `SELECT count(*) FROM (SELECT r.grant_id FROM refresh_tokens r
			WHERE NOT EXISTS (SELECT 1 FROM refresh_tokens p WHERE p.successor_hash = r.hash) GROUP BY r.grant_id HAVING count(*) <> 1) AS f`},
		{"a family has one unspent token", `SELECT count(*) FROM (SELECT grant_id FROM refresh_tokens GROUP BY grant_id HAVING sum(CASE WHEN spent_at IS NULL THEN 1 ELSE 0 END) <> 1) AS f`},
		{"a spent refresh token has its successor", `SELECT count(*) FROM refresh_tokens r WHERE r.spent_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM refresh_tokens n WHERE n.hash = r.successor_hash)`},
		{"a revoked grant says why", `SELECT count(*) FROM grants WHERE revoked_at IS NOT NULL AND revoke_reason = ''`},
		{"a person has an event", `SELECT count(*) FROM users u WHERE NOT EXISTS (SELECT 1 FROM audit_events e WHERE e.user_id = u.id AND e.type = 'user.created')`},
		{"a person has a password", `SELECT count(*) FROM users u WHERE NOT EXISTS (SELECT 1 FROM passwords p WHERE p.user_id = u.id)`},
		{"a session has an event", `SELECT count(*) FROM sessions s WHERE NOT EXISTS (SELECT 1 FROM audit_events e WHERE e.user_id = s.user_id AND e.type = 'session.created')`},
		{"a consent has an event", `SELECT count(*) FROM consents c WHERE NOT EXISTS (SELECT 1 FROM audit_events e WHERE e.user_id = c.user_id AND e.type = 'consent.granted')`},
		{"an algorithm has one active key", `SELECT count(*) FROM (SELECT alg FROM signing_keys GROUP BY alg HAVING sum(CASE WHEN state = 'active' THEN 1 ELSE 0 END) <> 1) AS k`},
	} {
		if n := in.scalar(t, c.query); n != 0 {
			t.Errorf("%s: not so %d times", c.rule, n)
		}
	}
	in.eventsMatchGrants(t)
	t.Logf("invariants of %d grants checked in %v", in.scalar(t, `SELECT count(*) FROM grants`), time.Since(begin).Round(time.Millisecond))
}

// eventsMatchGrants: no grant without its event, no event without its grant.
func (in *installation) eventsMatchGrants(t *testing.T) {
	t.Helper()
	told := map[string]bool{}
	for _, row := range in.columns(t, `SELECT facts FROM audit_events WHERE type = 'grant.created'`) {
		m := uuidPattern.FindStringSubmatch(row[0])
		if m == nil || told[m[1]] {
			t.Fatalf("an event of a grant names none, or one a second time: %s", row[0])
		}
		told[m[1]] = true
	}
	for _, row := range in.columns(t, `SELECT CAST(id AS text) FROM grants`) {
		if !told[row[0]] {
			t.Errorf("grant %s has no event", row[0])
		}
		delete(told, row[0])
	}
	if len(told) > 0 {
		t.Errorf("%d events tell of grants that are not there", len(told))
	}
}

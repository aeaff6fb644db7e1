package campaigns

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// ledger is what the load was told had succeeded, and what it does not know
// because a server died before it answered.
type ledger struct {
	mu       sync.Mutex
	machine  []string           // access tokens of client_credentials
	sessions []*harness.Browser // signed in, with a consent that is remembered
	people   []harness.Person   // created; those in consented have used the portal
	agreed   []harness.Person
	families []*offline
	revoked  []string // access and refresh tokens
	codes    []issued // not redeemed, or nobody knows
	redeemed int
}

// offline is a grant with refresh tokens. One worker at a time uses it.
type offline struct {
	code            issued
	access, refresh string
	// unsure: the refresh token was used, and the answer never came.
	unsure bool
	// leaving: its revocation was asked for, and the answer never came.
	leaving bool
}

func (l *ledger) note(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// load is a mix of what relying parties and people do, by several workers. Its
// steps return nil when they were acknowledged, and an error otherwise.
type load struct {
	node *node
	ledger
	counts  map[string]int
	serial  int
	workers []*worker
}

// worker owns what it changes, so that only the server's failures are in doubt.
type worker struct {
	load     *load
	browser  *harness.Browser
	families []*offline
	turn     int
}

// newLoad signs the sample people in, a browser for each worker.
func newLoad(t *testing.T, n *node, workers int) *load {
	t.Helper()
	l := &load{node: n, counts: map[string]int{}}
	for i := range workers {
		who := []harness.Person{harness.Bob, harness.Alice}[i%2]
		w := &worker{load: l, browser: n.browser(t), turn: i}
		n.portal().SignIn(t, w.browser, who, nil)
		l.sessions = append(l.sessions, w.browser)
		l.workers = append(l.workers, w)
	}
	l.agreed = []harness.Person{harness.Bob, harness.Alice}
	return l
}

// step does the worker's next thing.
func (w *worker) step(t testing.TB) (what string, err error) {
	w.turn++
	steps := []struct {
		what string
		do   func(t testing.TB) error
	}{
		{"client_credentials", w.clientCredentials}, {"code", w.codeFlow}, {"refresh", w.refresh}, {"code", w.codeFlow},
		{"refresh", w.refresh}, {"client_credentials", w.clientCredentials}, {"revoke", w.revoke}, {"refresh", w.refresh},
	}
	s := steps[w.turn%len(steps)]
	if w.turn%13 == 0 {
		s.what, s.do = "person", w.person
	}
	err = try(t, func(t testing.TB) {
		if err := s.do(t); err != nil {
			t.Fatal(err)
		}
	})
	if err == nil {
		w.load.note(func() { w.load.counts[s.what]++ })
	}
	return s.what, err
}

func (w *worker) clientCredentials(t testing.TB) error {
	got := w.load.node.machine().Token(t, url.Values{"grant_type": {"client_credentials"}})
	if got.Status != http.StatusOK {
		return refused(got)
	}
	w.load.note(func() { w.load.machine = append(w.load.machine, got.AccessToken) })
	return nil
}

func refused(got *harness.Tokens) error {
	return fmt.Errorf("%d %s: %s", got.Status, got.Error, got.Description)
}

// codeFlow authorizes on a live session whose consent is remembered, and redeems.
func (w *worker) codeFlow(t testing.TB) error {
	r := w.load.node.portal().Authorize(nil)
	p := w.browser.Get(t, r.URL)
	if p.Away == nil || p.Away.Query().Get("code") == "" {
		return fmt.Errorf("authorize ends at %s with %d", p.URL.Path, p.Status)
	}
	return w.redeem(t, issued{p.Away.Query().Get("code"), r})
}

func (w *worker) redeem(t testing.TB, c issued) error {
	w.load.note(func() { w.load.codes = append(w.load.codes, c) })
	rp := w.load.node.portal()
	got := rp.Token(t, redemption(rp, c, c.request.Verifier))
	if got.Status != http.StatusOK {
		return refused(got)
	}
	w.load.note(func() {
		w.load.codes = slices.DeleteFunc(w.load.codes, func(o issued) bool { return o.code == c.code })
		w.load.redeemed++
		f := &offline{code: c, access: got.AccessToken, refresh: got.RefreshToken}
		w.families = append(w.families, f)
		w.load.families = append(w.load.families, f)
	})
	return nil
}

func (w *worker) refresh(t testing.TB) error {
	// A client that lost its answer asks again first: the grace is short.
	if i := slices.IndexFunc(w.families, func(f *offline) bool { return f.unsure }); i >= 0 {
		return w.load.refreshOne(t, w.families[i])
	}
	here := w.families
	if len(here) > 0 && here[0].leaving {
		here = here[1:]
	}
	if len(here) == 0 {
		return w.codeFlow(t)
	}
	return w.load.refreshOne(t, here[w.turn%len(here)])
}

func (l *load) refreshOne(t testing.TB, f *offline) error {
	f.unsure = true
	got := l.node.portal().Refresh(t, f.refresh)
	if got.Status != http.StatusOK {
		return refused(got)
	}
	f.access, f.refresh, f.unsure = got.AccessToken, got.RefreshToken, false
	return nil
}

// revoke ends the worker's oldest grant by its refresh token (RFC 7009, section 2.1).
func (w *worker) revoke(t testing.TB) error {
	if len(w.families) < 3 {
		return w.codeFlow(t)
	}
	f := w.families[0]
	if f.unsure {
		if err := w.load.refreshOne(t, f); err != nil {
			return err
		}
	}
	f.leaving = true
	if err := w.load.revokeOne(t, f); err != nil {
		return err
	}
	w.families = w.families[1:]
	return nil
}

func (l *load) revokeOne(t testing.TB, f *offline) error {
	if status, _ := l.node.portal().Post(t, "/oauth2/revoke", url.Values{"token": {f.refresh}}, nil); status != http.StatusOK {
		return fmt.Errorf("revocation answers %d", status)
	}
	l.note(func() {
		l.revoked = append(l.revoked, f.access, f.refresh)
		l.families = slices.DeleteFunc(l.families, func(o *offline) bool { return o == f })
	})
	return nil
}

// person makes somebody by what the command line does, signs them in with a new
// browser and has them agree.
func (w *worker) person(t testing.TB) error {
	var who harness.Person
	w.load.note(func() {
		w.load.serial++
		who = harness.Person{Email: fmt.Sprintf("person%d@acme-corp.com", w.load.serial), Password: "correct-horse-battery"}
	})
	if err := w.load.node.command("user %s %s", who.Email, who.Password); err != nil {
		return err
	}
	w.load.note(func() { w.load.people = append(w.load.people, who) })
	b := w.load.node.browser(t)
	r := w.load.node.portal().Authorize(nil)
	p := b.WalkTo(t, r.URL, who)
	c := issued{p.Away.Query().Get("code"), r}
	if c.code == "" {
		return fmt.Errorf("a new person's journey ends at %s", p.Away)
	}
	w.load.note(func() {
		w.load.agreed = append(w.load.agreed, who)
		w.load.sessions = append(w.load.sessions, b)
	})
	return w.redeem(t, c)
}

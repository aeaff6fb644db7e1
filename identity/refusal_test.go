package identity

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

func (in *installation) writeRefusals(t *testing.T, all ...*Domain) {
	t.Helper()
	for _, i := range all {
		if err := i.Clients.WriteRefusals(t.Context(), &storage.Pace{Rest: storage.Hurry}); err != nil {
			t.Fatal(err)
		}
	}
}

func (in *installation) refused(t *testing.T, clientID string) []storage.Refusal {
	t.Helper()
	all, err := in.Clients.Refusals(t.Context(), Operator(), clientID, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Of each client and minute sixty refusals are kept, of all nodes together, and one line counts the others: a client
// that errs in a loop, or a stranger who uses its name, fills no disk and hides no other client's.
func TestSixtyRefusalsOfAClientAndMinuteAreKept(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		for _, id := range []string{"busy", "quiet"} {
			in.client(t, NewClient{ID: id, Metadata: storage.Metadata{ClientName: id, RedirectURIs: []string{"https://app.example/cb"}, Scope: "openid"}})
		}
		other := New(in.made) // another node
		start := time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC)
		note := func(i *Domain, clientID string, after time.Duration, cause string) {
			i.Clients.NoteRefusal(storage.Refusal{ClientID: clientID, At: start.Add(after), Endpoint: "/oauth2/token", Error: "of " + cause, Cause: cause,
				Authenticated: true, RequestID: "r", Parameters: []string{"code", "grant_type"}, RedirectURI: "https://app.example/cb", Scope: "openid"})
		}
		for n := range 45 {
			note(in.Domain, "busy", time.Duration(n)*time.Second, fmt.Sprint("first ", n))
			note(other, "busy", time.Duration(n)*time.Second, fmt.Sprint("second ", n))
		}
		note(other, "quiet", time.Second, "alone")
		note(other, "gone", time.Second, "of no client")
		in.writeRefusals(t, in.Domain, other)
		for n := range 100 { // more than a node keeps by itself
			note(other, "busy", 59*time.Second, fmt.Sprint("third ", n))
		}
		note(in.Domain, "busy", time.Minute, "the next minute")
		in.writeRefusals(t, other, in.Domain)

		all := in.refused(t, "busy")
		if len(all) != 62 || all[0].Cause != "the next minute" || all[1].More != 130 || all[1].Cause != "" || !all[1].At.Equal(start.Add(59*time.Second)) {
			t.Fatalf("%d lines, the latest %+v", len(all), all[:min(len(all), 2)])
		}
		last := all[61]
		if last.Cause != "first 0" || last.More != 0 || last.Endpoint != "/oauth2/token" || last.Error != "of first 0" || len(last.Parameters) != 2 ||
			last.RedirectURI != "https://app.example/cb" || last.Scope != "openid" || !last.At.Equal(start) || last.ClientID != "busy" || last.RequestID != "r" {
			t.Errorf("the first line is %+v", last)
		}
		if quiet := in.refused(t, "quiet"); len(quiet) != 1 || quiet[0].Cause != "alone" {
			t.Errorf("another client's: %+v", quiet)
		}
		if some, err := in.Clients.Refusals(t.Context(), Operator(), "busy", 3); err != nil || len(some) != 3 || some[0].Cause != "the next minute" {
			t.Errorf("the last three: %+v, %v", some, err)
		}
		if _, err := in.Clients.Refusals(t.Context(), Operator(), "gone", 3); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("those of no client: %v", err)
		}
	})
}

// A stranger who sends requests in a client's name, and a loop that repeats one fault, hide no other refusal of the
// minute, whichever node they are at, and the rows of a client are bounded.
func TestRefusalsThatRepeatHideNoOthers(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.client(t, NewClient{ID: "app", Metadata: storage.Metadata{ClientName: "App", RedirectURIs: []string{"https://app.example/cb"}, Scope: "openid"}})
		nodes := []*Domain{in.Domain, New(in.made)}
		note := func(i *Domain, authenticated bool, endpoint, code, cause string) {
			i.Clients.NoteRefusal(storage.Refusal{ClientID: "app", At: in.now, Endpoint: endpoint, Error: code, Cause: cause, Authenticated: authenticated})
		}
		kept := func() (all map[string]int, more int64) {
			all = map[string]int{}
			for _, r := range in.refused(t, "app") {
				if more += r.More; r.More == 0 {
					all[r.Endpoint+" "+r.Error]++
				}
			}
			return all, more
		}
		for n := range 40 {
			for _, i := range nodes {
				note(i, false, "/oauth2/authorize", "invalid_request", fmt.Sprint("a loop, ", n))
				note(i, true, "/oauth2/token", "invalid_grant", fmt.Sprint("another loop, ", n))
			}
		}
		in.writeRefusals(t, nodes...)
		all, more := kept()
		if all["/oauth2/authorize invalid_request"] != 5 || all["/oauth2/token invalid_grant"] != 5 || len(all) != 2 || more != 150 {
			t.Fatalf("of two loops %v are kept, and %d counted", all, more)
		}
		for n := range 40 {
			for _, i := range nodes {
				note(i, false, "/oauth2/authorize", fmt.Sprint("made up ", n), "")
			}
		}
		in.writeRefusals(t, nodes...)
		for n, i := range nodes {
			note(i, false, "/oauth2/authorize", "invalid_scope", "")
			note(i, true, "/oauth2/token", "invalid_scope", fmt.Sprint(n))
			note(i, true, "/oauth2/par", "invalid_grant", fmt.Sprint(n))
		}
		in.writeRefusals(t, nodes...)
		all, more = kept()
		total := 0
		for _, n := range all {
			total += n
		}
		if all["/oauth2/token invalid_scope"] != 2 || all["/oauth2/par invalid_grant"] != 2 || all["/oauth2/authorize invalid_scope"] != 0 ||
			total != 34 || more != 150+60+2 {
			t.Errorf("beside a stranger's %v are kept (%d), and %d counted", all, total, more)
		}

		in.database(t, `WITH RECURSIVE old(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM old WHERE n < 5200)
			INSERT INTO refusals (client_id, minute, line, occurred_at, n) SELECT 'app', n, 1, n, 1 FROM old`)
		in.now = in.now.Add(time.Minute)
		note(in.Domain, true, "/oauth2/token", "invalid_scope", "the latest")
		in.writeRefusals(t, in.Domain)
		left, err := in.Clients.Refusals(t.Context(), Operator(), "app", 10000)
		if err != nil || len(left) != 5000 && len(left) != 5001 || left[0].Cause != "the latest" {
			t.Errorf("%d rows are left: %v", len(left), err)
		}
	})
}

// Deleting a client takes what it was refused, and what is written later is dropped.
func TestRefusalsEndWithTheirClient(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.client(t, NewClient{ID: "app", Metadata: storage.Metadata{ClientName: "App", RedirectURIs: []string{"https://app.example/cb"}, Scope: "openid"}})
		note := func() {
			in.Clients.NoteRefusal(storage.Refusal{ClientID: "app", At: in.now, Error: "invalid_scope", RedirectURI: "https://canary.example/cb"})
		}
		note()
		in.writeRefusals(t, in.Domain)
		if n := len(in.refused(t, "app")); n != 1 {
			t.Fatalf("%d refusals before", n)
		}
		if err := in.Clients.Delete(t.Context(), Operator(), "app"); err != nil {
			t.Fatal(err)
		}
		note()
		in.writeRefusals(t, in.Domain)
		if left, err := in.store.Refusals(t.Context(), "app", 10); err != nil || len(left) > 0 {
			t.Errorf("left of a deleted client: %+v, %v", left, err)
		}
	})
}

// The refusals that wait to be written are bounded, whatever happens to many clients at once.
func TestRefusalsThatWaitAreBounded(t *testing.T) {
	i := onSQLite(t).Domain
	now := i.currentTime()
	for n := range 3 * maxPending {
		i.Clients.NoteRefusal(storage.Refusal{ClientID: fmt.Sprint("client-", n%200), At: now})
		i.Clients.NoteRefusal(storage.Refusal{ClientID: fmt.Sprint("many-", n), At: now})
	}
	check := func(what string) {
		t.Helper()
		kept := 0
		for _, m := range i.Clients.refusals.minutes {
			kept += len(m.Refusals)
		}
		if kept == 0 || kept > maxPending || kept != i.Clients.refusals.pending || len(i.Clients.refusals.minutes) > maxPending {
			t.Errorf("%s %d refusals (%d) of %d minutes wait, want at most %d", what, kept, i.Clients.refusals.pending, len(i.Clients.refusals.minutes), maxPending)
		}
	}
	check("at first")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		if err := i.Clients.WriteRefusals(ended, &storage.Pace{}); err == nil {
			t.Error("what could not be written was")
		}
		i.Clients.NoteRefusal(storage.Refusal{ClientID: "client-1", At: now})
		check("after a failure")
	}
}

// A refusal that could not be written, because of a stop or a failure of the database, waits, and is written by the next call, which may be
// the last one of the process.
func TestRefusalsThatCouldNotBeWrittenWait(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		for n := range 4 {
			id := fmt.Sprint("app-", n)
			in.client(t, NewClient{ID: id, Metadata: storage.Metadata{ClientName: id, RedirectURIs: []string{"https://app.example/cb"}, Scope: "openid"}})
		}
		note := func(cause string) {
			for n := range 4 {
				for range 7 { // two more than are kept
					in.Clients.NoteRefusal(storage.Refusal{ClientID: fmt.Sprint("app-", n), At: in.now, Error: cause, Cause: cause, Authenticated: true})
				}
			}
		}
		want := func(what string, lines, more int) {
			t.Helper()
			for n := range 4 {
				all, counted := in.refused(t, fmt.Sprint("app-", n)), 0
				for _, r := range all {
					counted += int(r.More)
				}
				if len(all) != lines+1 || counted != more {
					t.Errorf("%s app-%d has %d lines, and %d are counted: %+v", what, n, len(all), counted, all)
				}
			}
		}
		failing, stop := context.WithCancel(t.Context())
		stop()
		note("noted before the failure")
		if err := in.Clients.WriteRefusals(failing, &storage.Pace{}); err == nil {
			t.Fatal("a context that has ended writes")
		}
		note("noted after it")
		stopping, stop := context.WithCancel(t.Context())
		// The server is told to stop while the job rests after its first client.
		err := in.Clients.WriteRefusals(stopping, &storage.Pace{Smallest: 1, Largest: 1, Rest: func(ctx context.Context, _ time.Duration) error {
			stop()
			return ctx.Err()
		}})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("the pass that was stopped: %v", err)
		}
		in.writeRefusals(t, in.Domain)
		want("after the last call", 10, 4)
		if last := in.refused(t, "app-3")[1]; last.Cause != "noted after it" {
			t.Errorf("the latest line is %+v", last)
		}
		note("what is never written")
		in.now = in.now.Add(maxRefusalWait + time.Second)
		if err := in.Clients.WriteRefusals(failing, &storage.Pace{}); err == nil || len(in.Clients.refusals.minutes) > 0 || in.Clients.refusals.pending > 0 {
			t.Errorf("what is too old waits on: %v", err)
		}
	})
}

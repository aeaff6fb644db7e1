package redis

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
)

// site is a Redis, a client of it, and what the client logs.
type site struct {
	*Client
	server *miniredis.Miniredis
	now    time.Time
	logged bytes.Buffer
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{server: miniredis.RunT(t), now: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	s.Client, err = Open("redis://"+s.server.Addr(), slog.New(slog.NewTextHandler(&s.logged, nil)),
		func() time.Time { return s.now })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (s *site) set(ctx context.Context) error {
	return s.Do(ctx, func(ctx context.Context) error { return s.Set(ctx, "k", "v", 0).Err() })
}

// One failure opens the circuit for all callers, and the first success after the pause closes it.
func TestAFailingRedisIsLeftAloneForAWhile(t *testing.T) {
	s := newSite(t)
	if err := s.set(t.Context()); err != nil || !s.Available() {
		t.Fatalf("at first: %v, available %v", err, s.Available())
	}
	s.server.SetError("ERR down")
	for range 2 {
		if err := s.set(t.Context()); err == nil || s.Available() {
			t.Errorf("down: got %v, available %v; want an error, false", err, s.Available())
		}
	}
	s.now = s.now.Add(pause - time.Microsecond)
	if s.Available() {
		t.Error("asked again before the pause is over")
	}
	s.now = s.now.Add(time.Microsecond)
	if !s.Available() {
		t.Error("not asked again after the pause")
	}
	s.server.SetError("")
	for range 2 {
		if err := s.set(t.Context()); err != nil || !s.Available() {
			t.Errorf("up again: %v, available %v", err, s.Available())
		}
	}
	if n := strings.Count(s.logged.String(), "\n"); n != 2 {
		t.Errorf("logged %d lines, want one of each change:\n%s", n, &s.logged)
	}
}

// A browser that hangs up, or a burst that fills all slots, says nothing about Redis. If either opened the circuit, an
// attacker could move the counters of failed passwords to the database at will, where they begin at zero.
func TestCallersThatGiveUpDoNotOpenTheCircuit(t *testing.T) {
	s := newSite(t)
	gone, hangUp := context.WithCancel(t.Context())
	err := s.Do(gone, func(ctx context.Context) error { hangUp(); <-ctx.Done(); return ctx.Err() })
	if !errors.Is(err, context.Canceled) || !s.Available() {
		t.Errorf("hung up: got %v, available %v; want canceled, true", err, s.Available())
	}
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	if err := s.set(gone); !errors.Is(err, context.Canceled) || !s.Available() {
		t.Errorf("no slot: got %v, available %v; want canceled, true", err, s.Available())
	}
}

// Behind a Redis that hangs, each of many requests would wait for its own time limit otherwise, and one that counts
// passwords would have no time left for the database.
func TestUsesThatWaitEndWhenTheCircuitOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(nil, slog.New(slog.DiscardHandler), time.Now)
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		var asked atomic.Int64
		var uses sync.WaitGroup
		for range cap(c.slots) {
			uses.Go(func() { _ = c.Do(t.Context(), hang) })
		}
		synctest.Wait()
		began := time.Now()
		for range 100 {
			uses.Go(func() {
				if err := c.Do(t.Context(), func(ctx context.Context) error { asked.Add(1); return hang(ctx) }); !errors.Is(err, ErrOpened) {
					t.Errorf("one that waited: got %v, want ErrOpened", err)
				}
			})
		}
		uses.Wait()
		if took := time.Since(began); asked.Load() != 0 || took > Timeout {
			t.Errorf("%d of those that waited asked Redis, all were over after %s", asked.Load(), took)
		}
		// What holds something in Redis may try to give it back while the circuit is open.
		if err := c.Do(t.Context(), func(context.Context) error { return nil }); err != nil || !c.Available() {
			t.Errorf("one that began later: %v, available %v", err, c.Available())
		}
	})
}

// An installation without Redis needs no other code.
func TestNoURLIsNoRedis(t *testing.T) {
	c, err := Open("", nil, nil)
	if c != nil || err != nil || c.Available() || c.Close() != nil {
		t.Errorf("got %v, %v; want nothing that is available", c, err)
	}
}

func TestURLsNameServersClustersAndSentinels(t *testing.T) {
	for _, tc := range []struct {
		url       string
		addresses []string
		user      string
		tls       bool
		cluster   bool
		master    string
	}{
		{"redis://:pw@r.example/2", []string{"r.example:6379"}, "", false, false, ""},
		{"rediss://u:pw@r.example:7000", []string{"r.example:7000"}, "u", true, false, ""},
		{"redis+cluster://a:1,b:2", []string{"a:1", "b:2"}, "", false, true, ""},
		{"rediss+cluster://u:pw@a:1,b:2", []string{"a:1", "b:2"}, "u", true, true, ""},
		{"redis+sentinel://a:1,b:2/my%20master", []string{"a:1", "b:2"}, "", false, false, "my master"},
	} {
		o, err := parse(tc.url)
		if err != nil {
			t.Errorf("%s: %v", tc.url, err)
			continue
		}
		if diff := cmp.Diff(tc.addresses, o.Addrs); diff != "" || o.Username != tc.user || (o.TLSConfig != nil) != tc.tls ||
			o.IsClusterMode != tc.cluster || o.MasterName != tc.master {
			t.Errorf("%s: got user %q, cluster %v, master %q, addresses (-want +got)\n%s", tc.url, o.Username,
				o.IsClusterMode, o.MasterName, diff)
		}
	}
	for _, url := range []string{"http://r.example", "redis+sentinel://a:1", "redis://:canary@r.example/x",
		"redis+sentinel://a:1/%zz"} {
		if o, err := parse(url); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, %v; want an error without the password", url, o, err)
		}
	}
}

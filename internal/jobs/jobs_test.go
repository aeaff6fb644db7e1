package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/jobs"
	"github.com/sallyport-id/sallyport/storage"
)

// node runs one job, and tells how its rounds ended.
type node struct {
	outcomes chan string
	wake     chan struct{}
	logged   bytes.Buffer // to be read after stop
	stop     func()       // and wait for the end
}

func start(t *testing.T, s *storage.Store, job jobs.Job) *node {
	t.Helper()
	n := &node{outcomes: make(chan string, 1000), wake: make(chan struct{})}
	job.Name, job.Failed, job.Wake = "test", "it did not work", n.wake
	if job.Every == 0 {
		job.Every = time.Hour
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		jobs.Run(ctx, jobs.Config{Store: s, Log: slog.New(slog.NewTextHandler(&n.logged, nil)),
			Ran: func(_, outcome string) { n.outcomes <- outcome }}, []jobs.Job{job})
	}()
	n.stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(n.stop)
	return n
}

func (n *node) expect(t *testing.T, want string) {
	t.Helper()
	n.wake <- struct{}{}
	if got := <-n.outcomes; got != want {
		t.Fatalf("the round ended as %s, want %s", got, want)
	}
}

func open(t *testing.T, url string, now func() time.Time) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), storage.Config{URL: url, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// A fault of one round is no fault of the next, and the log tells of a change rather than of each round.
func TestAFailureEndsOneRoundAlone(t *testing.T) {
	rounds := 0
	n := start(t, nil, jobs.Job{Run: func(context.Context) error {
		switch rounds++; rounds {
		case 1, 2:
			return errors.New("no database")
		case 3:
			panic("nil map")
		}
		return nil
	}})
	for _, want := range []string{jobs.Failed, jobs.Failed, jobs.Panicked, jobs.OK, jobs.OK} {
		n.expect(t, want)
	}
	n.stop()
	for line, want := range map[string]int{"it did not work": 1, "panicked": 1, "works again": 1} {
		if got := strings.Count(n.logged.String(), line); got != want {
			t.Errorf("%q is logged %d times, want %d:\n%s", line, got, want, &n.logged)
		}
	}
}

// An operator who reads today's log alone sees what has failed since yesterday.
func TestALastingFailureIsLoggedEveryHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, nil, jobs.Job{Every: time.Minute, Run: func(context.Context) error { return errors.New("no database") }})
		time.Sleep(150 * time.Minute)
		n.stop()
		if got := strings.Count(n.logged.String(), "it did not work"); got != 3 {
			t.Errorf("logged %d times in two and a half hours, want 3", got)
		}
	})
}

// The pause between two rounds is never longer than was asked for, nor much shorter.
func TestRoundsComeAsOftenAsTheTableSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rounds []time.Time
		began := time.Now()
		n := start(t, nil, jobs.Job{Every: 10 * time.Minute, AtStart: true,
			Run: func(context.Context) error { rounds = append(rounds, time.Now()); return nil }})
		time.Sleep(time.Hour)
		n.stop()
		if len(rounds) < 6 || !rounds[0].Equal(began) {
			t.Fatalf("got rounds at %v, want the first at once", rounds)
		}
		for i, at := range rounds[1:] {
			if pause := at.Sub(rounds[i]); pause < 8*time.Minute || pause > 10*time.Minute {
				t.Errorf("a pause of %v, want 8 to 10 minutes", pause)
			}
		}
	})
}

// While one node has the lease the others do nothing; one that stops gives it back.
func TestOneNodeAtATimeRunsALeasedJob(t *testing.T) {
	for _, engine := range []storage.Engine{storage.SQLite, storage.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			s := open(t, harness.NewDatabase(t, engine), nil)
			job := jobs.Job{Leased: true, Run: func(context.Context) error { return nil }}
			one, two := start(t, s, job), start(t, s, job)
			one.expect(t, jobs.OK)
			two.expect(t, jobs.Skipped)
			one.expect(t, jobs.OK)
			one.stop()
			two.expect(t, jobs.OK)
		})
	}
}

// By a clock that is off, a leased job would delete what lives, or tell people what is not so.
func TestALeasedJobWaitsForTheRightClock(t *testing.T) {
	var mu sync.Mutex
	ahead := 30 * 24 * time.Hour
	now := func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(ahead) }
	rounds := 0
	n := start(t, open(t, harness.NewDatabase(t, storage.Postgres), now), jobs.Job{Leased: true,
		Run: func(context.Context) error { rounds++; return nil }})
	n.expect(t, jobs.Failed)
	n.expect(t, jobs.Failed)
	mu.Lock()
	ahead = 0
	mu.Unlock()
	n.expect(t, jobs.OK)
	n.stop()
	if rounds != 1 || strings.Count(n.logged.String(), "NTP") != 1 {
		t.Errorf("%d rounds, want the last alone; the remedy is to be logged once:\n%s", rounds, &n.logged)
	}
}

// A stopping node writes what it has only in memory, after the last round and without pauses.
func TestAStoppingNodeWritesWhatItHas(t *testing.T) {
	var order []string
	begun := make(chan struct{})
	n := start(t, nil, jobs.Job{AtStart: true,
		Run: func(ctx context.Context) error {
			close(begun)
			<-ctx.Done()
			order = append(order, "round")
			return ctx.Err()
		},
		AtStop: func(ctx context.Context) error {
			order = append(order, "stop")
			batches := 0
			return (&storage.Pace{Smallest: 1, Largest: 1, Elapsed: func() time.Duration { return time.Duration(batches) * time.Hour }}).
				Run(ctx, func(int) (int, error) { batches++; return min(1, 3-batches), nil })
		}})
	<-begun
	n.stop()
	if got := strings.Join(order, " "); got != "round stop" {
		t.Errorf("got %s, want the round and then the stop", got)
	}
	if got := <-n.outcomes; got != jobs.OK {
		t.Errorf("the stop ended as %s, want %s within its time", got, jobs.OK)
	}
}

// The log must tell when a job could not write in time what it had in memory, because that is lost.
func TestALossAtTheEndIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, nil, jobs.Job{
			Run:    func(context.Context) error { return nil },
			AtStop: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		})
		n.stop()
		if !strings.Contains(n.logged.String(), "it did not work") {
			t.Errorf("logged %q, want the sentence of the job", n.logged.String())
		}
	})
}

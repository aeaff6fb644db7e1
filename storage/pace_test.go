package storage

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A job's batches are short and far between, whatever a row costs, and the job is finished all the same.
func TestABackgroundJobLeavesTheDatabaseToRequests(t *testing.T) {
	for name, c := range map[string]struct {
		cost    func(size int, sofar int) time.Duration
		longest time.Duration // of the second half's batches
	}{
		"a fast disk":      {func(size, _ int) time.Duration { return time.Duration(size) * 4 * time.Microsecond }, 2 * time.Millisecond},
		"an ordinary disk": {func(size, _ int) time.Duration { return 300*time.Microsecond + time.Duration(size)*20*time.Microsecond }, 3 * time.Millisecond},
		"a slow commit":    {func(size, _ int) time.Duration { return 15*time.Millisecond + time.Duration(size)*20*time.Microsecond }, 16 * time.Millisecond},
		"a database that gets busy": {func(size, sofar int) time.Duration {
			each := 2 * time.Microsecond
			if sofar > 10_000 {
				each = 60 * time.Microsecond
			}
			return time.Duration(size) * each
		}, 3 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			const rows = 40_000
			var clock, worked, rested time.Duration
			var late []time.Duration
			done := 0
			p := Pace{Elapsed: func() time.Duration { return clock }, Rest: func(_ context.Context, d time.Duration) error {
				rested += d
				clock += d
				return nil
			}}
			err := p.Run(t.Context(), func(size int) (int, error) {
				took := c.cost(size, done)
				clock, worked = clock+took, worked+took
				size = min(size, rows-done)
				if done += size; done > rows/2 {
					late = append(late, took)
				}
				return size, nil
			})
			if err != nil || done != rows {
				t.Fatalf("did %d of %d rows, %v", done, rows, err)
			}
			// The last batch has no pause after it.
			if share := float64(worked-late[len(late)-1]) / float64(worked+rested); share > 0.1 {
				t.Errorf("the job takes %.0f %% of the time, want at most 10", 100*share)
			}
			over := 0
			for _, took := range late {
				if took > c.longest {
					over++
				}
			}
			if over > len(late)/10 {
				t.Errorf("%d of %d batches take longer than %v", over, len(late), c.longest)
			}
		})
	}
}

func TestABackgroundJobEndsWithItsContextAndAtAFault(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := new(Pace).Run(ctx, func(size int) (int, error) {
		if calls++; calls == 3 {
			cancel()
		}
		return size, nil
	})
	if !errors.Is(err, context.Canceled) || calls != 3 {
		t.Errorf("after its context ended: %d batches, %v", calls, err)
	}
	fault := errors.New("no disk")
	calls = 0
	err = (&Pace{Rest: Hurry}).Run(t.Context(), func(int) (int, error) { calls++; return 0, fault })
	if !errors.Is(err, fault) || calls != 1 {
		t.Errorf("after a fault: %d batches, %v", calls, err)
	}
}

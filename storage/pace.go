package storage

import (
	"context"
	"time"
)

const (
	// batchTime is how long a batch should take: on SQLite every request that writes waits for it.
	batchTime = 2 * time.Millisecond
	// restShare is how many times as long as a batch took the pause after it is, so that at most one request in ten
	// or so meets a batch at all.
	restShare = 9
	// maxRest bounds the pause, so that a database that answers slowly for a while does not stop a job for good.
	maxRest = 10 * time.Second
)

// Pace spreads a background job out so that requests hardly feel it: batches that take about 2 ms, with pauses in
// which the database has nothing to do for the job. Both are measured, so that a busy database is left alone for longer.
type Pace struct {
	// Smallest and Largest bound a batch. 0: 25 and 1000.
	Smallest, Largest int
	// Elapsed measures; nil is the system's monotonic clock.
	Elapsed func() time.Duration
	// Rest waits after a batch; nil waits that long or until ctx ends.
	Rest func(ctx context.Context, d time.Duration) error

	size int
}

// Run calls batch with a size until it does less than that or fails. The size that was found right stays for the next Run.
func (p *Pace) Run(ctx context.Context, batch func(size int) (done int, err error)) error {
	smallest, largest := p.Smallest, p.Largest
	if smallest == 0 {
		smallest = 25
	}
	if largest == 0 {
		largest = maxBatch
	}
	elapsed, rest := p.Elapsed, p.Rest
	if elapsed == nil {
		start := time.Now()
		elapsed = func() time.Duration { return time.Since(start) }
	}
	switch {
	case rest != nil:
	case ctx.Value(withoutPauses{}) != nil:
		rest = Hurry
	default:
		rest = sleep
	}
	for {
		p.size = min(max(p.size, smallest), largest)
		before := elapsed()
		done, err := batch(p.size)
		took := elapsed() - before
		if err != nil || done < p.size {
			return err
		}
		switch {
		case took > batchTime:
			p.size /= 2
		case took < batchTime/2:
			p.size += p.size / 2
		}
		if err := rest(ctx, min(took*restShare, maxRest)); err != nil {
			return err
		}
	}
}

// PaceEach gives batch all of items, in order, as Run does.
func PaceEach[T any](ctx context.Context, p *Pace, items []T, batch func([]T) error) error {
	return p.Run(ctx, func(size int) (int, error) {
		n := min(size, len(items))
		if n == 0 {
			return 0, nil
		}
		err := batch(items[:n])
		items = items[n:]
		return n, err
	})
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

type withoutPauses struct{}

// WithoutPauses lets every Pace run without pauses, for what a node writes when it stops.
func WithoutPauses(ctx context.Context) context.Context {
	return context.WithValue(ctx, withoutPauses{}, true)
}

// Hurry is a Rest without a pause.
func Hurry(ctx context.Context, _ time.Duration) error { return ctx.Err() }

package storage

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// MaxSkew is how far a node's clock may be off the database's.
const MaxSkew = 2 * time.Second

// maxLead is how much further than twice its duration a lease may reach, for nodes
// whose clocks differ and releases that choose another duration.
const maxLead = 5 * time.Minute

// ErrClock: this node's clock is off the database's, by more than MaxSkew.
var ErrClock = errors.New("this node's clock is off the database's")

// skew is by how much this node's clock is off the database's, at least: the time
// that the answer takes counts as none. Zero on SQLite, where both are one.
func (s *Store) skew(ctx context.Context) (time.Duration, error) {
	if s.engine == SQLite {
		return 0, nil
	}
	before := s.clock()
	there, err := s.Ping(ctx)
	if s.databaseNow != nil {
		there = s.databaseNow()
	}
	return max(0, before.Sub(there), there.Sub(s.clock())), err
}

// AcquireJob is lease for a job that goes by the clock and cannot be undone: whom to delete, whom to tell. It returns
// ErrClock while this node's clock is wrong; then the job is another node's.
func (s *Store) AcquireJob(ctx context.Context, job, holder string, duration time.Duration) (mine bool, err error) {
	skew, err := s.skew(ctx)
	if err == nil && skew > MaxSkew {
		err = fmt.Errorf("%w by %v: synchronise both (NTP)", ErrClock, skew.Round(time.Second))
	}
	if err != nil {
		return false, err
	}
	_, mine, err = s.lease(ctx, job, holder, duration)
	return mine, err
}

// lease takes or renews the right to do a job that one node does for all, until
// duration from now, and reports whether holder has it. holder is unique to the process.
// A lease that ends later than any holder can have wanted is free: the node that took it
// had a wrong clock, and need not be there any more.
//
// A process that was paused may believe in a lease that another has by now. A
// job for which that matters writes only where the leases row still has its
// fence: the number grows with every change of hands, and is kept by renewing in time.
func (s *Store) lease(ctx context.Context, name, holder string, duration time.Duration) (fence int64, ok bool, err error) {
	now := s.clock()
	err = s.rowW(ctx, `INSERT INTO leases (name, holder, fence, expires_at) VALUES (?, ?, 1, ?)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at,
			fence = CASE WHEN leases.holder = excluded.holder AND leases.expires_at > ? THEN leases.fence ELSE leases.fence + 1 END
		WHERE leases.holder = excluded.holder OR leases.expires_at <= ? OR leases.expires_at > ?
		RETURNING fence`,
		name, holder, usec(now.Add(duration)), usec(now), usec(now), usec(now.Add(2*duration+maxLead))).Scan(&fence)
	if errors.Is(classify(err), ErrNotFound) {
		return 0, false, nil // another node has it
	}
	return fence, err == nil, fault("take a lease", err)
}

// Release gives a lease back, so that another node need not wait for its end. A
// lease that another node has is left alone.
func (s *Store) Release(ctx context.Context, name, holder string) error {
	_, err := s.exec(ctx, `UPDATE leases SET expires_at = 0 WHERE name = ? AND holder = ?`, name, holder)
	return fault("release a lease", err)
}

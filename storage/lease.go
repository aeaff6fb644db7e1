package storage

import (
	"context"
	"errors"
	"time"
)

// Lease takes or renews the right to do a job that one node does for all, until
// duration from now, and reports whether holder has it. holder is unique to the process.
//
// A process that was paused may believe in a lease that another has by now. A
// job for which that matters writes only where the leases row still has its
// fence: the number grows with every change of hands, and is kept by renewing in time.
func (s *Store) Lease(ctx context.Context, name, holder string, duration time.Duration) (fence int64, ok bool, err error) {
	now := s.clock()
	err = s.rowW(ctx, `INSERT INTO leases (name, holder, fence, expires_at) VALUES (?, ?, 1, ?)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at,
			fence = CASE WHEN leases.holder = excluded.holder AND leases.expires_at > ? THEN leases.fence ELSE leases.fence + 1 END
		WHERE leases.holder = excluded.holder OR leases.expires_at <= ?
		RETURNING fence`,
		name, holder, usec(now.Add(duration)), usec(now), usec(now)).Scan(&fence)
	if errors.Is(classify(err), ErrNotFound) {
		return 0, false, nil // somebody else has it
	}
	return fence, err == nil, fault("take a lease", err)
}

// Release gives a lease back, so that another node need not wait for its end. A
// lease that somebody else has is left alone.
func (s *Store) Release(ctx context.Context, name, holder string) error {
	_, err := s.exec(ctx, `UPDATE leases SET expires_at = 0 WHERE name = ? AND holder = ?`, name, holder)
	return fault("release a lease", err)
}

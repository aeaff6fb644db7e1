package harness

import (
	"sync"
	"sync/atomic"
	"time"
)

// Clock is the system's clock, moved by what a test adds. It may be used by
// several goroutines.
type Clock struct{ offset atomic.Int64 }

// Now is the node's time.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// Advance moves the clock; a negative d moves it back.
func (c *Clock) Advance(d time.Duration) { c.offset.Add(int64(d)) }

// StoppedClock stands still until Advance moves it, for tests that compare times exactly. It may be used by several
// goroutines. NewStoppedClock makes one.
type StoppedClock struct {
	mu  sync.Mutex
	now time.Time
}

// NewStoppedClock returns a clock that shows the present time, in UTC and whole microseconds as databases keep it.
func NewStoppedClock() *StoppedClock {
	return &StoppedClock{now: time.Now().UTC().Truncate(time.Microsecond)}
}

// Now is the time that the clock shows.
func (c *StoppedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock; a negative d moves it back.
func (c *StoppedClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

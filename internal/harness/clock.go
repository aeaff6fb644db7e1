package harness

import (
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

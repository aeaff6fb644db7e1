package secret

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// pace is the garbage collector's while passwords are hashed. golang.org/x/crypto/argon2 allocates the memory of each
// hash anew, which at the usual pace starts a collection with every second hash. That runs beside the next one, and on
// two cores the two leave nothing to requests. So the collector is told to wait, and whoever holds a slot collects
// before giving it back: never more work at once than the slots are meant to be, and no more memory than at the usual
// pace (docs/operations.md has the figures).
//
// The pace is the process's, so there is one for all Passwords. An operator who sets GOGC sets the pace, and nothing of
// this happens.
var pace = &collector{fixed: os.Getenv("GOGC") != ""}

const (
	// of GOGC, while passwords are hashed: far enough to leave collecting to the slots
	hashingPercent = 1000
	// hashes between two collections, or as many as there are slots if that is more
	hashesPerCollection = 3
	// without a hash for so long, the usual pace comes back and the memory goes to the system
	hashingEnds = time.Second
)

type collector struct {
	fixed bool

	mu     sync.Mutex
	usual  int         // the pace to go back to
	ending *time.Timer // nil: it is the usual one
	hashes int         // since the last collection
}

// begin is called with a slot taken, before hashing.
func (c *collector) begin() {
	if c.fixed {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending == nil {
		c.usual = debug.SetGCPercent(hashingPercent)
		c.ending = time.AfterFunc(hashingEnds, c.rest)
	}
	c.ending.Reset(hashingEnds)
}

// end is called after hashing, while the slot is still held, with what was left behind in hashes of the default size.
func (c *collector) end(hashes, slots int) {
	if c.fixed {
		return
	}
	c.mu.Lock()
	c.hashes += hashes
	due := c.hashes >= max(hashesPerCollection, slots)
	if due {
		c.hashes = 0
	}
	c.mu.Unlock()
	if due {
		runtime.GC()
	}
}

// rest brings back the usual pace.
func (c *collector) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	debug.SetGCPercent(c.usual)
	c.ending, c.hashes = nil, 0
	debug.FreeOSMemory()
}

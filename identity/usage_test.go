package identity

import (
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// The panic of one round is recovered; a lock that it left behind would stop every request and the shutdown.
func TestARoundThatPanicsLeavesNoLock(t *testing.T) {
	c := &Clients{access: &access{now: func() time.Time { panic("the clock is broken") }}}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic met the round")
			}
		}()
		_ = c.writeUses(t.Context(), &storage.Pace{})
	}()
	if !c.uses.mu.TryLock() {
		t.Error("the round left its lock")
	}
}

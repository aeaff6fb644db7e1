package limit

import (
	"time"

	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// trustFront is for how long what this process knows refuses somebody without a
// look at the shared counter, which another node or an operator may have reset.
const trustFront = 5 * time.Second

// known is a shared counter as this process saw it last.
type known struct {
	n       int64
	expires time.Time
	seenAt  time.Time
	seq     uint64
}

// running is the count at now, zero outside the window.
func (k known) running(now time.Time) int64 {
	if now.Before(k.expires) {
		return k.n
	}
	return 0
}

// learn takes over what the shared counters said. Those of asked that are not in
// seen do not run. What was learnt after since is newer and stays. g.mu is held.
func (g *Guard) learn(since uint64, asked []secret.Hash, seen []storage.Counter, now time.Time) {
	g.seq++
	values := map[secret.Hash]storage.Counter{}
	for _, c := range seen {
		values[c.Hash] = c
	}
	for _, h := range asked {
		old, ok := g.front.Peek(h)
		if ok && old.seq > since {
			continue
		}
		c, runs := values[h]
		if !runs {
			if ok {
				g.front.Remove(h)
			}
			continue
		}
		g.front.Add(h, known{n: c.N, expires: c.ExpiresAt, seenAt: now, seq: g.seq})
	}
}

// left is how many more failures the window of h bears, and until when it runs.
// g.mu is held.
func (g *Guard) left(w window, h secret.Hash, now time.Time) (int64, known) {
	k, _ := g.front.Get(h)
	return w.limit - k.running(now), k
}

// raise takes over what counting returned. Answers may come out of order, and a
// lower one must not open what a higher one closed. g.mu is held.
func (g *Guard) raise(seen []storage.Counter, now time.Time) {
	g.seq++
	for _, c := range seen {
		if old, ok := g.front.Peek(c.Hash); ok && old.running(now) > c.N {
			continue
		}
		g.front.Add(c.Hash, known{n: c.N, expires: c.ExpiresAt, seenAt: now, seq: g.seq})
	}
}

package limit

import (
	"context"
	"net/netip"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

const (
	// A process adds its failures of a client to the shared counter when there are
	// this many, or the last time is this long ago: wrong secrets do not cost a
	// statement each.
	clientBatch    = 30
	clientInterval = time.Second
)

// pending are failures of one client that are not in the shared counter yet.
type pending struct {
	n      int64
	adding int64     // of those that are just being added
	since  time.Time // the last time some were
}

// ClientFailure counts a wrong secret of a client that exists. *Blocked from the
// 601st in a minute on; the audit log is told of those, one event a client and
// minute. A right secret is not for this package: it always passes.
func (g *Guard) ClientFailure(ctx context.Context, clientID string) error {
	h := g.name(clientMinute, clientID)
	now := g.now()
	g.mu.Lock()
	if err := g.clientBlocked(clientID); err != nil {
		g.mu.Unlock()
		g.tally.throttled(failing{event: "client.authentication_failed", client: clientID}, netip.Addr{}, now)
		return err
	}
	p, _ := g.clients.Get(h)
	p.n++
	due := p.n >= clientBatch || now.Sub(p.since) >= clientInterval
	add := p.n
	if due {
		p = pending{adding: p.adding + add, since: now}
	}
	g.clients.Add(h, p)
	g.mu.Unlock()
	if !due {
		return nil
	}
	seen, err := g.shared.count(context.WithoutCancel(ctx), []storage.Counter{{Hash: h, N: add, ExpiresAt: now.Add(clientMinute.length)}})
	g.mu.Lock()
	defer g.mu.Unlock()
	p, _ = g.clients.Get(h)
	p.adding = max(0, p.adding-add)
	g.clients.Add(h, p)
	if err != nil {
		return err
	}
	g.raise(seen, now)
	return nil
}

// ClientBlocked returns the *Blocked that the client's next failure would get, as
// far as this process knows. It asks nobody, so it can stand before work that a
// wrong secret must not cost for ever.
func (g *Guard) ClientBlocked(clientID string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.clientBlocked(clientID)
}

func (g *Guard) clientBlocked(clientID string) error {
	h := g.name(clientMinute, clientID)
	now := g.now()
	left, k := g.left(clientMinute, h, now)
	p, _ := g.clients.Get(h)
	if left-p.n-p.adding > 0 {
		return nil
	}
	return &Blocked{RetryAfter: max(time.Second, k.expires.Sub(now))}
}

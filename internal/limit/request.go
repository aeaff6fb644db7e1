package limit

import (
	"context"
	"net/netip"
	"time"

	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// Take counts a request that comes from an address. *Blocked if there were too many.
func (g *Guard) Take(ctx context.Context, what Request, address netip.Addr) error {
	w := what.window()
	over, left, err := g.take(ctx, w, g.name(w, prefix(address)))
	if err == nil && over {
		err = &Blocked{RetryAfter: max(time.Second, left)}
	}
	return err
}

// TakeMailbox counts a mail of a kind to the mailbox with that folded address,
// whether anybody has it or not. False if there were five in the hour: then none is
// sent, and nobody is told, for whoever asks is not whose mailbox it is.
func (g *Guard) TakeMailbox(ctx context.Context, kind, emailKey string) (ok bool, err error) {
	over, _, err := g.take(ctx, mailboxHour, g.name(mailboxHour, kind, emailKey))
	return err == nil && !over, err
}

// take counts one, unless this process knows that the window bears no more, and
// reports whether it is too many and how long the window lasts.
func (g *Guard) take(ctx context.Context, w window, h secret.Hash) (over bool, left time.Duration, err error) {
	now := g.now()
	g.mu.Lock()
	n, k := g.left(w, h, now)
	g.mu.Unlock()
	if n <= 0 && !k.seenAt.Before(now.Add(-trustFront)) {
		return true, k.expires.Sub(now), nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTimeout)
	defer cancel()
	seen, err := g.shared.count(ctx, []storage.Counter{{Hash: h, N: 1, ExpiresAt: now.Add(w.length)}})
	if err != nil {
		return false, 0, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.raise(seen, now)
	return seen[0].N > w.limit, seen[0].ExpiresAt.Sub(now), nil
}

// Unlock forgets the failures of the account with that folded address, those with
// codes too. What its known browsers and its half sessions have left stays.
func (g *Guard) Unlock(ctx context.Context, account string) error {
	var own []secret.Hash
	for _, k := range []*kind{&passwords, &factors} {
		for _, b := range k.budgets {
			if b.of == ofAccount {
				own = append(own, g.name(b.window, account))
			}
		}
	}
	if err := g.shared.reset(ctx, own); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range own {
		g.front.Remove(h)
	}
	return nil
}

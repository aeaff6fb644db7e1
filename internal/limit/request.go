package limit

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/tally"
	"github.com/sallyport-id/sallyport/storage"
)

// Take counts a request that is about the account with that folded address. A device
// that is known to it is counted by itself, any other for the address it comes from.
// *Blocked if there were too many.
func (g *Guard) Take(ctx context.Context, what Request, account string, from Source) error {
	w := what.window()
	if g.Devices.KnownSince(from.Device, account, device.ByPassword).IsZero() {
		return g.take(ctx, w, prefix(from.Address))
	}
	return g.take(ctx, w, account, from.Device.Token)
}

// TakeKey counts an answer of a passkey or security key within a half session, whose
// token has that hash. There is nothing to guess in it, but each costs work.
func (g *Guard) TakeKey(ctx context.Context, challenge secret.Hash) error {
	return g.take(ctx, keysMinute, challenge.String())
}

// TakeMailbox counts a mail of a kind to the mailbox with that folded address,
// whether anybody has it or not. It returns how long the next must wait, 0 if this one
// may be sent: after five in the hour none is, and strangers are not told, because the
// mailbox may be another person's.
func (g *Guard) TakeMailbox(ctx context.Context, kind, emailKey string) (wait time.Duration, err error) {
	err = g.take(ctx, mailboxHour, kind, emailKey)
	if b, blocked := errors.AsType[*Blocked](err); blocked {
		return b.RetryAfter, nil
	}
	return 0, err
}

// ClientFailure counts a wrong secret of a client that exists. *Blocked from the
// 601st in a minute on; the audit log is told of those, one event a client and
// minute. A right secret is not for this package: it always passes.
func (g *Guard) ClientFailure(ctx context.Context, clientID string) error {
	err := g.take(ctx, clientMinute, clientID)
	if _, blocked := errors.AsType[*Blocked](err); blocked {
		g.tally.Throttled(tally.Subject{Event: storage.EventClientAuthenticationFailed, Client: clientID}, netip.Addr{})
	}
	return err
}

// ClientBlocked returns the *Blocked that the client's next failure would get, as
// far as this process knows. It asks nobody, so it can stand before work that a
// wrong secret must not cost for ever.
func (g *Guard) ClientBlocked(clientID string) error {
	return refuse(g.usedUp(g.name(clientMinute, clientID)))
}

// take counts one of what, unless this process knows that the window bears no more.
func (g *Guard) take(ctx context.Context, w window, what ...string) error {
	h := g.name(w, what...)
	if err := refuse(g.usedUp(h)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTimeout)
	defer cancel()
	seen, _, err := g.shared.Count(ctx, []storage.Counter{{Hash: h, N: 1, ExpiresAt: g.now().Add(w.length)}})
	if err != nil {
		return err
	}
	g.merge(w, seen[0])
	if seen[0].N > w.limit {
		return refuse(max(time.Second, seen[0].ExpiresAt.Sub(g.now())))
	}
	return nil
}

// refuse returns *Blocked where a window bears no more for some time.
func refuse(left time.Duration) error {
	if left <= 0 {
		return nil
	}
	return &Blocked{RetryAfter: max(time.Second, left)}
}

// Unlock forgets the failures of the account with that folded address, those with
// codes too. What its known devices and its half sessions have left stays.
func (g *Guard) Unlock(ctx context.Context, account string) error {
	var own []secret.Hash
	for _, b := range slices.Concat(passwords.budgets, codes.budgets) {
		if b.of == ofAccount {
			own = append(own, g.name(b.window, account))
			g.cache.Remove(own[len(own)-1])
		}
	}
	return g.shared.Forget(ctx, own)
}

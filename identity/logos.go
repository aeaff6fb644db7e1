package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/sallyport-id/sallyport/internal/fetch"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	logoFetchLimit = 10 * time.Second
	maxLogoBody    = 2 << 20
	// logoLease is how long a logo is reserved for one worker. If the worker dies, another one gets it after that.
	logoLease = time.Minute
)

// logoRetries are the pauses between tries to fetch a logo. After the last one it is tried again only if the registration
// changes.
var logoRetries = []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour,
	12 * time.Hour}

// LogosConfig has what Logos needs.
type LogosConfig struct {
	Store *storage.Store
	Allow []netip.Prefix // networks that may be fetched from besides public addresses
	Now   func() time.Time
	Log   *slog.Logger
}

// Logos fetches the registered logos of clients, so that no page loads one from another server. That server would
// learn of every sign-in, and could show another picture than the registered one on the consent page.
type Logos struct {
	store *storage.Store
	http  *http.Client
	now   func() time.Time
	log   *slog.Logger
}

// NewLogos returns Logos for c.
func NewLogos(c LogosConfig) *Logos {
	return &Logos{store: c.Store, http: fetch.NewClient(c.Allow, logoFetchLimit), now: c.Now, log: c.Log}
}

// FetchDue fetches all due logos, one after the other. Every node calls it every few seconds.
func (l *Logos) FetchDue(ctx context.Context) error {
	for {
		due, err := l.store.Logos.Lease(ctx, l.now().Add(logoLease).Truncate(time.Microsecond))
		if err != nil {
			return ignoreNotFound(err)
		}
		if err := l.fetch(ctx, due); err != nil {
			return err
		}
	}
}

// fetch makes one try and stores the result. A fault of the picture itself is not tried again.
func (l *Logos) fetch(ctx context.Context, due *storage.ClientLogo) error {
	body, err := fetch.Get(ctx, l.http, due.URI, "image/png, image/webp, image/jpeg", maxLogoBody)
	if ctx.Err() != nil {
		return ctx.Err() // the server stops; the lease ends by itself
	}
	final := errors.Is(err, fetch.ErrTooLarge)
	if err == nil {
		body, err = normalizeLogo(body)
		final = true
	}
	if err == nil {
		sum := sha256.Sum256(body)
		return l.store.Logos.Save(ctx, due, hex.EncodeToString(sum[:16]), body)
	}
	var again time.Time
	next := "not before its registration changes"
	if retry := due.Tries - 1; !final && retry < len(logoRetries) {
		again = l.now().Add(logoRetries[retry])
		next = again.UTC().Format(time.RFC3339)
	}
	l.log.WarnContext(ctx, "the logo of a client cannot be shown", "client_id", due.ClientID, "cause", err.Error(),
		"try", due.Tries, "next_try", next)
	return l.store.Logos.Fail(ctx, due, err.Error(), again)
}

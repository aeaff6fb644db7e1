package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/tally"
)

// greet tells the person at the terminal where the server is, and while nobody
// administers it where to begin. The token is for that person alone: it is written
// to out and never to the log.
func (a *App) greet(ctx context.Context, out io.Writer) {
	a.tell(out, "Sallyport is at %s", a.Config.Issuer)
	switch a.Config.Env {
	case Production:
		a.tell(out, "Production mode.")
	case Testing:
		a.tell(out, "Testing mode: keys and data are in %s.", a.Config.DataDir)
	default:
		a.tell(out, "Development mode: keys and data are in %s.", a.Config.DataDir)
	}
	token, _, err := a.Identity.NewSetupToken(ctx, identity.Operator())
	switch {
	case err == nil:
		fmt.Fprintf(out, "\nNobody administers it yet. Open this address within an hour to set it up:\n  %s\nLater: sallyport admin bootstrap prints a new one.\n\n", a.Identity.SetupLink(token))
	case !errors.Is(err, identity.ErrSetUp):
		a.Log.Error("no setup token was made; sallyport admin bootstrap makes one", "error", err)
	}
}

// inside answers a request that this server asks itself.
func (s *Server) inside(w http.ResponseWriter, r *http.Request) { s.router.ServeHTTP(w, r) }

// endClientTests ends the tests of clients that nobody came back from, every minute.
func (s *Server) endClientTests(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := s.app.Identity.EndOverdueClientTests(ctx); err != nil && ctx.Err() == nil {
			s.app.Log.Error("tests of clients cannot be ended", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Unlock lets the person with that address try passwords and codes again at once,
// on every node. The record comes first: nobody is let in without one.
func (a *App) Unlock(ctx context.Context, email string) error {
	u, err := a.Identity.UserByEmail(ctx, identity.Operator(), email)
	if err != nil {
		return err
	}
	redis, err := session.OpenRedis(a.Config.RedisURL)
	if err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	c := limit.Config{Store: a.Store, Keys: a.keyring, Devices: device.New(a.keyring, a.Config.secure(), a.now), Tally: tally.New(a.Store, a.Log, a.now),
		Redis: redis, Logger: a.Log, Now: a.now}
	guard, err := limit.New(c)
	if err == nil {
		err = a.Identity.NoteUnlock(ctx, identity.Operator(), u.ID)
	}
	if err == nil {
		err = guard.Unlock(ctx, u.EmailKey)
	}
	if redis != nil {
		err = errors.Join(err, redis.Close())
	}
	return err
}

package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/sallyport-id/sallyport/identity"
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
	token, _, err := a.Identity.Installation.NewSetupToken(ctx, identity.Operator())
	switch {
	case err == nil:
		fmt.Fprintf(out, "\nNobody administers it yet. Open this address within an hour to set it up:\n  %s\nLater: sallyport admin bootstrap prints a new one.\n\n", a.Identity.Installation.SetupLink(token))
	case !errors.Is(err, identity.ErrAlreadySetUp):
		a.Log.Error("no setup token was made; sallyport admin bootstrap makes one", "error", err)
	}
}

// internalHandler answers a request that this server makes to itself.
func (s *Server) internalHandler(w http.ResponseWriter, r *http.Request) { s.router.ServeHTTP(w, r) }

// Unlock lets the person with that address try passwords and codes again at once,
// on every node. The record comes first: nobody is let in without one.
func (a *App) Unlock(ctx context.Context, email string) error {
	u, err := a.Identity.People.ByEmail(ctx, identity.Operator(), email)
	if err != nil {
		return err
	}
	if err := a.Identity.People.NoteUnlock(ctx, identity.Operator(), u.ID); err != nil {
		return err
	}
	return a.Limits.Unlock(ctx, u.EmailKey)
}

package app

import (
	"context"
	"errors"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/internal/upstream"
	"github.com/sallyport-id/sallyport/storage"
)

// CallbackURL is the redirect URI of a connection, to be registered at the provider.
func (a *App) CallbackURL(c *storage.Connection) string { return login.CallbackURL(a.Config.Issuer, c) }

// TestConnection asks a connection's provider for what a sign-in needs. An empty code says that nothing is wrong.
func (a *App) TestConnection(ctx context.Context, c *storage.Connection) (code, problem, remedy string) {
	err := a.Upstream.Test(ctx, c, a.CallbackURL(c))
	if f, ok := errors.AsType[*upstream.Fault](err); ok {
		return f.Code, f.Problem, f.Remedy
	} else if err != nil {
		return "error", err.Error(), ""
	}
	return "", "", ""
}

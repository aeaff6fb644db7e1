package identity

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// App is a client application that a user has given access: its consents and grants in all organizations together.
type App struct {
	Client *storage.Client // without its secrets
	// Organizations are those that it has access for; none if it only knows the user.
	Organizations []storage.Organization
	Scopes        []string
	GrantedAt     time.Time   // the latest consent or grant
	LastUsedAt    time.Time   // of its tokens; zero if never
	GrantIDs      []uuid.UUID // active grants; none if there is only a consent
}

// Apps lists the apps that the acting user has given access, by name.
func (ac *Accounts) Apps(ctx context.Context, a Actor) ([]App, error) {
	u, err := ac.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	connections, err := ac.store.ConnectedApps(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	var all []App
	for n := range connections {
		c := &connections[n]
		if len(all) == 0 || all[len(all)-1].Client.ID != c.Client.ID {
			all = append(all, App{Client: &c.Client})
		}
		all[len(all)-1].add(c)
	}
	return all, nil
}

// add merges a consent or a grant into the app.
func (app *App) add(c *storage.ConnectedApp) {
	for _, s := range c.Scopes {
		if !slices.Contains(app.Scopes, s) {
			app.Scopes = append(app.Scopes, s)
		}
	}
	if o := c.Organization; o != nil && !slices.ContainsFunc(app.Organizations,
		func(k storage.Organization) bool { return k.ID == o.ID }) {
		app.Organizations = append(app.Organizations, *o)
	}
	if c.CreatedAt.After(app.GrantedAt) {
		app.GrantedAt = c.CreatedAt
	}
	if c.LastUsedAt.After(app.LastUsedAt) {
		app.LastUsedAt = c.LastUsedAt
	}
	if c.GrantID != uuid.Nil {
		app.GrantIDs = append(app.GrantIDs, c.GrantID)
	}
}

// Disconnect withdraws all consents of the acting user to a client and revokes all its grants, offline ones too.
// storage.ErrNotFound if there are none.
func (ac *Accounts) Disconnect(ctx context.Context, a Actor, clientID string) error {
	u, err := ac.actingUser(ctx, a)
	if err != nil {
		return err
	}
	e := userEvent(a, storage.EventAppDisconnected, u.ID)
	e.Client = clientID
	return ac.store.Disconnect(ctx, u.ID, clientID, e)
}

// Grants lists up to limit active grants of the acting user, the newest first, that are older than the grant with the
// id before. uuid.Max starts with the newest.
func (ac *Accounts) Grants(ctx context.Context, a Actor, before uuid.UUID, limit int) ([]storage.Grant, error) {
	u, err := ac.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	return ac.store.UserGrants(ctx, u.ID, before, limit)
}

// WithdrawGrant withdraws the consent that belongs to one of the acting user's grants and revokes all grants of that
// client in that organization, so that the client has to ask again. storage.ErrNotFound if there is no such active
// grant.
func (ac *Accounts) WithdrawGrant(ctx context.Context, a Actor, grantID uuid.UUID) error {
	u, err := ac.actingUser(ctx, a)
	if err != nil {
		return err
	}
	g, err := ac.store.UserGrant(ctx, u.ID, grantID)
	if err != nil {
		return err
	}
	e := WithFact(userEvent(a, storage.EventConsentWithdrawn, u.ID), "grant", grantID)
	e.Client, e.Organization = g.ClientID, g.OrganizationID
	return ac.store.WithdrawConsent(ctx, u.ID, g.ClientID, g.OrganizationID, e)
}

// RevokeGrant revokes one of the acting user's grants and keeps the consent. storage.ErrNotFound if there is no such
// active grant.
func (ac *Accounts) RevokeGrant(ctx context.Context, a Actor, grantID uuid.UUID) error {
	u, err := ac.actingUser(ctx, a)
	if err != nil {
		return err
	}
	return ac.store.RevokeGrantOf(ctx, u.ID, grantID, WithFact(userEvent(a, storage.EventGrantRevoked, u.ID), "grant",
		grantID))
}

package identity

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// App is a client application that a person has let in: what they allowed it and
// what it holds, whatever the organization.
type App struct {
	Client *storage.Client // without its secrets
	// Organizations are those that it acts for; none for an app that only knows the person.
	Organizations []storage.Organization
	Scopes        []string
	GrantedAt     time.Time   // when it was last let in
	LastUsedAt    time.Time   // of its tokens; zero if never
	GrantIDs      []uuid.UUID // the grants that live; none if only the consent is remembered
}

// Apps are the apps that the acting person has let in, by name.
func (i *Accounts) Apps(ctx context.Context, a Actor) ([]App, error) {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	connections, err := i.store.ConnectedApps(ctx, u.ID)
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

// add takes in what a consent or a grant says.
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

// Disconnect withdraws every consent of the acting person to a client and revokes
// all its grants of theirs, offline ones too. storage.ErrNotFound if it has neither.
func (i *Accounts) Disconnect(ctx context.Context, a Actor, clientID string) error {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return err
	}
	e := about(a, storage.EventAppDisconnected, u.ID)
	e.Client = clientID
	return i.store.Disconnect(ctx, u.ID, clientID, e)
}

// Grants are up to limit of the acting person's live grants, the newest first, that
// are older than the one with that id; uuid.Max begins.
func (i *Accounts) Grants(ctx context.Context, a Actor, before uuid.UUID, limit int) ([]storage.Grant, error) {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	return i.store.UserGrants(ctx, u.ID, before, limit)
}

// WithdrawGrant takes back what the acting person allowed by one of their grants: the
// consent to its client for its organization, and every grant of it, so that the
// client has to ask again. storage.ErrNotFound if they have none such that lives.
func (i *Accounts) WithdrawGrant(ctx context.Context, a Actor, grantID uuid.UUID) error {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return err
	}
	g, err := i.store.UserGrant(ctx, u.ID, grantID)
	if err != nil {
		return err
	}
	e := WithFact(about(a, storage.EventConsentWithdrawn, u.ID), "grant", grantID)
	e.Client, e.Organization = g.ClientID, g.OrganizationID
	return i.store.WithdrawConsent(ctx, u.ID, g.ClientID, g.OrganizationID, e)
}

// RevokeGrant revokes one of the acting person's grants, and leaves what is remembered
// of their consent. storage.ErrNotFound if they have none such that lives.
func (i *Accounts) RevokeGrant(ctx context.Context, a Actor, grantID uuid.UUID) error {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return err
	}
	return i.store.RevokeGrantOf(ctx, u.ID, grantID, WithFact(about(a, storage.EventGrantRevoked, u.ID), "grant",
		grantID))
}

package identity

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// maxExportedEvents bounds what one download reads.
const maxExportedEvents = 10_000

// AccountExport is everything that is held about one person, ready to be written as
// JSON. It has no secret in it, nor anything to sign in with.
type AccountExport struct {
	ExportedAt time.Time `json:"exported_at"`

	Sub               uuid.UUID       `json:"sub"`
	Email             string          `json:"email"`
	EmailVerifiedAt   time.Time       `json:"email_verified_at,omitzero"`
	Profile           storage.Profile `json:"profile"`
	PlatformRoles     []string        `json:"platform_roles,omitempty"`
	CreatedAt         time.Time       `json:"created_at"`
	UpdatedAt         time.Time       `json:"updated_at"`
	FirstSignInAt     time.Time       `json:"first_sign_in_at,omitzero"`
	RecoveryCodesLeft int             `json:"recovery_codes_left"`

	Organizations []ExportedMembership `json:"organizations"`
	Sessions      []ExportedSession    `json:"sessions"`
	Factors       []ExportedFactor     `json:"second_factors"`
	Identities    []ExportedIdentity   `json:"linked_accounts"`
	Apps          []ExportedApp        `json:"connected_apps"`
	Tokens        []ExportedToken      `json:"personal_access_tokens"`
	Events        []ExportedEvent      `json:"events"`
	// EventsLeftOut: there are older events than the 10,000 of this document.
	EventsLeftOut bool `json:"events_left_out"`
}

// ExportedMembership is a place in an organization.
type ExportedMembership struct {
	ID    uuid.UUID `json:"id"`
	Slug  string    `json:"slug"`
	Name  string    `json:"name"`
	Role  string    `json:"role"`
	Since time.Time `json:"since"`
}

// ExportedSession is a session that lives.
type ExportedSession struct {
	ID         uuid.UUID `json:"id"`
	API        bool      `json:"api"`
	Browser    string    `json:"browser"`
	Networks   []string  `json:"networks"`
	SignedInAt time.Time `json:"signed_in_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
}

// ExportedFactor is a second factor, without what it proves itself by.
type ExportedFactor struct {
	Kind       string    `json:"kind"`
	Name       string    `json:"name"`
	Passkey    bool      `json:"passkey"`
	AddedAt    time.Time `json:"added_at"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
}

// ExportedIdentity is an identity of another provider that signs the user in.
type ExportedIdentity struct {
	ConnectionID uuid.UUID `json:"connection_id"`
	Subject      string    `json:"subject"`
	Email        string    `json:"email,omitempty"`
	LinkedAt     time.Time `json:"linked_at"`
	LastUsedAt   time.Time `json:"last_used_at,omitzero"`
}

// ExportedApp is a consent or a grant.
type ExportedApp struct {
	Kind         string    `json:"kind"` // consent, grant
	ClientID     string    `json:"client_id"`
	Name         string    `json:"name"`
	Organization string    `json:"organization,omitempty"` // slug
	Scopes       []string  `json:"scopes"`
	GrantedAt    time.Time `json:"granted_at"`
	LastUsedAt   time.Time `json:"last_used_at,omitzero"`
	ExpiresAt    time.Time `json:"expires_at"`
}

// ExportedToken is a personal access token, without the token.
type ExportedToken struct {
	Name         string    `json:"name"`
	Organization string    `json:"organization"` // slug
	Scopes       []string  `json:"scopes"`
	CreatedAt    time.Time `json:"created_at"`
	LastUsedAt   time.Time `json:"last_used_at,omitzero"`
	ExpiresAt    time.Time `json:"expires_at"`
}

// ExportedEvent is a line of the audit log about the person.
type ExportedEvent struct {
	At           time.Time `json:"at"`
	Type         string    `json:"type"`
	Organization uuid.UUID `json:"organization_id,omitzero"`
	ClientID     string    `json:"client_id,omitempty"`
	// Personal is what the line says about the person: addresses, devices. What others
	// did to them says it about others too, and is left out.
	Personal map[string]string `json:"personal,omitempty"`
}

// Export collects what is held about the acting person.
func (i *Accounts) Export(ctx context.Context, a Actor) (*AccountExport, error) {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	x := &AccountExport{ExportedAt: i.clock(), Sub: u.Sub, Email: u.Email, EmailVerifiedAt: u.EmailVerifiedAt,
		Profile: u.Profile, PlatformRoles: u.PlatformRoles,
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, FirstSignInAt: u.FirstSignInAt}
	if x.RecoveryCodesLeft, err = i.store.RecoveryCodesLeft(ctx, u.ID); err != nil {
		return nil, err
	}
	for _, collect := range []func(context.Context, uuid.UUID, *AccountExport) error{
		i.exportOrganizations, i.exportSessions, i.exportFactors, i.exportIdentities, i.exportApps, i.exportTokens, i.exportEvents,
	} {
		if err := collect(ctx, u.ID, x); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func (i *Accounts) exportOrganizations(ctx context.Context, userID uuid.UUID, x *AccountExport) error {
	all, err := i.store.Memberships(ctx, userID, "", 0)
	x.Organizations = make([]ExportedMembership, len(all))
	for n, m := range all {
		x.Organizations[n] = ExportedMembership{ID: m.Organization.ID, Slug: m.Organization.Slug,
			Name: m.Organization.Name, Role: m.Role, Since: m.CreatedAt}
	}
	return err
}

func (i *Accounts) exportSessions(ctx context.Context, userID uuid.UUID, x *AccountExport) error {
	all, err := i.store.Sessions(ctx, userID)
	x.Sessions = make([]ExportedSession, len(all))
	for n, s := range all {
		x.Sessions[n] = ExportedSession{ID: s.ID, API: s.API, Browser: s.Browser, SignedInAt: s.AuthTime,
			LastSeenAt: s.LastSeenAt, ExpiresAt: s.ExpiresAt}
		for _, network := range []string{s.Network4, s.Network6} {
			if network != "" {
				x.Sessions[n].Networks = append(x.Sessions[n].Networks, network)
			}
		}
	}
	return err
}

func (i *Accounts) exportIdentities(ctx context.Context, userID uuid.UUID, x *AccountExport) error {
	all, err := i.store.ExternalIdentities(ctx, userID)
	x.Identities = make([]ExportedIdentity, len(all))
	for n, e := range all {
		x.Identities[n] = ExportedIdentity{ConnectionID: e.ConnectionID, Subject: e.Subject, Email: e.Email,
			LinkedAt: e.CreatedAt, LastUsedAt: e.LastUsedAt}
	}
	return err
}

func (i *Accounts) exportFactors(ctx context.Context, userID uuid.UUID, x *AccountExport) error {
	all, err := i.store.Factors(ctx, userID)
	x.Factors = []ExportedFactor{}
	for _, f := range all {
		if !f.ConfirmedAt.IsZero() {
			x.Factors = append(x.Factors, ExportedFactor{Kind: f.Kind, Name: f.Name, Passkey: f.Passkey,
				AddedAt: f.ConfirmedAt, LastUsedAt: f.LastUsedAt})
		}
	}
	return err
}

func (i *Accounts) exportApps(ctx context.Context, userID uuid.UUID, x *AccountExport) error {
	all, err := i.store.ConnectedApps(ctx, userID)
	x.Apps = make([]ExportedApp, len(all))
	for n, c := range all {
		app := ExportedApp{Kind: "consent", ClientID: c.Client.ID, Name: c.Client.Name(), Scopes: c.Scopes,
			GrantedAt: c.CreatedAt, LastUsedAt: c.LastUsedAt, ExpiresAt: c.ExpiresAt}
		if c.GrantID != uuid.Nil {
			app.Kind = "grant"
		}
		if c.Organization != nil {
			app.Organization = c.Organization.Slug
		}
		x.Apps[n] = app
	}
	return err
}

func (i *Accounts) exportTokens(ctx context.Context, userID uuid.UUID, x *AccountExport) error {
	all, err := i.store.PersonalTokens(ctx, userID)
	x.Tokens = make([]ExportedToken, len(all))
	for n, t := range all {
		x.Tokens[n] = ExportedToken{Name: t.Name, Organization: t.Organization.Slug, Scopes: t.Scopes,
			CreatedAt: t.CreatedAt, LastUsedAt: t.LastUsedAt, ExpiresAt: t.ExpiresAt}
	}
	return err
}

func (i *Accounts) exportEvents(ctx context.Context, userID uuid.UUID, x *AccountExport) error {
	all, err := i.store.EventsAbout(ctx, userID, maxExportedEvents+1)
	if x.EventsLeftOut = len(all) > maxExportedEvents; x.EventsLeftOut {
		all = all[:maxExportedEvents]
	}
	x.Events = make([]ExportedEvent, len(all))
	for n, e := range all {
		x.Events[n] = ExportedEvent{At: e.At, Type: string(e.Type), Organization: e.Organization, ClientID: e.Client,
			Personal: e.Personal}
		if e.Actor != uuid.Nil && e.Actor != userID {
			x.Events[n].Personal = nil
		}
	}
	return err
}

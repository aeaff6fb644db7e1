package identity

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// maxExportedEvents bounds what one download reads.
const maxExportedEvents = 10_000

// AccountExport is everything that is stored about a user, to be written as JSON. It contains no secret and no
// credential.
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
	// EventsLeftOut says that there are older events than the 10,000 in this document.
	EventsLeftOut bool `json:"events_left_out"`
}

// ExportedMembership is a membership in an organization.
type ExportedMembership struct {
	ID    uuid.UUID `json:"id"`
	Slug  string    `json:"slug"`
	Name  string    `json:"name"`
	Role  string    `json:"role"`
	Since time.Time `json:"since"`
}

// ExportedSession is a session that has not ended.
type ExportedSession struct {
	ID         uuid.UUID `json:"id"`
	API        bool      `json:"api"`
	Browser    string    `json:"browser"`
	Networks   []string  `json:"networks"`
	SignedInAt time.Time `json:"signed_in_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
}

// ExportedFactor is a second factor without its secret.
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

// ExportedEvent is an entry of the audit log about the user.
type ExportedEvent struct {
	At           time.Time `json:"at"`
	Type         string    `json:"type"`
	Organization uuid.UUID `json:"organization_id,omitzero"`
	ClientID     string    `json:"client_id,omitempty"`
	// Personal is the entry's personal data: addresses, devices. It is left out where another person acted, because it
	// is about that person too.
	Personal map[string]string `json:"personal,omitempty"`
}

// Export collects what is stored about the acting user.
func (ac *Accounts) Export(ctx context.Context, a Actor) (*AccountExport, error) {
	u, err := ac.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	x := &AccountExport{Organizations: []ExportedMembership{}, Sessions: []ExportedSession{}, Factors: []ExportedFactor{},
		Identities: []ExportedIdentity{},
		Apps:       []ExportedApp{}, Tokens: []ExportedToken{}, Events: []ExportedEvent{},
		ExportedAt: ac.currentTime(), Sub: u.Sub, Email: u.Email, EmailVerifiedAt: u.EmailVerifiedAt,
		Profile: u.Profile, PlatformRoles: u.PlatformRoles,
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, FirstSignInAt: u.FirstSignInAt}
	if x.RecoveryCodesLeft, err = ac.store.Factors.CountRecoveryCodes(ctx, u.ID); err != nil {
		return nil, err
	}
	for _, collect := range []func(context.Context, uuid.UUID, *AccountExport) error{
		ac.exportOrganizations, ac.exportSessions, ac.exportFactors, ac.exportIdentities, ac.exportApps, ac.exportTokens,
		ac.exportEvents,
	} {
		if err := collect(ctx, u.ID, x); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func (ac *Accounts) exportOrganizations(ctx context.Context, userID uuid.UUID, x *AccountExport) error {
	all, err := ac.store.Memberships(ctx, userID, "", 0)
	for _, m := range all {
		x.Organizations = append(x.Organizations, ExportedMembership{ID: m.Organization.ID, Slug: m.Organization.Slug,
			Name: m.Organization.Name, Role: m.Role, Since: m.CreatedAt})
	}
	return err
}

func (ac *Accounts) exportSessions(ctx context.Context, userID uuid.UUID, x *AccountExport) error {
	all, err := ac.store.Sessions(ctx, userID)
	for _, s := range all {
		x.Sessions = append(x.Sessions, ExportedSession{ID: s.ID, API: s.API, Browser: s.Browser, SignedInAt: s.AuthTime,
			Networks:   strings.Fields(s.Network4 + " " + s.Network6), // those that are known
			LastSeenAt: s.LastSeenAt, ExpiresAt: s.ExpiresAt})
	}
	return err
}

func (ac *Accounts) exportIdentities(ctx context.Context, userID uuid.UUID, x *AccountExport) error {
	all, err := ac.store.ExternalIdentities(ctx, userID)
	for _, e := range all {
		x.Identities = append(x.Identities, ExportedIdentity{ConnectionID: e.ConnectionID, Subject: e.Subject,
			Email: e.Email, LinkedAt: e.CreatedAt, LastUsedAt: e.LastUsedAt})
	}
	return err
}

func (ac *Accounts) exportFactors(ctx context.Context, userID uuid.UUID, x *AccountExport) error {
	all, err := ac.store.Factors.List(ctx, userID)
	for _, f := range all {
		if !f.ConfirmedAt.IsZero() {
			x.Factors = append(x.Factors, ExportedFactor{Kind: f.Kind, Name: f.Name, Passkey: f.Passkey,
				AddedAt: f.ConfirmedAt, LastUsedAt: f.LastUsedAt})
		}
	}
	return err
}

func (ac *Accounts) exportApps(ctx context.Context, userID uuid.UUID, x *AccountExport) error {
	all, err := ac.store.ConnectedApps(ctx, userID)
	for _, c := range all {
		app := ExportedApp{Kind: "consent", ClientID: c.Client.ID, Name: c.Client.Name(), Scopes: c.Scopes,
			GrantedAt: c.CreatedAt, LastUsedAt: c.LastUsedAt, ExpiresAt: c.ExpiresAt}
		if c.GrantID != uuid.Nil {
			app.Kind = "grant"
		}
		if c.Organization != nil {
			app.Organization = c.Organization.Slug
		}
		x.Apps = append(x.Apps, app)
	}
	return err
}

func (ac *Accounts) exportTokens(ctx context.Context, userID uuid.UUID, x *AccountExport) error {
	all, err := ac.store.PersonalTokens(ctx, userID)
	for _, t := range all {
		x.Tokens = append(x.Tokens, ExportedToken{Name: t.Name, Organization: t.Organization.Slug, Scopes: t.Scopes,
			CreatedAt: t.CreatedAt, LastUsedAt: t.LastUsedAt, ExpiresAt: t.ExpiresAt})
	}
	return err
}

func (ac *Accounts) exportEvents(ctx context.Context, userID uuid.UUID, x *AccountExport) error {
	all, err := ac.store.EventsAbout(ctx, userID, maxExportedEvents+1)
	if x.EventsLeftOut = len(all) > maxExportedEvents; x.EventsLeftOut {
		all = all[:maxExportedEvents]
	}
	for _, e := range all {
		if e.Actor != uuid.Nil && e.Actor != userID {
			e.Personal = nil
		}
		x.Events = append(x.Events, ExportedEvent{At: e.At, Type: string(e.Type), Organization: e.Organization,
			ClientID: e.Client, Personal: e.Personal})
	}
	return err
}

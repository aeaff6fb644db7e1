package storage

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Flow is one validated authorization request on its way through the pages. Its
// id is in the URL and stored as a hash; BrowserHash binds it to one browser.
type Flow struct {
	IDHash   secret.Hash
	ClientID string
	// Request holds the parameters after request objects and pushed requests were resolved.
	Request url.Values
	// PushedHash is the pushed request this came from, spent with the flow; zero if none.
	PushedHash  secret.Hash
	BrowserHash secret.Hash // zero until a browser has taken the flow
	Address     string      // the network it came from, to bound anonymous flows
	RequestedAt time.Time   // when the request first arrived
	ExpiresAt   time.Time
	// UserID is who is signed in in this browser; nil for an anonymous flow.
	UserID uuid.UUID
	// SignInAfter: an auth_time before it does not count for this flow. It carries
	// prompt=login, max_age and "not you?"; zero accepts any live session.
	SignInAfter time.Time
	// OrganizationID is what the person picked; nil before.
	OrganizationID uuid.UUID
	// Consent is the answer given within this flow; nil before.
	Consent *FlowConsent
	SpentAt time.Time
}

// FlowConsent binds an answer of the consent page to what it was shown for.
type FlowConsent struct {
	UserID         uuid.UUID `json:"user"`
	OrganizationID uuid.UUID `json:"org"`
	Scopes         []string  `json:"scopes"`
	Denied         bool      `json:"denied,omitempty"`
}

// Covers reports whether the answer allows scopes to this person in this organization.
func (c *FlowConsent) Covers(user, organization uuid.UUID, scopes []string) bool {
	return c != nil && !c.Denied && c.UserID == user && c.OrganizationID == organization &&
		!slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(c.Scopes, s) })
}

const flowColumns = `f.id_hash, f.client_id, f.request, f.pushed_hash, f.browser_hash, f.address, f.requested_at, f.expires_at, f.user_id, f.sign_in_after, f.organization_id, f.consent, f.spent_at`

func (f *Flow) dest() []any {
	return []any{&f.IDHash, &f.ClientID, document{&f.Request}, &f.PushedHash, &f.BrowserHash, &f.Address, instant{&f.RequestedAt}, instant{&f.ExpiresAt},
		optional[uuid.UUID]{&f.UserID}, instant{&f.SignInAfter}, optional[uuid.UUID]{&f.OrganizationID}, document{&f.Consent}, instant{&f.SpentAt}}
}

// CreateFlow stores a flow. limit bounds the unanswered flows of one address;
// past it ErrConflict, and nothing is stored.
func (s *Store) CreateFlow(ctx context.Context, f *Flow, limit int) error {
	request, err := json.Marshal(f.Request)
	if err != nil {
		return err
	}
	n, err := s.exec(ctx, `INSERT INTO flows (id_hash, client_id, request, pushed_hash, browser_hash, address, requested_at, expires_at, user_id, sign_in_after)
		SELECT `+s.engine.casts("bytea", "text", "text", "bytea", "bytea", "text", "bigint", "bigint", "uuid", "bigint")+`
		WHERE (SELECT count(*) FROM (SELECT 1 FROM flows WHERE address = ? AND spent_at IS NULL AND user_id IS NULL AND expires_at > ? LIMIT ?) AS pending) < ?`,
		f.IDHash, f.ClientID, string(request), f.PushedHash, f.BrowserHash, f.Address, usec(f.RequestedAt), usec(f.ExpiresAt), id(f.UserID), usec(f.SignInAfter),
		f.Address, usec(f.RequestedAt), limit, limit)
	if err == nil && n == 0 {
		err = ErrConflict
	}
	return fault("store a flow", err)
}

// Flow returns a flow, spent and expired ones too as long as they are kept, so
// that a person can be told where to start again.
func (s *Store) Flow(ctx context.Context, idHash secret.Hash) (*Flow, error) {
	var f Flow
	err := s.row(ctx, `SELECT `+flowColumns+` FROM flows f WHERE f.id_hash = ?`, idHash).Scan(f.dest()...)
	if err != nil {
		return nil, fault("read a flow", err)
	}
	return &f, nil
}

// BindFlow gives an unbound flow to a browser, if it was requested after since.
// ErrSpent when another browser was first or it is too late.
func (s *Store) BindFlow(ctx context.Context, idHash, browser secret.Hash, since time.Time) error {
	n, err := s.exec(ctx, `UPDATE flows SET browser_hash = ? WHERE id_hash = ? AND browser_hash IS NULL AND requested_at > ?`,
		browser, idHash, usec(since))
	if err == nil && n == 0 {
		err = ErrSpent
	}
	return fault("bind a flow", err)
}

// ChooseOrganization records what the person picked within a live flow. An
// earlier consent of the flow was for another organization and is dropped.
func (s *Store) ChooseOrganization(ctx context.Context, idHash, browser secret.Hash, organization uuid.UUID) error {
	n, err := s.exec(ctx, `UPDATE flows SET organization_id = ?, consent = '' WHERE id_hash = ? AND browser_hash = ? AND spent_at IS NULL AND expires_at > ?`,
		id(organization), idHash, browser, usec(s.clock()))
	if err == nil && n == 0 {
		err = ErrSpent
	}
	return fault("choose an organization", err)
}

// SpendFlow ends a flow that answers with an error. ErrSpent if it was ended before.
func (s *Store) SpendFlow(ctx context.Context, idHash secret.Hash) error {
	n, err := s.exec(ctx, `UPDATE flows SET spent_at = ? WHERE id_hash = ? AND spent_at IS NULL`, usec(s.clock()), idHash)
	if err == nil && n == 0 {
		err = ErrSpent
	}
	return fault("end a flow", err)
}

// AskAgain makes a live flow ask who the person is once more: "not you?".
func (s *Store) AskAgain(ctx context.Context, idHash, browser secret.Hash) error {
	now := usec(s.clock())
	n, err := s.exec(ctx, `UPDATE flows SET sign_in_after = ?, organization_id = NULL, consent = '' WHERE id_hash = ? AND browser_hash = ? AND spent_at IS NULL AND expires_at > ?`,
		now, idHash, browser, now)
	if err == nil && n == 0 {
		err = ErrSpent
	}
	return fault("ask a flow again", err)
}

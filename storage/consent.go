package storage

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Consent is what a person allowed a client for an organization (or none).
type Consent struct {
	UserID         uuid.UUID
	ClientID       string
	OrganizationID uuid.UUID // nil: for no organization
	Scopes         []string
	GrantedAt      time.Time
	ExpiresAt      time.Time
}

// Covers reports whether it allows scopes to this person in this organization.
func (c *Consent) Covers(user, organization uuid.UUID, scopes []string) bool {
	return c != nil && c.UserID == user && c.OrganizationID == organization &&
		!slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(c.Scopes, s) })
}

// Answer is what a person said on the consent page of a flow.
type Answer struct {
	Flow    secret.Hash
	Browser secret.Hash
	// Before is the flow's consent as it was when the page was asked for: an
	// answer that came meanwhile wins.
	Before   *FlowConsent
	Consent  FlowConsent
	ClientID string
	// Remember the scopes until then; the zero time remembers nothing.
	Remember time.Time
	// Remembered is what was remembered when the person answered. Its scopes stay
	// beside the new ones, unless it was withdrawn meanwhile.
	Remembered *Consent
	Event      *Event
}

// AnswerConsent records an answer in a live flow of this browser and, where asked
// to, remembers it. ErrSpent if the flow was answered or ended before: an answer
// counts once. ErrSpent too if the person's session in this browser has ended: what is
// remembered would outlast it.
func (s *Store) AnswerConsent(ctx context.Context, a *Answer) error {
	before, err := a.Before.stored()
	if err != nil {
		return err
	}
	answer, err := a.Consent.stored()
	if err != nil {
		return err
	}
	return s.change(ctx, "answer a consent page", func(t *tx) error {
		if err := t.holds(ctx, statement{`SELECT s.id FROM sessions s WHERE s.token_hash = ? AND s.user_id = ? AND s.ended_at IS NULL` + s.engine.forShare(),
			[]any{a.Browser, id(a.Consent.UserID)}}); err != nil {
			return err
		}
		if err := execOr(ctx, t, ErrSpent, `UPDATE flows SET consent = ? WHERE id_hash = ? AND browser_hash = ? AND spent_at IS NULL AND expires_at > ? AND consent = ?`,
			answer, a.Flow, a.Browser, usec(s.clock()), before); err != nil {
			return err
		}
		if !a.Remember.IsZero() && !a.Consent.Denied {
			if err := t.remember(ctx, a); err != nil {
				return err
			}
		}
		return t.event(ctx, a.Event)
	})
}

// remember keeps the scopes of an answer. Those remembered before stay only if the row is still the one they were read
// from: one that was withdrawn in between must not come back.
func (t *tx) remember(ctx context.Context, a *Answer) error {
	all, seen := a.Consent.Scopes, int64(-1)
	if r := a.Remembered; r != nil {
		all, seen = union(r.Scopes, a.Consent.Scopes), r.GrantedAt.UnixMicro()
	}
	_, err := t.execNamed(ctx, `INSERT INTO consents (user_id, client_id, organization_id, scopes, granted_at, expires_at)
		VALUES (:user, :client, :organization, :scopes, :now, :until)
		ON CONFLICT (user_id, client_id, organization_id) DO UPDATE SET
			scopes = CASE WHEN consents.withdrawn_at IS NULL AND consents.granted_at = :seen THEN :all ELSE excluded.scopes END,
			granted_at = excluded.granted_at, expires_at = excluded.expires_at, withdrawn_at = NULL`,
		map[string]any{"user": id(a.Consent.UserID), "client": a.ClientID, "organization": a.Consent.OrganizationID.String(),
			"scopes": words(a.Consent.Scopes), "now": usec(t.s.clock()), "until": usec(a.Remember), "seen": seen, "all": words(all)})
	return err
}

// union keeps the order of a, then of b.
func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// WithdrawConsent forgets what a person allowed a client for an organization (nil
// for none) and revokes every grant of it, offline ones too. It succeeds where
// nothing is remembered: grants may live without. The event is written if
// anything changed.
func (s *Store) WithdrawConsent(ctx context.Context, userID uuid.UUID, clientID string, organizationID uuid.UUID, e *Event) error {
	return s.change(ctx, "withdraw a consent", func(t *tx) error {
		if err := t.dropAnswers(ctx, userID, clientID); err != nil {
			return err
		}
		forgotten, err := t.exec(ctx, `UPDATE consents SET withdrawn_at = ? WHERE user_id = ? AND client_id = ? AND organization_id = ? AND withdrawn_at IS NULL`,
			usec(s.clock()), id(userID), clientID, organizationID.String())
		if err != nil {
			return err
		}
		revoked, err := t.revokeGrants(ctx, "consent withdrawn", `user_id = ? AND client_id = ?
			AND COALESCE(organization_id, '00000000-0000-0000-0000-000000000000') = ?`, id(userID), clientID, organizationID.String())
		if err != nil || forgotten+revoked == 0 {
			return err
		}
		return t.event(ctx, e)
	})
}

// dropAnswers makes the person's open flows to a client ask again: an answer that was
// given before a withdrawal must not be used after it. It takes unanswered flows too,
// so that it waits for a code that is being written, and those of sessions that have
// ended: a sign-in in the same browser goes on with them. Grants are revoked after it.
func (t *tx) dropAnswers(ctx context.Context, userID uuid.UUID, clientID string) error {
	return t.do(ctx, `UPDATE flows SET consent = '' WHERE client_id = ? AND spent_at IS NULL
		AND browser_hash IN (SELECT s.token_hash FROM sessions s WHERE s.user_id = ?)`, clientID, id(userID))
}

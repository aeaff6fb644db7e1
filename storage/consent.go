package storage

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

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
	now := s.clock()
	event, err := a.Event.args(now)
	if err != nil {
		return err
	}
	session := []any{a.Browser, id(a.Consent.UserID)}
	flow := []any{answer, a.Flow, a.Browser, usec(now), before}
	var n int64
	if s.engine == Postgres {
		n, err = s.exec(ctx, `WITH session AS (`+answeringSession+` FOR SHARE), answered AS (`+answerFlow+` AND EXISTS (SELECT 1 FROM session) RETURNING 1), remembered AS (
				`+rememberConsent+`
			) INSERT INTO audit_events (`+eventColumns+`) `+selectEvent+` FROM answered`,
			slices.Concat(session, flow, a.rememberArgs(now), event)...)
	} else {
		n, err = s.answerSQLite(ctx, a, now, guard{answeringSession, session}, flow, event)
	}
	if err == nil && n == 0 {
		err = ErrSpent
	}
	return fault("answer a consent page", err)
}

const answeringSession = `SELECT s.id FROM sessions s WHERE s.token_hash = ? AND s.user_id = ? AND s.ended_at IS NULL`

const answerFlow = `UPDATE flows SET consent = ? WHERE id_hash = ? AND browser_hash = ? AND spent_at IS NULL AND expires_at > ? AND consent = ?`

// rememberConsent stands after answered. The scopes remembered before are kept
// only if the row is still the one they were read from: one that was withdrawn in
// between must not come back.
const rememberConsent = `INSERT INTO consents (user_id, client_id, organization_id, scopes, granted_at, expires_at)
				SELECT CAST(? AS uuid), CAST(? AS text), CAST(? AS uuid), CAST(? AS text), CAST(? AS bigint), CAST(? AS bigint) FROM answered WHERE CAST(? AS boolean)
				` + onRemembered

const onRemembered = `ON CONFLICT (user_id, client_id, organization_id) DO UPDATE SET
					scopes = CASE WHEN consents.withdrawn_at IS NULL AND consents.granted_at = ? THEN ? ELSE excluded.scopes END,
					granted_at = excluded.granted_at, expires_at = excluded.expires_at, withdrawn_at = NULL`

func (a *Answer) rememberArgs(now time.Time) []any {
	all, seen := a.Consent.Scopes, int64(-1)
	if r := a.Remembered; r != nil {
		all, seen = union(r.Scopes, a.Consent.Scopes), r.GrantedAt.UnixMicro()
	}
	remember := !a.Remember.IsZero() && !a.Consent.Denied
	return []any{a.Consent.UserID.String(), a.ClientID, a.Consent.OrganizationID.String(), words(a.Consent.Scopes), usec(now), a.Remember.UnixMicro(), remember,
		seen, words(all)}
}

func (s *Store) answerSQLite(ctx context.Context, a *Answer, now time.Time, session guard, flow, event []any) (n int64, err error) {
	err = s.inTx(ctx, func(t *tx) error {
		if err := t.holds(ctx, session); err != nil {
			return err
		}
		if n, err = t.exec(ctx, answerFlow, flow...); err != nil || n == 0 {
			return err
		}
		args := a.rememberArgs(now)
		if remember := args[6].(bool); remember {
			_, err := t.exec(ctx, `INSERT INTO consents (user_id, client_id, organization_id, scopes, granted_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)
				`+onRemembered, slices.Concat(args[:6], args[7:])...)
			if err != nil {
				return err
			}
		}
		_, err := t.exec(ctx, insertEvent, event...)
		return err
	})
	return n, err
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
	err := s.inTx(ctx, func(t *tx) error {
		if err := t.dropAnswers(ctx, userID, clientID); err != nil {
			return err
		}
		now := usec(s.clock())
		forgotten, err := t.exec(ctx, `UPDATE consents SET withdrawn_at = ? WHERE user_id = ? AND client_id = ? AND organization_id = ? AND withdrawn_at IS NULL`,
			now, userID.String(), clientID, organizationID.String())
		if err != nil {
			return err
		}
		revoked, err := t.exec(ctx, `UPDATE grants SET revoked_at = ?, revoke_reason = 'consent withdrawn' WHERE user_id = ? AND client_id = ?
			AND COALESCE(organization_id, '00000000-0000-0000-0000-000000000000') = ? AND revoked_at IS NULL`,
			now, userID.String(), clientID, organizationID.String())
		if err != nil || forgotten+revoked == 0 {
			return err
		}
		return t.event(ctx, e)
	})
	return fault("withdraw a consent", err)
}

// dropAnswers makes the person's open flows to a client ask again: an answer that was
// given before a withdrawal must not be used after it. It takes unanswered flows too,
// so that it waits for a code that is being written, and those of sessions that have
// ended: a sign-in in the same browser goes on with them. Grants are revoked after it.
func (t *tx) dropAnswers(ctx context.Context, userID uuid.UUID, clientID string) error {
	_, err := t.exec(ctx, `UPDATE flows SET consent = '' WHERE client_id = ? AND spent_at IS NULL
		AND browser_hash IN (SELECT s.token_hash FROM sessions s WHERE s.user_id = ?)`, clientID, id(userID))
	return err
}

package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Flow is one validated authorization request on its way through the pages. Its
// id is in the URL and stored as a hash; BrowserHash binds it to one browser.
type Flow struct {
	IDHash   secret.Hash `db:"id_hash"`
	ClientID string      `db:"client_id"`
	// Request holds the parameters that are read, after request objects and pushed requests
	// were resolved. It is empty once the flow has finished.
	Request url.Values `db:"request"`
	// RedirectURI is the one of the request. It is kept for as long as the row.
	RedirectURI string `db:"redirect_uri"`
	// Hint is what the id_token_hint said; nil if there was none.
	Hint *Hint `db:"hint"`
	// PushedHash is the pushed request this came from, spent with the flow; zero if none.
	PushedHash  secret.Hash `db:"pushed_hash"`
	BrowserHash secret.Hash `db:"browser_hash"` // zero until a browser has taken the flow
	RequestedAt time.Time   `db:"requested_at"` // when the request first arrived
	ExpiresAt   time.Time   `db:"expires_at"`
	// OpenedAt is when a request for one of the flow's pages first came back with the cookie
	// that it is bound to; zero before.
	OpenedAt time.Time `db:"opened_at"`
	// UserID is who is signed in in this browser; nil for an anonymous flow.
	UserID uuid.UUID `db:"user_id"`
	// SignInAfter: an auth_time before it does not count for this flow. It carries
	// prompt=login, max_age and "not you?"; zero accepts any live session.
	SignInAfter time.Time `db:"sign_in_after"`
	// OrganizationID is what the person picked; nil before.
	OrganizationID uuid.UUID `db:"organization_id"`
	// Consent is the answer given within this flow; nil before.
	Consent *FlowConsent `db:"consent"`
	SpentAt time.Time    `db:"spent_at"`
}

// Hint is what an ID token said that came back as id_token_hint (OpenID Connect Core
// 1.0, section 3.1.2.1). The token itself is not stored: it names the person to
// everybody who reads it.
type Hint struct {
	Subject      string    `json:"sub"`
	Session      string    `json:"sid,omitempty"`
	Organization uuid.UUID `json:"org_id"` // nil if it names none
	Audience     []string  `json:"aud"`
}

// FlowBudget is how many flows may be counted for one network, device or person.
type FlowBudget struct {
	CountedFor secret.Hash
	// Unfinished is how many unfinished ones there may be.
	Unfinished int
	// New is how many may be made in a window of time, however they end. A sign-in gives
	// the one back that it was made in, if its hash is CountedFor. Its zero value stands
	// for a device or person that is known: they are never refused.
	New Budget
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

// stored is the answer as the flow's row has it, "" if there is none.
func (c *FlowConsent) stored() (string, error) {
	if c == nil {
		return "", nil
	}
	b, err := json.Marshal(c)
	return string(b), err
}

var flowRow = layoutOf[Flow]("f")

// clearFlow is what goes from a row once its flow has finished or expired: all but
// hash, client, redirect URI and times.
const clearFlow = `request = '', hint = '', pushed_hash = NULL, browser_hash = NULL, counted_for = NULL, address = '', user_id = NULL, organization_id = NULL, consent = ''`

// endFlow takes the time and the flow's hash.
const endFlow = `UPDATE flows SET spent_at = ?, ` + clearFlow + ` WHERE id_hash = ? AND spent_at IS NULL`

// CreateFlow stores a flow within the budget of what it is counted for. Beyond it,
// the oldest flows that no browser has opened go to make room; if there are none,
// *Full, and nothing is stored. A flow that a browser has opened is dropped only
// to make room for another of the same known device or person.
func (s *Store) CreateFlow(ctx context.Context, f *Flow, b FlowBudget) error {
	row, err := f.args(b.CountedFor)
	if err != nil {
		return err
	}
	now := s.clock()
	known := b.New.Hash.IsZero()
	counted := []any{b.CountedFor, usec(now)}
	if s.engine == Postgres {
		args := append(b.New.takeArgs(now), counted...)
		args = append(append(append(args, b.Unfinished, known), counted...), known)
		n, err := s.exec(ctx, createFlowPostgres, append(append(args, row...), known)...)
		if err == nil && n == 0 {
			err = s.full(ctx, b.New, b)
		}
		return fault("store a flow", err)
	}
	err = s.inTx(ctx, func(t *tx) error {
		var one, unfinished, over int
		err := t.row(ctx, s.engine.take(), b.New.takeArgs(now)...).Scan(&one)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if !known && one == 0 {
			over = 1
		}
		if err := t.row(ctx, `SELECT count(*)`+unfinishedFlows, counted...).Scan(&unfinished); err != nil {
			return err
		}
		if over = max(over, unfinished-b.Unfinished+1); over > 0 {
			n, err := t.exec(ctx, `DELETE FROM flows WHERE id_hash IN (`+droppedFlows+` LIMIT ?)`, append(counted, known, over)...)
			if err != nil {
				return err
			}
			if n < int64(over) && !known {
				return ErrConflict
			}
		}
		return t.do(ctx, insertFlow+` VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, row...)
	})
	if errors.Is(err, ErrConflict) {
		err = s.full(ctx, b.New, b)
	}
	return fault("store a flow", err)
}

const insertFlow = `INSERT INTO flows (id_hash, client_id, request, redirect_uri, hint, pushed_hash, browser_hash, counted_for, requested_at, expires_at, user_id, sign_in_after)`

// unfinishedFlows takes counted_for and now. droppedFlows takes whether opened flows may
// go too, and names the rows in the order in which they go.
const (
	unfinishedFlows = ` FROM flows WHERE counted_for = ? AND spent_at IS NULL AND expires_at > ?`
	droppedFlows    = `SELECT id_hash` + unfinishedFlows + ` AND (opened_at IS NULL OR CAST(? AS boolean)) ORDER BY opened_at IS NOT NULL, expires_at`
)

// One round trip. Statements that run at the same time count by their own snapshots: they
// may leave as many flows too many as there are connections, which the next one drops.
var createFlowPostgres = `WITH
	counted AS (` + Postgres.take() + `),
	excess AS (SELECT GREATEST(0, (SELECT count(*)` + unfinishedFlows + `) - CAST(? AS bigint) + 1,
		CASE WHEN CAST(? AS boolean) OR EXISTS (SELECT 1 FROM counted) THEN 0 ELSE 1 END) AS n),
	dropped AS (DELETE FROM flows WHERE id_hash IN (` + droppedFlows + ` LIMIT (SELECT n FROM excess) FOR UPDATE SKIP LOCKED) RETURNING 1)
	` + insertFlow + ` SELECT ` + Postgres.casts("bytea", "text", "text", "text", "text", "bytea", "bytea", "bytea", "bigint", "bigint", "uuid", "bigint") + `
	WHERE CAST(? AS boolean) OR (SELECT count(*) FROM dropped) >= (SELECT n FROM excess)`

// args are the values of insertFlow.
func (f *Flow) args(countedFor secret.Hash) ([]any, error) {
	request, err := json.Marshal(f.Request)
	if err != nil {
		return nil, err
	}
	hint, err := f.Hint.column()
	if err != nil {
		return nil, err
	}
	return []any{f.IDHash, f.ClientID, string(request), f.RedirectURI, hint, f.PushedHash, f.BrowserHash, countedFor,
		usec(f.RequestedAt), usec(f.ExpiresAt), id(f.UserID), usec(f.SignInAfter)}, nil
}

// column is h as a column value, "" for nil.
func (h *Hint) column() (string, error) {
	if h == nil {
		return "", nil
	}
	b, err := json.Marshal(h)
	return string(b), err
}

// OpenFlow notes that a request came back with the cookie that a flow is bound to: from
// now on it is not dropped for others. ErrSpent if it has been dropped or has ended.
func (s *Store) OpenFlow(ctx context.Context, idHash, browser secret.Hash) error {
	return fault("open a flow", execOr(ctx, s, ErrSpent, `UPDATE flows SET opened_at = COALESCE(opened_at, ?) WHERE id_hash = ? AND browser_hash = ? AND spent_at IS NULL`,
		usec(s.clock()), idHash, browser))
}

// Flow returns a flow, spent and expired ones too as long as they are kept, so
// that a person can be told where to start again.
func (s *Store) Flow(ctx context.Context, idHash secret.Hash) (*Flow, error) {
	return one(ctx, s, "read a flow", flowRow.dest, `SELECT `+flowRow.columns+` FROM flows f WHERE f.id_hash = ?`, idHash)
}

// BindFlow gives an unbound flow to a browser, if it was requested after since.
// ErrSpent when another browser was first or it is too late.
func (s *Store) BindFlow(ctx context.Context, idHash, browser secret.Hash, since time.Time) error {
	return fault("bind a flow", execOr(ctx, s, ErrSpent, `UPDATE flows SET browser_hash = ? WHERE id_hash = ? AND browser_hash IS NULL AND spent_at IS NULL AND requested_at > ?`,
		browser, idHash, usec(since)))
}

// MoveFlows gives the live flows of a browser whose session has ended to the token that
// the browser has from now on, without what the person had answered in them. It reports
// whether there were any.
func (s *Store) MoveFlows(ctx context.Context, from, to secret.Hash) (bool, error) {
	if from.IsZero() {
		return false, nil
	}
	n, err := s.exec(ctx, `UPDATE flows SET browser_hash = ?, user_id = NULL, organization_id = NULL, consent = ''
		WHERE browser_hash = ? AND spent_at IS NULL AND expires_at > ?`, to, from, usec(s.clock()))
	return n > 0, fault("move flows", err)
}

// ChooseOrganization records what the person picked within a live flow. An
// earlier consent of the flow was for another organization and is dropped.
func (s *Store) ChooseOrganization(ctx context.Context, idHash, browser secret.Hash, organization uuid.UUID) error {
	return fault("choose an organization", execOr(ctx, s, ErrSpent, `UPDATE flows SET organization_id = ?, consent = '' WHERE id_hash = ? AND browser_hash = ? AND spent_at IS NULL AND expires_at > ?`,
		id(organization), idHash, browser, usec(s.clock())))
}

// SpendFlow ends a flow that answers with an error. ErrSpent if it was ended before.
func (s *Store) SpendFlow(ctx context.Context, idHash secret.Hash) error {
	return fault("end a flow", execOr(ctx, s, ErrSpent, endFlow, usec(s.clock()), idHash))
}

// AskAgain makes a live flow ask who the person is once more: "not you?".
func (s *Store) AskAgain(ctx context.Context, idHash, browser secret.Hash) error {
	now := usec(s.clock())
	return fault("ask a flow again", execOr(ctx, s, ErrSpent, `UPDATE flows SET sign_in_after = ?, organization_id = NULL, consent = '' WHERE id_hash = ? AND browser_hash = ? AND spent_at IS NULL AND expires_at > ?`,
		now, idHash, browser, now))
}

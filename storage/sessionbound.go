package storage

import (
	"context"
	"math"

	"github.com/jmoiron/sqlx"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// rivals are the person's other live sessions of the kind that a sign-in's bound is for.
// It takes rivalsArgs.
const rivals = `FROM sessions s JOIN users u ON u.id = s.user_id
				WHERE s.user_id = ? AND s.ended_at IS NULL AND s.expires_at > ? AND s.idle_expires_at > ? AND s.token_hash <> ?
				AND (s.acr = ? AND u.factors <> '') = CAST(? AS boolean)`

// rivalsArgs leave out the session that the browser came with, which is renewed or
// ended by the same statement.
func rivalsArgs(in *SignIn, now any) []any {
	own := in.Browser
	if own.IsZero() {
		own = in.Session.TokenHash
	}
	return []any{id(in.Session.UserID), now, now, own, in.Bound.HalfACR, in.Bound.Half}
}

// boundEvent tells of a session that ended because of a sign-in's bound.
func boundEvent(in *SignIn) *Event {
	return endedEvent(EndBound, in.RequestID)
}

// endBeyond ends the person's sessions beyond the bound, the longest idle ones, after
// this one has its new token.
func (t *tx) endBeyond(ctx context.Context, in *SignIn, now any) error {
	if in.Bound.Most == 0 {
		return nil
	}
	this := *in
	this.Browser = in.Session.TokenHash
	var ended []secret.Hash
	err := t.rows(ctx, func(r *sqlx.Rows) error {
		var token secret.Hash
		err := r.Scan(&token)
		ended = append(ended, token)
		return err
	}, `SELECT s.token_hash `+rivals+` ORDER BY s.last_seen_at DESC, s.id DESC LIMIT ? OFFSET ?`,
		append(rivalsArgs(&this, now), math.MaxInt32, in.Bound.Most-1)...)
	if err != nil {
		return err
	}
	for _, token := range ended {
		args, err := boundEvent(in).args(t.s.clock())
		if err != nil {
			return err
		}
		if _, err := t.endSession(ctx, token, EndBound, now, args); err != nil {
			return err
		}
	}
	return nil
}

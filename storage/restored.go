package storage

import (
	"context"
	"time"
)

// EndRestored is why what a restored backup brought back has ended.
const EndRestored = "a backup was restored"

// Ended is how much of one kind Restored ended.
type Ended struct {
	What  string `json:"what"`
	Count int64  `json:"count"`
}

// Restored ends everything that a backup taken at since may have brought back to life: whatever lived then may have
// been spent, revoked or ended afterwards, and the database has forgotten it. What was made since the backup was
// restored ends too. totpStep is the highest step of which a code may have been used.
func (s *Store) Restored(ctx context.Context, since time.Time, totpStep int64, e *Event) ([]Ended, error) {
	var all []Ended
	err := s.inTx(ctx, func(t *tx) error {
		all = nil
		now, from := usec(s.clock()), usec(since)
		for _, end := range []struct {
			what, query string
			args        []any
		}{
			// Counted and not returned: a backup may bring back a million sessions.
			{"sessions", endSessionsSQL("?", "?") + ` WHERE expires_at > ? AND ended_at IS NULL`, []any{now, EndRestored, from}},
			{"grants", revokeGrantsSQL("?", "?", `expires_at > ?`), []any{now, EndRestored, from}},
			{"authorization codes", `UPDATE codes SET spent_at = ? WHERE spent_at IS NULL AND expires_at > ?`, []any{now, from}},
			{"access tokens", `UPDATE access_tokens SET revoked_at = ? WHERE revoked_at IS NULL AND expires_at > ?`, []any{now, from}},
			{"refresh tokens", `UPDATE refresh_tokens SET spent_at = ? WHERE spent_at IS NULL AND expires_at > ?`, []any{now, from}},
			{"sign-ins under way", `UPDATE flows SET spent_at = ? WHERE spent_at IS NULL AND expires_at > ?`, []any{now, from}},
			{"pushed requests", `UPDATE pushed_requests SET spent_at = ? WHERE spent_at IS NULL AND expires_at > ?`, []any{now, from}},
			{"consents", `UPDATE consents SET withdrawn_at = ? WHERE withdrawn_at IS NULL AND expires_at > ?`, []any{now, from}},
			{"mailed links", `UPDATE links SET spent_at = ? WHERE spent_at IS NULL AND expires_at > ?`, []any{now, from}},
			{"invitations", `UPDATE invitations SET revoked_at = ? WHERE accepted_at IS NULL AND revoked_at IS NULL AND expires_at > ?`, []any{now, from}},
			{"personal access tokens", `UPDATE personal_access_tokens SET revoked_at = ? WHERE revoked_at IS NULL AND expires_at > ?`, []any{now, from}},
			{"recovery codes", `UPDATE recovery_codes SET spent_at = ? WHERE spent_at IS NULL`, []any{now}},
			{"authenticator apps, advanced", `UPDATE factors SET counter = ? WHERE kind = 'totp' AND counter < ?`, []any{totpStep, totpStep}},
			// Most were delivered after the backup; their links are over.
			{"mails not sent again", `UPDATE outbox SET done_at = ?, last_error = ? WHERE done_at IS NULL`, []any{now, EndRestored}},
		} {
			n, err := t.exec(ctx, end.query, end.args...)
			if err != nil {
				return err
			}
			all = append(all, Ended{end.what, n})
		}
		if e.Facts == nil {
			e.Facts = map[string]any{}
		}
		e.Facts["since"] = since.UTC().Format(time.RFC3339)
		for _, x := range all {
			e.Facts[x.What] = x.Count
		}
		return t.event(ctx, e)
	})
	return all, fault("end what a backup brought back", err)
}

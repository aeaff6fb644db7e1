package session

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	// maxTouchInterval is how often at most a session's last request is written to its row without Redis.
	maxTouchInterval = time.Minute
	// maxRowInterval is the same with Redis, which has the exact time.
	maxRowInterval = 15 * time.Minute
)

// volatileName names the entries of sessions in Redis; their id is the hash of the token.
const volatileName = "session"

// touchInterval is how often at most a session's last request is written to its row
// where Redis has no part in it. It is short beside the idle time, because a request
// that was not written must not end a session early. With Redis it is half of that, so
// that the idle ends of rows differ that were written with and without its help.
func (m *Manager) touchInterval() time.Duration {
	if m.redis != nil {
		return min(maxTouchInterval, m.idle/8)
	}
	return min(maxTouchInterval, m.idle/4)
}

// rowInterval is how often at most it is written to the row while Redis has the exact time.
func (m *Manager) rowInterval() time.Duration { return min(maxRowInterval, m.idle/4) }

// isExact reports whether the session's row was last written when Redis had the exact
// time too: its idle end is then rowInterval later than that time's.
func (m *Manager) isExact(s *storage.Session) bool {
	return m.redis != nil && s.IdleExpiresAt.Sub(s.LastSeenAt) > m.idle+m.touchInterval()
}

// idleEnd is until when the row of a session keeps it alive that was used at now, and
// maybe until the next write.
func (m *Manager) idleEnd(now time.Time, exact bool) time.Time {
	if exact {
		return now.Add(m.idle + m.rowInterval())
	}
	return now.Add(m.idle + m.touchInterval())
}

// Touch notes a request in the session's volatile half. It tells whether the row is due
// to be written, and with which values: the request may do it with another write.
func (m *Manager) Touch(ctx context.Context, s *storage.Session) (now, idleExpires time.Time, due bool) {
	now = m.now()
	exact := m.noteRequest(ctx, s.TokenHash, now)
	interval := m.touchInterval()
	if exact {
		interval = m.rowInterval()
	}
	return now, m.idleEnd(now, exact), exact != m.isExact(s) || now.Sub(s.LastSeenAt) >= interval
}

// TouchIfDue is Touch for a request that writes nothing else: it keeps a person who
// only looks around from being signed out.
func (m *Manager) TouchIfDue(ctx context.Context, s *storage.Session) error {
	now, idle, due := m.Touch(ctx, s)
	if !due {
		return nil
	}
	s.LastSeenAt, s.IdleExpiresAt = now, idle
	return m.store.TouchSession(ctx, s)
}

// noteRequest writes the last request and the idle end of a session to Redis, and
// reports whether they are there. The entry is kept until the row's idle end has
// passed too, so that a missing one always means that Redis lost it.
func (m *Manager) noteRequest(ctx context.Context, token secret.Hash, now time.Time) bool {
	if !m.redis.available() {
		return false
	}
	values := map[any]any{"seen": now.Format(time.RFC3339Nano), "idle_end": now.Add(m.idle).Format(time.RFC3339Nano)}
	return m.redis.save(ctx, volatileName, token, values, m.idle+m.rowInterval()+time.Minute) == nil
}

// hasIdledOut reports whether a session that its row keeps alive has been idle for
// SESSION_IDLE by what Redis knows, and ends it in the row if so.
func (m *Manager) hasIdledOut(ctx context.Context, s *storage.Session) (bool, error) {
	if !m.isExact(s) || m.now().Before(s.LastSeenAt.Add(m.idle)) {
		return false, nil
	}
	return m.endIdle(ctx, s.TokenHash)
}

// endIdle ends the session of a token in its row if it has been idle for SESSION_IDLE by
// what Redis knows. The row stays as it is if it was written after the entry: then Redis
// missed a request.
func (m *Manager) endIdle(ctx context.Context, token secret.Hash) (bool, error) {
	if m.redis == nil || token.IsZero() {
		return false, nil
	}
	values, _ := m.redis.load(ctx, volatileName, token) // a Redis that fails has none
	seen, idleEnd := instant(values["seen"]), instant(values["idle_end"])
	if idleEnd.IsZero() || m.now().Before(idleEnd) {
		return false, nil
	}
	return m.store.EndIdleSession(ctx, token, seen, idleEnd)
}

// refreshRows writes the last requests that Redis knows of to the rows of a user with as
// many sessions as the bound allows: the sign-in that follows ends the longest idle one by its row.
func (m *Manager) refreshRows(ctx context.Context, user uuid.UUID, bound storage.SessionBound) error {
	if bound.Most == 0 || !m.redis.available() {
		return nil
	}
	all, err := m.store.Sessions(ctx, user)
	if err != nil {
		return err
	}
	if bound.Half { // only sessions that also need their second factor are in its way
		all = slices.DeleteFunc(all, func(s storage.Session) bool { return s.ACR != bound.HalfACR })
	}
	if len(all) < bound.Most {
		return nil
	}
	for i := range all {
		values, _ := m.redis.load(ctx, volatileName, all[i].TokenHash)
		seen := instant(values["seen"])
		if !seen.After(all[i].LastSeenAt) {
			continue
		}
		all[i].LastSeenAt, all[i].IdleExpiresAt = seen, m.idleEnd(seen, true)
		if err := m.store.TouchSession(ctx, &all[i]); err != nil {
			return err
		}
	}
	return nil
}

// instant reads a time of an entry; anything else is the zero time.
func instant(v any) time.Time {
	text, _ := v.(string)
	t, _ := time.Parse(time.RFC3339Nano, text)
	return t
}

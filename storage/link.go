package storage

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// The purposes of links. A link of one is worth nothing for another.
const (
	LinkRegister = "register" // verifies an address that no account has yet
	LinkVerify   = "verify"   // proves the address of an account
	LinkReset    = "reset"    // proves it too, and sets a new password
	LinkSetup    = "setup"    // makes the first administrator
)

// Link is a secret of single use that was mailed or printed. Its 256 bits are kept as a hash.
type Link struct {
	Hash    secret.Hash
	Purpose string
	UserID  uuid.UUID // nil while no account has the address
	// Payload is what the link stands for, in the words of its maker.
	Payload json.RawMessage
	// Browser is who asked for it; zero if that does not matter.
	Browser   secret.Hash
	CreatedAt time.Time
	ExpiresAt time.Time
	SpentAt   time.Time
}

// CreateLink stores a link with what tells about it; e is nil where the link concerns
// no account yet, so that nothing has changed.
func (s *Store) CreateLink(ctx context.Context, l *Link, e *Event, mails ...*Message) error {
	return s.change(ctx, "store a link", func(t *tx) error {
		if err := t.createLink(ctx, l); err != nil {
			return err
		}
		if e == nil {
			return t.enqueue(ctx, mails...)
		}
		return t.eventAndMail(ctx, e, mails)
	})
}

func (t *tx) createLink(ctx context.Context, l *Link) error {
	return t.doNamed(ctx, `INSERT INTO links (hash, purpose, user_id, payload, browser_hash, created_at, expires_at)
		VALUES (:hash, :purpose, :user_id, :payload, :browser_hash, :created_at, :expires_at)`, map[string]any{
		"hash": l.Hash, "purpose": l.Purpose, "user_id": id(l.UserID), "payload": string(l.Payload),
		"browser_hash": l.Browser, "created_at": usec(l.CreatedAt), "expires_at": usec(l.ExpiresAt)})
}

// Link returns a link that can still be used. ErrSpent if it was used or has
// expired, ErrNotFound if there is none for that purpose (any more).
func (s *Store) Link(ctx context.Context, hash secret.Hash, purpose string) (*Link, error) {
	var l Link
	err := s.row(ctx, `SELECT l.hash, l.purpose, l.user_id, l.payload, l.browser_hash, l.created_at, l.expires_at, l.spent_at
		FROM links l WHERE l.hash = ? AND l.purpose = ?`, hash, purpose).
		Scan(&l.Hash, &l.Purpose, &l.UserID, &l.Payload, &l.Browser, &l.CreatedAt, &l.ExpiresAt, &l.SpentAt)
	if err == nil && (!l.SpentAt.IsZero() || !s.clock().Before(l.ExpiresAt)) {
		err = ErrSpent
	}
	if err != nil {
		return nil, fault("read a link", err)
	}
	return &l, nil
}

// spendLink is the single use: ErrSpent for the second use and for a late one. The
// payload, which may name a person, goes.
func (t *tx) spendLink(ctx context.Context, hash secret.Hash, purpose string) error {
	now := usec(t.s.clock())
	return execOr(ctx, t, ErrSpent, `UPDATE links SET spent_at = ?, payload = '' WHERE hash = ? AND purpose = ? AND spent_at IS NULL AND expires_at > ?`, now, hash, purpose, now)
}

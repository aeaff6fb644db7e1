package storage

import (
	"context"

	"github.com/sallyport-id/sallyport/internal/secret"
)

// Registration is an account to make.
type Registration struct {
	Person NewUser
	// Link proved the address and is spent; a zero Link is none.
	Link secret.Hash
	// Next is a link to store with it, or nil.
	Next  *Link
	Mails []*Message
	// External is an external identity that signs the user in; nil for none.
	External *ExternalIdentity
}

// Register makes an account. ErrSpent as for Link, ErrExists if an account
// has the address already: then the link stays.
func (s *Store) Register(ctx context.Context, r *Registration) error {
	return s.change(ctx, "register a person", func(t *tx) error {
		if !r.Link.IsZero() {
			if err := t.spendLink(ctx, r.Link, LinkRegister); err != nil {
				return err
			}
		}
		if err := t.createUser(ctx, &r.Person); err != nil {
			return err
		}
		if r.External != nil {
			if err := t.insertIdentity(ctx, r.External); err != nil {
				return err
			}
		}
		if r.Next != nil {
			if err := t.createLink(ctx, r.Next); err != nil {
				return err
			}
		}
		return t.enqueue(ctx, r.Mails...)
	})
}

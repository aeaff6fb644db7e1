package signin

import (
	"context"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/session"
)

// Register takes a registration. Where addresses are confirmed first, the Result is nil: a mail goes
// out if it may, and whether the address has an account already is not told. Else, and by invitation, the
// account is made and signed in. The errors are those of identity.Registrations.Request and
// identity.Register, and *limit.Blocked.
func (s *Service) Register(ctx context.Context, from session.Source, r identity.Registration) (*Result, error) {
	r.From, r.RequestID = s.Origin(from), from.RequestID
	if err := s.limits.Take(ctx, limit.Registration, identity.AttemptKey(r.Email), source(from)); err != nil {
		return nil, err
	}
	if r.Invitation == "" && s.identity.Registrations.ConfirmsEmail() {
		return nil, s.identity.Registrations.Request(ctx, r)
	}
	u, hash, err := s.identity.Registrations.Register(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.NewSession(ctx, from, u, hash)
}

// RequestRecovery mails a link to choose a new password, if anybody has the address, which is not
// told. The errors are those of identity.RequestRecovery, and *limit.Blocked.
func (s *Service) RequestRecovery(ctx context.Context, from session.Source, email string, way identity.ReturnTo) error {
	if err := s.limits.Take(ctx, limit.Recovery, identity.AttemptKey(email), source(from)); err != nil {
		return err
	}
	return s.identity.Registrations.RequestRecovery(ctx, email, way, s.Origin(from), from.RequestID)
}

package signin

import (
	"context"
	"errors"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/storage"
)

// Upstream signs in the user of an identity that a connection vouches for. Nothing is counted: there is nothing to
// guess. The user's own second factor is still asked for, unless mfa, which says that the provider has seen one, and
// the connection is configured to trust that. The errors are those of identity.Connections.User.
func (s *Service) Upstream(ctx context.Context, from session.Source, x identity.External, mfa bool) (*Result, error) {
	x.From, x.RequestID = s.Origin(from), from.RequestID
	u, err := s.identity.Connections.User(ctx, x)
	if err != nil {
		return nil, err
	}
	in := session.SignIn{ACR: assurance.ACRPassword, External: &storage.ExternalIdentity{ConnectionID: x.Connection.ID,
		Subject: x.Subject, UserID: u.ID, Email: x.Email, SID: x.SID}}
	if mfa && x.Connection.Settings.TrustMFA {
		in.ACR, in.AMR = assurance.ACRMFA, []string{assurance.AMRMFA}
	}
	known := !s.devices.KnownSince(from.Device, u.EmailKey, device.ByPassword).IsZero()
	out, err := s.start(ctx, from, u, known, in)
	if errors.Is(err, storage.ErrConflict) { // the user or the connection was disabled, or the identity unlinked, just now
		return nil, identity.ErrForbidden
	} else if err != nil {
		return nil, err
	}
	out.Device = s.devices.Mark(from.Device, u.EmailKey, device.ByPassword)
	return out, nil
}

package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/storage"
)

// Passkey signs in the user whose passkey answered the challenge that was given for bind
// (factor.ChallengePasskey). ErrPasskey with the cause. A passkey cannot be guessed, so nothing is counted.
func (s *Service) Passkey(ctx context.Context, from session.Source, bind secret.Hash, answer json.RawMessage) (
	*Result, error) {
	shown, err := s.factors.VerifyPasskey(ctx, bind, answer)
	if err != nil {
		return nil, passkeyError(err)
	}
	u := shown.User
	known := !s.devices.KnownSince(from.Device, u.EmailKey, device.ByPassword).IsZero()
	out, err := s.start(ctx, from, u, known, session.SignIn{Use: shown.Use, ACR: shown.ACR, AMR: shown.AMR})
	if err != nil {
		return nil, passkeyError(err)
	}
	out.Device = s.devices.Mark(from.Device, u.EmailKey, device.ByFactor)
	return out, nil
}

// passkeyError tells what is wrong with a passkey from faults of this server.
func passkeyError(err error) error {
	for _, wrong := range []error{factor.ErrVerification, factor.ErrChallenge, factor.ErrNotAllowed, factor.ErrUnavailable,
		storage.ErrNotFound, storage.ErrSpent, storage.ErrConflict} {
		if errors.Is(err, wrong) {
			return fmt.Errorf("%w: %w", ErrPasskey, err)
		}
	}
	return err
}

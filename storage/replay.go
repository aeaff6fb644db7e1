package storage

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/internal/secret"
)

// SpendID spends the identifier of something that may be used once before it
// expires, such as the jti of a client assertion (RFC 7523 section 3). hash
// covers whose it is too. ErrSpent if it was spent before.
func (s *Store) SpendID(ctx context.Context, hash secret.Hash, expires time.Time) error {
	n, err := s.exec(ctx, `INSERT INTO replay_ids (hash, expires_at) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING`, hash, usec(expires))
	if err == nil && n == 0 {
		err = ErrSpent
	}
	return fault("spend an id", err)
}

// RevokeTokenID revokes a JWT access token that has no row of its own, by the
// hash of its jti, until it would have expired. Revoking twice is no error (RFC 7009 section 2.2).
func (s *Store) RevokeTokenID(ctx context.Context, hash secret.Hash, expires time.Time) error {
	_, err := s.exec(ctx, `INSERT INTO revoked_tokens (hash, expires_at) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING`, hash, usec(expires))
	return fault("revoke a token", err)
}

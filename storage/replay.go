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
	return fault("spend an id", execOr(ctx, s, ErrSpent, `INSERT INTO replay_ids (hash, expires_at) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING`, hash, usec(expires)))
}

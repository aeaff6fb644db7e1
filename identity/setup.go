package identity

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	// SetupTokenFor is how long a setup token is valid.
	SetupTokenFor = time.Hour
	// administeredFor is how long a process remembers that there is a superadmin.
	administeredFor = time.Minute
)

var (
	// ErrAlreadySetUp: there is a superadmin already.
	ErrAlreadySetUp = errors.New("there is an administrator already")
	// ErrSetupToken: the setup token is not the last one that was printed, was used, or has expired.
	ErrSetupToken = errors.New("the setup token does not count")
)

// superadminSeen is until when a process assumes that there is a superadmin.
type superadminSeen struct{ until atomic.Int64 }

// NeedsSetup reports whether there is no superadmin yet. Once there is one, it mostly answers from memory.
func (in *Installation) NeedsSetup(ctx context.Context) (bool, error) {
	now := in.currentTime()
	if now.UnixMicro() < in.superadmin.until.Load() {
		return false, nil
	}
	has, err := in.store.HasSuperadmin(ctx)
	if has {
		in.superadmin.until.Store(now.Add(administeredFor).UnixMicro())
	}
	return !has, err
}

// NewSetupToken makes the token by which its holder can become the first superadmin, once. It invalidates earlier
// tokens. Only the operator may, who can read the server's output. Error: ErrAlreadySetUp.
func (in *Installation) NewSetupToken(ctx context.Context, a Actor) (token string, expires time.Time, err error) {
	if err := in.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return "", time.Time{}, err
	}
	token, now := secret.NewToken(""), in.currentTime()
	expires = now.Add(SetupTokenFor)
	err = in.store.NewSetupLink(ctx, &storage.Link{Hash: secret.HashOf(token), Purpose: storage.LinkSetup,
		CreatedAt: now, ExpiresAt: expires},
		a.Event(storage.EventSetupTokenCreated))
	return token, expires, replaceError(err, map[error]error{storage.ErrConflict: ErrAlreadySetUp})
}

// SetupLink is the page for a setup token.
func (in *Installation) SetupLink(token string) string { return in.issuer + "/setup?token=" + token }

// CheckSetupToken returns nil for a token that Bootstrap would accept, otherwise ErrSetupToken.
func (in *Installation) CheckSetupToken(ctx context.Context, token string) error {
	_, err := in.store.Link(ctx, secret.HashOf(token), storage.LinkSetup)
	return replaceError(err, map[error]error{storage.ErrNotFound: ErrSetupToken, storage.ErrSpent: ErrSetupToken})
}

// Bootstrap makes the holder of a setup token the first superadmin, with a verified address: the holder could vouch
// for any. It returns the stored hash of the password, for signing in. Errors: FieldErrors, ErrSetupToken,
// ErrAlreadySetUp, ErrRegistered if the address has an account; then the token stays valid.
func (in *Installation) Bootstrap(ctx context.Context, token string, n NewUser, requestID string) (u *storage.User,
	passwordHash string, err error) {
	if err := in.CheckSetupToken(ctx, token); err != nil {
		return nil, "", err
	}
	n.Superadmin, n.Profile.Name = true, strings.TrimSpace(n.Profile.Name)
	key, err := in.passwords.checkPerson(n.Email, n.Profile.Name, n.Password)
	if err != nil {
		return nil, "", err
	}
	if passwordHash, err = in.passwords.Hash(ctx, n.Password); err != nil {
		return nil, "", err
	}
	p := PrepareUser(Actor{RequestID: requestID}, n, key, in.currentTime())
	p.PasswordHash = passwordHash
	WithFact(p.Events[0], "by", "setup")
	err = in.store.Bootstrap(ctx, secret.HashOf(token), p)
	return &p.User, passwordHash, replaceError(err, map[error]error{storage.ErrSpent: ErrSetupToken,
		storage.ErrConflict: ErrAlreadySetUp, storage.ErrExists: ErrRegistered})
}

var brandColor = regexp.MustCompile(`^#[0-9a-f]{6}$`)

// SetBrand sets the appearance of the installation where its configuration does not; empty members are the default.
// Logo is a result of CheckLogo. Every process shows it within a second. Errors: FieldErrors, ErrForbidden.
func (in *Installation) SetBrand(ctx context.Context, a Actor, b storage.BrandSettings) error {
	if err := in.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	var faults FieldErrors
	b.Name = strings.TrimSpace(b.Name)
	if len(b.Color) <= len("#rrggbb") {
		b.Color = strings.ToLower(b.Color)
	}
	if b.Name != "" {
		checkName(&faults, "name", b.Name, 60)
	}
	faults.AddIf(b.Color != "" && !brandColor.MatchString(b.Color), "color", "is not a colour",
		"write it as #rrggbb, such as #0b6b5d")
	if len(faults) > 0 {
		return faults
	}
	return in.store.EditPlatformSettings(ctx, func(s *storage.PlatformSettings) *storage.Event {
		if s.Brand == b {
			return nil
		}
		s.Brand = b
		return WithFact(WithFact(WithFact(a.Event(storage.EventPlatformBrandChanged), "name", b.Name), "color",
			b.Color), "logo", b.Logo != "")
	})
}

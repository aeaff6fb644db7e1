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
	// SetupTokenFor is how long a setup token counts.
	SetupTokenFor = time.Hour
	// administeredFor is how long a process believes that there is an administrator
	// before it looks again.
	administeredFor = time.Minute
)

var (
	// ErrAlreadySetUp: somebody administers the installation, so nobody can begin it.
	ErrAlreadySetUp = errors.New("there is an administrator already")
	// ErrSetupToken: the token is not the one that was printed last, was used, or is too old.
	ErrSetupToken = errors.New("the setup token does not count")
)

// administered is until when a process believes that there is an administrator.
type superadminSeen struct{ until atomic.Int64 }

// NeedsSetup reports whether the installation waits for its first administrator.
// Once there is one it mostly answers from memory.
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

// NewSetupToken makes the token that lets its bearer become the first
// administrator, once. Those made before count no more. Only the operator may:
// whoever reads the server's output owns the machine. ErrAlreadySetUp.
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

// SetupLink is where a browser begins with a setup token.
func (in *Installation) SetupLink(token string) string { return in.issuer + "/setup?token=" + token }

// CheckSetupToken is nil for a token that Bootstrap would take now, else ErrSetupToken.
func (in *Installation) CheckSetupToken(ctx context.Context, token string) error {
	_, err := in.store.Link(ctx, secret.HashOf(token), storage.LinkSetup)
	return replaceError(err, map[error]error{storage.ErrNotFound: ErrSetupToken, storage.ErrSpent: ErrSetupToken})
}

// Bootstrap makes the bearer of a setup token the first administrator, with a
// proven address: whoever has the token could vouch for any. It returns the stored
// hash of the password for signing in. Errors: FieldErrors, ErrSetupToken, ErrAlreadySetUp,
// ErrRegistered if somebody has the address; the last leaves the token as it was.
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

// SetBrand sets how the installation presents itself where its configuration does
// not say; empty members leave it to the default. Logo is as CheckLogo returns it.
// Every process shows it within a second. Errors: FieldErrors, ErrForbidden.
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

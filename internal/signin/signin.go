package signin

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/storage"
)

var (
	// ErrPasskey: the passkey does not sign its user in. The cause is wrapped beside it.
	ErrPasskey = errors.New("the passkey does not sign in")
	// ErrTooManyCodes: what the first factor earned takes no more codes. A session that still
	// needed its second factor has ended.
	ErrTooManyCodes = errors.New("too many wrong codes")
	// ErrSessionEnded: the session has ended meanwhile, or has another token by now.
	ErrSessionEnded = errors.New("the session has ended")
)

// Config is what a Service needs, all of it.
type Config struct {
	Store    *storage.Store
	Registry *storage.Registry
	Sessions *session.Manager
	Limits   *limit.Guard
	Identity *identity.Domain
	Factors  *factor.Factors
	// Annotate notes what went wrong beside a sign-in that succeeded in the record of its request.
	Annotate func(ctx context.Context, args ...any)
	Now      func() time.Time
}

// Service signs users in. It is safe for concurrent use.
type Service struct {
	store    *storage.Store
	registry *storage.Registry
	sessions *session.Manager
	limits   *limit.Guard
	devices  *device.Devices
	identity *identity.Domain
	factors  *factor.Factors
	annotate func(ctx context.Context, args ...any)
	now      func() time.Time
}

// New returns a Service, or an error if c is not complete.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Registry == nil || c.Sessions == nil || c.Limits == nil || c.Identity == nil ||
		c.Factors == nil || c.Annotate == nil || c.Now == nil {
		return nil, errors.New("signin: something of the configuration is missing")
	}
	return &Service{store: c.Store, registry: c.Registry, sessions: c.Sessions, limits: c.Limits,
		devices: c.Limits.Devices, identity: c.Identity, factors: c.Factors, annotate: c.Annotate, now: c.Now}, nil
}

// Result is a sign-in that succeeded. The caller gives Token and Device to the browser or the program.
type Result struct {
	User *storage.User
	// Token is the session's new token; "" if Enrol could not step the session up.
	Token string
	// Device is the new value of the device cookie.
	Device string
	// NeedsSecondFactor: the session carries no rights before Prove.
	NeedsSecondFactor bool
	// RecoveryCodes are new ones, to be shown this once; nil for none.
	RecoveryCodes []string
	// Recovered: a recovery code was used, and CodesLeft are left.
	Recovered bool
	CodesLeft int
	// Factor is what Enrol has set up.
	Factor *storage.Factor
}

// Origin is where a request comes from, for notices.
func (s *Service) Origin(from session.Source) request.Info {
	return request.Info{At: s.now().UTC(), Device: from.Browser, Network: cmp.Or(from.Network4, from.Network6)}
}

// Subject is the signed-in user for package identity/factor, allowed to use these kinds of
// factors (nil: all). Challenges are bound to this session under this token.
func (s *Service) Subject(from session.Source, c *session.Current, allowed []string) factor.Subject {
	return factor.Subject{User: &c.User, Session: c.Session.ID, SessionHash: c.Session.TokenHash, From: s.Origin(from),
		RequestID: from.RequestID, Allowed: allowed}
}

// NewSession signs in a user who has just chosen the password with that stored hash: there is
// nothing to guess, and the browser counts as known to the account from now on.
func (s *Service) NewSession(ctx context.Context, from session.Source, u *storage.User, passwordHash string) (*Result, error) {
	out, err := s.start(ctx, from, u, true, byPassword(passwordHash))
	if err == nil {
		out.Device = s.devices.Mark(from.Device, u.EmailKey, device.ByPassword)
	}
	return out, err
}

// byPassword is a sign-in with the password of that stored hash.
func byPassword(hash string) session.SignIn {
	return session.SignIn{PasswordHash: hash, ACR: assurance.ACRPassword, AMR: []string{assurance.AMRPassword}}
}

// start makes the session of a first factor. A user whose device is not known is told of it by
// mail, and one who signs in for the first time is welcomed.
func (s *Service) start(ctx context.Context, from session.Source, u *storage.User, known bool, in session.SignIn) (
	out *Result, err error) {
	in.User, in.Half = u.ID, assurance.NeedsSecondFactor(u.Factors, in.ACR)
	switch {
	case in.Half && s.devices.KnownSince(from.Device, u.EmailKey, device.ByFactor).IsZero():
		in.Owed, err = s.identity.Sessions.NewSecondFactorCheck()
	case !in.Half && !known: // a session that needs a second factor is told of when that is shown
		in.Notice, err = s.identity.Sessions.NewDeviceMail(ctx, u, s.Origin(from))
	}
	if err != nil {
		return nil, err
	}
	out = &Result{User: u, NeedsSecondFactor: in.Half}
	if out.Token, err = s.sessions.Start(ctx, from, in); err != nil {
		return nil, err
	}
	if u.FirstSignInAt.IsZero() {
		// The user is signed in. If this fails, the next sign-in does it.
		if err := s.identity.Accounts.OnFirstSignIn(ctx, u); err != nil {
			s.annotate(ctx, "welcome", err.Error())
		}
	}
	return out, nil
}

// source is where a sign-in comes from, for what limits guessing.
func source(from session.Source) limit.Source {
	return limit.Source{Address: from.Address, Device: from.Device}
}

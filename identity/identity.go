package identity

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// ErrForbidden: the acting person may see this but not do that.
var ErrForbidden = storage.ErrForbidden

// Config is what an Identity is made of.
type Config struct {
	Store     *storage.Store
	Passwords *secret.Passwords
	// ClientSecrets are the sub-keys of purpose "client-secret".
	ClientSecrets secret.Subkeys
	// PasswordMinLength is in characters; 0 is 8.
	PasswordMinLength int
	// ContextWords are where people of this installation would take a password from:
	// the product's name, the issuer.
	ContextWords []string
	// Brand is what this service calls itself now, as a superadmin may have set it:
	// another place to take a password from. May be nil.
	Brand func() string
	// Production refuses sample credentials and plain http on loopback for web applications.
	Production bool
	// GrantTypes are the names of what the token endpoint offers: a client can register no other.
	GrantTypes []string
	// Mail writes the letters of accounts; without it nothing that sends one works.
	Mail *mail.Writer
	// Sealer keeps what waits to be decided or proven unreadable in the database.
	Sealer *secret.Sealer
	// Issuer is the origin that links lead to.
	Issuer string
	// Registration is who may register: RegistrationOpen (also ""), RegistrationInvite or RegistrationClosed.
	Registration string
	// ConfirmEmail: nobody has an account before their address is proven.
	ConfirmEmail bool
	// Recovery: links to reset a forgotten password are mailed.
	Recovery bool
	// MailboxWait counts a mail of a kind to the mailbox with that folded address, which a
	// stranger asked for, and tells how long the next must wait; 0 if it may be sent. nil
	// allows all.
	MailboxWait func(ctx context.Context, kind, emailKey string) (time.Duration, error)
	// Wake tells the outbox worker of this process that there is something to do; may be nil.
	Wake func()
	// PersonalOrg is PersonalAlways, PersonalUninvited or PersonalNever; "" is never.
	PersonalOrg string
	// Now is the node's clock; nil is the system's.
	Now func() time.Time
}

// Identity applies the rules. It is safe for concurrent use.
type Identity struct {
	store      *storage.Store
	passwords  *secret.Passwords
	keys       secret.Subkeys
	minLength  int
	words      []string
	brand      func() string
	production bool
	grantTypes []string
	now        func() time.Time

	mail         *mail.Writer
	sealer       *secret.Sealer
	issuer       string
	registration string
	confirmEmail bool
	recovery     bool
	mailboxWait  func(ctx context.Context, kind, emailKey string) (time.Duration, error)
	wake         func()
	personalOrg  string
	administered administered
	noticed      struct { // how far DeadlineNotices has come
		sync.Mutex
		place noticePlace
	}

	verified   *verified
	phcSlot    chan struct{}
	phcWaiting atomic.Int64
	uses       uses
	refusals   refusals
}

// New returns an Identity.
func New(c Config) *Identity {
	forgetLists()
	i := &Identity{store: c.Store, passwords: c.Passwords, keys: c.ClientSecrets, minLength: c.PasswordMinLength,
		words: wordsOf(c.ContextWords), brand: c.Brand, production: c.Production, grantTypes: c.GrantTypes, now: c.Now, phcSlot: make(chan struct{}, 1),
		mail: c.Mail, sealer: c.Sealer, issuer: c.Issuer, registration: cmp.Or(c.Registration, RegistrationOpen), confirmEmail: c.ConfirmEmail, recovery: c.Recovery,
		mailboxWait: c.MailboxWait, wake: c.Wake}
	if i.mailboxWait == nil {
		i.mailboxWait = func(context.Context, string, string) (time.Duration, error) { return 0, nil }
	}
	if i.brand == nil {
		i.brand = func() string { return "" }
	}
	if i.wake == nil {
		i.wake = func() {}
	}
	if i.minLength == 0 {
		i.minLength = 8
	}
	if i.now == nil {
		i.now = time.Now
	}
	i.verified = newVerified(i.clock)
	i.uses.seen, i.uses.written, i.uses.tokens = map[use]time.Time{}, map[use]time.Time{}, map[uuid.UUID]time.Time{}
	i.uses.unprotected = map[string]storage.UnprotectedUse{}
	i.personalOrg = c.PersonalOrg
	return i
}

func (i *Identity) clock() time.Time { return i.now().UTC().Truncate(time.Microsecond) }

package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
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

// Actor is who does something: a person, or the operator at the command line.
type Actor struct {
	UserID uuid.UUID
	// RequestID ties the audit event to the access log.
	RequestID string

	operator bool
	// within is the one organization of a personal access token, token its id; nil for a person.
	within uuid.UUID
	token  uuid.UUID
	// authority is what the act was allowed for. Events carry it, and the transaction
	// that writes one checks it again.
	authority storage.Authority
}

// inPerson refuses personal access tokens: what they can never do is what would
// outlast them, or reach beyond their organization.
func (a Actor) inPerson() error {
	if a.within != uuid.Nil {
		return fmt.Errorf("%w: a personal access token cannot do that", ErrForbidden)
	}
	return nil
}

// Operator acts with the authority of somebody who can read the server's keys.
func Operator() Actor { return Actor{operator: true} }

// event is an event of this actor's doing.
func (a Actor) event(kind storage.EventType) *storage.Event {
	e := &storage.Event{Type: kind, Actor: a.UserID, Authority: a.authority, RequestID: a.RequestID}
	if a.operator {
		e.Facts = map[string]any{"by": "operator"}
	}
	return e
}

// with adds a fact to an event.
func with(e *storage.Event, name string, value any) *storage.Event {
	if e.Facts == nil {
		e.Facts = map[string]any{}
	}
	e.Facts[name] = value
	return e
}

// person reads who acts. Roles are read anew at every act: taking one away works
// at once, and the disabled can do nothing.
func (i *Identity) person(ctx context.Context, a Actor) (*storage.User, error) {
	if err := a.inPerson(); err != nil {
		return nil, err
	}
	return i.active(ctx, a)
}

func (i *Identity) active(ctx context.Context, a Actor) (*storage.User, error) {
	u, err := i.store.User(ctx, a.UserID)
	if errors.Is(err, storage.ErrNotFound) || err == nil && !u.Active() {
		return nil, fmt.Errorf("%w: nobody acts", ErrForbidden)
	}
	return u, err
}

// platform admits those who administer the installation, and notes it in a.
func (i *Identity) platform(ctx context.Context, a *Actor) error {
	if !a.operator {
		a.authority = storage.Authority{Superadmin: true}
	}
	return i.hasPlatformRole(ctx, *a, storage.RoleSuperadmin)
}

// readers are the platform roles that may look at everything. An act of theirs needs superadmin, or a role in the
// organization, like everybody's.
var readers = []string{storage.RoleSuperadmin, storage.RolePlatformAdmin}

// canReadPlatform admits those who administer the installation, and platform admins, who only look.
func (i *Identity) canReadPlatform(ctx context.Context, a Actor) error {
	return i.hasPlatformRole(ctx, a, readers...)
}

func (i *Identity) hasPlatformRole(ctx context.Context, a Actor, roles ...string) error {
	if a.operator {
		return nil
	}
	u, err := i.person(ctx, a)
	if err == nil && !hasRole(u, roles...) {
		err = fmt.Errorf("%w: it needs the platform role %s", ErrForbidden, strings.Join(roles, " or "))
	}
	return err
}

// platformOrSelf admits the person concerned too.
func (i *Identity) platformOrSelf(ctx context.Context, a *Actor, userID uuid.UUID) error {
	if !a.operator && a.UserID != uuid.Nil && a.UserID == userID && a.inPerson() == nil {
		return nil
	}
	return i.platform(ctx, a)
}

// inOrganization admits those who administer the installation, and members of the
// organization with that role or a higher one, and notes it in a. Strangers get
// storage.ErrNotFound.
func (i *Identity) inOrganization(ctx context.Context, a *Actor, organizationID uuid.UUID, least string) error {
	return i.hasRoleIn(ctx, a, organizationID, least, storage.RoleSuperadmin)
}

// canReadOrganization is inOrganization for those who only look: platform admins may, too.
func (i *Identity) canReadOrganization(ctx context.Context, a Actor, organizationID uuid.UUID, least string) error {
	return i.hasRoleIn(ctx, &a, organizationID, least, readers...)
}

func (i *Identity) hasRoleIn(ctx context.Context, a *Actor, organizationID uuid.UUID, least string,
	platform ...string) error {
	if a.operator {
		return nil
	}
	if a.within != uuid.Nil && a.within != organizationID {
		return storage.ErrNotFound
	}
	a.authority = storage.Authority{Superadmin: a.within == uuid.Nil, Organization: organizationID, Role: least, Token: a.token}
	u, err := i.active(ctx, *a)
	if err != nil || a.within == uuid.Nil && hasRole(u, platform...) {
		return err
	}
	role, err := i.store.Role(ctx, organizationID, a.UserID)
	if err == nil && !storage.AtLeast(role, least) {
		err = fmt.Errorf("%w: it needs the role %s", ErrForbidden, least)
	}
	return err
}

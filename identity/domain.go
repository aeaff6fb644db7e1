package identity

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// ErrForbidden: the actor may see this but not change it.
var ErrForbidden = storage.ErrForbidden

// Config has what a Domain needs.
type Config struct {
	Store *storage.Store
	// Now is the clock; nil is the system's.
	Now func() time.Time
	// Issuer is the origin of links.
	Issuer string
	// Production refuses sample credentials and plain http on loopback for web applications.
	Production bool
	// ClientSecrets are the sub-keys of purpose "client-secret".
	ClientSecrets secret.Subkeys
	// GrantTypes are the names of the grant types that the token endpoint offers; a client can register no other.
	GrantTypes []string

	Passwords PasswordConfig
	Mail      MailConfig
	Accounts  AccountConfig
}

// PasswordConfig says how passwords are checked and hashed.
type PasswordConfig struct {
	Hasher *secret.Passwords
	// MinLength is in characters; 0 is 8.
	MinLength int
	// ContextWords are words that users of this installation would use in a password: the product's name, the issuer.
	ContextWords []string
	// Brand returns the current name of this service, which a superadmin can change; a password must not be built on
	// it either. It may be nil.
	Brand func() string
}

// MailConfig says how mails are written.
type MailConfig struct {
	// Writer writes the mails; without it everything that sends a mail fails.
	Writer *mail.Writer
	// Sealer encrypts pending requests and links in the database.
	Sealer *secret.Sealer
	// Wait counts a mail of a kind to a mailbox, by its folded address, that an anonymous caller has caused. It
	// returns how long the next such mail must wait; 0 if this one may be sent. nil allows all.
	Wait func(ctx context.Context, kind, emailKey string) (time.Duration, error)
	// Wake tells the outbox worker of this process that there is a message; it may be nil.
	Wake func()
}

// AccountConfig says who gets an account, and how.
type AccountConfig struct {
	// Registration is who may register: RegistrationOpen (also ""), RegistrationInvite or RegistrationClosed.
	Registration string
	// ConfirmEmail says that an account exists only after its address was verified.
	ConfirmEmail bool
	// Recovery says that links to reset a password are mailed.
	Recovery bool
	// PersonalOrg is PersonalAlways, PersonalUninvited or PersonalNever; "" is never.
	PersonalOrg string
}

// Domain is the rules, by noun. Its parts are safe for concurrent use.
type Domain struct {
	*access
	People        *People
	Accounts      *Accounts
	Passwords     *Passwords
	Registrations *Registrations
	Sessions      *Sessions
	Connections   *Connections
	Organizations *Organizations
	Invitations   *Invitations
	Policies      *Policies
	Clients       *Clients
	Resources     *Resources
	Tokens        *Tokens
	Installation  *Installation
}

// People are the users as superadmins and the operator see and change them.
type People struct {
	*mailer
	passwords *Passwords
}

// Accounts is what users do with their own account.
type Accounts struct {
	*mailer
	people       *People
	passwords    *Passwords
	confirmEmail bool
	personalOrg  string
}

// Passwords are the rules for passwords, and their hashes.
type Passwords struct {
	*secret.Passwords
	minLength  int
	words      []string
	brand      func() string
	production bool
}

// Registrations is how accounts begin and how addresses are verified: registration, verification and recovery.
type Registrations struct {
	*mailer
	accounts     *Accounts
	invitations  *Invitations
	passwords    *Passwords
	registration string
}

// Sessions are users' sessions, and what each still needs.
type Sessions struct{ *mailer }

// Organizations are the customers, with their members.
type Organizations struct{ *access }

// Invitations are offers of a role in an organization.
type Invitations struct{ *mailer }

// Policies says which second factors organizations and the installation require.
type Policies struct {
	*mailer
	// noticed is how far DeadlineNotices has come.
	reminders struct {
		sync.Mutex
		place noticePlace
	}
}

// Clients are the registered applications, with their secrets and their refused requests.
type Clients struct {
	*access
	passwords  *Passwords
	keys       secret.Subkeys
	issuer     string
	grantTypes []string
	production bool
	verified   verifiedSecrets
	phc        phcQueue
	uses       uses
	refusals   refusals
}

// Resources are the resource servers with their scopes.
type Resources struct {
	*access
	clients *Clients
	issuer  string
}

// Tokens are personal access tokens.
type Tokens struct {
	*access
	uses tokenUses
}

// Installation is the installation as a whole: its first administrator, its brand, its return from a backup.
type Installation struct {
	*access
	passwords  *Passwords
	issuer     string
	superadmin superadminSeen
}

// replaceError returns the error that the table has for err, and err itself if the table has none.
func replaceError(err error, table map[error]error) error {
	for of, meaning := range table {
		if errors.Is(err, of) {
			return meaning
		}
	}
	return err
}

// ignoreNotFound returns err unless it is storage.ErrNotFound.
func ignoreNotFound(err error) error {
	return replaceError(err, map[error]error{storage.ErrNotFound: nil})
}

// New returns the Domain of c.
func New(c Config) *Domain {
	freeWordLists()
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Mail.Wait == nil {
		c.Mail.Wait = func(context.Context, string, string) (time.Duration, error) { return 0, nil }
	}
	if c.Mail.Wake == nil {
		c.Mail.Wake = func() {}
	}
	if c.Passwords.Brand == nil {
		c.Passwords.Brand = func() string { return "" }
	}
	access := &access{store: c.Store, now: c.Now}
	passwords := &Passwords{Passwords: c.Passwords.Hasher, minLength: cmp.Or(c.Passwords.MinLength, 8),
		words: splitWords(c.Passwords.ContextWords), brand: c.Passwords.Brand, production: c.Production}
	mailer := &mailer{access: access, mail: c.Mail.Writer, sealer: c.Mail.Sealer, issuer: c.Issuer,
		recovery: c.Accounts.Recovery, mailboxWait: c.Mail.Wait, wake: c.Mail.Wake}
	d := &Domain{access: access, Passwords: passwords,
		People:        &People{mailer: mailer, passwords: passwords},
		Sessions:      &Sessions{mailer},
		Organizations: &Organizations{access},
		Invitations:   &Invitations{mailer},
		Policies:      &Policies{mailer: mailer},
		Clients: &Clients{access: access, passwords: passwords, keys: c.ClientSecrets, issuer: c.Issuer,
			grantTypes: c.GrantTypes, production: c.Production,
			verified: verifiedSecrets{now: access.currentTime, seen: map[uuid.UUID]verifiedSecret{}},
			phc:      phcQueue{slot: make(chan struct{}, 1)},
			uses: uses{seen: map[use]time.Time{}, written: map[use]time.Time{},
				unprotected: map[string]storage.UnprotectedUse{}}},
		Tokens:       &Tokens{access: access, uses: tokenUses{seen: map[uuid.UUID]time.Time{}}},
		Installation: &Installation{access: access, passwords: passwords, issuer: c.Issuer},
	}
	d.Accounts = &Accounts{mailer: mailer, people: d.People, passwords: passwords,
		confirmEmail: c.Accounts.ConfirmEmail, personalOrg: c.Accounts.PersonalOrg}
	d.Registrations = &Registrations{mailer: mailer, accounts: d.Accounts, invitations: d.Invitations,
		passwords:    passwords,
		registration: cmp.Or(c.Accounts.Registration, RegistrationOpen)}
	d.Connections = &Connections{mailer: mailer, registrations: d.Registrations}
	d.Resources = &Resources{access: access, clients: d.Clients, issuer: c.Issuer}
	return d
}

// MessageHandlers are the outbox handlers of this package. They decide what the request could not decide without
// revealing whether an address exists. Each may be called again with the same message.
func (d *Domain) MessageHandlers() map[string]outbox.Handler {
	return map[string]outbox.Handler{
		registrationRequested: {Deliver: d.Registrations.processRegistration},
		recoveryRequested:     {Deliver: d.Registrations.processRecovery},
		secondFactorCheck:     {Deliver: d.Sessions.processSecondFactorCheck},
	}
}

// WriteUses stores the times of last use that were noted since the last call. Call it every half minute and at the
// end. A crash loses these times and counts only.
func (d *Domain) WriteUses(ctx context.Context, pace *storage.Pace) error {
	return errors.Join(d.Clients.writeUses(ctx, pace), d.Tokens.writeUses(ctx, pace))
}

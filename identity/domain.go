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

// ErrForbidden: the acting person may see this but not do that.
var ErrForbidden = storage.ErrForbidden

// Config is what a Domain is made of.
type Config struct {
	Store *storage.Store
	// Now is the node's clock; nil is the system's.
	Now func() time.Time
	// Issuer is the origin that links lead to.
	Issuer string
	// Production refuses sample credentials and plain http on loopback for web applications.
	Production bool
	// ClientSecrets are the sub-keys of purpose "client-secret".
	ClientSecrets secret.Subkeys
	// GrantTypes are the names of what the token endpoint offers: a client can register no other.
	GrantTypes []string

	Passwords PasswordConfig
	Mail      MailConfig
	Accounts  AccountConfig
}

// PasswordConfig is how passwords are judged and hashed.
type PasswordConfig struct {
	Hasher *secret.Passwords
	// MinLength is in characters; 0 is 8.
	MinLength int
	// ContextWords are where people of this installation would take a password from:
	// the product's name, the issuer.
	ContextWords []string
	// Brand is what this service calls itself now, as a superadmin may have set it:
	// another place to take a password from. May be nil.
	Brand func() string
}

// MailConfig is how mails are written.
type MailConfig struct {
	// Writer writes the letters of accounts; without it nothing that sends one works.
	Writer *mail.Writer
	// Sealer keeps what waits to be decided or proven unreadable in the database.
	Sealer *secret.Sealer
	// Wait counts a mail of a kind to the mailbox with that folded address, which a stranger asked for, and tells how
	// long the next must wait; 0 if it may be sent. nil allows all.
	Wait func(ctx context.Context, kind, emailKey string) (time.Duration, error)
	// Wake tells the outbox worker of this process that there is something to do; may be nil.
	Wake func()
}

// AccountConfig is who gets an account, and how.
type AccountConfig struct {
	// Registration is who may register: RegistrationOpen (also ""), RegistrationInvite or RegistrationClosed.
	Registration string
	// ConfirmEmail: nobody has an account before their address is proven.
	ConfirmEmail bool
	// Recovery: links to reset a forgotten password are mailed.
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

// People are the users, as those who administer the installation see and change them.
type People struct {
	*mailer
	passwords *Passwords
}

// Accounts are what people do with their own account.
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

// Registrations are how accounts begin, and how their address is proven: registration, verification and recovery.
type Registrations struct {
	*mailer
	accounts     *Accounts
	invitations  *Invitations
	passwords    *Passwords
	registration string
}

// Sessions are the sessions of people, and what each still needs.
type Sessions struct{ *mailer }

// Organizations are the customers, with their members.
type Organizations struct{ *access }

// Invitations are offers of a role in an organization.
type Invitations struct{ *mailer }

// Policies are which second factors organizations and the installation require.
type Policies struct {
	*mailer
	noticed struct { // how far DeadlineNotices has come
		sync.Mutex
		place noticePlace
	}
}

// Clients are the registered applications, with their secrets and what they were refused.
type Clients struct {
	*access
	passwords  *Passwords
	keys       secret.Subkeys
	issuer     string
	grantTypes []string
	production bool
	verified   *verified
	phc        phcQueue
	uses       uses
	refusals   refusals
}

// Resources are the resource servers, with the scopes they define.
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
	passwords    *Passwords
	issuer       string
	administered administered
}

// New returns the Domain of c.
func New(c Config) *Domain {
	forgetLists()
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
		words: wordsOf(c.Passwords.ContextWords), brand: c.Passwords.Brand, production: c.Production}
	mailer := &mailer{access: access, mail: c.Mail.Writer, sealer: c.Mail.Sealer, issuer: c.Issuer,
		recovery: c.Accounts.Recovery, mailboxWait: c.Mail.Wait, wake: c.Mail.Wake}
	d := &Domain{access: access, Passwords: passwords,
		People:        &People{mailer: mailer, passwords: passwords},
		Sessions:      &Sessions{mailer},
		Organizations: &Organizations{access},
		Invitations:   &Invitations{mailer},
		Policies:      &Policies{mailer: mailer},
		Clients: &Clients{access: access, passwords: passwords, keys: c.ClientSecrets, issuer: c.Issuer,
			grantTypes: c.GrantTypes, production: c.Production, verified: newVerified(access.clock),
			phc: phcQueue{slot: make(chan struct{}, 1)}, uses: newUses()},
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

// MessageHandlers are what the outbox worker calls for messages of these kinds. They
// decide what the request could not without telling whether an address exists. Each
// can be called again with the same message.
func (d *Domain) MessageHandlers() map[string]outbox.Handler {
	return map[string]outbox.Handler{
		registrationRequested: {Deliver: d.Registrations.processRegistration},
		recoveryRequested:     {Deliver: d.Registrations.processRecovery},
		secondStepOwed:        {Deliver: d.Sessions.processSecondStep},
	}
}

// WriteUses stores when clients and personal access tokens were last used, as far as it was noted since the last call.
// Call it every half minute and at the end; what a crash loses are last-used times and counts only.
func (d *Domain) WriteUses(ctx context.Context, pace *storage.Pace) error {
	return errors.Join(d.Clients.writeUses(ctx, pace), d.Tokens.writeUses(ctx, pace))
}

package app

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/provider"
	"github.com/sallyport-id/sallyport/storage"
)

// Options are what a test sets and a program leaves alone. The zero value is
// right for production.
type Options struct {
	Log *slog.Logger // nil: nothing is logged
	// JSONLog says that Log writes for programs. Then what Serve tells the person at the terminal is logged, so that every
	// line is a record; the address with the setup token is written all the same.
	JSONLog bool
	Now     func() time.Time // nil: the system's clock
	// Wrap goes around every database connection, for counting round trips.
	Wrap func(driver.Connector) driver.Connector
}

// fillIn gives what was left out its default.
func (o *Options) fillIn() {
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// App is an opened installation: its database with the schema in place, its
// secrets and its rules. Commands work on it; NewServer makes the server from it.
type App struct {
	Config   *Config
	Store    *storage.Store
	Registry *storage.Registry
	Identity *identity.Identity
	Factors  *factor.Factors
	Logos    *identity.Logos
	Keys     *keys.Keyset
	Sealer   *secret.Sealer
	Log      *slog.Logger
	// KeysMissing says that the keys of development do not exist yet and are random ones here; see OpenReadOnly.
	KeysMissing bool

	now     func() time.Time
	jsonLog bool
	keyring *secret.Keyring
	brand   brand
	// temporary is a folder that Close removes; empty for none.
	temporary string

	// What a server brings along; nil in a command. Set before anything runs.
	mailboxes func(ctx context.Context, kind, emailKey string) (time.Duration, error)
	wake      func()
}

// Open opens the installation that cfg describes: it makes the keys of
// development, opens the database and brings its schema up to date unless
// MIGRATE is off. Signing keys are not loaded; see LoadKeys.
func Open(ctx context.Context, cfg *Config, o Options) (*App, error) {
	o.fillIn()
	a, err := open(ctx, cfg, o)
	if err != nil {
		return nil, err
	}
	if err := a.prepareSchema(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// open joins everything that needs no schema.
func open(ctx context.Context, cfg *Config, o Options) (*App, error) {
	if err := cfg.EnsureDevelopmentKeys(); err != nil {
		return nil, err
	}
	store, err := storage.Open(ctx, storage.Config{URL: cfg.DatabaseURL, Now: o.Now, Wrap: o.Wrap})
	if err != nil {
		return nil, &DatabaseError{err}
	}
	a, err := assemble(cfg, store, o)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return a, nil
}

// assemble joins what works on an open database.
func assemble(cfg *Config, store *storage.Store, o Options) (*App, error) {
	keyring, err := secret.NewKeyring(cfg.SecretKeys)
	if err != nil {
		return nil, fmt.Errorf("SECRET_KEY: %w", err)
	}
	sealer, err := secret.NewSealer(cfg.EncryptionKeys)
	if err != nil {
		return nil, fmt.Errorf("ENCRYPTION_KEY: %w", err)
	}
	passwords, err := newPasswords(cfg)
	if err != nil {
		return nil, fmt.Errorf("PASSWORD_HASHER: %w", err)
	}
	letters := mail.NewWriter(sealer, cfg.Issuer)
	a := &App{
		Config: cfg, Store: store, Log: o.Log, Sealer: sealer,
		Registry: storage.NewRegistry(store, o.Log),
		Logos:    identity.NewLogos(identity.LogosConfig{Store: store, Allow: cfg.OutboundAllow, Now: o.Now, Log: o.Log}),
		Keys:     keys.New(keys.Config{Store: store, Sealer: sealer, Now: o.Now, Log: o.Log}),
		now:      o.Now, jsonLog: o.JSONLog, keyring: keyring,
	}
	a.Identity = identity.New(identity.Config{Store: store, Passwords: passwords, ClientSecrets: keyring.Subkeys("client-secret"),
		PasswordMinLength: cfg.PasswordMinLength, ContextWords: []string{cfg.BrandName, cfg.Issuer}, Brand: a.BrandName, Production: cfg.Env == Production,
		GrantTypes: provider.GrantTypes(),
		Mail:       letters, Sealer: sealer, Issuer: cfg.Issuer, Registration: cfg.Registration, ConfirmEmail: cfg.ConfirmEmail,
		Recovery: cfg.Recovery, PersonalOrg: cfg.PersonalOrg, MailboxWait: a.mailboxWait, Wake: a.wakeOutbox, Now: o.Now})
	a.Factors, err = factor.New(factor.Config{Store: store, Sealer: sealer, Keys: keyring, Mail: letters, Identity: a.Identity, Issuer: cfg.Issuer,
		Name: a.BrandName, RecoveryCodes: cfg.RecoveryCodes, Now: o.Now})
	return a, err
}

// mailboxWait counts a mail that a stranger asked for. A command has nobody to
// ask: what it sends, the operator wants sent.
func (a *App) mailboxWait(ctx context.Context, kind, emailKey string) (time.Duration, error) {
	if a.mailboxes == nil {
		return 0, nil
	}
	return a.mailboxes(ctx, kind, emailKey)
}

// wakeOutbox lets the outbox worker of this process look at once, if it has one.
func (a *App) wakeOutbox() {
	if a.wake != nil {
		a.wake()
	}
}

func newPasswords(cfg *Config) (*secret.Passwords, error) {
	pc := secret.PasswordConfig{Kind: secret.Argon2id, Argon2: cfg.Argon2, BcryptCost: cfg.BcryptCost}
	if cfg.PasswordHasher == "bcrypt" {
		pc.Kind = secret.Bcrypt
	}
	if cfg.PasswordPepper != "" {
		pc.Peppers = [][]byte{[]byte(cfg.PasswordPepper)}
	}
	return secret.NewPasswords(pc)
}

// prepareSchema migrates, or where that is switched off says what is missing.
func (a *App) prepareSchema(ctx context.Context) error {
	if a.Config.Migrate {
		return a.Store.Migrate(ctx)
	}
	return a.requireSchema(ctx, "SALLYPORT_MIGRATE is off, so run `sallyport migrate up`")
}

// Close closes the database.
func (a *App) Close() error {
	err := a.Store.Close()
	if a.temporary != "" {
		err = errors.Join(err, os.RemoveAll(a.temporary))
	}
	return err
}

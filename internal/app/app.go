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
	"github.com/sallyport-id/sallyport/identity/importer"
	"github.com/sallyport-id/sallyport/identity/manifest"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sallyport-id/sallyport/internal/redis"
	"github.com/sallyport-id/sallyport/internal/sample/seed"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/tally"
	"github.com/sallyport-id/sallyport/internal/upstream"
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
	Identity *identity.Domain
	Factors  *factor.Factors
	Manifest *manifest.Planner
	Importer *importer.Importer
	Seeder   *seed.Seeder
	Logos    *identity.Logos
	Keys     *keys.Keyset
	Sealer   *secret.Sealer
	Redis    *redis.Client // nil without REDIS_URL
	Limits   *limit.Guard
	Upstream *upstream.Service
	Log      *slog.Logger
	// KeysMissing says that the keys of development do not exist yet and are random ones here; see OpenReadOnly.
	KeysMissing bool

	now      func() time.Time
	jsonLog  bool
	keyring  *secret.Keyring
	devices  *device.Devices
	failures *tally.Tally
	wakeup   outbox.Wakeup
	brand    brand
	// temporary is a folder that Close removes; empty for none.
	temporary string
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
	client, err := redis.Open(cfg.RedisURL, o.Log, o.Now)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	letters := mail.NewWriter(sealer, cfg.Issuer)
	a := &App{
		Config: cfg, Store: store, Log: o.Log, Sealer: sealer,
		Registry: storage.NewRegistry(store),
		Logos:    identity.NewLogos(identity.LogosConfig{Store: store, Allow: cfg.OutboundAllow, Now: o.Now, Log: o.Log}),
		Keys:     keys.New(keys.Config{Store: store, Sealer: sealer, Now: o.Now, Log: o.Log}),
		Redis:    client,
		now:      o.Now, jsonLog: o.JSONLog, keyring: keyring,
		devices: device.New(keyring, cfg.secure(), o.Now), failures: tally.New(store, o.Now), wakeup: outbox.NewWakeup(),
	}
	a.Limits, err = limit.New(limit.Config{Store: store, Keys: keyring, Devices: a.devices, Tally: a.failures, Redis: client,
		Logger: o.Log, Now: o.Now})
	if err != nil {
		return nil, err
	}
	a.Upstream, err = upstream.New(upstream.Config{Sealer: sealer, Allow: cfg.OutboundAllow, Now: o.Now})
	if err != nil {
		return nil, err
	}
	a.Identity = identity.New(identity.Config{Store: store, Now: o.Now, Issuer: cfg.Issuer, Production: cfg.Env == Production,
		ClientSecrets: keyring.Subkeys("client-secret"), GrantTypes: provider.GrantTypes(),
		Passwords: identity.PasswordConfig{Hasher: passwords, MinLength: cfg.PasswordMinLength,
			ContextWords: []string{cfg.BrandName, cfg.Issuer}, Brand: a.BrandName},
		Mail: identity.MailConfig{Writer: letters, Sealer: sealer, Wait: a.Limits.TakeMailbox, Wake: a.wakeup.Wake},
		Accounts: identity.AccountConfig{Registration: cfg.Registration, ConfirmEmail: cfg.ConfirmEmail, Recovery: cfg.Recovery,
			PersonalOrg: cfg.PersonalOrg}})
	a.Manifest = manifest.New(manifest.Config{Store: store, Identity: a.Identity, GrantTypes: provider.GrantTypes(),
		Production: cfg.Env == Production, Now: o.Now})
	a.Importer = importer.New(importer.Config{Store: store, Identity: a.Identity, Passwords: passwords, Now: o.Now})
	a.Seeder = seed.New(seed.Config{Store: store, Identity: a.Identity, Passwords: passwords, Production: cfg.Env == Production, Now: o.Now})
	a.Factors, err = factor.New(factor.Config{Store: store, Sealer: sealer, Keys: keyring, Mail: letters,
		Identity: a.Identity, Issuer: cfg.Issuer,
		Name: a.BrandName, RecoveryCodes: cfg.RecoveryCodes, Now: o.Now})
	return a, err
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

// Close closes the connections to the database and to Redis.
func (a *App) Close() error {
	err := errors.Join(a.Store.Close(), a.Redis.Close())
	if a.temporary != "" {
		err = errors.Join(err, os.RemoveAll(a.temporary))
	}
	return err
}

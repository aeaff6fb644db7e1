package app

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Environment says how strict the server is with its own configuration.
type Environment string

// The environments. Testing is development without its banners. Only
// production may be reachable from outside this machine.
const (
	Production  Environment = "production"
	Development Environment = "development"
	Testing     Environment = "testing"
)

// Config is the whole configuration, checked. It never prints: formatting or
// logging one yields the word "redacted"; [Config.Redacted] is the listing for
// people.
type Config struct {
	Env         Environment
	Issuer      string   // scheme://host[:port], nothing after it
	Listen      string   // host:port of the public listener
	AdminListen string   // host:port of metrics, health and profiles
	AdminHosts  []string // names that AdminListen answers to besides IP addresses and localhost
	// DrainDelay is how long requests are still answered after SIGTERM, while load balancers notice.
	DrainDelay time.Duration
	TLSCert    string // path; both or neither of TLSCert and TLSKey
	TLSKey     string

	// DatabaseURL is sqlite://PATH, or postgres://… that lib/pq accepts and
	// that always carries user, password and sslmode as far as they are known.
	DatabaseURL string
	RedisURL    string // empty: no Redis
	Migrate     bool   // serve applies pending migrations

	// Key lists: the first is used, all are accepted. Each key has at least 32
	// bytes. In development they are empty until [Config.EnsureDevelopmentKeys].
	SecretKeys       [][]byte
	EncryptionKeys   [][]byte
	CAEncryptionKeys [][]byte

	PasswordHasher    string // "argon2id" or "bcrypt"
	Argon2            secret.Argon2Params
	BcryptCost        int
	PasswordPepper    string // as Flask-Security applies it; empty: none
	PasswordMinLength int
	TOTPSecrets       secret.PasslibSecrets // Flask-Security's, for `users import`

	SessionProtection string // "strong", "basic" or "off"
	SessionLifetime   time.Duration
	SessionIdle       time.Duration
	SessionsPerUser   int // 0: any number

	Registration  string // who may register: "true" (anybody), "invite" or "false"
	ConfirmEmail  bool   // an address is proven before its account can be used
	Recovery      bool   // a forgotten password can be reset by mail
	PersonalOrg   string // who gets an organization of their own: "always", "uninvited" or "never"
	RecoveryCodes int    // how many a person gets, 1 to 20

	TrustedProxies []netip.Prefix // whose X-Forwarded-* are believed
	OutboundAllow  []netip.Prefix // what server-side fetches may reach besides public addresses
	CORSOrigins    []string       // origins, as browsers send them, that may call the JSON API

	BrandName    string
	BrandLogo    string // path of an image file; empty: the product's mark
	BrandColor   string // #rrggbb; empty: the product's accent
	SupportEmail string

	Mail MailConfig

	Connections []identity.ConnectionConfig // upstream identity providers

	LogLevel  slog.Level
	LogFormat string // "text", "json", or empty: text on a terminal, else json

	// Dir is the folder that clients.yaml is looked for in.
	Dir string
	// DataDir is where development keys are kept, and the default database.
	DataDir string

	// Warnings are sentences about settings that were given and have no effect. They name keys, never values.
	Warnings []string

	settings []Setting
}

// LoadOptions says where configuration comes from. The zero value reads
// nothing but sallyport.yaml and .env of the working directory.
type LoadOptions struct {
	Flags   map[string]string // by key, such as "LISTEN"; wins over everything
	Environ []string          // "NAME=value", normally os.Environ()
	Dir     string            // where sallyport.yaml, .env and data are; default: the working directory
	File    string            // another file than Dir/sallyport.yaml; then it must exist
}

// Load reads and checks the whole configuration. The order is flag,
// environment, .env (development only), sallyport.yaml, default. The error is
// a [*ConfigError] with every fault there is.
func Load(opts LoadOptions) (*Config, error) {
	cfg, faults := readConfig(opts)
	if len(faults) > 0 {
		return nil, &ConfigError{Faults: faults}
	}
	return cfg, nil
}

// readConfig is Load that returns what it could read beside the faults. A key with a fault has no meaningful value.
func readConfig(opts LoadOptions) (*Config, []Fault) {
	l := newLoader(opts.Dir)
	flags := l.flagValues(opts.Flags)
	environ := l.environValues(opts.Environ)
	file := l.fileValues(opts.File)

	merged := merge(file, environ, flags)
	if env := environmentOf(merged); env != Production {
		dotenv := l.dotenvValues()
		merged = merge(file, dotenv, environ, flags)
		if len(dotenv) > 0 && environmentOf(merged) == Production {
			l.fault(".env", "is read in development only, and this one asks for production: put ENV, or ISSUER and LISTEN, into the environment or sallyport.yaml", "SALLYPORT_ENV=production")
		}
	}
	return l.build(merged), l.faults
}

// loader gathers faults, so that a person mends them all at once.
type loader struct {
	dir         string
	faults      []Fault
	connections []identity.ConnectionConfig // of sallyport.yaml
	environ     map[string]string
	ignored     map[string]bool // names of a replaced system's settings that mean nothing here
}

func newLoader(dir string) *loader {
	return &loader{dir: cmp.Or(dir, "."), ignored: map[string]bool{}}
}

func (l *loader) fault(key, problem, example string) {
	l.faults = append(l.faults, Fault{Key: key, Problem: problem, Example: example})
}

// build parses every value and then applies the rules between them.
func (l *loader) build(values map[string]value) *Config {
	c := &Config{Dir: l.dir, DataDir: filepath.Join(l.dir, "data")}
	c.Env = environmentOf(values)
	for _, s := range settings(c) {
		v, given := values[s.key]
		if !given {
			v = value{text: s.fallback(c, values), origin: "default"}
		}
		if err := s.apply(v.text); err != nil {
			l.fault(s.key, err.Error(), s.sample())
		}
		c.settings = append(c.settings, s.listed(v))
	}
	l.fillDatabase(c, values)
	l.addConnections(c, values)
	l.checkTogether(c, values)
	if c.Env == Production {
		l.checkProduction(c)
	}
	c.Warnings = l.warnings(c, values)
	return c
}

// checkTogether holds the rules that need more than one key.
func (l *loader) checkTogether(c *Config, values map[string]value) {
	if c.Env != Production && !(loopbackIssuer(issuerText(values)) && loopbackListen(listenText(values))) {
		l.fault("ENV", fmt.Sprintf("%s needs an ISSUER and a LISTEN on loopback: it has generated keys and no https", c.Env), "SALLYPORT_ENV=production")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		l.fault("TLS_CERT", "TLS_CERT and TLS_KEY are set together or not at all", "SALLYPORT_TLS_CERT=/etc/sallyport/tls.crt")
	}
	if c.TLSCert != "" && strings.HasPrefix(c.Issuer, "http://") {
		l.fault("ISSUER", "must begin with https:// when TLS_CERT is set", "SALLYPORT_ISSUER=https://id.example.com")
	}
	if c.SessionIdle > c.SessionLifetime {
		if _, given := values["SESSION_IDLE"]; given {
			l.fault("SESSION_IDLE", "is longer than SESSION_LIFETIME", "SALLYPORT_SESSION_IDLE=7200")
		}
		c.SessionIdle = c.SessionLifetime
	}
	if !l.faulty("ARGON2_MEMORY_KIB") && !l.faulty("ARGON2_TIME") && !l.faulty("ARGON2_PARALLELISM") &&
		c.Argon2.Check() != nil {
		l.fault("ARGON2_TIME", "times ARGON2_MEMORY_KIB must be at most 1048576: one hash would take seconds of everybody's sign-ins", "SALLYPORT_ARGON2_TIME=4")
	}
	l.checkMail(c, values)
}

// checkProduction refuses what is only safe on one's own machine.
func (l *loader) checkProduction(c *Config) {
	const generate = "openssl rand -base64 32"
	for _, k := range []struct {
		key  string
		have [][]byte
	}{{"SECRET_KEY", c.SecretKeys}, {"ENCRYPTION_KEY", c.EncryptionKeys}, {"CA_ENCRYPTION_KEY", c.CAEncryptionKeys}} {
		if len(k.have) == 0 && !l.faulty(k.key) {
			l.fault(k.key, "is missing: production keeps its keys outside the data folder", "SALLYPORT_"+k.key+"=$("+generate+")")
		}
	}
	if !strings.HasPrefix(c.Issuer, "https://") && !l.faulty("ISSUER") {
		l.fault("ISSUER", "must begin with https:// in production (which this is, because ENV says so or because ISSUER or LISTEN is not loopback)", "SALLYPORT_ISSUER=https://id.example.com")
	}
	if c.PasswordHasher == "bcrypt" && c.BcryptCost < 12 {
		l.fault("BCRYPT_LOG_ROUNDS", "must be at least 12 in production", "SALLYPORT_BCRYPT_LOG_ROUNDS=12")
	}
	l.checkProductionMail(c)
}

// faulty reports whether a key already has a fault, which a second one about
// its absence would only obscure.
func (l *loader) faulty(key string) bool {
	return slices.ContainsFunc(l.faults, func(f Fault) bool { return f.Key == key })
}

// fileExists is for keys that name a file: a typo shows at start, not at the
// first request.
func fileExists(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	if info.IsDir() {
		return fmt.Errorf("is a folder, not a file")
	}
	return nil
}

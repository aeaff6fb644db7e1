package app

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/secret"
)

// setting is one row of the configuration: what it is called, what it means,
// and how its text becomes part of a [Config].
type setting struct {
	key       string
	aliases   []string // bare environment names accepted as well
	def       string   // default
	devDef    string   // default in development and testing, where it differs
	secret    bool     // never shown
	holdsURL  bool     // shown without its password
	example   string   // a right value, for faults and .env.example
	help      string   // for .env.example; lines end in \n
	defInText string   // how .env.example words the default when it is no literal
	// apply checks the text and stores it in the configuration that the table was made for.
	apply func(text string) error
}

// fallback is the text that stands when nobody gave one.
func (s setting) fallback(c *Config, values map[string]value) string {
	switch {
	case s.key == "ENV":
		return string(c.Env)
	case s.key == "ISSUER":
		return issuerText(values)
	case s.key == "MAIL_PROVIDER" && values["MAIL_SERVER"].text != "":
		return "smtp"
	case s.devDef != "" && c.Env != Production:
		return s.devDef
	}
	return s.def
}

func (s setting) sampleText() string { return s.key + "=" + s.example }

// sample is a right line for a shell's environment.
func (s setting) sample() string {
	if s.example == "" {
		return envPrefix + s.key + "_FILE=/run/secrets/" + strings.ToLower(s.key)
	}
	return envPrefix + s.sampleText()
}

// settingFor finds a row by its key; unknown keys are a mistake of this package.
func settingFor(key string) setting {
	rows := settings(&Config{})
	return rows[slices.IndexFunc(rows, func(s setting) bool { return s.key == key })]
}

// settings lists every key there is, in the order of .env.example. Its rows store what they read in c.
func settings(c *Config) []setting {
	return slices.Concat(serverSettings(c), storeSettings(c), secretSettings(c), peopleSettings(c),
		networkSettings(c), brandSettings(c), mailSettings(&c.Mail), connectionSettings())
}

// into stores in a field what parse makes of a text.
func into[T any](field *T, parse func(text string) (T, error)) func(text string) error {
	return func(text string) (err error) {
		*field, err = parse(text)
		return err
	}
}

// checked stores a text in a field as it stands; check says what is wrong with it.
func checked(field *string, check func(text string) error) func(text string) error {
	return into(field, func(text string) (string, error) { return text, check(text) })
}

func serverSettings(c *Config) []setting {
	return []setting{
		{key: "ENV", aliases: []string{"FLASK_ENV"}, example: "production",
			defInText: "development while ISSUER and LISTEN are both loopback, else production",
			help:      "production, development, or testing (development without banners).\nDevelopment is refused anywhere but on loopback.",
			apply:     oneOf("production", "development", "testing")},
		{key: "ISSUER", aliases: []string{"OIDC_ISSUER_URL"}, example: "https://id.example.com",
			defInText: "http://localhost:5000 (the port follows LISTEN)",
			help:      "The address people and applications see: scheme://host[:port] and nothing\nafter it. It is part of every token, so choose it once. Requests for another\nhost are refused.",
			apply:     into(&c.Issuer, parseIssuer)},
		{key: "LISTEN", aliases: []string{"PORT"}, def: "127.0.0.1:5000", example: "0.0.0.0:5000",
			help:  "host:port to serve on. PORT gives the port alone.",
			apply: into(&c.Listen, parseListen)},
		{key: "TLS_CERT", example: "/etc/sallyport/tls.crt", help: "PEM files for built-in TLS. Without them a proxy in front speaks https.",
			apply: checked(&c.TLSCert, fileExists)},
		{key: "TLS_KEY", example: "/etc/sallyport/tls.key",
			apply: checked(&c.TLSKey, fileExists)},
		{key: "ADMIN_LISTEN", def: "127.0.0.1:5002", example: "127.0.0.1:5002",
			help:  "host:port of /metrics, /healthz, /readyz and profiles. Keep it private.",
			apply: into(&c.AdminListen, parseListen)},
		{key: "ADMIN_HOSTS", example: "sallyport.internal", defInText: "none",
			help:  "Names, comma separated and without a port, by which ADMIN_LISTEN may be asked\nbesides IP addresses and localhost. Others are refused, because a web page could\nhave them resolve to this machine.",
			apply: into(&c.AdminHosts, parseHosts)},
		{key: "DRAIN_DELAY", def: "5", devDef: "0", example: "10", defInText: "5; 0 in development",
			help:  "Seconds that requests are still answered after SIGTERM, while /readyz says no:\nlonger than a load balancer takes to notice. After that, requests under way have\n20 seconds; give the process 30 in all.",
			apply: into(&c.DrainDelay, seconds(0, 5*time.Minute))},
		{key: "LOG_LEVEL", aliases: []string{"LOG_LEVEL"}, def: "info", example: "debug", help: "debug, info, warn or error.",
			apply: into(&c.LogLevel, parseLevel)},
		{key: "LOG_FORMAT", example: "json", defInText: "text on a terminal, else json", help: "text or json; one line a record.",
			apply: checked(&c.LogFormat, oneOfOrEmpty("text", "json"))},
	}
}

func storeSettings(c *Config) []setting {
	return []setting{
		{key: "DATABASE_URL", aliases: []string{"DATABASE_URL"}, def: "sqlite://./data/sallyport.db", holdsURL: true,
			example: "postgres://sallyport@db.example.com/sallyport?sslmode=verify-full",
			help:    "sqlite://PATH, or postgres://USER:PASSWORD@HOST[,HOST…]/NAME. Without sslmode\nit is verify-full, and disable on loopback. A private authority: sslrootcert=FILE.",
			apply:   into(&c.DatabaseURL, parseDatabaseURL)},
		{key: "POSTGRES_USER", aliases: []string{"POSTGRES_USER"}, example: "sallyport", help: "Fill in what DATABASE_URL leaves out.", apply: accept},
		{key: "POSTGRES_PASSWORD", aliases: []string{"POSTGRES_PASSWORD"}, secret: true, apply: accept},
		{key: "MIGRATE", def: "on", example: "off", help: "on: serve brings the schema up to date when it starts.",
			apply: into(&c.Migrate, parseBool)},
		{key: "REDIS_URL", aliases: []string{"REDIS_URL", "REDIS_SESSION"}, holdsURL: true, example: "rediss://:PASSWORD@redis.example.com:6379/0",
			defInText: "none", help: "redis:// or rediss://; with +cluster or +sentinel for those\n(redis+sentinel://HOST,HOST/MASTER). A cache: the database stays the truth.",
			apply: into(&c.RedisURL, parseRedisURL)},
	}
}

// argon is a parameter of argon2id: a number from least, which is its default, to most.
func argon[T uint8 | uint32](key, example, help string, least, most int, field *T) setting {
	return setting{key: key, def: strconv.Itoa(least), example: example, help: help,
		apply: into(field, func(text string) (T, error) {
			n, err := number(least, most)(text)
			return T(n), err
		})}
}

func secretSettings(c *Config) []setting {
	const inData = "generated into ./data in development; production refuses to start without"
	return []setting{
		{key: "SECRET_KEY", aliases: []string{"SECRET_KEY"}, secret: true, example: "$(openssl rand -base64 32)", defInText: inData,
			help:  "Signs sessions, forms and cursors. At least 32 random bytes as base64, hex, or\nplain text of 32 characters and more; one that was typed is refused. A list,\ncomma separated: the first is used, all are accepted; so put the new key in\nfront to rotate.",
			apply: into(&c.SecretKeys, parseKeys)},
		{key: "ENCRYPTION_KEY", aliases: []string{"ENCRYPTION_KEY"}, secret: true, example: "$(openssl rand -base64 32)", defInText: inData,
			help:  "Seals private keys and secrets in the database. Same form. Keep a copy apart\nfrom the database: without it they cannot be opened.",
			apply: into(&c.EncryptionKeys, parseKeys)},
		{key: "CA_ENCRYPTION_KEY", aliases: []string{"CA_ENCRYPTION_KEY"}, secret: true, example: "$(openssl rand -base64 32)",
			defInText: "ENCRYPTION_KEY in development; production refuses to start without",
			help:      "Seals SAML and certificate-authority keys. Same form.",
			apply:     into(&c.CAEncryptionKeys, parseKeys)},
		{key: "PASSWORD_HASHER", def: "argon2id", example: "bcrypt",
			help:  "argon2id or bcrypt. Hashes of the other kind, or made with other parameters,\nstill verify and are replaced when their owner signs in.",
			apply: checked(&c.PasswordHasher, oneOf("argon2id", "bcrypt"))},
		argon("ARGON2_MEMORY_KIB", "47104", "Cost of argon2id. The defaults are the least that OWASP asks for: nothing starts\nwith less. A hash takes this memory, in KiB; `sallyport doctor` says how long it\ntakes here.",
			int(secret.Argon2Floor.MemoryKiB), secret.MaxArgon2MemoryKiB, &c.Argon2.MemoryKiB),
		argon("ARGON2_TIME", "3", "Passes over that memory.",
			int(secret.Argon2Floor.Time), secret.MaxArgon2Time, &c.Argon2.Time),
		argon("ARGON2_PARALLELISM", "1", "Lanes, which run on as many processors if there are any to spare.",
			int(secret.Argon2Floor.Threads), secret.MaxArgon2Threads, &c.Argon2.Threads),
		{key: "BCRYPT_LOG_ROUNDS", aliases: []string{"BCRYPT_LOG_ROUNDS"}, def: "12", example: "12", help: "Cost of bcrypt, 4 to 31; at least 12 in production.",
			apply: into(&c.BcryptCost, number(4, 31))},
		{key: "PASSWORD_PEPPER", aliases: []string{"SECURITY_PASSWORD_SALT"}, secret: true, example: "$(openssl rand -hex 32)", defInText: "none",
			help:  "Mixed into passwords before they are hashed, as Flask-Security does. Whoever\nsets it must keep it: nobody can sign in without it.",
			apply: checked(&c.PasswordPepper, accept)},
		{key: "SECURITY_TOTP_SECRETS", aliases: []string{"SECURITY_TOTP_SECRETS"}, secret: true, defInText: "none",
			help:  "Flask-Security's key, or its keys as JSON ({\"1\": \"…\"}): `sallyport users import`\nopens the TOTP secrets of its people with them. Nothing else needs it.",
			apply: into(&c.TOTPSecrets, secret.ParsePasslibSecrets)},
		{key: "PASSWORD_MIN_LENGTH", aliases: []string{"SECURITY_PASSWORD_LENGTH_MIN"}, def: "8", example: "12", help: "Characters, 8 to 64.",
			apply: into(&c.PasswordMinLength, number(8, 64))},
	}
}

func peopleSettings(c *Config) []setting {
	return []setting{
		{key: "SESSION_LIFETIME", aliases: []string{"PERMANENT_SESSION_LIFETIME"}, def: "86400", example: "86400", help: "Seconds until a browser must sign in again.",
			apply: into(&c.SessionLifetime, seconds(time.Minute, 365*24*time.Hour))},
		{key: "SESSION_IDLE", def: "7200", example: "7200",
			help:  "Seconds without a request after which it must as well: never earlier, and at\nmost a quarter of that, but no more than a minute, later.",
			apply: into(&c.SessionIdle, seconds(time.Minute, 365*24*time.Hour))},
		{key: "SESSIONS_PER_USER", def: "50", example: "10",
			help:  "How many sessions a person may have; with one more, the longest idle is signed\nout. 0: any number.",
			apply: into(&c.SessionsPerUser, number(0, 100000))},
		{key: "SESSION_PROTECTION", aliases: []string{"SESSION_PROTECTION"}, def: "strong", example: "basic",
			help:  "strong: a session ends when its browser and system, or its network, change; a\nnetwork that ended the last two within ten minutes may change in the next one.\nbasic: sensitive acts ask for a fresh sign-in. off: neither.",
			apply: into(&c.SessionProtection, parseProtection)},
		{key: "REGISTRATION", aliases: []string{"SECURITY_REGISTERABLE"}, def: "true", example: "invite", help: "Who may register: true (anybody), invite, false.",
			apply: into(&c.Registration, parseRegistration)},
		{key: "CONFIRM_EMAIL", aliases: []string{"SECURITY_CONFIRMABLE"}, def: "true", devDef: "false", example: "true",
			defInText: "true; false in development", help: "Prove an address before an account can be used.",
			apply: into(&c.ConfirmEmail, parseBool)},
		{key: "RECOVERY", aliases: []string{"SECURITY_RECOVERABLE"}, def: "true", example: "true", help: "Offer to reset a forgotten password by mail.",
			apply: into(&c.Recovery, parseBool)},
		{key: "PERSONAL_ORG", def: "uninvited", example: "never",
			help:  "Who gets an organization of their own at first sign-in: always, never, or\nuninvited (whoever did not come by invitation).",
			apply: checked(&c.PersonalOrg, oneOf("always", "uninvited", "never"))},
		{key: "RECOVERY_CODES", def: "3", example: "10", help: "How many recovery codes a person gets, 1 to 20.",
			apply: into(&c.RecoveryCodes, number(1, 20))},
	}
}

func networkSettings(c *Config) []setting {
	return []setting{
		{key: "TRUSTED_PROXIES", example: "10.0.0.0/8,192.168.0.0/16", defInText: "none", help: "Networks of the proxies whose X-Forwarded-* headers are believed.",
			apply: into(&c.TrustedProxies, parseNetworks)},
		{key: "OUTBOUND_ALLOW", devDef: "127.0.0.0/8,::1/128", example: "10.20.0.0/16", defInText: "none; loopback in development",
			help:  "Networks that fetches of keys, logos and metadata may reach besides public addresses.",
			apply: into(&c.OutboundAllow, parseNetworks)},
		{key: "CORS_ORIGINS", aliases: []string{"CORS_ORIGINS"}, example: "https://console.example.com", defInText: "none",
			help:  "Origins that may call the JSON API from a browser, comma separated.",
			apply: into(&c.CORSOrigins, parseOrigins)},
	}
}

func brandSettings(c *Config) []setting {
	return []setting{
		{key: "BRAND_NAME", def: "Sallyport", example: "Acme ID", help: "How every page and mail calls this service.",
			apply: checked(&c.BrandName, atMost(60))},
		{key: "BRAND_LOGO", example: "/etc/sallyport/logo.svg", defInText: "the product's mark", help: "An image file (SVG or PNG).",
			apply: checked(&c.BrandLogo, fileExists)},
		{key: "BRAND_COLOR", example: "#0a6e5c", defInText: "the product's accent", help: "#rrggbb. The colour of text on it is worked out, so that it stays readable.",
			apply: into(&c.BrandColor, parseColor)},
		{key: "SUPPORT_EMAIL", example: "help@example.com", defInText: "none", help: "Shown where a person needs help.",
			apply: checked(&c.SupportEmail, checkAddress)},
	}
}

// accept takes any text: for keys that another one uses.
func accept(string) error { return nil }

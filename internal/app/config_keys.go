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
	apply     func(c *Config, text string) error
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
	rows := settings()
	i := slices.IndexFunc(rows, func(s setting) bool { return s.key == key })
	return rows[i]
}

// settings lists every key there is, in the order of .env.example.
func settings() []setting {
	return slices.Concat(serverSettings(), storeSettings(), secretSettings(), peopleSettings(),
		networkSettings(), brandSettings(), mailSettings(), connectionSettings())
}

func serverSettings() []setting {
	return []setting{
		{key: "ENV", aliases: []string{"FLASK_ENV"}, example: "production",
			defInText: "development while ISSUER and LISTEN are both loopback, else production",
			help:      "production, development, or testing (development without banners).\nDevelopment is refused anywhere but on loopback.",
			apply: func(_ *Config, text string) error {
				return oneOf(text, "production", "development", "testing")
			}},
		{key: "ISSUER", aliases: []string{"OIDC_ISSUER_URL"}, example: "https://id.example.com",
			defInText: "http://localhost:5000 (the port follows LISTEN)",
			help:      "The address people and applications see: scheme://host[:port] and nothing\nafter it. It is part of every token, so choose it once. Requests for another\nhost are refused.",
			apply:     func(c *Config, text string) (err error) { c.Issuer, err = parseIssuer(text); return }},
		{key: "LISTEN", aliases: []string{"PORT"}, def: "127.0.0.1:5000", example: "0.0.0.0:5000",
			help:  "host:port to serve on. PORT gives the port alone.",
			apply: func(c *Config, text string) (err error) { c.Listen, err = parseListen(text); return }},
		{key: "TLS_CERT", example: "/etc/sallyport/tls.crt", help: "PEM files for built-in TLS. Without them a proxy in front speaks https.",
			apply: func(c *Config, text string) error { c.TLSCert = text; return fileExists(text) }},
		{key: "TLS_KEY", example: "/etc/sallyport/tls.key",
			apply: func(c *Config, text string) error { c.TLSKey = text; return fileExists(text) }},
		{key: "ADMIN_LISTEN", def: "127.0.0.1:5002", example: "127.0.0.1:5002",
			help:  "host:port of /metrics, /healthz, /readyz and profiles. Keep it private.",
			apply: func(c *Config, text string) (err error) { c.AdminListen, err = parseListen(text); return }},
		{key: "ADMIN_HOSTS", example: "sallyport.internal", defInText: "none",
			help:  "Names, comma separated and without a port, by which ADMIN_LISTEN may be asked\nbesides IP addresses and localhost. Others are refused, because a web page could\nhave them resolve to this machine.",
			apply: func(c *Config, text string) (err error) { c.AdminHosts, err = parseHosts(text); return }},
		{key: "DRAIN_DELAY", def: "5", devDef: "0", example: "10", defInText: "5; 0 in development",
			help: "Seconds that requests are still answered after SIGTERM, while /readyz says no:\nlonger than a load balancer takes to notice. After that, requests under way have\n20 seconds; give the process 30 in all.",
			apply: func(c *Config, text string) (err error) {
				c.DrainDelay, err = parseSeconds(text, 0, 5*time.Minute)
				return
			}},
		{key: "LOG_LEVEL", aliases: []string{"LOG_LEVEL"}, def: "info", example: "debug", help: "debug, info, warn or error.",
			apply: func(c *Config, text string) (err error) { c.LogLevel, err = parseLevel(text); return }},
		{key: "LOG_FORMAT", example: "json", defInText: "text on a terminal, else json", help: "text or json; one line a record.",
			apply: func(c *Config, text string) error { c.LogFormat = text; return oneOfOrEmpty(text, "text", "json") }},
	}
}

func storeSettings() []setting {
	return []setting{
		{key: "DATABASE_URL", aliases: []string{"DATABASE_URL"}, def: "sqlite://./data/sallyport.db", holdsURL: true,
			example: "postgres://sallyport@db.example.com/sallyport?sslmode=verify-full",
			help:    "sqlite://PATH, or postgres://USER:PASSWORD@HOST[,HOST…]/NAME. Without sslmode\nit is verify-full, and disable on loopback. A private authority: sslrootcert=FILE.",
			apply:   func(c *Config, text string) (err error) { c.DatabaseURL, err = parseDatabaseURL(text); return }},
		{key: "POSTGRES_USER", aliases: []string{"POSTGRES_USER"}, example: "sallyport", help: "Fill in what DATABASE_URL leaves out.", apply: accept},
		{key: "POSTGRES_PASSWORD", aliases: []string{"POSTGRES_PASSWORD"}, secret: true, apply: accept},
		{key: "MIGRATE", def: "on", example: "off", help: "on: serve brings the schema up to date when it starts.",
			apply: func(c *Config, text string) (err error) { c.Migrate, err = parseBool(text); return }},
		{key: "REDIS_URL", aliases: []string{"REDIS_URL", "REDIS_SESSION"}, holdsURL: true, example: "rediss://:PASSWORD@redis.example.com:6379/0",
			defInText: "none", help: "redis:// or rediss://; with +cluster or +sentinel for those\n(redis+sentinel://HOST,HOST/MASTER). A cache: the database stays the truth.",
			apply: func(c *Config, text string) (err error) { c.RedisURL, err = parseRedisURL(text); return }},
	}
}

// argon is a parameter of argon2id: a number from least, which is its default, to most.
func argon(key, example, help string, least, most int, set func(p *secret.Argon2Params, n int)) setting {
	return setting{key: key, def: strconv.Itoa(least), example: example, help: help,
		apply: func(c *Config, text string) error {
			n, err := parseInt(text, least, most)
			set(&c.Argon2, n)
			return err
		}}
}

func secretSettings() []setting {
	keys := func(into func(c *Config) *[][]byte) func(c *Config, text string) error {
		return func(c *Config, text string) (err error) { *into(c), err = parseKeys(text); return }
	}
	const inData = "generated into ./data in development; production refuses to start without"
	return []setting{
		{key: "SECRET_KEY", aliases: []string{"SECRET_KEY"}, secret: true, example: "$(openssl rand -base64 32)", defInText: inData,
			help:  "Signs sessions, forms and cursors. At least 32 random bytes as base64, hex, or\nplain text of 32 characters and more; one that was typed is refused. A list,\ncomma separated: the first is used, all are accepted; so put the new key in\nfront to rotate.",
			apply: keys(func(c *Config) *[][]byte { return &c.SecretKeys })},
		{key: "ENCRYPTION_KEY", aliases: []string{"ENCRYPTION_KEY"}, secret: true, example: "$(openssl rand -base64 32)", defInText: inData,
			help:  "Seals private keys and secrets in the database. Same form. Keep a copy apart\nfrom the database: without it they cannot be opened.",
			apply: keys(func(c *Config) *[][]byte { return &c.EncryptionKeys })},
		{key: "CA_ENCRYPTION_KEY", aliases: []string{"CA_ENCRYPTION_KEY"}, secret: true, example: "$(openssl rand -base64 32)",
			defInText: "ENCRYPTION_KEY in development; production refuses to start without",
			help:      "Seals SAML and certificate-authority keys. Same form.",
			apply:     keys(func(c *Config) *[][]byte { return &c.CAEncryptionKeys })},
		{key: "PASSWORD_HASHER", def: "argon2id", example: "bcrypt",
			help:  "argon2id or bcrypt. Hashes of the other kind, or made with other parameters,\nstill verify and are replaced when their owner signs in.",
			apply: func(c *Config, text string) error { c.PasswordHasher = text; return oneOf(text, "argon2id", "bcrypt") }},
		argon("ARGON2_MEMORY_KIB", "47104", "Cost of argon2id. The defaults are the least that OWASP asks for: nothing starts\nwith less. A hash takes this memory, in KiB; `sallyport doctor` says how long it\ntakes here.",
			int(secret.Argon2Floor.MemoryKiB), secret.MaxArgon2MemoryKiB, func(p *secret.Argon2Params,
				n int) {
				p.MemoryKiB = uint32(n)
			}),
		argon("ARGON2_TIME", "3", "Passes over that memory.",
			int(secret.Argon2Floor.Time), secret.MaxArgon2Time, func(p *secret.Argon2Params, n int) { p.Time = uint32(n) }),
		argon("ARGON2_PARALLELISM", "1", "Lanes, which run on as many processors if there are any to spare.",
			int(secret.Argon2Floor.Threads), secret.MaxArgon2Threads, func(p *secret.Argon2Params,
				n int) {
				p.Threads = uint8(n)
			}),
		{key: "BCRYPT_LOG_ROUNDS", aliases: []string{"BCRYPT_LOG_ROUNDS"}, def: "12", example: "12", help: "Cost of bcrypt, 4 to 31; at least 12 in production.",
			apply: func(c *Config, text string) (err error) { c.BcryptCost, err = parseInt(text, 4, 31); return }},
		{key: "PASSWORD_PEPPER", aliases: []string{"SECURITY_PASSWORD_SALT"}, secret: true, example: "$(openssl rand -hex 32)", defInText: "none",
			help:  "Mixed into passwords before they are hashed, as Flask-Security does. Whoever\nsets it must keep it: nobody can sign in without it.",
			apply: func(c *Config, text string) error { c.PasswordPepper = text; return nil }},
		{key: "SECURITY_TOTP_SECRETS", aliases: []string{"SECURITY_TOTP_SECRETS"}, secret: true, defInText: "none",
			help: "Flask-Security's key, or its keys as JSON ({\"1\": \"…\"}): `sallyport users import`\nopens the TOTP secrets of its people with them. Nothing else needs it.",
			apply: func(c *Config, text string) (err error) {
				c.TOTPSecrets, err = secret.ParsePasslibSecrets(text)
				return
			}},
		{key: "PASSWORD_MIN_LENGTH", aliases: []string{"SECURITY_PASSWORD_LENGTH_MIN"}, def: "8", example: "12", help: "Characters, 8 to 64.",
			apply: func(c *Config, text string) (err error) { c.PasswordMinLength, err = parseInt(text, 8, 64); return }},
	}
}

func peopleSettings() []setting {
	return []setting{
		{key: "SESSION_LIFETIME", aliases: []string{"PERMANENT_SESSION_LIFETIME"}, def: "86400", example: "86400", help: "Seconds until a browser must sign in again.",
			apply: func(c *Config, text string) (err error) {
				c.SessionLifetime, err = parseSeconds(text, time.Minute, 365*24*time.Hour)
				return
			}},
		{key: "SESSION_IDLE", def: "7200", example: "7200",
			help: "Seconds without a request after which it must as well: never earlier, and at\nmost a quarter of that, but no more than a minute, later.",
			apply: func(c *Config, text string) (err error) {
				c.SessionIdle, err = parseSeconds(text, time.Minute, 365*24*time.Hour)
				return
			}},
		{key: "SESSIONS_PER_USER", def: "50", example: "10",
			help:  "How many sessions a person may have; with one more, the longest idle is signed\nout. 0: any number.",
			apply: func(c *Config, text string) (err error) { c.SessionsPerUser, err = parseInt(text, 0, 100000); return }},
		{key: "SESSION_PROTECTION", aliases: []string{"SESSION_PROTECTION"}, def: "strong", example: "basic",
			help:  "strong: a session ends when its browser and system, or its network, change; a\nnetwork that ended the last two within ten minutes may change in the next one.\nbasic: sensitive acts ask for a fresh sign-in. off: neither.",
			apply: func(c *Config, text string) (err error) { c.SessionProtection, err = parseProtection(text); return }},
		{key: "REGISTRATION", aliases: []string{"SECURITY_REGISTERABLE"}, def: "true", example: "invite", help: "Who may register: true (anybody), invite, false.",
			apply: func(c *Config, text string) (err error) { c.Registration, err = parseRegistration(text); return }},
		{key: "CONFIRM_EMAIL", aliases: []string{"SECURITY_CONFIRMABLE"}, def: "true", devDef: "false", example: "true",
			defInText: "true; false in development", help: "Prove an address before an account can be used.",
			apply: func(c *Config, text string) (err error) { c.ConfirmEmail, err = parseBool(text); return }},
		{key: "RECOVERY", aliases: []string{"SECURITY_RECOVERABLE"}, def: "true", example: "true", help: "Offer to reset a forgotten password by mail.",
			apply: func(c *Config, text string) (err error) { c.Recovery, err = parseBool(text); return }},
		{key: "PERSONAL_ORG", def: "uninvited", example: "never",
			help: "Who gets an organization of their own at first sign-in: always, never, or\nuninvited (whoever did not come by invitation).",
			apply: func(c *Config, text string) error {
				c.PersonalOrg = text
				return oneOf(text, "always", "uninvited", "never")
			}},
		{key: "RECOVERY_CODES", def: "3", example: "10", help: "How many recovery codes a person gets, 1 to 20.",
			apply: func(c *Config, text string) (err error) { c.RecoveryCodes, err = parseInt(text, 1, 20); return }},
	}
}

func networkSettings() []setting {
	return []setting{
		{key: "TRUSTED_PROXIES", example: "10.0.0.0/8,192.168.0.0/16", defInText: "none", help: "Networks of the proxies whose X-Forwarded-* headers are believed.",
			apply: func(c *Config, text string) (err error) { c.TrustedProxies, err = parseNetworks(text); return }},
		{key: "OUTBOUND_ALLOW", devDef: "127.0.0.0/8,::1/128", example: "10.20.0.0/16", defInText: "none; loopback in development",
			help:  "Networks that fetches of keys, logos and metadata may reach besides public addresses.",
			apply: func(c *Config, text string) (err error) { c.OutboundAllow, err = parseNetworks(text); return }},
		{key: "CORS_ORIGINS", aliases: []string{"CORS_ORIGINS"}, example: "https://console.example.com", defInText: "none",
			help:  "Origins that may call the JSON API from a browser, comma separated.",
			apply: func(c *Config, text string) (err error) { c.CORSOrigins, err = parseOrigins(text); return }},
	}
}

func brandSettings() []setting {
	return []setting{
		{key: "BRAND_NAME", def: "Sallyport", example: "Acme ID", help: "How every page and mail calls this service.",
			apply: func(c *Config, text string) error { c.BrandName = text; return atMost(text, 60) }},
		{key: "BRAND_LOGO", example: "/etc/sallyport/logo.svg", defInText: "the product's mark", help: "An image file (SVG or PNG).",
			apply: func(c *Config, text string) error { c.BrandLogo = text; return fileExists(text) }},
		{key: "BRAND_COLOR", example: "#0a6e5c", defInText: "the product's accent", help: "#rrggbb. The colour of text on it is worked out, so that it stays readable.",
			apply: func(c *Config, text string) (err error) { c.BrandColor, err = parseColor(text); return }},
		{key: "SUPPORT_EMAIL", example: "help@example.com", defInText: "none", help: "Shown where a person needs help.",
			apply: func(c *Config, text string) error { c.SupportEmail = text; return checkAddress(text) }},
	}
}

// accept takes any text: for keys that another one uses.
func accept(*Config, string) error { return nil }

package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/sallyport-id/sallyport/internal/redis"
	"github.com/sallyport-id/sallyport/storage"
)

// Finding is one thing doctor looked at. Problem is empty if it is well; else
// Remedy says what to do. Skipped says why it could not be looked at. None holds
// a secret.
type Finding struct {
	Check   string `json:"check"`
	Detail  string `json:"detail,omitempty"`
	Problem string `json:"problem,omitempty"`
	Remedy  string `json:"remedy,omitempty"`
	Warning string `json:"warning,omitempty"` // worth knowing, and no fault
	Skipped string `json:"skipped,omitempty"`
}

// doctorTimeout bounds each look at another server.
const doctorTimeout = 10 * time.Second

// Doctor looks at everything that the configuration names, whatever it finds on
// the way. It changes nothing: it makes no key, no file and no folder, and does
// not migrate.
func Doctor(ctx context.Context, opts LoadOptions) []Finding {
	cfg, faults := readConfig(opts)
	d := &doctor{ctx: ctx, cfg: cfg, faulty: map[string]bool{}}
	for _, f := range faults {
		d.faulty[f.Key] = true
		remedy := "see .env.example"
		if f.Example != "" {
			remedy = "for example: " + f.Example
		}
		d.bad("configuration", f.Key+" "+f.Problem, remedy)
	}
	if len(faults) == 0 {
		d.ok("configuration", string(cfg.Env)+" at "+cfg.Issuer)
	}
	for _, sentence := range cfg.Warnings {
		d.found = append(d.found, Finding{Check: "configuration", Warning: sentence})
	}
	d.database(d.secrets())
	d.check("passwords", d.passwords, "PASSWORD_HASHER", "BCRYPT_LOG_ROUNDS", "ARGON2_MEMORY_KIB", "ARGON2_TIME",
		"ARGON2_PARALLELISM")
	d.check("redis", d.redis, "REDIS_URL")
	d.check("mail", d.mail, "MAIL_PROVIDER", "MAIL_SERVER", "MAIL_PORT", "MAIL_USE_TLS", "MAIL_DEFAULT_SENDER",
		"MAILGUN_BASE_URL", "MAILGUN_API_KEY", "MAILGUN_DOMAIN", "SENDGRID_BASE_URL", "SENDGRID_API_KEY")
	d.check("certificate", d.certificate, "TLS_CERT", "TLS_KEY", "ISSUER")
	d.check("issuer", d.issuer, "ISSUER")
	d.check("proxies", d.proxies, "ISSUER", "TLS_CERT", "TRUSTED_PROXIES", "ADMIN_LISTEN")
	return d.found
}

type doctor struct {
	ctx    context.Context
	cfg    *Config
	faulty map[string]bool // keys that have a fault
	found  []Finding
}

func (d *doctor) ok(check, detail string) {
	d.found = append(d.found, Finding{Check: check, Detail: detail})
}

func (d *doctor) bad(check, problem, remedy string) {
	d.found = append(d.found, Finding{Check: check, Problem: problem, Remedy: remedy})
}

// badDatabase is bad with the cause of an error of the database.
func (d *doctor) badDatabase(check string, err error) {
	cause, remedy := storage.Diagnose(err)
	d.bad(check, cause, remedy)
}

func (d *doctor) skip(check, why string) {
	d.found = append(d.found, Finding{Check: check, Skipped: why})
}

// check runs look, unless one of the keys that it needs has a fault.
func (d *doctor) check(name string, look func(), keys ...string) {
	for _, key := range keys {
		if d.faulty[key] {
			d.skip(name, key+" has a fault")
			return
		}
	}
	look()
}

// secrets looks at the keys, and reports whether what they protect can be looked at.
func (d *doctor) secrets() bool {
	if d.faulty["SECRET_KEY"] || d.faulty["ENCRYPTION_KEY"] || d.faulty["PASSWORD_HASHER"] {
		return false
	}
	switch err := d.cfg.developmentKeys(readKeyFile); {
	case errors.Is(err, fs.ErrNotExist):
		d.ok("secrets", "none yet; `sallyport serve` makes them in "+d.cfg.DataDir)
		return false
	case err != nil:
		d.bad("secrets", err.Error(), "mend or remove that file in "+d.cfg.DataDir)
		return false
	}
	d.ok("secrets", "there")
	return true
}

// database looks at the database, and with the keys at what is sealed in it.
func (d *doctor) database(haveKeys bool) {
	const clock, schema, signing, apps = "clock", "schema", "signing keys", "authenticator apps"
	notChecked := func(why string, checks ...string) {
		for _, check := range checks {
			d.skip(check, why)
		}
	}
	if d.faulty["DATABASE_URL"] {
		notChecked("DATABASE_URL has a fault", "database", clock, schema, signing, apps)
		return
	}
	if sentence := unverifiedDatabase(d.cfg.DatabaseURL); sentence != "" {
		d.found = append(d.found, Finding{Check: "database", Warning: sentence})
	}
	ctx, cancel := context.WithTimeout(d.ctx, doctorTimeout)
	defer cancel()
	store, err := storage.OpenReadOnly(ctx, storage.Config{URL: d.cfg.DatabaseURL})
	if errors.Is(err, fs.ErrNotExist) {
		d.ok("database", "none yet; `sallyport serve` makes it: "+redactURL(d.cfg.DatabaseURL))
		notChecked("there is no database yet", clock, schema, signing, apps)
		return
	}
	if err != nil {
		d.badDatabase("database", err)
		notChecked("the database cannot be used", clock, schema, signing, apps)
		return
	}
	defer store.Close()
	d.ok("database", string(store.Engine()))
	d.clock(ctx, store)
	if !d.schema(ctx, store) {
		notChecked("the schema is not this binary's", signing, apps)
		return
	}
	d.logos(ctx, store)
	if !haveKeys {
		notChecked("ENCRYPTION_KEY is not there", signing, apps)
		return
	}
	a, err := assemble(d.cfg, store, Options{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		d.bad("secrets", err.Error(), "correct that key")
		notChecked("the keys cannot be used", signing, apps)
		return
	}
	d.sealed(a, signing, a.Keys.CountSealed, "none yet; `sallyport serve` makes them")
	d.sealed(a, apps, a.Factors.Sealed, "none yet")
}

func (d *doctor) clock(ctx context.Context, store *storage.Store) {
	dbClock, err := store.Ping(ctx)
	if err != nil {
		d.badDatabase("clock", err)
		return
	}
	if skew := time.Since(dbClock).Abs(); skew > storage.MaxSkew {
		d.bad("clock", "this machine and the database are "+skew.Round(time.Millisecond).String()+" apart", "synchronise both clocks (NTP)")
		return
	}
	d.ok("clock", "within "+storage.MaxSkew.String()+" of the database")
}

// schema reports whether the schema is this binary's.
func (d *doctor) schema(ctx context.Context, store *storage.Store) bool {
	switch pending, err := store.Pending(ctx); {
	case errors.Is(err, storage.ErrNewerSchema):
		d.bad("schema", "the schema is newer than this binary", "run the binary that migrated it, or a newer one")
	case err != nil:
		d.badDatabase("schema", err)
	case pending:
		d.bad("schema", "migrations are pending", "run `sallyport migrate up`, or start `sallyport serve`, which does")
	default:
		d.ok("schema", "up to date")
		return true
	}
	return false
}

// logos names the clients whose logo could not be fetched, with the cause.
func (d *doctor) logos(ctx context.Context, store *storage.Store) {
	failed, err := store.Logos.ListFailed(ctx)
	if err != nil {
		d.badDatabase("logos", err)
		return
	}
	for _, l := range failed {
		again := "it is tried again when its registration changes"
		if !l.DueAt.IsZero() {
			again = "it is tried again at " + l.DueAt.UTC().Format(time.RFC3339)
		}
		d.found = append(d.found, Finding{Check: "logos",
			Warning: fmt.Sprintf("the logo of %s cannot be shown: %s; %s", l.ClientID, l.Problem, again)})
	}
	if len(failed) == 0 {
		d.ok("logos", "no logo of a client has failed")
	}
}

// sealed checks that everything of a kind is sealed under the current key.
func (d *doctor) sealed(a *App, what string, count func(context.Context) (map[string]int, error), none string) {
	sealed, err := count(d.ctx)
	if err != nil {
		d.badDatabase(what, err)
		return
	}
	total, current := 0, sealed[a.Sealer.CurrentKeyID()]
	for _, n := range sealed {
		total += n
	}
	switch {
	case total == 0:
		d.ok(what, none)
	case current < total:
		d.bad(what, fmt.Sprintf("%d of %d are sealed under an older ENCRYPTION_KEY", total-current, total), "run `sallyport secrets rotate`, then drop the old key")
	default:
		d.ok(what, fmt.Sprintf("%d sealed under the current key", total))
	}
}

func (d *doctor) redis() {
	if d.cfg.RedisURL == "" {
		d.ok("redis", "not used")
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, doctorTimeout)
	defer cancel()
	client, err := redis.Open(d.cfg.RedisURL, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		d.bad("redis", err.Error(), "correct REDIS_URL")
		return
	}
	defer client.Close()
	if err := client.Ping(ctx).Err(); err != nil {
		cause, remedy := redis.Diagnose(err)
		d.bad("redis", cause, remedy+"; until then the database is used in its place")
		return
	}
	d.ok("redis", "answers")
}

// slowHash is the time of a hash from which on people notice it, and a few of them keep everybody waiting.
const slowHash = time.Second

// passwords estimates what a sign-in costs on this machine: the shortest of three hashes, as other programs run too.
func (d *doctor) passwords() {
	p, err := newPasswords(d.cfg)
	if err != nil {
		d.bad("passwords", err.Error(), "correct PASSWORD_HASHER and its parameters")
		return
	}
	took := time.Duration(math.MaxInt64)
	for range 3 {
		start := time.Now()
		if _, err := p.Hash(d.ctx, "an example that is no password"); err != nil {
			d.bad("passwords", err.Error(), "try again")
			return
		}
		took = min(took, time.Since(start))
	}
	cost := fmt.Sprintf("bcrypt with %d rounds", d.cfg.BcryptCost)
	if d.cfg.PasswordHasher == "argon2id" {
		a := d.cfg.Argon2
		cost = fmt.Sprintf("argon2id with %d KiB, %d passes, parallelism %d", a.MemoryKiB, a.Time, a.Threads)
	}
	estimate := fmt.Sprintf("%s: about %d ms per hash here, %d at once", cost, max(1, took.Milliseconds()), p.Slots())
	if took > slowHash {
		d.found = append(d.found, Finding{Check: "passwords", Warning: estimate + "; people wait that long at each sign-in"})
		return
	}
	d.ok("passwords", estimate)
}

// certificate looks at the files of built-in TLS as browsers will at what they hold.
func (d *doctor) certificate() {
	if d.cfg.TLSCert == "" {
		return
	}
	c, err := loadCertificate(d.cfg.TLSCert, d.cfg.TLSKey, slog.New(slog.DiscardHandler))
	if err != nil {
		d.bad("certificate", err.Error(), "name a PEM certificate with its chain and the key that belongs to it")
		return
	}
	leaf, host := c.served.Load().Leaf, issuerHost(d.cfg.Issuer)
	until := leaf.NotAfter.UTC().Format(time.DateOnly)
	switch sentence := c.health(time.Now()); {
	case sentence != "ok":
		d.bad("certificate", sentence+" (until "+until+")", "renew it; the server reads new files by itself")
	case leaf.VerifyHostname(host) != nil:
		d.bad("certificate", "it is not for "+host, "use one for the host of ISSUER")
	default:
		d.ok("certificate", "for "+host+", until "+until)
	}
}

// issuer checks that the name in the issuer leads somewhere, as browsers must find it.
func (d *doctor) issuer() {
	host := issuerHost(d.cfg.Issuer)
	if _, err := net.DefaultResolver.LookupHost(d.ctx, host); err != nil {
		d.bad("issuer", host+" does not resolve from here", "add a DNS record, or correct ISSUER")
		return
	}
	d.ok("issuer", host+" resolves")
}

// proxies looks for a proxy that TRUSTED_PROXIES misses: in the configuration, and at the server that runs here.
func (d *doctor) proxies() {
	const remedy = "; without it everybody behind the proxy shares its address and one address's limits"
	seen, running := d.untrustedPeer()
	addr := seen.Addr()
	switch {
	case addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast():
		d.bad("proxies", "an untrusted peer sends X-Forwarded-For: "+seen.String(), "list the network of your proxy in TRUSTED_PROXIES, for example "+seen.String()+remedy)
	case d.cfg.Env == Production && d.cfg.secure() && d.cfg.TLSCert == "" && len(d.cfg.TrustedProxies) == 0:
		d.bad("proxies", "ISSUER is https, so without TLS_CERT a proxy stands in front, and TRUSTED_PROXIES names none", "list the network of your proxy in TRUSTED_PROXIES"+remedy)
	case seen.IsValid(): // Perhaps any stranger, who must not be able to make a fault of it.
		d.ok("proxies", "an untrusted peer sends X-Forwarded-For: "+seen.String()+"; if that is your proxy, list it in TRUSTED_PROXIES")
	case !running:
		d.skip("proxies", "no server answers at ADMIN_LISTEN, which would say whether an untrusted peer sends X-Forwarded-For")
	default:
		d.ok("proxies", "no untrusted peer has sent X-Forwarded-For since the server started")
	}
}

// untrustedPeer asks the server that runs here, and reports whether one does.
func (d *doctor) untrustedPeer() (netip.Prefix, bool) {
	_, body, err := AskAdmin(d.ctx, d.cfg.AdminListen, "/readyz")
	var h Health
	if err != nil || json.Unmarshal(body, &h) != nil {
		return netip.Prefix{}, false
	}
	return h.UntrustedPeer, true
}

func issuerHost(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return issuer
	}
	return u.Hostname()
}

// mail asks the provider whether mail could leave, and sends none.
func (d *doctor) mail() {
	if d.cfg.Mail.Provider == "" {
		d.ok("mail", "none; no mail is sent, notices included")
		return
	}
	if _, err := d.cfg.MailFrom(); err != nil {
		d.bad("mail", err.Error(), "write MAIL_DEFAULT_SENDER like Acme <id@example.com>")
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, 15*time.Second)
	defer cancel()
	if err := checkMailer(ctx, d.cfg.Mailer()); err != nil {
		d.bad("mail", d.cfg.Mail.Provider+": "+err.Error(), mailRemedies[d.cfg.Mail.Provider])
		return
	}
	details := map[string]string{"outbox": "outbox; nothing is sent, /dev/mail shows it"}
	d.ok("mail", cmp.Or(details[d.cfg.Mail.Provider], d.cfg.Mail.Provider+" takes mail"))
}

// mailRemedies say what to look at when a provider does not take mail.
var mailRemedies = map[string]string{
	"smtp":     "check MAIL_SERVER and MAIL_PORT, that its certificate is valid for that name (SSL_CERT_FILE adds an authority), and MAIL_USERNAME and MAIL_PASSWORD",
	"mailgun":  "check MAILGUN_API_KEY, MAILGUN_DOMAIN, and MAILGUN_BASE_URL (https://api.eu.mailgun.net for domains in the EU)",
	"sendgrid": "check SENDGRID_API_KEY, that it may send mail, and SENDGRID_BASE_URL (https://api.eu.sendgrid.com for subusers in the EU)",
}

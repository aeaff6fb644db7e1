package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/storage"
)

// Finding is one thing doctor looked at. Problem is empty if it is well; else
// Remedy says what to do. Neither holds a secret.
type Finding struct {
	Check   string `json:"check"`
	Detail  string `json:"detail,omitempty"`
	Problem string `json:"problem,omitempty"`
	Remedy  string `json:"remedy,omitempty"`
}

// Doctor looks at what the configuration names, changing nothing: it neither
// migrates nor makes keys.
func Doctor(ctx context.Context, cfg *Config) []Finding {
	d := &doctor{ctx: ctx, cfg: cfg}
	d.ok("configuration", string(cfg.Env)+" at "+cfg.Issuer)
	if err := cfg.EnsureDevelopmentKeys(); err != nil {
		d.bad("secrets", err.Error(), "make the data folder writable for this user")
		return d.found
	}
	a, err := open(ctx, cfg, Options{Now: time.Now})
	if err != nil {
		remedy := "check DATABASE_URL, that the server runs, and that this machine may connect"
		if errors.Is(err, storage.ErrPooler) {
			remedy = "do what it says, or let DATABASE_URL lead past the pooler (docs/operations.md)"
		}
		d.bad("database", err.Error(), remedy)
		return d.found
	}
	defer a.Close()
	d.database(a)
	d.keys(a)
	d.redis()
	d.mail()
	d.issuer()
	return d.found
}

type doctor struct {
	ctx   context.Context
	cfg   *Config
	found []Finding
}

func (d *doctor) ok(check, detail string) {
	d.found = append(d.found, Finding{Check: check, Detail: detail})
}

func (d *doctor) bad(check, problem, remedy string) {
	d.found = append(d.found, Finding{Check: check, Problem: problem, Remedy: remedy})
}

func (d *doctor) database(a *App) {
	dbClock, err := a.Store.Ping(d.ctx)
	if err != nil {
		d.bad("database", err.Error(), "check that the database accepts connections")
		return
	}
	d.ok("database", string(a.Store.Engine()))
	if skew := time.Since(dbClock).Abs(); skew > storage.MaxSkew {
		d.bad("clock", "this machine and the database are "+skew.Round(time.Millisecond).String()+" apart", "synchronise both clocks (NTP)")
	} else {
		d.ok("clock", "within "+storage.MaxSkew.String()+" of the database")
	}
	switch pending, err := a.Store.Pending(d.ctx); {
	case errors.Is(err, storage.ErrNewerSchema):
		d.bad("schema", "the schema is newer than this binary", "run the binary that migrated it, or a newer one")
	case err != nil:
		d.bad("schema", err.Error(), "run `sallyport migrate status`")
	case pending:
		d.bad("schema", "migrations are pending", "run `sallyport migrate up`, or start `sallyport serve`, which does")
	default:
		d.ok("schema", "up to date")
	}
}

func (d *doctor) keys(a *App) {
	sealed, err := a.Keys.Sealed(d.ctx)
	if err != nil {
		d.bad("signing keys", err.Error(), "migrate the database first")
		return
	}
	d.sealedUnder(a, "signing keys", sealed, "none yet; `sallyport serve` makes them")
	if sealed, err = a.Factors.Sealed(d.ctx); err != nil {
		d.bad("authenticator apps", err.Error(), "migrate the database first")
		return
	}
	d.sealedUnder(a, "authenticator apps", sealed, "none yet")
}

// sealedUnder tells which of what is sealed waits to be sealed anew.
func (d *doctor) sealedUnder(a *App, what string, sealed map[string]int, none string) {
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
	client, err := session.OpenRedis(d.cfg.RedisURL)
	if err == nil {
		defer client.Close()
		err = session.PingRedis(d.ctx, client)
	}
	if err != nil {
		d.bad("redis", "it does not answer", "check REDIS_URL; until it does, the database is used in its place")
		return
	}
	d.ok("redis", "answers")
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

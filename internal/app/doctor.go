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
		d.bad("database", err.Error(), "check DATABASE_URL, that the server runs, and that this machine may connect")
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
	if skew := time.Since(dbClock).Abs(); skew > maxSkew {
		d.bad("clock", "this machine and the database are "+skew.Round(time.Millisecond).String()+" apart", "synchronise both clocks (NTP)")
	} else {
		d.ok("clock", "within "+maxSkew.String()+" of the database")
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
	total, current := 0, sealed[a.Sealer.CurrentKeyID()]
	for _, n := range sealed {
		total += n
	}
	switch {
	case total == 0:
		d.ok("signing keys", "none yet; `sallyport serve` makes them")
	case current < total:
		d.bad("signing keys", fmt.Sprintf("%d of %d are sealed under an older ENCRYPTION_KEY", total-current, total), "run `sallyport secrets rotate`, then drop the old key")
	default:
		d.ok("signing keys", fmt.Sprintf("%d sealed under the current key", total))
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

// mail says which provider is configured; this release sends none.
func (d *doctor) mail() {
	d.ok("mail", cmp.Or(d.cfg.later.mailProvider, "none")+"; no mail is sent by this version")
}

package app

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// devMailShown is how many mails /dev/mail lists.
const devMailShown = 50

// devLetter is a mail in the JSON of /dev/mail.
type devLetter struct {
	ID      string    `json:"id"`
	To      string    `json:"to"`
	Name    string    `json:"name"`
	Kind    string    `json:"kind"` // such as "verifyemail"
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	HTML    string    `json:"html"`
	At      time.Time `json:"at"`
	waiting bool
}

// devMail shows the mails of development. They hold links that sign people in, so
// the pages exist there alone, and for this machine alone.
type devMail struct {
	web   *web.Web
	store *storage.Store
	mails *mail.Deliverer
	host  string // of the issuer, with its port
	now   func() time.Time
}

// mountDevMail mounts /dev/mail, unless mail really leaves or this is production.
func (s *Server) mountDevMail(rt *web.Router, w *web.Web, mails *mail.Deliverer) {
	cfg := s.app.Config
	if cfg.Env == Production || cfg.Mail.Provider != "outbox" {
		return
	}
	d := &devMail{web: w, store: s.app.Store, mails: mails, host: issuerAuthority(cfg.Issuer), now: s.app.now}
	rt.Handle("/dev/mail", w.Handle(d.onThisMachine(d.list)), http.MethodGet)
	rt.Handle("/dev/mail/{id}", w.Handle(d.onThisMachine(d.letter)), http.MethodGet)
}

func issuerAuthority(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	return u.Host
}

var errNotHere = &web.Error{Status: http.StatusNotFound}

// onThisMachine answers a peer on loopback that asks for the issuer's host itself.
// A request that a proxy passes on came from elsewhere, and a name that an attacker lets
// resolve to 127.0.0.1 (DNS rebinding) is another host: both are refused.
func (d *devMail) onThisMachine(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !peer.Addr().Unmap().IsLoopback() || !strings.EqualFold(r.Host, d.host) || forwarded(r.Header) {
			return errNotHere
		}
		return h(w, r)
	}
}

// forwardingHeaders are those besides X-Forwarded-* that proxies, tunnels and delivery networks add.
var forwardingHeaders = []string{"Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Host", "True-Client-Ip",
	"Cf-Connecting-Ip", "Fastly-Client-Ip", "Fly-Client-Ip"}

// forwarded reports whether a proxy has passed the request on.
func forwarded(h http.Header) bool {
	for name := range h {
		switch {
		case strings.HasPrefix(name, "X-Forwarded-"), slices.Contains(forwardingHeaders, name):
			return true
		}
	}
	return false
}

// list shows the latest mails, as a page or, for tools, as JSON.
func (d *devMail) list(w http.ResponseWriter, r *http.Request) error {
	messages, err := d.store.Outbox.List(r.Context(), mail.Kind, uuid.Nil, devMailShown)
	if err != nil {
		return err
	}
	letters := []devLetter{}
	for _, m := range messages {
		if l, err := d.open(m); err == nil { // else it was really sent, or sealed by other keys
			letters = append(letters, l)
		}
	}
	w.Header().Set("Vary", "Accept")
	if r.URL.Query().Get("format") == "json" || strings.Contains(r.Header.Get("Accept"), "application/json") {
		return web.JSON(w, http.StatusOK, letters)
	}
	page := templates.DevMail{Now: d.now()}
	for _, l := range letters {
		page.Letters = append(page.Letters, templates.DevLetter{ID: l.ID, To: l.To, Name: l.Name, Subject: l.Subject,
			Text: l.Text, At: l.At, Waiting: l.waiting})
	}
	return d.web.Page(w, http.StatusOK, page)
}

// letterPolicy lets a mail have its inline styles and nothing else: no script, no
// picture, no form, and an origin of its own.
const letterPolicy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox allow-popups"

// letter shows one mail as mail programs do.
func (d *devMail) letter(w http.ResponseWriter, r *http.Request) error {
	id, err := uuid.Parse(web.Var(r, "id"))
	if err != nil {
		return errNotHere
	}
	m, err := d.store.Outbox.Get(r.Context(), id)
	if errors.Is(err, storage.ErrNotFound) {
		return errNotHere
	}
	if err != nil {
		return err
	}
	l, err := d.open(m)
	if err != nil {
		return errNotHere
	}
	w.Header().Set("Content-Security-Policy", letterPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err = io.WriteString(w, l.HTML)
	return err
}

func (d *devMail) open(m *storage.Message) (devLetter, error) {
	l, err := d.mails.Open(m)
	if err != nil {
		return devLetter{}, err
	}
	return devLetter{ID: m.ID.String(), To: l.To.Email, Name: l.To.Name, Kind: outbox.Name(m), Subject: l.Subject,
		Text: l.Text, HTML: l.HTML, At: m.CreatedAt, waiting: m.DoneAt.IsZero()}, nil
}

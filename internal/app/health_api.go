package app

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"github.com/sallyport-id/sallyport/internal/web"
)

// healthPath answers in the envelope of the JSON API, but is no part of it: no version, no caller, any Host.
const healthPath = "/api/health"

// The words for a part of the server in the answer of healthPath, which strangers read: no causes and no counts.
const (
	partOK       = "ok"
	partDegraded = "degraded" // it answers, but something is wrong
	partDown     = "unavailable"
	partUnused   = "not used"
	partUnknown  = "unknown" // it could not be looked at
)

// publicHealth is what strangers may know of a Health.
type publicHealth struct {
	Status string            `json:"status"` // ready or degraded
	Checks map[string]string `json:"checks"` // of database, redis and mail
}

// public reduces h to one word each about the three parts that depend on other servers.
func (s *Server) public(h Health) publicHealth {
	word := func(check string, used bool) string {
		switch sentence, looked := h.Checks[check]; {
		case !used:
			return partUnused
		case !looked:
			return partUnknown
		case sentence != "ok":
			return partDegraded
		}
		return partOK
	}
	database := partOK
	for _, check := range []string{"clock", "migrations", "writes"} {
		if word(check, true) == partDegraded {
			database = partDegraded
		}
	}
	if h.Checks["database"] != "ok" {
		database = partDown
	}
	return publicHealth{Status: h.Status, Checks: map[string]string{
		"database": database, "redis": word("redis", s.app.Redis != nil), "mail": word("mail", s.app.Config.Mail.Provider != ""),
	}}
}

// apiHealth answers 200 while requests are answered, and 503 with the parts that are wrong in details.
func (s *Server) apiHealth(w http.ResponseWriter, r *http.Request) error {
	h := s.health(r.Context())
	p := s.public(h)
	if h.Status == "unavailable" {
		wrong := map[string][]string{"status": {cmp.Or(h.Checks["process"], p.Status)}}
		for part, word := range p.Checks {
			if word != partOK && word != partUnused {
				wrong[part] = []string{word}
			}
		}
		return &web.Error{Status: http.StatusServiceUnavailable, RetryAfter: 5 * time.Second,
			Message: "The service cannot answer requests now.", Details: wrong,
			Err: errors.New("not ready")}
	}
	message := map[string]string{"ready": "Everything is well.",
		"degraded": "The service answers, but a part of it is not well."}[h.Status]
	return web.JSON(w, http.StatusOK, web.NewEnvelope(r.Context(), http.StatusOK, message, p, nil))
}

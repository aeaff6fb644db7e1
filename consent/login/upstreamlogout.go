package login

import (
	"errors"
	"net/http"

	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/upstream"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// upstreamLogout takes a logout token of a connection's provider (OpenID Connect Back-Channel Logout 1.0, section 2.5):
// the sessions that came through it end. A machine asks, and no cookie counts.
func (p *Pages) upstreamLogout(w http.ResponseWriter, r *http.Request) error {
	c, err := p.connection(r)
	if err != nil {
		return err
	}
	if err := p.Limits.Take(r.Context(), limit.Upstream, "", limit.Source{Address: web.ClientIP(r)}); err != nil {
		return tooManyUpstream(err)
	}
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	out, err := p.Upstream.Logout(r.Context(), c, form.Get("logout_token"))
	if f, ok := errors.AsType[*upstream.Fault](err); ok {
		web.Annotate(r.Context(), "connection", c.Name, "fault", f.Code)
		refusal := &web.Error{Status: http.StatusBadRequest, Code: "invalid_request", Message: f.Problem, Err: err}
		if f.Temporary() {
			refusal.Status, refusal.Code = http.StatusServiceUnavailable, "temporarily_unavailable"
		}
		return refusal
	} else if err != nil {
		return err
	}
	n, err := p.Store.EndUpstreamSessions(r.Context(), storage.UpstreamLogout{ConnectionID: c.ID, Subject: out.Subject,
		SID: out.SID, Token: secret.HashOf("upstream logout " + c.ID.String() + " " + out.ID), ExpiresAt: out.ExpiresAt,
		RequestID: web.RequestID(r.Context())})
	if errors.Is(err, storage.ErrSpent) {
		return &web.Error{Status: http.StatusBadRequest, Code: "invalid_request", Message: "the token was used before",
			Err: err}
	} else if err != nil {
		return err
	}
	web.Annotate(r.Context(), "connection", c.Name, "sessions_ended", n)
	w.WriteHeader(http.StatusOK)
	return nil
}

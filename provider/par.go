package provider

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// pushedPrefix begins the request_uri of a pushed request (RFC 9126, section 2.2).
const pushedPrefix = "urn:ietf:params:oauth:request_uri:"

// push is the pushed authorization request endpoint (RFC 9126): the request is
// checked now as it would be at the authorization endpoint, and kept without the
// client's credentials.
func (p *Provider) push(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r, repeatable()...)
	if err != nil {
		return err
	}
	ctx := r.Context()
	c, err := p.authenticate(ctx, r, form, pathPushed)
	if err != nil {
		return err
	}
	web.AllowOrigin(w, r, c.allowsOrigin)
	if form.Has("request_uri") {
		return refuse("invalid_request", "A pushed request cannot hold a request_uri (RFC 9126, section 2.1).")
	}
	q := &request{client: c, params: readParams(form), maxAge: -1}
	switch {
	case form.Has("request"):
		if e := p.applyRequestObject(ctx, q); e != nil {
			return e
		}
	case c.Metadata.RequireSignedRequestObject:
		return refuse("invalid_request", "This client must send its parameters in a signed request object.")
	}
	notesOf(ctx).params = q.params
	if err := q.matchRedirectURI(); err != nil {
		return err
	}
	if err := p.validate(ctx, q); err != nil {
		return err
	}
	now := p.now()
	token := secret.NewToken("")
	q.params.Set("client_id", c.ID)
	err = p.store.CreatePushedRequest(ctx, &storage.PushedRequest{Hash: secret.HashOf(token), ClientID: c.ID,
		Request: storedParams(q.params), Hint: q.tokenHint,
		CreatedAt: now, ExpiresAt: now.Add(pushedLifetime)}, p.budgets.PushBudget(c.Client, web.ClientIP(r)))
	if full, ok := errors.AsType[*storage.Full](err); ok {
		e := refuse("too_many_requests", "Too many requests were pushed. Wait before the next.")
		e.RetryAfter = full.Until.Sub(p.now())
		return e
	} else if err != nil {
		return err
	}
	return respondJSON(w, http.StatusCreated, struct {
		RequestURI string `json:"request_uri"`
		ExpiresIn  int64  `json:"expires_in"`
	}{pushedPrefix + token, int64(pushedLifetime / time.Second)})
}

// applyPushedRequest takes the parameters of a pushed request of this client; the outer
// ones do not count. It stays good until its code is issued.
func (p *Provider) applyPushedRequest(ctx context.Context, q *request, uri string) error {
	hash := secret.HashOf(strings.TrimPrefix(uri, pushedPrefix))
	pushed, err := p.store.PushedRequest(ctx, hash, q.client.ID)
	if err != nil {
		return replace(err, storage.ErrNotFound,
			pageError("invalid_request_uri", "The request_uri is unknown, expired, used, or was pushed by another client."))
	}
	q.params, q.tokenHint, q.pushed = pushed.Request, pushed.Hint, hash
	return nil
}

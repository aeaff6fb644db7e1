package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	// acrPassword is the acr of a sign-in with a password alone, amr its amr (RFC 8176).
	acrPassword = "urn:sallyport:acr:pwd"
	amrPassword = "pwd"
	// busyRetry is when there is room to hash again.
	busyRetry = 2 * time.Second
	// maxTyped bounds what is shown again and counted; addresses have at most 254 bytes.
	maxTyped = 320
)

// failed is the one sentence for everything that is wrong with an address and a
// password. Which of the two it is, and why, is not said.
const failed = "This email and password do not belong together. Check both and try again."

// login compares a password and signs in. It answers a failure with the form
// again and 422: not 401, which would owe the browser a challenge (RFC 9110,
// section 15.5.2), and not 200, which password managers take for a success.
func (p *Pages) login(w http.ResponseWriter, r *http.Request) error {
	v, err := p.open(r)
	if err != nil {
		return err
	}
	form, err := p.form(r, v, actLogin)
	if errors.Is(err, errStale) && v.journey != nil && !(Identify{}).Pending(v.journey) {
		return redirect(w, r, v.next()) // another tab was faster; nothing is done here
	}
	if err != nil {
		return err
	}
	account := accountOf(form.Get("email"))
	attempt, err := p.limits.Begin(r, account, web.ClientIP(r))
	if err != nil {
		return p.refuseLogin(w, v, form, err)
	}
	defer attempt.End()
	claimant, err := p.store.Claimant(r.Context(), account, attempt.Counters())
	if err != nil {
		return err
	}
	if err := attempt.Allow(r.Context(), claimant.Counters); err != nil {
		return p.refuseLogin(w, v, form, err)
	}
	hash, ok, err := p.compare(r.Context(), claimant, form.Get("password"))
	if err != nil {
		return p.refuseLogin(w, v, form, err)
	}
	if ok {
		err = p.sessions.SignIn(w, r, session.SignIn{User: claimant.User.ID, PasswordHash: hash, ACR: acrPassword, AMR: []string{amrPassword}})
		if err == nil {
			attempt.Succeeded(r.Context(), w)
			return redirect(w, r, v.next())
		}
		if !errors.Is(err, storage.ErrConflict) {
			return err
		}
		// The password was changed, or the person disabled, since it was read.
	}
	if err := attempt.Failed(r.Context(), claimant.User.ID); err != nil {
		return err
	}
	return p.refuseLogin(w, v, form, errFailed)
}

var errFailed = errors.New("the email and password do not belong together")

// accountOf is what failures are counted for, and whom the password is compared
// with: the folded address. What is no address belongs to nobody, and is counted too.
func accountOf(typed string) string {
	key, err := identity.EmailKey(typed)
	if err != nil {
		return "not an address: " + cut(strings.ToLower(strings.TrimSpace(typed)))
	}
	return key
}

// cut keeps what may be megabytes short.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxTyped)], "") }

// compare does the same work whoever was found, and returns the hash that is
// stored now.
func (p *Pages) compare(ctx context.Context, c *storage.Claimant, password string) (hash string, ok bool, err error) {
	if c.PasswordHash == "" {
		return "", false, p.passwords.VerifyNone(ctx, password)
	}
	ok, rehash, err := p.passwords.Verify(ctx, c.PasswordHash, password)
	if errors.Is(err, secret.ErrBadHash) {
		web.Annotate(ctx, "password_hash", err.Error())
		return "", false, nil
	}
	if err != nil || !ok || !c.User.Active() {
		return "", false, err
	}
	if rehash {
		hash, err := p.rehash(ctx, c, password)
		return hash, err == nil, err
	}
	return c.PasswordHash, true, nil
}

// rehash stores the password's hash as new ones are made today. When there is no
// room for the work, the old one does for another time.
func (p *Pages) rehash(ctx context.Context, c *storage.Claimant, password string) (string, error) {
	better, err := p.passwords.Hash(ctx, password)
	if errors.Is(err, secret.ErrBusy) {
		return c.PasswordHash, nil
	} else if err != nil {
		return "", err
	}
	return better, p.store.Rehash(ctx, c.User.ID, c.PasswordHash, better)
}

// refuseLogin shows the form again, with what was typed but for the password.
func (p *Pages) refuseLogin(w http.ResponseWriter, v visit, form url.Values, cause error) error {
	page := p.loginPage(v)
	page.Email, page.Notice = cut(form.Get("email")), ""
	if blocked, ok := errors.AsType[*limit.Blocked](cause); ok {
		w.Header().Set("Retry-After", strconv.Itoa(seconds(blocked.RetryAfter)))
		page.Error = "There were too many attempts. Try again " + in(blocked.RetryAfter) + "."
		return p.sendLogin(w, v, http.StatusTooManyRequests, page)
	}
	switch {
	case errors.Is(cause, errFailed):
		page.Error = failed
		return p.sendLogin(w, v, http.StatusUnprocessableEntity, page)
	case errors.Is(cause, secret.ErrBusy):
		return &web.Error{Status: http.StatusServiceUnavailable, RetryAfter: busyRetry, Err: cause}
	}
	return cause
}

// seconds rounds up: a client that comes back then must not be too early.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// in says in words when to come back.
func in(d time.Duration) string {
	minutes := int((d + time.Minute - 1) / time.Minute)
	switch {
	case minutes <= 1:
		return "in a minute"
	case minutes < 60:
		return fmt.Sprintf("in %d minutes", minutes)
	}
	return "in an hour"
}

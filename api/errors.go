package api

import (
	"cmp"
	"errors"
	"net/http"
	"slices"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// errorMapping says how an error of the domain appears in the envelope.
type errorMapping struct {
	err     error
	status  int
	code    string
	message string
}

// errorMappings are in order; the first that matches counts.
func errorMappings() []errorMapping {
	return []errorMapping{
		{identity.ErrCredentials, http.StatusUnauthorized, "", "Wrong email or password. A new account must be confirmed from its mail first."},
		{signin.ErrTooManyCodes, http.StatusUnauthorized, "", "There were too many wrong codes. Sign in again from the start."},
		{identity.ErrWrongPassword, http.StatusBadRequest, web.CodeValidation, "The password is another one."},
		{identity.ErrLink, http.StatusBadRequest, "", "This token was used, has expired, or never was one. Ask for a new one."},
		{identity.ErrRegistered, http.StatusConflict, "", "The address has an account already. Sign in."},
		{storage.ErrSuspended, http.StatusConflict, "", "This invitation must be confirmed by an owner of the organization first."},
		{identity.ErrRegistrationClosed, http.StatusForbidden, "", "Accounts are made by invitation or by an administrator."},
		{identity.ErrRecoveryClosed, http.StatusForbidden, "", "This installation sends no links to reset a password."},
		{identity.ErrTooManyMails, http.StatusTooManyRequests, "",
			"There were several mails to this address just now. Look in the mailbox."},
		{identity.ErrTooManyTokens, http.StatusConflict, "", "There are as many tokens as one may have. Revoke one first."},
		{factor.ErrVerification, http.StatusBadRequest, web.CodeValidation, "The code or the answer is not right, or was used before."},
		{storage.ErrSpent, http.StatusBadRequest, web.CodeValidation, "The code or the answer is not right, or was used before."},
		{factor.ErrChallenge, http.StatusBadRequest, "", "The challenge is too old, was answered before, or was given to somebody else. Begin again."},
		{factor.ErrEmailUnverified, http.StatusForbidden, "", "Confirm the email address first."},
		{factor.ErrTooMany, http.StatusConflict, "", "There are as many of these as one may have. Remove one first."},
		{factor.ErrNotAllowed, http.StatusForbidden, "", "This kind of second step is not accepted here."},
		{factor.ErrRequired, http.StatusConflict, "", "A policy asks for this second step, and there is no other that meets it."},
		{factor.ErrUnavailable, http.StatusConflict, "", "Passkeys need an issuer with a domain name."},
		{identity.ErrForbidden, http.StatusForbidden, "", ""},
		{storage.ErrNotFound, http.StatusNotFound, "", ""},
		{storage.ErrExists, http.StatusConflict, "", "It is there already."},
		{storage.ErrConflict, http.StatusConflict, "", ""},
	}
}

// apiError turns a handler's error into a response. An error that is not in the table is a fault of this server.
func apiError(err error) error {
	if _, ok := errors.AsType[*web.Error](err); ok {
		return err
	}
	if b, ok := errors.AsType[*limit.Blocked](err); ok {
		return &web.Error{Status: http.StatusTooManyRequests, RetryAfter: b.RetryAfter, Err: err}
	}
	if faults, ok := errors.AsType[identity.FieldErrors](err); ok {
		return validation(faults)
	}
	for _, m := range errorMappings() {
		if !errors.Is(err, m.err) {
			continue
		}
		e := &web.Error{Status: m.status, Code: m.code, Message: m.message, Err: err}
		if many, ok := errors.AsType[*identity.TooManyMails](err); ok {
			e.RetryAfter = many.RetryAfter
			e.Message += " Try again in " + web.Wait(many.RetryAfter) + "."
		}
		return e
	}
	return err
}

// validation lists for each field all that is wrong with it.
func validation(faults identity.FieldErrors) error {
	details := map[string][]string{}
	for _, f := range faults {
		details[f.Field] = append(details[f.Field], f.Text())
	}
	return notValid(details)
}

// renameFields replaces the names that package identity gives to fields by those of the request.
func renameFields(err error, names map[string]string) error {
	faults, ok := errors.AsType[identity.FieldErrors](err)
	if !ok {
		return err
	}
	faults = slices.Clone(faults)
	for i := range faults {
		faults[i].Field = cmp.Or(names[faults[i].Field], faults[i].Field)
	}
	return faults
}

package login

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
)

// SignOutForm returns where a page posts to sign out of this server, and the form's token.
func SignOutForm(sessions *session.Manager, browser secret.Hash) (action, csrf string) {
	return "/logout", sessions.CSRFToken(browser, actLogout)
}

// SendChallenge answers the script of a page that sets a passkey up: {"publicKey": …}, or
// {"error": sentence} with the status refused for what package factor refuses.
func SendChallenge(w http.ResponseWriter, options json.RawMessage, refused int, err error) error {
	if err == nil {
		return web.JSON(w, http.StatusOK, options)
	}
	if why := factor.EnrolmentText(err); why != "" {
		return web.JSON(w, refused, map[string]string{"error": why})
	}
	return err
}

// ErrStale is in the refusal of a form that was not made for this browser as it is now.
// Mostly another tab signed in or out meanwhile.
var ErrStale = errors.New("the form is not of this browser as it is now")

// CheckForm refuses a form whose token is not that of this browser and purpose. again is
// where the page is shown anew, "" for nowhere.
func CheckForm(sessions *session.Manager, browser secret.Hash, purpose, token, again string) error {
	if sessions.VerifyCSRF(browser, purpose, token) {
		return nil
	}
	e := &web.Error{Status: http.StatusForbidden, Code: "csrf", Err: ErrStale}
	if browser.IsZero() { // signing out in another tab takes the cookie away that was set with the form
		e.Code = "missing_cookie"
		e.Advice = "Nothing was changed. If you signed out in another tab meanwhile, load the page again. If that does not help, " +
			"allow cookies for this site."
	}
	if again != "" {
		e.BackURL, e.BackLabel = again, "Load the page again"
	}
	return e
}

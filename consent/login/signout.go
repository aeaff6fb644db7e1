package login

import (
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
)

// SignOutForm returns where a page posts to sign out of this server, and the form's token.
func SignOutForm(sessions *session.Manager, browser secret.Hash) (action, csrf string) {
	return "/logout", sessions.CSRFToken(browser, actLogout)
}

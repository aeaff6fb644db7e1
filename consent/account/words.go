package account

import (
	"strings"

	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// doneWords are what a page says after an act of the page before it (page.Deps.Done).
var doneWords = map[string]string{
	"confirmed":    "Your email address is confirmed.",
	"profile":      "Your profile is saved.",
	"mail":         "Another mail is on its way.",
	"password":     "Your password is changed. Every other device has to sign in again.",
	"app":          "The authenticator app is added. It is asked for when you sign in.",
	"passkey":      "The passkey is added. You can sign in with it from now on.",
	"key":          "The security key is added. It is asked for when you sign in.",
	"renamed":      "The name is saved.",
	"removed":      "It is removed. Every other device has to sign in again.",
	"ended":        "That device is signed out.",
	"others":       "You are signed out everywhere else.",
	"disconnected": "The app is disconnected.",
	"linked":       "The account is linked. You can sign in with it from now on.",
	"unlinked":     "The account is unlinked.",
}

// addedWords are what was added, as the page with the recovery codes says it.
var addedWords = map[string]string{"app": "Your authenticator app", "passkey": "Your passkey", "key": "Your security key"}

// dueOf is what will be required of the user; the zero value if nothing.
func dueOf(a *assurance.Decision, link string) (d templates.AccountDue) {
	if a.Upcoming == nil {
		return d
	}
	d = templates.AccountDue{Wants: assurance.RequirementText(a.Upcoming.Policy.Require), Deadline: a.Deadline, Link: link}
	if o := a.Upcoming.Organization; o != nil {
		d.Organization = o.Name
	}
	return d
}

// names returns the names of organizations.
func names(all []storage.Organization) []string {
	out := make([]string, len(all))
	for i := range all {
		out[i] = all[i].Name
	}
	return out
}

// lower makes a title part of a sentence.
func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

package account

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// doneWords are what pages say after an act.
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

// addedWords are what was added, on the page with the recovery codes.
var addedWords = map[string]string{"app": "Your authenticator app", "passkey": "Your passkey", "key": "Your security key"}

var roleWords = map[string]string{
	storage.RoleOwner: "Owner", storage.RoleAdmin: "Admin", storage.RoleMember: "Member", storage.RoleGuest: "Guest",
}

// due is what will be required of the person; the zero value if nothing.
func due(a *assurance.Decision, link string) (d templates.AccountDue) {
	if a.Upcoming == nil {
		return d
	}
	d = templates.AccountDue{Wants: assurance.RequirementText(a.Upcoming.Policy.Require), Deadline: a.Deadline, Link: link}
	if o := a.Upcoming.Organization; o != nil {
		d.Organization = o.Name
	}
	return d
}

// faulty says what is wrong with what fields, each in a sentence.
func faulty(faults identity.FieldErrors) map[string]string {
	all := make(map[string]string, len(faults))
	for _, f := range faults {
		if all[f.Field] == "" {
			all[f.Field] = sentence(f)
		}
	}
	return all
}

// sentence is a fault as a person reads it below the field.
func sentence(f identity.FieldError) string {
	s := "This " + f.Problem + "."
	if f.Remedy != "" {
		first, size := utf8.DecodeRuneInString(f.Remedy)
		s += " " + string(unicode.ToUpper(first)) + f.Remedy[size:] + "."
	}
	return s
}

// names are those of organizations.
func names(all []storage.Organization) []string {
	out := make([]string, len(all))
	for i := range all {
		out[i] = all[i].Name
	}
	return out
}

// lower makes a title part of a sentence.
func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

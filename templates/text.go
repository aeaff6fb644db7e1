package templates

import "strings"

// sentence is what a page says about a scope.
type sentence struct{ sentence, icon string }

// scopes are the sentences of the consent page for scopes that this product
// defines. "It" is the app, named above the list.
var scopes = map[string]sentence{
	"openid":         {"Sign you in", "user"},
	"profile":        {"See your name, picture and profile", "card"},
	"email":          {"See your email address", "mail"},
	"phone":          {"See your phone number", "phone"},
	"address":        {"See your postal address", "pin"},
	"offline_access": {"Keep this access while you are away", "clock"},
	"org":            {"See your organization and your role in it", "building"},
	"orgs":           {"See every organization you belong to, and your role in each", "buildings"},
	"groups":         {"See your groups in the organization you act for", "building"},
	"roles":          {"See your roles on this platform", "shield"},
}

// ScopeSentence returns what the consent page says for a scope of OpenID
// Connect or of this product (org:<slug> included). ok is false for others:
// their sentence comes from the resource that defines them.
func ScopeSentence(scope string) (text string, ok bool) {
	known := scopeText(scope)
	return known.sentence, known.sentence != ""
}

func scopeText(scope string) sentence {
	if strings.HasPrefix(scope, "org:") {
		scope = "org"
	}
	return scopes[scope]
}

// failure is what an error page says: a first sentence that never changes, so
// that tests and support can match it, and what to do.
type failure struct{ sentence, advice string }

const (
	tellApp   = "Nothing is lost. Go back to the app and try again. If it happens again, contact the app’s support and include the request id."
	tryAgain  = "Nothing is lost. Wait a moment, then try again."
	startOver = "Nothing is lost. Go back to the app and sign in again from there."
)

var failures = map[string]failure{
	// Mistakes of the app, found before anybody may be sent back to it.
	"invalid_request":                  {"The app sent a request that is not valid.", tellApp},
	"unknown_client":                   {"This app is not registered here.", tellApp},
	"invalid_redirect_uri":             {"The redirect address is not registered for this app.", tellApp},
	"missing_redirect_uri":             {"The redirect address is missing from the request.", tellApp},
	"missing_response_type":            {"The response type is missing from the request.", tellApp},
	"missing_nonce":                    {"The nonce is missing from the request.", tellApp},
	"invalid_request_uri":              {"The request address is not valid or has expired.", tellApp},
	"invalid_id_token_hint":            {"The ID token hint is not valid.", tellApp},
	"invalid_post_logout_redirect_uri": {"The address to return to after signing out is not registered for this app.", tellApp},
	"missing_client":                   {"It is not known which app this request came from.", tellApp},

	// Answers to a person.
	"access_denied":   {"Access was refused.", "Nothing was shared with the app. Go back to it if you want to try again."},
	"not_a_member":    {"This account cannot sign in to this app.", "It is not a member of the organization that the app needs. Use another account, or ask the organization for an invitation."},
	"login_required":  {"The app asked for another account.", "Continue, and we tell the app that a different account is signed in."},
	"flow_expired":    {"This sign-in took too long and has expired.", startOver},
	"flow_finished":   {"This sign-in is over.", "There is nothing more to do here. Go on in the app. If it does not know you there, sign in again from it."},
	"flow_elsewhere":  {"This sign-in was started in another browser. Please start again.", startOver},
	"missing_cookie":  {"Your browser did not send a cookie that is needed here.", "Start again. If that does not help, allow cookies for this site. If you started in another browser or on another device, continue there."},
	"session_expired": {"You have been signed out.", "Your session ended. Nothing is lost: sign in again to continue."},
	"csrf":            {"This page is out of date.", "Nothing was changed. Reload the page and try again. If that does not help, start over."},

	// Accounts.
	"registration_closed":  {"Accounts here are made by your administrator.", "Ask them for one, or sign in if you already have one."},
	"registration_invited": {"You need an invitation to make an account here.", "Ask your team to invite you, then open the link in the email."},
	"recovery_closed":      {"Passwords are not reset by mail here.", "Ask your administrator for a new one."},
	"verify_link":          {"This link to confirm an address does not work any more.", "It was already used, is more than a day old, or is incomplete. If you opened it before, your address is confirmed: sign in. Otherwise register again, or send another email from your account."},
	"reset_link":           {"This link to choose a password does not work any more.", "It was already used, is more than 30 minutes old, or is incomplete. Your password is unchanged. Ask for a new link."},
	"invite_suspended":     {"This invitation must be confirmed first.", "The person who sent it can no longer invite people. Ask an owner of the organization to confirm it, then open this link again."},
	"invite_link":          {"This invitation does not work any more.", "It was accepted or withdrawn, is more than a week old, or is incomplete. Ask the person who invited you for a new one."},

	// Sign-in with another provider.
	"upstream_lost":        {"This sign-in with another provider cannot go on.", "It took too long, was finished already, or was started in another browser. Nothing is lost: start again."},
	"upstream_denied":      {"You did not sign in with the other provider.", "Nothing was changed. Try again, or sign in another way."},
	"upstream_unavailable": {"The other provider does not answer right now.", "Nothing is lost. Sign in another way, or try again in a few minutes."},
	"upstream_failed":      {"The other provider did not sign you in.", "Its answer could not be accepted. Sign in another way. If it happens again, give us the request id."},
	"upstream_unverified":  {"The other provider did not confirm an email address for you.", "Sign in another way or create an account. Then link the other provider under Linked accounts."},
	"upstream_refused":     {"This account cannot sign in here.", "Ask the people who run this service."},
	"upstream_taken":       {"That account is linked to somebody else here.", "Nothing was changed. Sign in with it to see whose it is, or link another one."},

	// The web's own.
	"not_found":               {"This page does not exist.", "Check the address, or go back to where you came from."},
	"method_not_allowed":      {"This address does not work that way.", "Go back and try again from the page before."},
	"too_many_requests":       {"There were too many attempts.", tryAgain},
	"payload_too_large":       {"What was sent is too large.", "Nothing was changed. Send less, and try again."},
	"misdirected_request":     {"This server does not answer for that address.", "Check the address for a typing mistake."},
	"server_error":            {"Something went wrong on our side.", "Nothing you did caused it, and it has been recorded. Try again in a moment. If it happens again, give us the request id."},
	"temporarily_unavailable": {"This service cannot answer right now.", tryAgain},
}

// ends are the sentences for somebody who was signed out without having asked for it, by
// the reasons of package storage.
var ends = map[string]string{
	"network_changed":   "You were signed out because your network changed.",
	"browser_changed":   "You were signed out because your session was used in another browser or on another system.",
	"protection":        "You were signed out because your browser or your network changed.",
	"idle":              "You were signed out because you had not been here for a while.",
	"expired":           "Your last sign-in has expired.",
	"bound":             "You were signed out here because you signed in on more devices than you may use at once.",
	"ended_by_person":   "You were signed out here from another device.",
	"password_changed":  "You were signed out here because your password was changed.",
	"email_changed":     "You were signed out here because the email address of your account was changed.",
	"factor_changed":    "You were signed out here because your two-step verification was changed.",
	"address_proven":    "You were signed out here because your email address was confirmed elsewhere.",
	"upstream_sign_out": "You were signed out because you signed out at the provider that you sign in with.",
	"address_unproven":  "You were signed out because your email address has to be confirmed.",
}

// SessionEndText says why somebody was signed out; "" for a reason that is not theirs to
// know.
func SessionEndText(reason string) string { return ends[reason] }

// ErrorText returns the fixed first sentence of an error code and the advice
// below it. ok is false for a code without one; pages then show server_error's.
func ErrorText(code string) (first, advice string, ok bool) {
	f, ok := failures[code]
	return f.sentence, f.advice, ok
}

func errorText(code string) (first, advice string) {
	f, ok := failures[code]
	if !ok {
		f = failures["server_error"]
	}
	return f.sentence, f.advice
}

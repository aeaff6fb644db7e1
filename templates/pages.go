package templates

import (
	"cmp"
	"strings"
)

// Account is the person who is signed in. The zero value means nobody.
type Account struct {
	Name  string // may be empty
	Email string
}

// Login asks who is there: GET and POST /login?flow=Flow (or ?to=To). It posts
// csrf, email, password; a passkey goes to /login/passkey, with PasskeyCSRF and
// credential, by passkey.js.
type Login struct {
	Flow        string // the sign-in that waits, "" when somebody signs in to this server itself
	To          string // where to go on without a flow, "" for nowhere in particular
	CSRF        string
	PasskeyCSRF string // "" leaves the button out
	AppName     string // the client's name; "" without a flow
	AppLogo     string // see Brand.Logo; another server's image is not shown
	Email       string // filled in: login_hint, or what was typed before
	Error       string // a sentence: why the last attempt failed
	Notice      string // a sentence: why the person is asked (again)
	Done        string // a sentence: what was done a moment ago
	ForgotURL   string // to the page that mails a reset link; "" hides the link
	RegisterURL string // to the page that makes an account; "" hides the link
	CancelURL   string // back to the app with access_denied; "" hides the link
	PolicyURI   string // the client's policy_uri and tos_uri
	TosURI      string
	Connections LoginConnections
}

func (p Login) page() (string, string) {
	if p.AppName == "" {
		return "login", ""
	}
	return "login", "Sign in to " + p.AppName
}

// ChooseOrganization asks for which organization the person acts:
// GET and POST /org?flow=Flow. It posts csrf and organization (the slug).
type ChooseOrganization struct {
	Flow          string
	CSRF          string
	AppName       string
	Organizations []Organization // all of them, the last choice first
	LastUsed      bool           // the first of Organizations is what was chosen last time
	Query         string         // the filter, GET parameter q; the page applies it
	CancelURL     string
}

// Organization is one the person may choose.
type Organization struct {
	Slug string
	Name string
	Role string // the person's role in words; may be empty
}

// searchFrom is the number of organizations above which the page offers a search.
const searchFrom = 8

func (p ChooseOrganization) page() (string, string) { return "org", "Choose an organization" }

// Searchable reports whether the page offers a search.
func (p ChooseOrganization) Searchable() bool { return len(p.Organizations) > searchFrom }

// Found returns the organizations whose name or slug contains the query.
func (p ChooseOrganization) Found() []Organization {
	query := strings.ToLower(strings.TrimSpace(p.Query))
	if query == "" {
		return p.Organizations
	}
	var found []Organization
	for _, o := range p.Organizations {
		if strings.Contains(strings.ToLower(o.Name), query) || strings.Contains(o.Slug, query) {
			found = append(found, o)
		}
	}
	return found
}

// Consent asks whether an app may have what it asks for:
// GET and POST /consent?flow=Flow. It posts csrf, answer (allow, deny) and
// remember ("on" when ticked).
type Consent struct {
	Flow             string
	CSRF             string
	AppName          string
	AppLogo          string
	RedirectHost     string // where the browser goes next; shown whole
	OrganizationName string // the organization the tokens name; may be empty
	Account          Account
	SwitchAction     string // POST here (csrf) signs in as somebody else; "" hides "Not you?"
	SwitchCSRF       string // its csrf where that differs from CSRF
	SignsIn          bool   // the app asks who the person is: the scope openid
	Scopes           []Scope
	GrantedCount     int    // how many more scopes were allowed before and are not asked again
	RememberUntil    string // a date in words, "21 May 2027"; "" when nothing will be remembered
	FirstParty       bool   // the installation's own app
	PolicyURI        string
	TosURI           string
}

// Scope is one thing an app asks for. Sentence comes from ScopeSentence or from
// the resource that defines the scope; an empty Icon is chosen by Name.
type Scope struct {
	Name     string
	Sentence string
	Icon     string
}

func (p Consent) page() (string, string) {
	return "consent", "Allow " + cmp.Or(p.AppName, "this app") + "?"
}

// Asked returns the scopes with sentence and icon filled in.
func (p Consent) Asked() []Scope {
	asked := make([]Scope, len(p.Scopes))
	for i, s := range p.Scopes {
		known := scopeText(s.Name)
		asked[i] = Scope{
			Name:     s.Name,
			Sentence: cmp.Or(s.Sentence, known.sentence, "Use “"+s.Name+"”"),
			Icon:     cmp.Or(s.Icon, known.icon, "key"),
		}
	}
	return asked
}

// SwitchToken is the csrf value of the "Not you?" form.
func (p Consent) SwitchToken() string { return cmp.Or(p.SwitchCSRF, p.CSRF) }

// Error says what went wrong, at the failing URL. Only Code is needed.
type Error struct {
	Code      string // a key of ErrorText, in main#error[data-error]
	Sentence  string // "" takes the fixed one of Code
	Advice    string // "" takes the fixed one of Code
	RequestID string
	Developer string // the cause, for the app's developers; lines are kept; never a secret
	BackURL   string // "" leaves the link out
	BackLabel string // "" says "Go back"
	Action    *ErrorAction
	Account   Account // who is signed in; zero leaves it out
}

// ErrorAction is what a person can do about an error, besides going back: a link, or a
// button that posts.
type ErrorAction struct {
	ID    string
	Label string
	URL   string
	Form  map[string]string // the fields to post, csrf among them; nil for a link
}

// IsFailure reports whether the page tells of a failure. A sign-in that is over is none; it may have been allowed or
// refused.
func (p Error) IsFailure() bool { return p.Code != "flow_finished" }

func (p Error) page() (string, string) { return "error", p.FirstSentence() }

// FirstSentence is the page's heading: what happened.
func (p Error) FirstSentence() string {
	sentence, _ := errorText(p.Code)
	return cmp.Or(p.Sentence, sentence)
}

// WhatNow is the paragraph below: what is lost and what to do.
func (p Error) WhatNow() string {
	_, advice := errorText(p.Code)
	if p.Sentence != "" {
		return p.Advice
	}
	return cmp.Or(p.Advice, advice)
}

// Logout asks whether to sign out. It posts to Action: csrf, Hidden, and answer
// (yes, no).
type Logout struct {
	Action  string // "" is /oauth2/logout
	CSRF    string
	Hidden  map[string]string // what the request carried and the answer must carry on
	AppName string            // the app that asks; may be empty
	Account Account
}

func (p Logout) page() (string, string) { return "logout", "Sign out?" }

// Target is where the answer goes.
func (p Logout) Target() string { return cmp.Or(p.Action, "/oauth2/logout") }

// SignedOut says that the session has ended.
type SignedOut struct {
	AppName string // where BackURL leads; may be empty
	BackURL string // "" leaves the link out
}

func (p SignedOut) page() (string, string) { return "signedout", "You are signed out" }

// FormPost carries an authorization response to the app (OAuth 2.0 Form Post
// Response Mode). It submits itself by a script of its own and has a button for
// browsers without. Its response must be without form-action.
type FormPost struct {
	Action  string // the redirect URI, http or https
	Params  map[string]string
	AppName string
}

func (p FormPost) page() (string, string) {
	return "formpost", "Back to " + cmp.Or(p.AppName, "the app")
}

// Home is "/": what this server is, and who is signed in.
type Home struct {
	Issuer        string
	Notice        string  // why the person was signed out
	Setup         bool    // the person administers this server
	Account       Account // zero shows the sign-in button
	SignInURL     string  // "" is /login
	SignOutAction string  // "" is /oauth2/logout; a POST with csrf
	CSRF          string
}

func (p Home) page() (string, string) { return "home", "" }

// SignIn is where the sign-in button leads.
func (p Home) SignIn() string { return cmp.Or(p.SignInURL, "/login") }

// SignOut is where the sign-out button posts.
func (p Home) SignOut() string { return cmp.Or(p.SignOutAction, "/oauth2/logout") }

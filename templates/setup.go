package templates

import (
	"cmp"
	"slices"
	"strconv"
)

// SetupStep is what every page of the first run has after the administrator.
type SetupStep struct {
	CSRF   string
	Done   string // a sentence: what has just been done
	Error  string // a sentence: why it was not done
	Number int    // of this page among setupSteps; 0 says nothing
}

const setupSteps = 5

// Where says how far one has come.
func (s SetupStep) Where() string {
	if s.Number == 0 {
		return ""
	}
	return "Step " + strconv.Itoa(s.Number) + " of " + strconv.Itoa(setupSteps)
}

// SetupToken asks for the token that the server printed: GET and POST /setup. It
// posts csrf, act (token) and token.
type SetupToken struct {
	CSRF  string
	Error string // a sentence: why the one that was given does not count
}

func (p SetupToken) page() (string, string) { return "setuptoken", "Set up this server" }

// SetupAdministrator asks who the first administrator is. It posts to /setup: csrf,
// act (administrator), token, name (may be empty), email, password.
type SetupAdministrator struct {
	CSRF       string
	Token      string
	Name       string
	Email      string
	Error      string
	NameError  string
	EmailError string
	Password   NewPassword
}

func (p SetupAdministrator) page() (string, string) {
	return "setupadministrator", "Create the administrator"
}

// Where says how far one has come.
func (p SetupAdministrator) Where() string { return SetupStep{Number: 1}.Where() }

// Setup is the list of all steps, for a superadmin.
type Setup struct {
	Account Account
	Steps   []SetupItem
}

// SetupItem is a step and whether it is done.
type SetupItem struct {
	Title string
	Note  string
	Link  string
	Done  bool
}

func (p Setup) page() (string, string) { return "setup", "Set up" }

// SetupPasskey offers a passkey. It posts to /setup/passkey: csrf, name and
// credential, which passkey.js puts in.
type SetupPasskey struct {
	SetupStep
	Name      string // for the passkey: the device
	Available bool   // passkeys work at this address
	Enrolled  bool   // there is one
}

func (p SetupPasskey) page() (string, string) { return "setuppasskey", "Add a passkey" }

// SetupBrand asks how the service presents itself. It posts to /setup/brand: csrf,
// name, color, logo (a data: URL that setup.js puts in; "" keeps it), and
// remove-logo ("on" when ticked).
type SetupBrand struct {
	SetupStep
	Name       string
	Color      string // #rrggbb
	HasLogo    bool
	NameFixed  bool // the configuration says it
	ColorFixed bool
	LogoFixed  bool
	Saved      bool
	NextURL    string
	Errors     map[string]string // by field
}

func (p SetupBrand) page() (string, string) { return "setupbrand", "Make it yours" }

// Shade is the colour that the field shows.
func (p SetupBrand) Shade() string { return cmp.Or(p.Color, defaultColor) }

// Fixed names what the configuration says.
func (p SetupBrand) Fixed() []string {
	var keys []string
	for key, fixed := range map[string]bool{"BRAND_NAME": p.NameFixed, "BRAND_COLOR": p.ColorFixed, "BRAND_LOGO": p.LogoFixed} {
		if fixed {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// SetupClient asks for an application. It posts to /setup/client: csrf, name, kind
// (web, spa, native, machine), redirect_uris and post_logout_redirect_uris, one a
// line, and scope for each that is ticked.
type SetupClient struct {
	SetupStep
	Name           string
	Kind           string // "" is web
	RedirectURIs   string
	Example        string // of a redirect URI
	PostLogoutURIs string
	LogoutExample  string
	Scopes         []SetupScope
	Errors         map[string]string // by field
	Clients        []SetupApp        // that there are
}

// SetupScope is a scope to choose. Sentence is the API's that defines it; empty for scopes of this product.
type SetupScope struct {
	Name, Sentence string
	Personal       bool // about a person, so not for a machine
	Chosen         bool
}

// Text is what people read about the scope.
func (s SetupScope) Text() string {
	own, _ := ScopeSentence(s.Name)
	return cmp.Or(s.Sentence, own, s.Name)
}

func (p SetupClient) page() (string, string) { return "setupclient", "Add your first app" }

// SetupApp is an application that can be tried out.
type SetupApp struct{ ID, Name string }

// SetupKind is a type of application to choose.
type SetupKind struct {
	Value, Title, Note string
	Chosen             bool
}

// Kinds are the types to choose from.
func (p SetupClient) Kinds() []SetupKind {
	all := []SetupKind{
		{Value: "web", Title: "Web app", Note: "A server that can keep a secret"},
		{Value: "spa", Title: "Single-page app", Note: "Runs in the browser alone, without a secret"},
		{Value: "native", Title: "Native app", Note: "On phones and computers, without a secret"},
		{Value: "machine", Title: "Machine", Note: "A program that acts for itself; nobody signs in"},
	}
	for i := range all {
		all[i].Chosen = all[i].Value == cmp.Or(p.Kind, "web")
	}
	return all
}

// SetupReady shows a new application's credentials, once, and how to use them. It
// posts to /setup/test: csrf and client_id.
type SetupReady struct {
	SetupStep
	Client SetupCredentials
}

func (p SetupReady) page() (string, string) { return "setupready", p.Client.Name + " is ready" }

// SetupTested is what came of a test. It posts to /setup/test: csrf and client_id,
// for another one.
type SetupTested struct {
	SetupStep
	AppName  string
	ClientID string
	Passed   bool
	Machine  bool        // nobody signed in
	Account  Account     // who did
	Checks   []SetupItem // what was looked at
	Claims   []SetupClaim
	Problem  string // a sentence: why it did not pass
	Advice   string
	Detail   string // for developers
}

func (p SetupTested) page() (string, string) {
	if p.Passed {
		return "setuptested", "It works"
	}
	return "setuptested", "It does not work yet"
}

// SetupClaim is what a token says.
type SetupClaim struct{ Name, Value string }

// SetupDone says what comes next.
type SetupDone struct {
	Issuer    string
	Registers bool        // anybody may register
	Open      []SetupItem // what was skipped
}

func (p SetupDone) page() (string, string) { return "setupdone", "You are set up" }

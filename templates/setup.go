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

// setupSamples are the pages of the first run, for Samples.
func setupSamples() []Sample {
	csrf := "ZmFrZS1jc3JmLXRva2Vu"
	step := func(n int) SetupStep { return SetupStep{CSRF: csrf, Number: n} }
	failed := func(n int) SetupStep {
		return SetupStep{CSRF: csrf, Number: n, Error: "That took too long, or the page was opened twice. Nothing was added. Try again."}
	}
	bob := Account{Name: "Bob Builder", Email: "bob@acme-corp.com"}
	portal := SetupCredentials{Name: "Acme Portal", Kind: "web", Issuer: "https://id.acme.example", ID: "0198c2f0-6a52-4c0e-9d0b-1f1f5f3b9a77", Secret: "Jc5QkYw0TqS8dM2vR7nXb1LfZ3hAeP9uQ0aB4cD6eF8",
		RedirectURI: "https://portal.acme.example/callback", Scope: "openid profile email"}
	machine := portal
	machine.Kind, machine.Name, machine.RedirectURI, machine.Scope = "machine", "Nightly import", "", ""
	native := portal
	native.Kind, native.Name, native.Secret, native.Issuer, native.RedirectURI = "native", longName, "", "http://localhost:5000", "http://127.0.0.1/callback"
	items := []SetupItem{{"Administrator", bob.Email, "/account", true}, {"Passkey", "Signs you in without a password", "/setup/passkey", true}, {"Name, colour and logo", "Sallyport", "/setup/brand", false},
		{"First app", "", "/setup/client", false}, {"Test sign-in", "", "/setup/client", false}}
	checks := []SetupItem{{Title: "The code was exchanged for tokens", Done: true}, {Title: "The ID token is for this app and this sign-in", Done: true}, {Title: "Userinfo tells about the same person", Done: true}}
	claims := []SetupClaim{{"iss", "https://id.acme.example"}, {"sub", "5b1f9b3e-6c1d-4a54-9f0e-2f7f3f1f9b11"}, {"email", "bob@acme-corp.com"}, {"email_verified", "true"}, {"name", "Bob Builder"}}
	return []Sample{
		{"setup-token", SetupToken{CSRF: csrf}},
		{"setup-token-error", SetupToken{CSRF: csrf, Error: "This token does not count: it was used, is more than an hour old, or a newer one was printed since."}},
		{"setup-token-empty", SetupToken{}},
		{"setup-administrator", SetupAdministrator{CSRF: csrf, Token: "bQ3v0yqkU5r1x2m8n4p6s7t9w0z1a2b3c4d5e6f7g8h"}},
		{"setup-administrator-errors", SetupAdministrator{CSRF: csrf, Name: longName, Email: longEmail, Error: "Too many passwords are being checked right now. Try again.", NameError: "This name has more than 200 characters. Choose a shorter one.",
			EmailError: "This address has an account already. Choose another one.", Password: NewPassword{MinLength: 12, Error: "This password has fewer than 12 characters. A few unrelated words are long and easy to remember."}}},
		{"setup-administrator-empty", SetupAdministrator{}},
		{"setup", Setup{Account: bob, Steps: items}},
		{"setup-empty", Setup{}},
		{"setup-passkey", SetupPasskey{SetupStep: step(2), Name: "Firefox on Linux", Available: true}},
		{"setup-passkey-error", SetupPasskey{SetupStep: failed(2), Available: true}},
		{"setup-passkey-address", SetupPasskey{SetupStep: step(2)}},
		{"setup-passkey-enrolled", SetupPasskey{SetupStep: step(2), Available: true, Enrolled: true}},
		{"setup-passkey-empty", SetupPasskey{}},
		{"setup-brand", SetupBrand{SetupStep: step(3), Name: "Acme ID", Color: "#0b6b5d", NextURL: "/setup/client"}},
		{"setup-brand-saved", SetupBrand{SetupStep: step(3), Name: "Acme ID", Color: "#7a1f5c", HasLogo: true, Saved: true, NextURL: "/setup/client"}},
		{"setup-brand-fixed", SetupBrand{SetupStep: step(3), Name: longName, Color: "#ffcc00", NameFixed: true, ColorFixed: true, LogoFixed: true, NextURL: "/setup/client"}},
		{"setup-brand-errors", SetupBrand{SetupStep: failed(3), Name: longName, NextURL: "/setup/client", Errors: map[string]string{"name": "This has more than 60 characters. Choose a shorter one.", "color": "This is not a colour.", "logo": "This is larger than 32 KiB. Save it smaller, or as SVG."}}},
		{"setup-brand-empty", SetupBrand{}},
		{"setup-client", SetupClient{SetupStep: step(4), RedirectURIs: "http://localhost:3000/callback",
			Example: "https://app.example.com/callback", LogoutExample: "https://app.example.com/",
			Scopes: []SetupScope{{Name: "profile", Personal: true, Chosen: true}, {Name: "org", Personal: true},
				{Name: "api:read", Sentence: "Read your data"}}}},
		{"setup-client-errors", SetupClient{SetupStep: failed(4), Name: longName, Kind: "spa",
			RedirectURIs: "http://" + longHost, PostLogoutURIs: "http://" + longHost, Clients: []SetupApp{{"a", "Acme Portal"},
				{"b", longName}},
			Errors: map[string]string{"name": "This has more than 100 characters. Choose a shorter one.",
				"kind": "Choose one of these.", "redirect_uris": "Line 1: it is plain http; use https.",
				"post_logout_redirect_uris": "Line 1: it is plain http; use https.", "scope": "It names “api:read”, which nothing defines."}, Scopes: []SetupScope{{Name: longHost, Sentence: longName, Chosen: true}}}},
		{"setup-client-empty", SetupClient{}},
		{"setup-ready", SetupReady{SetupStep: step(4), Client: portal}},
		{"setup-ready-native", SetupReady{SetupStep: step(4), Client: native}},
		{"setup-ready-machine", SetupReady{SetupStep: step(4), Client: machine}},
		{"setup-ready-empty", SetupReady{}},
		{"setup-tested", SetupTested{SetupStep: step(5), AppName: "Acme Portal", ClientID: portal.ID, Passed: true, Account: bob, Checks: checks, Claims: claims}},
		{"setup-tested-machine", SetupTested{SetupStep: step(5), AppName: "Nightly import", ClientID: portal.ID, Passed: true, Machine: true, Checks: []SetupItem{{Title: "The app authenticated and got an access token", Done: true}}}},
		{"setup-tested-failed", SetupTested{SetupStep: step(5), AppName: longName, ClientID: portal.ID, Problem: "You did not allow the app to sign you in.", Advice: "Nothing is wrong with the app. Try again, and choose Allow.", Detail: "access_denied: " + longHost}},
		{"setup-tested-empty", SetupTested{}},
		{"setup-done", SetupDone{Issuer: "https://id.acme.example", Registers: true, Open: items[2:]}},
		{"setup-done-empty", SetupDone{}},
	}
}

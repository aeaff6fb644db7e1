package templates

import (
	"cmp"
	"slices"
	"strings"
)

// Factor asks for a second step: GET and POST Action. A code is posted with csrf,
// kind (totp or recovery) and code; a passkey with csrf, kind (webauthn) and
// credential, the JSON that passkey.js puts in.
type Factor struct {
	Step
	Begin       string // where passkey.js gets the challenge; POST csrf
	Kind        string // of the code that the form asks for: totp, recovery, or "" for none
	Passkey     bool   // a passkey or security key will do
	RecoveryURL string // to the form for a recovery code; "" leaves the link out
	CodeURL     string // back from it; "" leaves the link out
	Why         string // a sentence: who wants it, when it is not the sign-in itself
	KeyOnly     string // who takes nothing but a passkey or security key: an organization or an app; "" for nobody
}

// Step is what all pages of the second step have.
type Step struct {
	Action       string // where the forms post; "" is /login/factor
	CSRF         string
	AppName      string // the client's name; "" without a flow
	AppLogo      string // see Brand.Logo
	Account      Account
	SwitchAction string // POST here (csrf) to be somebody else; "" hides it
	SwitchCSRF   string
	SwitchLabel  string // "" says "Not you?"
	Error        string // a sentence: why the last attempt failed
	CancelURL    string // back to the app with access_denied; "" hides the link
	PolicyURI    string
	TosURI       string
}

// Target is where the forms post.
func (s Step) Target() string { return cmp.Or(s.Action, "/login/factor") }

// SwitchWords are what the button says that leads to somebody else's sign-in.
func (s Step) SwitchWords() string { return cmp.Or(s.SwitchLabel, "Not you?") }

func (p Factor) page() (string, string) {
	if p.Kind == "recovery" {
		return "factor", "Use a recovery code"
	}
	return "factor", "Confirm that it is you"
}

// FactorEnrol tells somebody that they must set up a second step now, and offers
// what will do. It posts csrf and enrol: totp for the next page, webauthn with
// credential.
type FactorEnrol struct {
	Step
	Begin    string
	Requirer string // the organization that requires it; "" for this service
	TOTP     bool   // an authenticator app will do
	Passkey  bool   // a passkey or security key will do
}

func (p FactorEnrol) page() (string, string) { return "factorenrol", "Set up a second step" }

// FactorTOTP shows the key of a new authenticator app and asks for its first code.
// It posts csrf, enrol (totp-code) and code; enrol (totp) to see the key again.
type FactorTOTP struct {
	Step
	QR     string // data:image/png;base64,…; "" when the key was shown on the page before
	Secret string // the key as text, base32
	Back   string // to the choice before; "" leaves the link out
}

func (p FactorTOTP) page() (string, string) { return "factortotp", "Set up your authenticator app" }

// Key is the key in groups of four, as people read it aloud.
func (p FactorTOTP) Key() string {
	var groups []string
	for rest := p.Secret; rest != ""; {
		n := min(4, len(rest))
		groups, rest = append(groups, rest[:n]), rest[n:]
	}
	return strings.Join(groups, " ")
}

// FactorAgain asks for a fresh sign-in before a second step may be set up. Its
// form posts csrf to SwitchAction.
type FactorAgain struct {
	Step
	Requirer  string
	SignInURL string // without a flow, where to sign in again
}

func (p FactorAgain) page() (string, string) { return "factoragain", "Sign in again" }

// FactorUnproven tells somebody who must set up a second step that their address
// comes first. It posts csrf and enrol (verify), which sends the mail.
type FactorUnproven struct {
	Step
	Requirer string
	Sent     bool // the mail has just been sent
}

func (p FactorUnproven) page() (string, string) { return "factorunproven", "Confirm your email first" }

// FactorCodes shows recovery codes, once. There is nothing to post.
type FactorCodes struct {
	Codes   []string
	NextURL string
	Email   string // whose they are
	AppName string // where NextURL leads; "" for this server's own pages
	Renewed bool   // made in the place of older ones, which count no more
	Last    bool   // made because the last one has just been used
	Added   string // what was set up: "Your passkey"; "" for "Your second step"
	Keys    bool   // the person has a passkey or security key
}

func (p FactorCodes) page() (string, string) { return "factorcodes", "Save your recovery codes" }

// What is what was set up.
func (p FactorCodes) What() string { return cmp.Or(p.Added, "Your second step") }

// Text is one code a line.
func (p FactorCodes) Text() string { return strings.Join(p.Codes, "\n") }

// FactorRecovered tells somebody who came in by a recovery code how many are left,
// and where to replace what they lost. There is nothing to post.
type FactorRecovered struct {
	Left    int
	NextURL string
	AppName string // where NextURL leads; "" for this server's own pages
}

func (p FactorRecovered) page() (string, string) { return "factorrecovered", "You are signed in" }

// sampleQR is a picture that nobody can use.
const sampleQR = "data:image/png;base64," +
	"iVBORw0KGgoAAAANSUhEUgAAAPYAAAD2AQAAAADNaUdlAAABj0lEQVR42u2ZXYrDMAyEBT5AjpSr+0g5gEErzchuKGGfPbsxpU30+WWwfl3zX9ewl7/8j3PLdY6jx7d7b2G60tREOAxnuyw+sQsPJ+" +
	"0aHAbKio2O19AqxuNMju5JJDkc7XQ8uBaHISOjTul88r99+YrvYTYo8Tn+N+VcRn7EY3/Kv/vyzKwBkzNKcgs2qvAyhD54WW6J1ybC8ZveVDGdha4iXoLXQk4KZWaocvAyCb6yEWwdJ9Nv8bE7Z3Bn" +
	"Wa5dPqNEg1uehtO/Bkr06jgkOMMazoUoR64yM1fh0JdZCscCoVZGBR7mkghZeUpmfstPm3PoyLbUShNmnU987M87+zuDeblbE+FoiDrFVaBko6HDmVmvT62ml+nwzEwhCF524pQ6B30JPuZwwJmgVX" +
	"PaXYTPydJmWets94Q4V4710d/NEqHCV01oc9bhfKnCOdOT82aFw40MrwstY2c9ZqPUtDg8i7kWGetb3/Z8TfnGjqmp8FkiBsf6i/2dDGd8o7OwdVfqt/lnc/7+v/Py/8p/AIbo7cxjgoLRAAAAAElF" +
	"TkSuQmCC"

// factorsSamples are the pages of the second step, for Samples.
func factorsSamples() []Sample {
	csrf := "ZmFrZS1jc3JmLXRva2Vu"
	at := "/login/factor?flow=bQ3v0yqkU5r1x2m8n4p6s7t9w0z1a2b3c4d5e6f7g8h"
	begin := "/login/factor/begin?flow=bQ3v0yqkU5r1x2m8n4p6s7t9w0z1a2b3c4d5e6f7g8h"
	usual := Step{Action: at, CSRF: csrf, AppName: "Acme Portal", Account: Account{Name: "Bob Builder", Email: "bob@acme-corp.com"},
		SwitchAction: "/login/switch", SwitchCSRF: csrf, CancelURL: "/", PolicyURI: "https://portal.acme.example/privacy", TosURI: "https://portal.acme.example/terms"}
	long := usual
	long.AppName, long.Account, long.SwitchLabel = longName, Account{Name: longName, Email: longEmail}, "Sign out"
	long.Error = "There were too many wrong codes for this account. Nothing is lost: try again in 10 minutes."
	own := Step{CSRF: csrf, Account: Account{Email: "bob@acme-corp.com"}, SwitchAction: "/logout", SwitchCSRF: csrf, SwitchLabel: "Sign out"}
	wrong := usual
	wrong.Error = "That code is not right. Check it, or wait for the next one, and try again."
	key := "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	codes := []string{"k7mp-2xq4-9rtd-hv3c", "p3wz-8nf6-tq2m-j5xd", "c9rh-4vk7-m2pz-x6tw"}
	return []Sample{
		{"factor", Factor{Step: usual, Begin: begin, Kind: "totp", Passkey: true, RecoveryURL: at + "&method=recovery"}},
		{"factor-error", Factor{Step: wrong, Kind: "totp", RecoveryURL: at + "&method=recovery"}},
		{"factor-recovery", Factor{Step: usual, Kind: "recovery", CodeURL: at}},
		{"factor-passkey", Factor{Step: own, Begin: begin, Passkey: true, RecoveryURL: "/login/factor?method=recovery"}},
		{"factor-why", Factor{Step: usual, Begin: begin, Passkey: true, Why: "Acme Corp asks for more than the way you have signed in.", KeyOnly: "Acme Corp"}},
		{"factor-long", Factor{Step: long, Begin: begin, Kind: "totp", Passkey: true, RecoveryURL: at, Why: longName + " asks for it, to be sure that it is you."}},
		{"factor-only", Factor{Step: long, Begin: begin, Passkey: true, KeyOnly: longName}},
		{"factor-empty", Factor{}},
		{"factorenrol", FactorEnrol{Step: usual, Begin: begin, Requirer: "Acme Corp", TOTP: true, Passkey: true}},
		{"factorenrol-passkey", FactorEnrol{Step: own, Begin: begin, Passkey: true}},
		{"factorenrol-long", FactorEnrol{Step: long, Begin: begin, Requirer: longName, TOTP: true, Passkey: true}},
		{"factorenrol-empty", FactorEnrol{}},
		{"factortotp", FactorTOTP{Step: usual, QR: sampleQR, Secret: key, Back: at}},
		{"factortotp-error", FactorTOTP{Step: wrong, Back: at}},
		{"factortotp-long", FactorTOTP{Step: long, QR: sampleQR, Secret: strings.Repeat(key, 2), Back: at}},
		{"factortotp-empty", FactorTOTP{}},
		{"factoragain", FactorAgain{Step: usual, Requirer: "Acme Corp"}},
		{"factoragain-own", FactorAgain{Step: own, SignInURL: "/login?to=/account"}},
		{"factoragain-empty", FactorAgain{}},
		{"factorunproven", FactorUnproven{Step: usual, Requirer: "Acme Corp"}},
		{"factorunproven-sent", FactorUnproven{Step: own, Sent: true}},
		{"factorunproven-empty", FactorUnproven{}},
		{"factorcodes", FactorCodes{Codes: codes, Email: "bob@acme-corp.com", NextURL: "/oauth2/authorize?flow=x", AppName: "Acme Portal", Added: "Your authenticator app"}},
		{"factorcodes-long", FactorCodes{Codes: slices.Concat(codes, codes, codes), Email: longEmail, NextURL: "/account", AppName: longName}},
		{"factorcodes-renewed", FactorCodes{Codes: codes, NextURL: "/account/security", Email: "bob@acme-corp.com", Renewed: true}},
		{"factorcodes-last", FactorCodes{Codes: codes, NextURL: "/oauth2/authorize?flow=x", AppName: "Acme Portal", Email: "bob@acme-corp.com", Last: true, Keys: true}},
		{"factorcodes-empty", FactorCodes{}},
		{"factorrecovered", FactorRecovered{Left: 2, NextURL: "/oauth2/authorize?flow=x", AppName: "Acme Portal"}},
		{"factorrecovered-one", FactorRecovered{Left: 1, NextURL: "/"}},
		{"factorrecovered-long", FactorRecovered{Left: 19, NextURL: "/", AppName: longName}},
		{"factorrecovered-empty", FactorRecovered{}},
	}
}

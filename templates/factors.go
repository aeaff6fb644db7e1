package templates

import (
	"cmp"
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

func (p FactorEnrol) page() (string, string) { return "factorenrol", "Set up two-step verification" }

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

// What names the factor that was set up.
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

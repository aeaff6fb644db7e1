package templates

import (
	"cmp"
	"strconv"
	"time"
)

// NewPassword is a field for a password that does not exist yet.
type NewPassword struct {
	MinLength int    // in characters; 0 is 8
	Error     string // a sentence: what is wrong with the one that was sent
}

// Rule says beforehand what will do.
func (p NewPassword) Rule() string {
	return "At least " + strconv.Itoa(cmp.Or(p.MinLength, 8)) + " characters. A few unrelated words are easy to remember and hard to guess."
}

// Register asks for what an account is made of: GET and POST /register?flow=Flow
// (or ?to=To). It posts csrf, name (may be empty), email, password.
type Register struct {
	Flow       string // the sign-in that waits, "" without one
	To         string // where to go on without a flow, "" for nowhere in particular
	CSRF       string
	AppName    string // the client's name; "" without a flow
	AppLogo    string // see Brand.Logo
	Name       string // as typed before
	Email      string
	Error      string // a sentence about the whole; "" if there is none or it is a field's
	NameError  string // a sentence about one field
	EmailError string
	Password   NewPassword
	SignInURL  string // for whoever has an account
	CancelURL  string // back to the app with access_denied; "" hides the link
	PolicyURI  string // the client's policy_uri and tos_uri
	TosURI     string
}

func (p Register) page() (string, string) { return "register", "Create your account" }

// CheckMail says that a mail is on its way, if there is anybody to get it: the
// answer to /register and /recover, the same for every address.
type CheckMail struct {
	Email     string // as typed
	Reset     bool   // a link to choose a password; else one to finish registering
	AgainURL  string // where to try again
	SignInURL string
	OutboxURL string // where mails go in development; "" elsewhere
}

func (p CheckMail) page() (string, string) { return "checkmail", "Check your email" }

// Verify asks whoever followed a link whether the address is theirs: GET and POST
// /verify?token=Token. It posts csrf.
type Verify struct {
	Token        string
	CSRF         string
	Account      Account
	Registration bool // confirming makes the account; else it has one
	// Choose: the first password does not count in this browser, and this page asks
	// for another. Then it posts password too.
	Choose   bool
	Password NewPassword
}

func (p Verify) page() (string, string) { return "verify", "Confirm your email address" }

// Recover asks for whose password a link is wanted: GET and POST /recover?flow=Flow,
// or ?to=To. It posts csrf and email.
type Recover struct {
	Flow       string
	To         string
	CSRF       string
	Email      string // as typed before
	Error      string // a sentence about the whole
	EmailError string // a sentence about the field
	SignInURL  string
}

func (p Recover) page() (string, string) { return "recover", "Reset your password" }

// Reset asks for a new password: GET and POST /recover/reset?token=Token. It posts
// csrf and password.
type Reset struct {
	Token      string
	CSRF       string
	Email      string // whose password
	Confirmed  bool   // the address was confirmed a moment ago: says why there must be a password
	SecondStep bool   // the account has one, which stays
	Password   NewPassword
}

func (p Reset) page() (string, string) {
	if p.Confirmed {
		return "reset", "Choose your password"
	}
	return "reset", "Choose a new password"
}

// Invite shows an invitation: GET and POST /invite?token=Token. To accept it posts
// csrf and act=accept; to make an account by it csrf, act=register, name
// and password.
type Invite struct {
	Token        string
	CSRF         string
	Organization string
	Role         string // in words, to follow "as": "a member"
	Inviter      string // may be empty
	Email        string // who is invited
	Until        time.Time
	// Account is who is signed in; zero for nobody. Mine: it is who is invited.
	Account   Account
	Mine      bool
	SignInURL string // for whoever has an account, or has to switch to another
	// Register offers to make an account with the address. It is offered to everybody
	// who is not signed in, whether the address has an account or not.
	Register  bool
	Name      string // as typed before
	Error     string
	NameError string
	Password  NewPassword
}

func (p Invite) page() (string, string) {
	if p.Organization == "" {
		return "invite", "You are invited"
	}
	return "invite", "Join " + p.Organization
}

// Ends is until when the invitation can be accepted, "" if that is not known.
func (p Invite) Ends() string {
	if p.Until.IsZero() {
		return ""
	}
	return p.Until.UTC().Format("2 January 2006")
}

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

func (p CheckMail) page() (string, string) { return "checkmail", "Check your mail" }

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
// csrf and act=accept; to make an account by it RegisterCSRF, act=register, name
// and password.
type Invite struct {
	Token        string
	CSRF         string
	RegisterCSRF string
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

// peopleSamples are the pages of registration, verification and recovery, for Samples.
func peopleSamples() []Sample {
	flow, token, csrf := "bQ3v0yqkU5r1x2m8n4p6s7t9w0z1a2b3c4d5e6f7g8h", "q1W2e3R4t5Y6u7I8o9P0a1S2d3F4g5H6j7K8l9Z0x1C", "ZmFrZS1jc3JmLXRva2Vu"
	signIn, bob := "/login?flow="+flow, Account{Name: "Bob Builder", Email: "bob@acme-corp.com"}
	until := time.Date(2027, 5, 21, 12, 0, 0, 0, time.UTC)
	common := NewPassword{Error: "This password is one of the first that an attacker tries. Choose one that does not build on a common word, a name or a year."}
	wrong := "There is something wrong with the address."
	return []Sample{
		{"register", Register{Flow: flow, CSRF: csrf, AppName: "Acme Portal", SignInURL: signIn, CancelURL: "/", PolicyURI: "https://portal.acme.example/privacy", TosURI: "https://portal.acme.example/terms"}},
		{"register-plain", Register{CSRF: csrf, SignInURL: "/login"}},
		{"register-errors", Register{CSRF: csrf, Name: "Bob", Email: "bob@acme", EmailError: "Write the address like name@example.com.", Password: common, SignInURL: "/login"}},
		{"register-taken", Register{CSRF: csrf, Name: "Bob", Email: bob.Email, EmailError: "This address has an account already. Sign in, or choose another address.", SignInURL: "/login"}},
		{"register-long", Register{Flow: flow, CSRF: csrf, AppName: longName, Name: longName, Email: longEmail, Error: "There were too many attempts. Try again in 10 minutes.", NameError: wrong, EmailError: wrong, Password: common, SignInURL: signIn, CancelURL: "/"}},
		{"register-empty", Register{}},
		{"checkmail", CheckMail{Email: bob.Email, AgainURL: "/register", SignInURL: "/login"}},
		{"checkmail-reset", CheckMail{Email: bob.Email, Reset: true, AgainURL: "/recover", SignInURL: "/login", OutboxURL: "/dev/mail"}},
		{"checkmail-long", CheckMail{Email: longEmail, AgainURL: "/register", SignInURL: signIn, OutboxURL: "/dev/mail"}},
		{"checkmail-empty", CheckMail{}},
		{"verify", Verify{Token: token, CSRF: csrf, Account: bob, Registration: true}},
		{"verify-account", Verify{Token: token, CSRF: csrf, Account: Account{Email: bob.Email}}},
		{"verify-long", Verify{Token: token, CSRF: csrf, Account: Account{longName, longEmail}, Registration: true}},
		{"verify-choose", Verify{Token: token, CSRF: csrf, Account: bob, Registration: true, Choose: true, Password: common}},
		{"verify-choose-account", Verify{Token: token, CSRF: csrf, Account: Account{Email: bob.Email}, Choose: true, Password: NewPassword{MinLength: 12}}},
		{"verify-empty", Verify{}},
		{"recover", Recover{CSRF: csrf, SignInURL: "/login"}},
		{"recover-error", Recover{Flow: flow, CSRF: csrf, Email: "bob@acme", EmailError: "Write the address like name@example.com.", SignInURL: signIn}},
		{"recover-long", Recover{Flow: flow, CSRF: csrf, Email: longEmail, Error: "There were too many attempts. Try again in 10 minutes.", EmailError: wrong, SignInURL: signIn}},
		{"recover-empty", Recover{}},
		{"reset", Reset{Token: token, CSRF: csrf, Email: bob.Email, SecondStep: true}},
		{"reset-confirmed", Reset{Token: token, CSRF: csrf, Email: bob.Email, Confirmed: true, Password: NewPassword{MinLength: 12}}},
		{"reset-long", Reset{Token: token, CSRF: csrf, Email: longEmail, Confirmed: true, SecondStep: true, Password: common}},
		{"reset-empty", Reset{}},
		{"invite", Invite{Token: token, CSRF: csrf, Organization: "Acme Corp", Role: "a member", Inviter: "Alice Adams", Email: bob.Email, Until: until, Account: bob, Mine: true}},
		{"invite-stranger", Invite{Token: token, CSRF: csrf, Organization: "Acme Corp", Role: "an admin", Inviter: "Alice Adams", Email: bob.Email, Until: until, SignInURL: "/login", Register: true}},
		{"invite-closed", Invite{Token: token, CSRF: csrf, Organization: "Acme Corp", Role: "a member", Email: bob.Email, Until: until, SignInURL: "/login"}},
		{"invite-other", Invite{Token: token, CSRF: csrf, Organization: "Acme Corp", Role: "a guest", Inviter: "Alice Adams", Email: bob.Email, Until: until, Account: Account{Email: "carol@example.com"}, SignInURL: "/login"}},
		{"invite-long", Invite{Token: token, CSRF: csrf, Organization: longName, Role: "an owner", Inviter: longName, Email: longEmail, Until: until, SignInURL: "/login", Register: true, Name: longName, Error: "There were too many attempts. Try again in 10 minutes.", NameError: wrong, Password: common}},
		{"invite-long-other", Invite{Token: token, CSRF: csrf, Organization: longName, Role: "an owner", Inviter: longName, Email: longEmail, Until: until, Account: Account{longName, longEmail}, SignInURL: "/login"}},
		{"invite-empty", Invite{}},
	}
}

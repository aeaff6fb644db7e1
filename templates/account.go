package templates

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// AccountPart is what every page of a person's account has.
type AccountPart struct {
	CSRF  string
	Done  string    // a sentence: what has just been done
	Error string    // a sentence: why it was not done
	Now   time.Time // what "yesterday" is said from
}

// Moment says when something was, in words and in full.
func (p AccountPart) Moment(at time.Time) Moment { return Moment{at, p.Now} }

// Moment is a time as people read it. A zero At is never.
type Moment struct{ At, Now time.Time }

// Words are short: "3 minutes ago", "yesterday", "2 January 2027".
func (m Moment) Words() string {
	ago := m.Now.Sub(m.At)
	switch {
	case m.At.IsZero():
		return "never"
	case ago < time.Minute:
		return "just now"
	case ago < time.Hour:
		return plural(int(ago/time.Minute), "minute") + " ago"
	case ago < 24*time.Hour:
		return plural(int(ago/time.Hour), "hour") + " ago"
	case ago < 48*time.Hour:
		return "yesterday"
	case ago < 7*24*time.Hour:
		return plural(int(ago/(24*time.Hour)), "day") + " ago"
	}
	return day(m.At)
}

// Full is the whole time, "Monday, 2 January 2006, 15:04 UTC".
func (m Moment) Full() string { return m.At.UTC().Format("Monday, 2 January 2006, 15:04") + " UTC" }

// Machine is the time for the datetime attribute.
func (m Moment) Machine() string { return m.At.UTC().Format(time.RFC3339) }

// AccountDue is a second step that will be required. The zero value is none.
type AccountDue struct {
	Organization string // who asks for it; "" for the whole service
	Wants        string // "a passkey"
	Deadline     time.Time
	Link         string // where to add it; "" on the page that has the button
}

// Day is when it begins to be required.
func (d AccountDue) Day() string { return day(d.Deadline) }

// AccountHome is /account: what there is, and where to change it.
type AccountHome struct {
	AccountPart
	Account       Account
	SignOutCSRF   string // of the form that posts to /logout
	Unproven      bool   // the address is
	Setup         bool   // the person administers this server
	Due           AccountDue
	HasPassword   bool
	Authenticator int  // apps
	Passkeys      int  // and security keys
	Linked        bool // there are other providers to sign in with
	Sessions      int
	Apps          int
	Organizations []string // names
}

func (p AccountHome) page() (string, string) { return "account", "Your account" }

// SecondStep is the state of the second step in words.
func (p AccountHome) SecondStep() string {
	var parts []string
	if p.Authenticator > 0 {
		parts = append(parts, plural(p.Authenticator, "authenticator app"))
	}
	if p.Passkeys > 0 {
		parts = append(parts, plural(p.Passkeys, "passkey"))
	}
	return cmp.Or(strings.Join(parts, ", "), "Off")
}

// PasswordState is the state of the password in words.
func (p AccountHome) PasswordState() string {
	if p.HasPassword {
		return "Set"
	}
	return "None"
}

// SessionCount is in words.
func (p AccountHome) SessionCount() string {
	if p.Sessions < 2 {
		return "Signed in only here"
	}
	return "Signed in on " + strconv.Itoa(p.Sessions)
}

// AppCount is in words.
func (p AccountHome) AppCount() string {
	if p.Apps == 0 {
		return "None"
	}
	return plural(p.Apps, "app")
}

// OrganizationNames are one name, and how many more.
func (p AccountHome) OrganizationNames() string {
	switch n := len(p.Organizations); n {
	case 0:
		return "None"
	case 1:
		return p.Organizations[0]
	default:
		return p.Organizations[0] + " and " + strconv.Itoa(n-1) + " more"
	}
}

// AccountProfile is /account/profile. It posts csrf and the names of Fields.
type AccountProfile struct {
	AccountPart
	Email       string
	Unproven    bool
	Name        string
	GivenName   string
	FamilyName  string
	Nickname    string
	PhoneNumber string
	Locale      string
	Zoneinfo    string
	Errors      map[string]string // by the name of the field
}

func (p AccountProfile) page() (string, string) { return "accountprofile", "Profile" }

// AccountField is one line of a form.
type AccountField struct {
	Name, Label, Value, Hint, Error string
	Kind, Autocomplete              string // attributes of the input
}

// Fields are what the form asks for.
func (p AccountProfile) Fields() []AccountField {
	fields := []AccountField{
		{Name: "name", Label: "Full name", Value: p.Name, Autocomplete: "name"},
		{Name: "given_name", Label: "Given name", Value: p.GivenName, Autocomplete: "given-name"},
		{Name: "family_name", Label: "Family name", Value: p.FamilyName, Autocomplete: "family-name"},
		{Name: "nickname", Label: "Nickname", Value: p.Nickname, Autocomplete: "nickname", Hint: "What apps may call you."},
		{Name: "phone_number", Label: "Phone", Value: p.PhoneNumber, Kind: "tel", Autocomplete: "tel", Hint: "With the country’s code, such as +44 20 7946 0000."},
		{Name: "locale", Label: "Language", Value: p.Locale, Autocomplete: "language", Hint: "As a code, such as en-GB or de."},
		{Name: "zoneinfo", Label: "Time zone", Value: p.Zoneinfo, Autocomplete: "off", Hint: "As an area and a city, such as Europe/Berlin."},
	}
	for i := range fields {
		fields[i].Kind, fields[i].Error = cmp.Or(fields[i].Kind, "text"), p.Errors[fields[i].Name]
	}
	return fields
}

// AccountEmail is /account/email: it asks for another mail to prove the address.
// It posts csrf.
type AccountEmail struct {
	AccountPart
	Email    string
	Unproven bool
}

func (p AccountEmail) page() (string, string) { return "accountemail", "Confirm your email address" }

// AccountPassword is /account/password. It posts csrf, current_password if there
// is one, and password.
type AccountPassword struct {
	AccountPart
	Email        string // for password managers
	HasPassword  bool
	CurrentError string // a sentence: what is wrong with the current one
	Password     NewPassword
}

func (p AccountPassword) page() (string, string) {
	if !p.HasPassword {
		return "accountpassword", "Set a password"
	}
	return "accountpassword", "Change your password"
}

// The kinds of AccountFactor.
const (
	AccountFactorApp     = "app"     // an authenticator app
	AccountFactorPasskey = "passkey" // kept on a device, signs in by itself
	AccountFactorKey     = "key"     // a security key, beside a password
)

// AccountFactor is one second step of a person.
type AccountFactor struct {
	ID, Kind, Name  string
	Added, LastUsed time.Time
}

// KindName is the kind in words.
func (f AccountFactor) KindName() string {
	switch f.Kind {
	case AccountFactorApp:
		return "Authenticator app"
	case AccountFactorPasskey:
		return "Passkey"
	}
	return "Security key"
}

// Icon is the key of the icon.
func (f AccountFactor) Icon() string {
	if f.Kind == AccountFactorApp {
		return "phone"
	}
	return "key"
}

// AccountSecurity is /account/security: the second steps.
type AccountSecurity struct {
	AccountPart
	Unproven  bool // nothing attaches to an address that is not proven
	Due       AccountDue
	Factors   []AccountFactor
	CodesLeft int
	Passkeys  bool // they can be added here
}

func (p AccountSecurity) page() (string, string) { return "accountsecurity", "Two-step verification" }

// CodesWords say how many recovery codes are left.
func (p AccountSecurity) CodesWords() string {
	if p.CodesLeft < 1 {
		return "You have no recovery codes left"
	}
	return plural(p.CodesLeft, "recovery code") + " left"
}

// AccountFactorPage is /account/security/ID. It posts csrf and name.
type AccountFactorPage struct {
	AccountPart
	Factor AccountFactor
	Errors map[string]string
}

func (p AccountFactorPage) page() (string, string) { return "accountfactor", p.Factor.KindName() }

// AccountTOTP is /account/security/app: enrolling an authenticator app. It posts
// csrf, code and name. Without a QR it asks for the code of the app alone: the key
// is shown once.
type AccountTOTP struct {
	AccountPart
	QR     string // data:image/png;base64,…
	Secret string // base32
	Name   string
	Errors map[string]string
}

func (p AccountTOTP) page() (string, string) { return "accountapp", "Add an authenticator app" }

// Key is the key in groups of four.
func (p AccountTOTP) Key() string { return FactorTOTP{Secret: clean(p.Secret)}.Key() }

// AccountPasskey is /account/security/passkey. It posts csrf, name and credential.
type AccountPasskey struct {
	AccountPart
	Name string // suggested
}

func (p AccountPasskey) page() (string, string) { return "accountpasskey", "Add a passkey" }

// AccountSession is one place where a person is signed in.
type AccountSession struct {
	ID, Device          string
	Network             string // "192.0.2.0/24"; may be empty
	SignedIn, LastSeen  time.Time
	Current, ForProgram bool // this one; a program's rather than a browser's
	AnyNetwork          bool // its network may change; else that ends it under strong protection
}

// AccountSessions is /account/sessions.
type AccountSessions struct {
	AccountPart
	Sessions []AccountSession
}

func (p AccountSessions) page() (string, string) { return "accountsessions", "Where you are signed in" }

// Others reports whether there is a session besides this one.
func (p AccountSessions) Others() bool { return len(p.Sessions) > 1 }

// AccountApp is an app that a person has let in.
type AccountApp struct {
	ClientID, Name, Host string
	Logo                 string   // see Brand.Logo
	Organizations        []string // that it acts for; none for an app that only knows the person
	Scopes               []Scope
	Allowed, LastUsed    time.Time
}

// Asked are the scopes with sentence and icon.
func (a AccountApp) Asked() []Scope { return Consent{Scopes: a.Scopes}.Asked() }

// AccountApps is /account/apps.
type AccountApps struct {
	AccountPart
	Apps []AccountApp
}

func (p AccountApps) page() (string, string) { return "accountapps", "Connected apps" }

// AccountOrganization is a person's place in an organization.
type AccountOrganization struct {
	Name, Role string // the role in words
	Since      time.Time
	// AsksSince is the date, in words, since when it asks for two-step verification
	// that the person has not set up; "" if it does not.
	AsksSince string
}

// AccountOrganizations is /account/organizations.
type AccountOrganizations struct {
	AccountPart
	Organizations []AccountOrganization
}

func (p AccountOrganizations) page() (string, string) {
	return "accountorganizations", "Your organizations"
}

// AccountData is /account/data. It posts csrf and is answered with a file.
type AccountData struct{ AccountPart }

func (p AccountData) page() (string, string) { return "accountdata", "Download your data" }

// AccountDelete is /account/delete. It posts csrf and confirm.
type AccountDelete struct {
	AccountPart
	Account  Account
	Blocking []string // organizations that others would be left in without an owner
	Ending   []string // those that end with the account
}

func (p AccountDelete) page() (string, string) { return "accountdelete", "Delete your account" }

// AccountDeleted is the last page.
type AccountDeleted struct{}

func (p AccountDeleted) page() (string, string) { return "accountdeleted", "Your account is deleted" }

// AccountConfirm asks before something is lost. It posts csrf and Hidden.
type AccountConfirm struct {
	AccountPart
	Title  string
	What   string // what it is about, in a name of the person's own; may be empty
	Detail string // below What
	Lead   string
	Losses []string // sentences: what is lost
	Action string   // where it posts
	Hidden map[string]string
	Button string // says what happens
	Busy   string // and while it does
	Back   string // the way back without it
	Safe   bool   // nothing is lost that does not come back
}

func (p AccountConfirm) page() (string, string) { return "accountconfirm", p.Question() }

// Question is the page's heading.
func (p AccountConfirm) Question() string { return cmp.Or(p.Title, "Are you sure?") }

// Does is what the button says.
func (p AccountConfirm) Does() string { return cmp.Or(p.Button, "Go on") }

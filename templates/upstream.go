package templates

// LoginConnections are the ways on /login to sign in with another provider.
type LoginConnections struct {
	Buttons []ConnectionButton
	// UsePasswordURL is the form that sends no address to a connection; "" leaves the link out.
	UsePasswordURL string
	// UsesPassword: this is that form.
	UsesPassword bool
}

// ConnectionButton leads to a connection.
type ConnectionButton struct {
	Name  string // of the connection, in a[data-connection]
	Label string // "Google"
	Kind  string // google, github, microsoft; others have a plain mark
	URL   string
}

// LinkAccount says that an account has the address that a provider gave, and what to do: sign in to it, and link the
// two.
type LinkAccount struct {
	Label     string // of the connection
	Email     string
	SignInURL string
	CancelURL string
}

func (p LinkAccount) page() (string, string) { return "linkaccount", "Link your account" }

// AccountLinked is /account/linked: the identities of other providers that sign the user in.
type AccountLinked struct {
	AccountPart
	Identities []LinkedIdentity
	Add        []ConnectionButton
}

// LinkedIdentity is an identity that signs the user in.
type LinkedIdentity struct {
	Connection ConnectionButton // URL leads to the page that unlinks it
	Email      string           // what the provider says; may be empty
	Since      Moment
	LastUsed   Moment
	Off        bool // the connection is not in use at the moment
}

func (p AccountLinked) page() (string, string) { return "accountlinked", "Linked accounts" }

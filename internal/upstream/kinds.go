package upstream

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/storage"
)

// The kinds of connections.
const (
	KindOIDC      = "oidc"
	KindGoogle    = "google"
	KindMicrosoft = "microsoft"
	KindGitHub    = "github"
)

// kind is what differs between the kinds of connections.
type kind struct {
	label  string // of the button, where the configuration gives none
	scopes []string
	// issuer is what discovery begins with, sameIssuer whether a document may name that issuer.
	issuer     func(*storage.Connection) string
	sameIssuer func(c *storage.Connection, named string) bool
	// tokenIssuer is the issuer that an ID token with these claims must have.
	tokenIssuer func(m *metadata, c *claims) string
	// subject identifies the person; "" refuses.
	subject func(c *storage.Connection, t *claims) string
	// verified tells whether the provider has seen that the address is the person's.
	verified func(t *claims) bool
	// maxAge: the provider knows max_age and answers with auth_time.
	maxAge bool
	// loginPrompt is the prompt that asks for a new sign-in, or comes next to it: Google refuses "login".
	loginPrompt string

	begin  func(ctx context.Context, x *exchange, r Request, st *State) (string, error)
	finish func(ctx context.Context, x *exchange, st State, a Answer) (*Identity, error)
	test   func(ctx context.Context, x *exchange, redirectURI string) error
	// logout is nil where the provider sends no logout tokens.
	logout func(ctx context.Context, x *exchange, raw string) (*Logout, error)
}

var kinds = table()

func table() map[string]*kind {
	standard := kind{scopes: []string{"openid", "profile", "email"},
		issuer:      func(c *storage.Connection) string { return c.Settings.Issuer },
		sameIssuer:  func(c *storage.Connection, named string) bool { return named == c.Settings.Issuer },
		tokenIssuer: func(m *metadata, _ *claims) string { return m.Issuer },
		subject:     func(_ *storage.Connection, t *claims) string { return t.Subject },
		verified:    func(t *claims) bool { return bool(t.EmailVerified) },
		maxAge:      true, loginPrompt: "login", begin: beginOIDC, finish: finishOIDC, test: testOIDC}

	google := standard
	google.label, google.maxAge, google.loginPrompt = "Google", false, "select_account"
	google.issuer = func(c *storage.Connection) string { return cmp.Or(c.Settings.Issuer, "https://accounts.google.com") }
	google.sameIssuer = func(c *storage.Connection, named string) bool { return named == google.issuer(c) }

	microsoft := standard
	microsoft.label, microsoft.maxAge = "Microsoft", false
	microsoft.issuer = func(c *storage.Connection) string {
		return microsoftAuthority(c, cmp.Or(c.Settings.Tenant, "common"))
	}
	microsoft.sameIssuer = sameMicrosoftIssuer
	microsoft.tokenIssuer = func(m *metadata, t *claims) string {
		return strings.Replace(m.Issuer, "{tenantid}", t.Tenant, 1)
	}
	microsoft.subject = microsoftSubject
	microsoft.verified = func(t *claims) bool { return bool(t.DomainVerified) }

	standard.logout = checkLogout
	return map[string]*kind{KindOIDC: &standard, KindGoogle: &google, KindMicrosoft: &microsoft,
		KindGitHub: {label: "GitHub", begin: beginGitHub, finish: finishGitHub, test: testGitHub,
			issuer: func(c *storage.Connection) string { return cmp.Or(c.Settings.Issuer, "https://github.com") }}}
}

// KindNames lists the kinds, for messages.
func KindNames() string { return strings.Join(slices.Sorted(maps.Keys(kinds)), ", ") }

// IsKind reports whether there is such a kind.
func IsKind(name string) bool { return kinds[name] != nil }

// Label is what the button of a connection says where its configuration does not.
func Label(kindName, connection string) string {
	if k := kinds[kindName]; k != nil && k.label != "" {
		return k.label
	}
	return connection
}

// tenantID is the form of a tenant's id at Microsoft.
var tenantID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// personalTenant is the tenant of Microsoft's accounts for consumers.
const personalTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"

// microsoftAuthority is the issuer of a tenant. The issuer of the configuration chooses another cloud.
func microsoftAuthority(c *storage.Connection, tenant string) string {
	return strings.TrimSuffix(cmp.Or(c.Settings.Issuer, "https://login.microsoftonline.com"), "/") + "/" + tenant + "/v2.0"
}

// sameMicrosoftIssuer accepts the template that the document of several tenants has, and the id of a tenant.
func sameMicrosoftIssuer(c *storage.Connection, named string) bool {
	before, after, _ := strings.Cut(microsoftAuthority(c, "|"), "|")
	tenant, ok := strings.CutPrefix(named, before)
	tenant, found := strings.CutSuffix(tenant, after)
	switch wanted := cmp.Or(c.Settings.Tenant, "common"); {
	case !ok || !found:
		return false
	case tenantID.MatchString(wanted):
		return tenant == wanted
	case slices.Contains([]string{"common", "organizations"}, wanted):
		return tenant == "{tenantid}"
	}
	return tenantID.MatchString(tenant) // of a tenant that is configured by its domain, and of "consumers"
}

// microsoftSubject is tenant and object id: the claim sub is another one for each application, and an address can be
// set by whoever administers a tenant.
func microsoftSubject(c *storage.Connection, t *claims) string {
	if !tenantID.MatchString(t.Tenant) || t.ObjectID == "" || len(t.ObjectID) > 100 ||
		c.Settings.Tenant == "organizations" && t.Tenant == personalTenant {
		return ""
	}
	return t.Tenant + "." + t.ObjectID
}

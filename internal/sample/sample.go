// Package sample is the sample data that `sallyport seed` and `sallyport demo` create: people, a clients.yaml and the
// credentials in them. Everybody knows the credentials, so production refuses them. It imports nothing of ours: the
// rules ask it what is a sample credential. Package internal/sample/seed creates the data.
package sample

import (
	_ "embed"
	"slices"
)

// Password is that of every sample person but the superadmin, who has AdminPassword.
const (
	Password      = "UserPass123!"
	AdminPassword = "AdminPass123!"
)

// ClientID is the client_id of the sample relying party, ClientSecret its secret and Origin where it is unless its port
// was taken.
const (
	ClientID     = "sample-rp"
	ClientSecret = "sample_rp_secret_2024"
	Origin       = "http://localhost:5001"
)

// Clients is a copy of the clients.yaml at the root of the repository, for where there is none; a test keeps the two
// the same.
//
//go:embed clients.yaml
var Clients []byte

// Person is a person of the sample data, and what they are in it.
type Person struct{ Email, Password, Role string }

// People are those that a person can sign in as.
func People() []Person {
	return []Person{
		{"bob@acme-corp.com", Password, "member of Acme Corp"},
		{"alice@acme-corp.com", Password, "owner of Acme Corp, admin of Tech Startup"},
		{"admin@sallyport.test", AdminPassword, "superadmin of the installation"},
	}
}

// IsCredential reports whether s is a password or a secret of the sample data.
func IsCredential(s string) bool {
	return slices.Contains([]string{Password, AdminPassword, "acme_secret_portal_2024", "data_secret_api_2024",
		ClientSecret}, s)
}

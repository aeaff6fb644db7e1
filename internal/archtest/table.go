package archtest

// module is the path that our own imports begin with.
const module = "github.com/sallyport-id/sallyport/"

// rule is what one package, or a tree of them, may import of ours. A path that
// ends in /... stands for itself and everything below it.
type rule struct {
	pkg  string
	ours []string
}

// rules is the import table; the first row that matches a package counts. A
// package that no row matches is a fault: a new room needs its line here.
func rules() []rule {
	everything := []string{"provider", "consent/...", "api", "admin", "identity/...", "storage", "migrations", "templates", "internal/..."}
	return []rule{
		{"cmd/sallyport", []string{"internal/app", "internal/keys", "identity", "storage"}}, // the last three: types and the rules, never their insides
		{"internal/app", everything},
		{"internal/harness", everything},
		{"internal/archtest", nil},
		{"test/...", nil}, // tests alone, which may import anything
		{"test/campaigns", []string{"internal/app", "internal/harness", "storage"}},
		{"provider", []string{"identity", "storage", "templates", "internal/web", "internal/session", "internal/keys",
			"internal/secret", "internal/fetch"}},
		{"consent/...", []string{"consent/...", "identity/...", "storage", "templates", "internal/web", "internal/session", "internal/secret", "internal/limit", "internal/device"}},
		{"api", []string{"identity/...", "storage", "templates", "internal/web", "internal/session", "internal/limit", "internal/device", "internal/secret"}}, // the last for the hashes of tokens
		{"admin", []string{"identity/...", "storage", "templates", "internal/web", "internal/session", "internal/limit"}},
		{"identity/...", []string{"identity/...", "storage", "internal/secret", "internal/mail", "internal/fetch"}},
		{"storage", []string{"migrations", "internal/secret"}},
		{"internal/session", []string{"storage", "internal/device", "internal/secret"}},
		{"internal/limit", []string{"storage", "internal/secret", "internal/counter", "internal/device", "internal/tally"}},
		{"internal/counter", []string{"storage", "internal/secret"}},
		{"internal/device", []string{"internal/secret"}},
		{"internal/tally", []string{"storage"}},
		{"internal/keys", []string{"storage", "internal/secret"}},
		{"internal/mail", []string{"storage", "templates", "internal/secret"}},
		{"internal/web", []string{"templates"}},
		{"internal/fetch", nil},
		{"internal/samplerp", nil},
		{"internal/fakeidp", nil},
		{"internal/secret", nil},
		{"templates", nil},
		{"migrations", nil},
	}
}

// onlyFrom names packages that few may import: a program is started by its
// command and by tests, and nothing of the tests is in the program.
func onlyFrom() map[string][]string {
	return map[string][]string{
		"internal/app":     {"cmd/sallyport", "internal/harness"},
		"internal/harness": nil,
	}
}

// door is a library, by the beginning of its import path, and the packages that
// may open it.
type door struct {
	library string
	opened  []string
}

// doors keeps a library replaceable: what one package imports, one package
// changes. Libraries without a row are free.
func doors() []door {
	return []door{
		{"github.com/ory/", []string{"provider"}},
		{"github.com/go-jose/", []string{"provider", "internal/keys"}},
		{"github.com/crewjam/saml", []string{"consent/federation"}},
		{"github.com/russellhaering/goxmldsig", []string{"consent/federation"}},
		{"github.com/beevik/etree", []string{"consent/federation"}},
		{"github.com/coreos/go-oidc", []string{"consent/federation", "internal/samplerp"}},
		{"golang.org/x/oauth2", []string{"consent/federation", "internal/samplerp"}},
		{"github.com/go-webauthn/", []string{"identity/factor"}},
		{"github.com/pquerna/otp", []string{"identity/factor"}},
		{"golang.org/x/image", []string{"identity"}},
		{"gopkg.in/yaml", []string{"identity"}},
		{"go.yaml.in/yaml", []string{"identity"}},
		{"github.com/knadh/koanf", []string{"internal/app"}},
		{"github.com/jmoiron/sqlx", []string{"storage"}},
		{"github.com/lib/pq", []string{"storage"}},
		{"modernc.org/", []string{"storage"}},
		{"github.com/pressly/goose", []string{"storage"}},
		{"github.com/gorilla/sessions", []string{"internal/session"}},
		{"github.com/rbcervilla/redisstore", []string{"internal/session"}},
		{"github.com/redis/", []string{"internal/session", "internal/limit", "internal/counter"}},
		{"github.com/go-redis/", []string{"internal/limit", "internal/counter"}},
		{"github.com/emersion/", []string{"internal/mail"}},
		{"github.com/sendgrid/", []string{"internal/mail"}},
		{"github.com/gorilla/mux", []string{"internal/web"}},
		{"github.com/rs/cors", []string{"internal/web"}},
		{"golang.org/x/crypto", []string{"internal/secret"}},
	}
}

package archtest

// module is the path that our own imports begin with.
const module = "github.com/sallyport-id/sallyport/"

// rule is what one package, or a tree of them, may import of ours. A path that
// ends in /... stands for itself and everything below it.
type rule struct {
	pkg  string
	ours []string
}

// rules is the import table; the first row that matches a package counts. A package that no row matches is a fault. A
// row may be there before its package is: admin.
func rules() []rule {
	everything := []string{"provider", "consent/...", "api", "admin", "identity/...", "storage", "migrations", "templates",
		"internal/..."}
	pages := []string{"identity/...", "storage", "templates", "internal/page", "internal/signin", "internal/session",
		"internal/limit", "internal/request", "internal/secret", "internal/web"}
	return []rule{
		{"cmd/sallyport", []string{"internal/app", "internal/keys", "identity", "identity/assurance", "identity/manifest", "identity/importer", "internal/sample/seed",
			"storage", "internal/request"}}, // all but the first: types and the rules, never their insides
		{"internal/app", everything},
		{"internal/harness", everything},
		{"internal/archtest", nil},
		{"test/...", nil}, // tests alone, which may import anything
		{"test/campaigns", []string{"internal/app", "internal/harness", "storage"}},
		{"provider", []string{"identity", "identity/assurance", "storage", "templates", "internal/oauth", "internal/web", "internal/session",
			"internal/keys", "internal/secret", "internal/fetch"}},
		{"consent/...", append([]string{"consent/...", "internal/clienttest", "internal/oauth", "internal/upstream"}, pages...)},
		{"api", append([]string{"internal/oauth"}, pages...)}, // templates for sentences, internal/secret for the hashes of tokens
		{"admin", append([]string{"internal/clienttest"}, pages...)},
		{"identity/...", []string{"identity/...", "storage", "internal/oauth", "internal/secret", "internal/mail",
			"internal/outbox", "internal/fetch", "internal/request", "templates", "internal/sample"}},
		{"storage", []string{"migrations", "internal/secret"}},
		{"internal/signin", []string{"identity/...", "storage", "internal/session", "internal/limit", "internal/device", "internal/secret", "internal/request"}},
		{"internal/page", []string{"identity/...", "storage", "templates", "internal/signin", "internal/session", "internal/limit", "internal/request",
			"internal/secret", "internal/web"}},
		{"internal/upstream", []string{"storage", "internal/oauth", "internal/secret", "internal/fetch"}},
		{"internal/session", []string{"storage", "internal/device", "internal/redis", "internal/secret"}},
		{"internal/clienttest", []string{"identity/...", "storage", "internal/oauth", "internal/session", "internal/secret"}},
		{"internal/limit", []string{"storage", "internal/secret", "internal/counter", "internal/device", "internal/redis", "internal/tally"}},
		{"internal/counter", []string{"storage", "internal/redis", "internal/secret"}},
		{"internal/device", []string{"internal/secret"}},
		{"internal/tally", []string{"storage"}},
		{"internal/keys", []string{"storage", "internal/oauth", "internal/secret"}},
		{"internal/outbox", []string{"storage", "internal/secret"}},
		{"internal/mail", []string{"storage", "templates", "internal/outbox", "internal/secret"}},
		{"internal/web", []string{"templates"}},
		{"internal/fetch", nil},
		{"internal/oauth", nil},
		{"internal/metrics", []string{"internal/jobs"}},
		{"internal/jobs", []string{"storage"}},
		{"internal/request", nil},
		{"internal/redis", nil},
		{"internal/sample", nil},
		{"internal/sample/seed", []string{"identity/...", "storage", "internal/oauth", "internal/sample", "internal/secret"}},
		{"internal/samplerp", nil},
		{"internal/fakeidp", nil},
		{"internal/secret", nil},
		{"templates", []string{"internal/request"}},
		{"templates/samples", []string{"templates", "internal/request"}},
		{"migrations", nil},
	}
}

// onlyFrom names packages that few may import: a program is started by its
// command and by tests, and nothing of the tests is in the program.
func onlyFrom() map[string][]string {
	return map[string][]string{
		"internal/app":     {"cmd/sallyport", "internal/harness"},
		"internal/harness": nil,
		// Samples are for tests and the gallery; nothing of them is in the program.
		"templates/samples": {"internal/harness"},
	}
}

// never names what a package must do without, though its importers have it: the sign-in sequence takes and returns
// values, so that pages, API and commands can share it.
func never() map[string][]string {
	return map[string][]string{
		"internal/signin": {"net/http"},
		"internal/oauth":  {"net/http"},
	}
}

// library is one that few packages may import, named by the beginning of its import path.
type library struct {
	path     string
	packages []string
}

// libraries keeps a library replaceable: what one package imports, one package changes. Libraries without a row are
// free.
func libraries() []library {
	return []library{
		{"github.com/ory/", []string{"provider"}},
		{"github.com/go-jose/", []string{"provider", "internal/keys"}},
		{"github.com/crewjam/saml", []string{"internal/upstream", "internal/fakeidp"}},
		{"github.com/russellhaering/goxmldsig", []string{"internal/upstream", "internal/fakeidp"}},
		{"github.com/beevik/etree", []string{"internal/upstream", "internal/fakeidp"}},
		{"github.com/coreos/go-oidc", []string{"internal/upstream", "internal/samplerp"}},
		{"golang.org/x/oauth2", []string{"internal/upstream", "internal/samplerp"}},
		{"github.com/go-webauthn/", []string{"identity/factor"}},
		{"github.com/pquerna/otp", []string{"identity/factor"}},
		{"golang.org/x/image", []string{"identity"}},
		{"gopkg.in/yaml", []string{"identity/manifest"}},
		{"go.yaml.in/yaml", []string{"identity/manifest"}},
		{"github.com/knadh/koanf", []string{"internal/app"}},
		{"github.com/jmoiron/sqlx", []string{"storage"}},
		{"github.com/lib/pq", []string{"storage"}},
		{"modernc.org/", []string{"storage"}},
		{"github.com/pressly/goose", []string{"storage"}},
		{"github.com/gorilla/sessions", []string{"internal/session"}},
		{"github.com/rbcervilla/redisstore", []string{"internal/session"}},
		{"github.com/redis/", []string{"internal/redis", "internal/session", "internal/counter"}},
		{"github.com/emersion/", []string{"internal/mail"}},
		{"github.com/sendgrid/", []string{"internal/mail"}},
		{"github.com/gorilla/mux", []string{"internal/web"}},
		{"github.com/prometheus/", []string{"internal/metrics"}},
		{"github.com/rs/cors", []string{"internal/web"}},
		{"golang.org/x/crypto", []string{"internal/secret"}},
	}
}

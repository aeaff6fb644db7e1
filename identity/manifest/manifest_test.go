package manifest_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/manifest"
	"github.com/sallyport-id/sallyport/internal/sample"
	"github.com/sallyport-id/sallyport/internal/sample/seed"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	header  = "version: 1\nclients:\n"
	someApp = "  - client_id: app\n    redirect_uris: [https://a.example/cb]\n"
	issuer  = "https://id.wonderland.example"

	ecKey      = `{"kty":"EC","kid":"e","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`
	privateKey = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`
)

func readText(text string) *manifest.File {
	return manifest.Read("clients.yaml", []byte(text), manifest.Source{})
}

func (in *installation) plan(t *testing.T, text string) *manifest.Plan {
	t.Helper()
	p, err := in.Manifest.Plan(t.Context(), identity.Operator(), readText(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (in *installation) apply(t *testing.T, text string) *manifest.Plan {
	t.Helper()
	p, err := in.Manifest.Apply(t.Context(), identity.Operator(), readText(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// changes is a plan in one line.
func changes(p *manifest.Plan) string {
	var all []string
	for _, c := range p.Changes {
		all = append(all, c.Action+" "+c.Name)
	}
	return strings.Join(all, ", ")
}

// File, line and remedy of each fault, and all of them at once.
func TestEveryFaultHasItsLineAndRemedy(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string // line and a part of the problem, in order
	}{
		"empty":             {"", []string{"1 the file is empty"}},
		"comments only":     {"# nothing\n", []string{"1 the file is empty"}},
		"null":              {"~\n", []string{"1 the file is empty"}},
		"no version":        {"clients: []\n", []string{"1 version is missing"}},
		"another version":   {"version: 2\n", []string{`1 version "2" is not known`}},
		"version as text":   {"version: \"1\"\n", []string{`1 version "1" is not known`}},
		"not YAML":          {"version: 1\nclients:\n  - client_id: \"app\n", []string{"3 this is not YAML"}},
		"tabs":              {"version: 1\nclients:\n\t- client_id: app\n", []string{"3 this is not YAML"}},
		"a list":            {"- version: 1\n", []string{"1 the file must be a mapping", "1 version is missing"}},
		"two documents":     {"version: 1\n---\nversion: 1\n", []string{"2 there is a second document"}},
		"alias":             {header + "  - &x {client_id: a}\n  - *x\n", []string{"4 aliases"}},
		"merge key":         {header + "  - client_id: app\n    <<: {redirect_uris: [https://a.example]}\n", []string{"3 client app: redirect_uris is missing", "4 a key of a client is not text"}},
		"unknown key":       {header + someApp + "    redirect_uri: https://a.example\n", []string{`5 a client has the key "redirect_uri"`}},
		"protected column":  {header + someApp + "    created_at: 2024-01-01\n", []string{`5 a client has the key "created_at"`}},
		"unknown top key":   {"version: 1\nclient: []\n", []string{`2 the file has the key "client"`}},
		"key twice":         {header + someApp + "    client_name: A\n    client_name: B\n", []string{`6 a client has the key "client_name" twice, first in line 5`}},
		"client twice":      {header + someApp + someApp, []string{`5 client_id "app" is taken by the entry of line 3`}},
		"no client_id":      {header + "  - client_name: A\n", []string{"3 a client has no client_id"}},
		"clients a mapping": {"version: 1\nclients: {app: {}}\n", []string{"2 clients must be a list"}},
		"client a text":     {header + "  - app\n", []string{"3 a client must be a mapping", "3 a client has no client_id"}},
		"number for text":   {header + someApp + "    client_name: 17\n", []string{"5 client_name must be text"}},
		"PKCE as text":      {header + someApp + "    require_pkce: \"true\"\n", []string{"5 require_pkce must be true, auto or false"}},
		"PKCE of a command": {header + someApp + "    require_pkce: required\n", []string{"5 require_pkce must be true, auto or false"}},
		"PKCE as a list":    {header + someApp + "    require_pkce: [auto]\n", []string{"5 require_pkce must be true, auto or false"}},
		"text for boolean":  {header + someApp + "    skip_consent: \"yes\"\n", []string{"5 skip_consent must be true or false"}},
		"text for number":   {header + someApp + "    default_max_age: soon\n", []string{"5 default_max_age must be a number"}},
		"list for text":     {header + someApp + "    scope: [openid]\n", []string{"5 scope must be text"}},
		"text for list":     {header + "  - client_id: app\n    redirect_uris: https://a.example/cb\n", []string{"4 redirect_uris must be a list"}},
		"null for text":     {header + someApp + "    client_name:\n", []string{"5 client_name must be text"}},
		"bad URIs": {header + "  - client_id: app\n    redirect_uris:\n      - https://a.example/cb\n      - javascript:alert(1)\n      - https://*.example\n",
			[]string{`6 client app: redirect_uris "javascript:alert(1)"`, `7 client app: redirect_uris "https://*.example"`}},
		"jwks as text":        {header + someApp + "    jwks: \"{}\"\n", []string{"5 jwks must be a mapping"}},
		"jwks with numbers":   {header + someApp + "    jwks: {keys: [{1: 2}]}\n", []string{"5 jwks"}},
		"private jwks":        {header + someApp + "    jwks: {keys: [" + privateKey + "]}\n", []string{"5 client app: jwks key 1 has the private member"}},
		"two secrets":         {header + someApp + "    secret: aaaa\n    secret_env: B\n", []string{"5 client app: secret is given together with secret_env"}},
		"empty secret":        {header + someApp + "    secret: \"\"\n", []string{"5 client app: secret is empty"}},
		"no such variable":    {header + someApp + "    secret_env: SALLYPORT_TEST_NOT_SET\n", []string{"5 client app: secret_env names the variable SALLYPORT_TEST_NOT_SET"}},
		"no such file":        {header + someApp + "    secret_file: nothing/here\n", []string{"5 client app: secret_file cannot be read"}},
		"no hash":             {header + someApp + "    secret_hash: hunter2\n", []string{"5 client app: secret_hash is not a hash"}},
		"secret of public":    {header + someApp + "    token_endpoint_auth_method: none\n    secret: x\n", []string{"6 client app: secret is of no use"}},
		"unprintable secret":  {header + someApp + "    secret: \"a\\nb\"\n", []string{"5 client app: secret gives a secret that is not"}},
		"resource":            {"version: 1\nresources:\n  - name: x\n", []string{"3 a resource has no identifier"}},
		"resource fragment":   {"version: 1\nresources:\n  - identifier: https://a.example/#x\n", []string{"3 resource https://a.example/#x: identifier"}},
		"resource twice":      {"version: 1\nresources:\n  - identifier: https://a.example\n  - identifier: https://a.example\n", []string{"4 identifier"}},
		"reserved scope":      {"version: 1\nresources:\n  - identifier: https://a.example\n    scopes:\n      openid: Sign in\n", []string{"5 resource https://a.example: scopes.openid"}},
		"scope without words": {"version: 1\nresources:\n  - identifier: https://a.example\n    scopes:\n      a:read:\n", []string{"5 scopes.a:read must be text"}},
		"server twice":        {"version: 1\nresources:\n  - identifier: https://a.example\n    served_by: [a, a]\n", []string{"4 served_by has"}},
		"everything at once": {"version: 3\nclients:\n  - client_id: a b\n    redirect_uris: [http://a.example]\n    grants: []\n  - {}\nextra: 1\n",
			[]string{"1 version", "3 client a b: client_id", "4 client a b: redirect_uris", `5 a client has the key "grants"`, "6 a client has no client_id", `7 the file has the key "extra"`}},
	} {
		t.Run(name, func(t *testing.T) {
			var faults manifest.FileErrors
			if err := readText(tc.text).Err(); !errors.As(err, &faults) {
				t.Fatalf("got %v, want faults", err)
			}
			var got []string
			for _, f := range faults {
				got = append(got, fmt.Sprintf("%d %s", f.Line, f.Problem))
				if f.File != "clients.yaml" || f.Remedy == "" && !strings.Contains(f.Problem, "_uris") {
					t.Errorf("%v: file or remedy is missing", f)
				}
			}
			if !slices.EqualFunc(got, tc.want, strings.HasPrefix) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// An error that only the database shows is reported with the rest, at its line.
func TestFaultsThatTheDatabaseShows(t *testing.T) {
	in := onSQLite(t)
	in.apply(t, header+"  - client_id: gone\n    redirect_uris: [https://a.example/cb]\n")
	in.apply(t, "version: 1\n")
	if err := in.Identity.Clients.Delete(t.Context(), identity.Operator(), "gone"); err != nil {
		t.Fatal(err)
	}
	in.apply(t, "version: 1\nresources:\n  - identifier: https://old.example\n    scopes: {old: Old things}\n")
	text := "version: 1\nbad: key\nclients:\n" +
		"  - client_id: gone\n    redirect_uris: [https://a.example/cb]\n" +
		"  - client_id: app\n    redirect_uris: [https://a.example/cb]\n    organization: nowhere\n    scope: openid old\n" +
		"resources:\n  - identifier: https://a.example\n    scopes: {a:read: Read}\n    served_by: [app, nobody]\n" +
		"  - identifier: https://b.example\n    scopes: {a:read: Read}\n"
	_, err := in.Manifest.Plan(t.Context(), identity.Operator(), readText(text))
	var faults manifest.FileErrors
	if !errors.As(err, &faults) {
		t.Fatalf("got %v, want faults", err)
	}
	var lines []int
	for _, f := range faults {
		lines = append(lines, f.Line)
	}
	if diff := cmp.Diff([]int{2, 4, 8, 9, 13, 15}, lines); diff != "" {
		t.Errorf("lines: %s\n%v", diff, err)
	}
	if _, err := in.Manifest.Apply(t.Context(), identity.Operator(), readText(text), nil); !errors.As(err, &faults) {
		t.Errorf("apply: got %v, want faults", err)
	}
	if _, err := in.Store.Client(t.Context(), "app"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("half applied: got %v, want ErrNotFound", err)
	}
}

// Tokens with this server's own URIs for aud are for this server alone (RFC 8707).
func TestNoResourceIsCalledLikeThisServer(t *testing.T) {
	in := onSQLite(t)
	planner := manifest.New(manifest.Config{Store: in.Store, Identity: identity.New(identity.Config{Store: in.Store, Issuer: issuer})})
	for identifier, own := range map[string]bool{
		issuer: true, issuer + "/": true, issuer + "/api/v1": true, issuer + "?x=1": true, issuer + ":443/api": true,
		"https://ID.Wonderland.example/api/v1": true,
		"https://id.wonderland.example.org":    false, "https://api.id.wonderland.example": false, issuer + ":8443": false,
		"com.wonderland.id:/api": false,
	} {
		_, err := planner.Plan(t.Context(), identity.Operator(), readText("version: 1\nresources:\n  - identifier: "+identifier+"\n    scopes: {a:read: Read}\n"))
		var faults manifest.FileErrors
		if got := errors.As(err, &faults) && faults[0].Line == 3 && strings.Contains(faults[0].Problem, "ISSUER"); got != own || (err != nil) != own {
			t.Errorf("%s: got %v, want a fault: %v", identifier, err, own)
		}
	}
}

func TestTheFileIsTheTruthAboutWhatItOwns(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		app := header + someApp
		both := app + "  - client_id: other\n    redirect_uris: [https://b.example/cb]\n"
		for _, step := range []struct{ text, want string }{
			{both, "create app, create other"},
			{both, ""},
			{strings.Replace(both, "a.example/cb", "a.example/new", 1), "update app"},
			{app, "update app, disable other"},
			{app, ""},
			{both, "enable other"},
			{both, ""},
			{app + "resources:\n  - identifier: https://r.example\n    scopes: {x: X}\n    served_by: [app]\n", "create https://r.example, disable other"},
			{app + "resources:\n  - identifier: https://r.example\n    scopes: {y: Y}\n    served_by: [app]\n", "update https://r.example"},
			{app, "delete https://r.example"},
			{app, ""},
		} {
			planned := changes(in.plan(t, step.text))
			applied := changes(in.apply(t, step.text))
			if planned != step.want || applied != step.want {
				t.Errorf("%s: got %q, then %q, want %q", step.text, planned, applied, step.want)
			}
		}
		if c := in.Client(t, "other"); c.Active() || c.ManagedBy != storage.ManagedByFileOnce {
			t.Errorf("let go of: got %+v", c)
		}
	})
}

// A client that the file takes over ends when the file names it no more: an operator must see that coming.
func TestAPlanNamesWhatTheFileTakesOver(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		if err := in.Seeder.Seed(t.Context(), identity.Operator(), seed.Options{}); err != nil {
			t.Fatal(err)
		}
		root, err := os.ReadFile("../../clients.yaml")
		if err != nil {
			t.Fatal(err)
		}
		p := in.plan(t, string(root))
		for _, want := range []string{"client acme-portal-001: take over", "client acme-mobile-001: take over", "client data-api-001: take over",
			"client sample-rp: take over", "resource https://api.acme-corp.example: take over"} {
			if p.IsEmpty() || !strings.Contains(p.String(), want) {
				t.Errorf("got %q, want %q in it", p, want)
			}
		}
		in.client(t, identity.NewClient{ID: "app", Metadata: storage.Metadata{RedirectURIs: []string{"https://b.example/cb"}}})
		both := in.plan(t, string(root))
		if strings.Contains(both.String(), "client app") {
			t.Errorf("a client that the file does not name: got %q", both)
		}
		in.apply(t, string(root))
		if p := in.plan(t, string(root)); !p.IsEmpty() {
			t.Errorf("applied: got %q, want no difference", p)
		}
	})
}

// An incident: somebody stops a client. No restart with the same file may start it again.
func TestAClientThatPeopleStoppedStaysStopped(t *testing.T) {
	in := onSQLite(t)
	text := header + someApp
	in.apply(t, text)
	if err := in.Identity.Clients.Disable(t.Context(), identity.Operator(), "app"); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{text, "version: 1\n", text, text} {
		p := in.apply(t, text)
		if slices.ContainsFunc(p.Changes, func(c manifest.Change) bool { return c.Action != "take over" && c.Action != "release" }) || in.Client(t, "app").Active() {
			t.Errorf("after %q: got %v, active %v", text, p, in.Client(t, "app").Active())
		}
	}
	if p := in.plan(t, text); len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "stays so") {
		t.Errorf("notes: got %v", p.Notes)
	}
	var faults identity.FieldErrors
	if err := in.Identity.Clients.Delete(t.Context(), identity.Operator(), "app"); !errors.As(err, &faults) {
		t.Errorf("deleting what the file owns: got %v, want a fault", err)
	}
}

func TestSecretsOfTheFile(t *testing.T) {
	in := onSQLite(t)
	with := func(key, value string) string { return header + someApp + "    " + key + ": " + value + "\n" }
	env := manifest.Source{
		Getenv: func(name string) (string, bool) {
			return map[string]string{"APP_SECRET": "from the environment"}[name], name == "APP_SECRET"
		},
		ReadFile: func(name string) ([]byte, error) { return []byte("from " + name + "\n"), nil },
	}
	apply := func(text string) *manifest.Plan {
		t.Helper()
		in.Clock.Advance(time.Second)
		p, err := in.Manifest.Apply(t.Context(), identity.Operator(), manifest.Read("/etc/sallyport/clients.yaml", []byte(text), env), nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(p.String(), "from ") || strings.Contains(p.String(), "argon2") || strings.Contains(p.String(), "first one") {
			t.Errorf("the plan shows a secret: %s", p)
		}
		return p
	}
	if p := apply(header + someApp); len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "rotate-secret") {
		t.Errorf("without a secret: got notes %v", p.Notes)
	}
	if p := apply(with("secret", "first one")); changes(p) != "update app" || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "guessable") {
		t.Errorf("a weak secret: got %v", p)
	}
	if p := apply(with("secret", "first one")); !p.IsEmpty() {
		t.Errorf("the same again: got %v", p)
	}
	in.WantSecret(t, "app", "first one", true)
	apply(with("secret_env", "APP_SECRET"))
	in.WantSecret(t, "app", "from the environment", true)
	in.WantSecret(t, "app", "first one", true)
	apply(with("secret_file", "secrets/app"))
	in.WantSecret(t, "app", "from /etc/sallyport/secrets/app", true)
	in.WantSecret(t, "app", "first one", false)
	if p := apply(header + someApp); !p.IsEmpty() {
		t.Errorf("no secret key means keep: got %v", p)
	}
	// A secret that was rotated beside the file is not taken back by a file without one.
	rotated, err := in.Identity.Clients.RotateSecret(t.Context(), identity.Operator(), "app", 0)
	if err != nil {
		t.Fatal(err)
	}
	apply(header + someApp)
	in.WantSecret(t, "app", rotated, true)

	cheap, err := secret.NewPasswords(secret.PasswordConfig{Argon2: secret.Argon2Params{MemoryKiB: 8, Time: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	phc, err := cheap.Hash(t.Context(), "legacy")
	if err != nil {
		t.Fatal(err)
	}
	apply(with("secret_hash", `"`+phc+`"`))
	in.WantSecret(t, "app", "legacy", true)
	if p := apply(with("secret_hash", `"`+phc+`"`)); !p.IsEmpty() {
		t.Errorf("a hash that was replaced at its first use: got %v", p)
	}
	if p := apply(with("token_endpoint_auth_method", "none")); changes(p) != "update app" || len(in.Client(t, "app").Secrets) != 0 {
		t.Errorf("a client made public: got %v, secrets %v", p, in.Client(t, "app").Secrets)
	}
}

func TestProductionTakesNoSecretFromTheFileAndNoSample(t *testing.T) {
	from := manifest.Source{Production: true, Getenv: func(string) (string, bool) { return "acme_secret_portal_2024", true }}
	for _, line := range []string{"secret: x4Jk2", "secret_env: APP_SECRET"} {
		var faults manifest.FileErrors
		err := manifest.Read("clients.yaml", []byte(header+someApp+"    "+line+"\n"), from).Err()
		if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Line != 5 || strings.Contains(err.Error(), "x4Jk2") || strings.Contains(err.Error(), "portal_2024") {
			t.Errorf("%s: got %v, want one fault without the secret", line, err)
		}
	}
}

func TestExportReadsBackAsNoDifference(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		if _, err := in.Identity.Organizations.Create(t.Context(), identity.Operator(), "acme-corp", "Acme", uuid.Nil); err != nil {
			t.Fatal(err)
		}
		root, err := os.ReadFile("../../clients.yaml")
		if err != nil {
			t.Fatal(err)
		}
		age := int64(0)
		in.apply(t, string(root)+"  - identifier: https://second.example\n    name: \"true\"\n")
		in.client(t, identity.NewClient{ID: "7", Metadata: storage.Metadata{ClientName: "yes", RedirectURIs: []string{"https://a.example/cb?a=1&b='2'"}, DefaultMaxAge: &age,
			DefaultACRValues: []string{"phr"}, JWKS: []byte(`{"keys":[` + ecKey + `]}`), TokenEndpointAuthMethod: "private_key_jwt", Contacts: []string{"a@b.example"},
			Scope: "openid api:read", WebOrigins: []string{"https://a.example"}, SkipConsent: true, UserinfoSignedResponseAlg: "ES256"}})
		for id, policy := range map[string]storage.PKCE{"pkce-auto": storage.PKCEAuto, "pkce-true": storage.PKCERequired, "pkce-false": storage.PKCEOptional} {
			in.client(t, identity.NewClient{ID: id, Metadata: storage.Metadata{RedirectURIs: []string{"https://a.example/cb"}, RequirePKCE: policy}})
			if got := in.Client(t, id).Metadata.RequirePKCE; got != policy {
				t.Errorf("%s is stored as %s", id, got)
			}
		}
		first, err := in.Manifest.Export(t.Context(), identity.Operator())
		if err != nil {
			t.Fatal(err)
		}
		p, err := in.Manifest.Plan(t.Context(), identity.Operator(), readText(string(first)))
		if err != nil || changes(p) != "take over 7, take over pkce-auto, take over pkce-false, take over pkce-true" || slices.ContainsFunc(p.Changes, func(c manifest.Change) bool { return len(c.Details) > 0 }) {
			t.Errorf("a plan of the export: got %v, %v\n%s", p, err, first)
		}
		in.apply(t, string(first))
		if c := in.Client(t, "7"); c.ManagedBy != storage.ManagedByFile {
			t.Errorf("an exported client, applied: got owner %q", c.ManagedBy)
		}
		again, err := in.Manifest.Export(t.Context(), identity.Operator())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(first), string(again)); diff != "" {
			t.Error(diff)
		}
		if strings.Contains(string(first), "secret") {
			t.Errorf("the export has a secret:\n%s", first)
		}
	})
}

// Nodes that start together apply the same file together.
func TestNodesApplyTheSameFileTogether(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		errs := make(chan error)
		for range 4 {
			go func() {
				_, err := in.Manifest.Apply(t.Context(), identity.Operator(), readText(header+someApp), nil)
				errs <- err
			}()
		}
		for range 4 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if p := in.plan(t, header+someApp); !p.IsEmpty() {
			t.Errorf("afterwards: got %v", p)
		}
	})
}

// manyClients is a file with n clients.
func manyClients(n int) string {
	var b strings.Builder
	b.WriteString(header)
	for k := range n {
		fmt.Fprintf(&b, "  - client_id: app%d\n    redirect_uris: [https://a%d.example/cb]\n    secret: secret_%d\n", k, k, k)
	}
	return b.String()
}

func TestManyClientsAreAppliedInOneGo(t *testing.T) {
	in := onSQLite(t)
	const many = 1000
	last := 0
	long := storage.WithLongCalls(t.Context(), time.Minute)
	p, err := in.Manifest.Apply(long, identity.Operator(), readText(manyClients(many)), func(done, of int) {
		if last = done; of != many {
			t.Errorf("progress: got %d of %d", done, of)
		}
	})
	if err != nil || len(p.Changes) != many || last != many {
		t.Errorf("got %d changes, %v, progress to %d", len(p.Changes), err, last)
	}
	if p := in.plan(t, manyClients(many)); !p.IsEmpty() {
		t.Errorf("afterwards: got %d changes", len(p.Changes))
	}
}

// Ten times as many clients take ten times as long, not a hundred.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			text := manyClients(n)
			for b.Loop() {
				in := onSQLite(b)
				if _, err := in.Manifest.Apply(b.Context(), identity.Operator(), readText(text), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(string(sample.Clients))
	f.Add(header + someApp + "    jwks: {keys: [" + ecKey + "]}\n    default_max_age: 10\n    skip_consent: true\n")
	f.Add("a: &a [*a]\n")
	f.Add("version: 1\nclients: [{<<: {client_id: x}}]\n")
	from := manifest.Source{Getenv: func(string) (string, bool) { return "", false }, ReadFile: func(string) ([]byte, error) { return nil, os.ErrNotExist }}
	f.Fuzz(func(t *testing.T, text string) {
		m := manifest.Read("clients.yaml", []byte(text), from)
		var faults manifest.FileErrors
		if err := m.Err(); errors.As(err, &faults) {
			for _, f := range faults {
				if f.Line < 1 || f.Problem == "" {
					t.Errorf("a fault without its place: %+v", f)
				}
			}
			return
		}
		// A file that was read without a fault is written and read back the same.
		for _, c := range m.Clients {
			written, err := manifest.Write(&c.Client)
			if err != nil {
				t.Fatal(err)
			}
			again := manifest.Read("clients.yaml", append([]byte("version: 1\n"), written...), from)
			if err := again.Err(); err != nil || len(again.Clients) != 1 {
				t.Fatalf("%s: %v", written, err)
			}
			if lines := identity.DiffMetadata(&c.Metadata, &again.Clients[0].Metadata); len(lines) > 0 {
				t.Errorf("%s: %v", written, lines)
			}
		}
	})
}

// A key that can be written is a key that can be looked up.
func TestTheGuideNamesEveryKey(t *testing.T) {
	guide, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range identity.MetadataFields(&storage.Metadata{}) {
		if !strings.Contains(string(guide), f.Name) {
			t.Errorf("docs/clients.md does not name %s", f.Name)
		}
	}
}

package app

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/upstream"
	"github.com/sallyport-id/sallyport/storage"
)

// namedConnections are those that can be switched on by environment variables, with the prefix of their keys. Each has
// the name of its kind.
var namedConnections = []struct{ prefix, kind string }{
	{"GOOGLE", upstream.KindGoogle}, {"GITHUB", upstream.KindGitHub}, {"MICROSOFT", upstream.KindMicrosoft}}

// The ends of their keys.
const (
	connectionEnabled = "_AUTH_ENABLED"
	connectionClient  = "_OAUTH_CLIENT_ID"
	connectionSecret  = "_OAUTH_CLIENT_SECRET"
	connectionTenant  = "_TENANT"
)

func connectionSettings() []setting {
	var rows []setting
	for _, p := range namedConnections {
		label := upstream.Label(p.kind, "")
		row := func(suffix, def, example, help string, apply func(text string) error) {
			key := p.prefix + suffix
			rows = append(rows, setting{key: key, aliases: []string{key}, def: def, example: example, help: help,
				secret: suffix == connectionSecret, apply: apply})
		}
		row(connectionEnabled, "false", "true", fmt.Sprintf("Offer sign-in with %s: docs/upstream.md says what to do there.", label),
			into(new(bool), parseBool)) // addConnections reads it
		row(connectionClient, "", "1234567890", "", accept)
		row(connectionSecret, "", "", "", accept)
		if p.kind == upstream.KindMicrosoft {
			row(connectionTenant, "common", "contoso.onmicrosoft.com",
				"Whose accounts: a tenant's id or domain, organizations, or common for all.", accept)
		}
	}
	return rows
}

// addConnections joins the connections of the environment and of sallyport.yaml, checked.
func (l *loader) addConnections(c *Config, values map[string]value) {
	for _, p := range namedConnections {
		if on, err := parseBool(cmp.Or(values[p.prefix+connectionEnabled].text, "false")); err != nil || !on {
			continue
		}
		given := identity.ConnectionConfig{Name: p.kind, Kind: p.kind, Secret: values[p.prefix+connectionSecret].text}
		given.Settings.ClientID = values[p.prefix+connectionClient].text
		if p.kind == upstream.KindMicrosoft {
			given.Settings.Tenant = cmp.Or(values[p.prefix+connectionTenant].text, "common")
		}
		for suffix, text := range map[string]string{connectionClient: given.Settings.ClientID, connectionSecret: given.Secret} {
			if text == "" {
				l.fault(p.prefix+suffix, "is missing, and "+p.prefix+connectionEnabled+" needs it", p.prefix+suffix+"=…")
			}
		}
		c.Connections = append(c.Connections, given)
	}
	c.Connections = append(c.Connections, l.connections...)
	names, domains := map[string]bool{}, map[string]string{}
	for i := range c.Connections {
		given := &c.Connections[i]
		given.Settings.Label = cmp.Or(given.Settings.Label, upstream.Label(given.Kind, given.Name))
		given.Settings.Callback = cmp.Or(given.Settings.Callback, storage.CallbackLogin)
		if names[given.Name] {
			l.fault("connections", "has two with the name "+given.Name, "give one another name")
		}
		names[given.Name] = true
		for _, domain := range given.Settings.Domains {
			if other := domains[domain]; other != "" {
				l.fault("connections", fmt.Sprintf("has %s and %s that both claim the domain %s", other, given.Name, domain),
					"name a domain once")
			}
			domains[domain] = given.Name
		}
	}
}

// connectionKeys are what a connection of sallyport.yaml can have.
var connectionKeys = []string{"name", "kind", "label", "issuer", "client_id", "client_secret", "client_secret_env",
	"client_secret_file", "tenant", "domains", "ca_file", "callback", "trust_mfa"}

// fileConnections reads `connections:` of sallyport.yaml.
func (l *loader) fileConnections(raw any) {
	const example = "connections: [{name: acme, kind: oidc, issuer: https://login.acme.example, client_id: …, client_secret_env: ACME_SECRET}]"
	all, ok := raw.([]any)
	if !ok {
		l.fault("connections", "must be a list", example)
		return
	}
	for n, item := range all {
		fields, ok := item.(map[string]any)
		if !ok {
			l.fault(fmt.Sprintf("connections[%d]", n+1), "must have keys: name, kind and others", example)
			continue
		}
		l.connections = append(l.connections, l.fileConnection(fmt.Sprintf("connections[%d]", n+1), fields))
	}
}

func (l *loader) fileConnection(where string, fields map[string]any) (out identity.ConnectionConfig) {
	text := func(key string) string {
		t, err := yamlText(fields[key])
		if err != nil {
			l.fault(where+"."+key, err.Error(), "")
		}
		return t
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(connectionKeys, key) {
			l.fault(where+"."+key, "is not a key of a connection", "the keys are "+strings.Join(connectionKeys, ", "))
		}
	}
	out = identity.ConnectionConfig{Name: text("name"), Kind: text("kind"), Secret: l.connectionSecret(where, text),
		Settings: storage.ConnectionSettings{Label: text("label"), Issuer: text("issuer"), ClientID: text("client_id"),
			Tenant: text("tenant"), Domains: list(strings.ToLower(text("domains"))), CAFile: text("ca_file"),
			Callback: text("callback")}}
	if trust := text("trust_mfa"); trust != "" {
		var err error
		if out.Settings.TrustMFA, err = parseBool(trust); err != nil {
			l.fault(where+".trust_mfa", err.Error(), "trust_mfa: true")
		}
	}
	for key, problem := range connectionProblems(&out) {
		l.fault(where+"."+key, problem, "")
	}
	return out
}

// connectionSecret is the client secret, wherever it is kept.
func (l *loader) connectionSecret(where string, text func(key string) string) string {
	direct, variable, path := text("client_secret"), text("client_secret_env"), text("client_secret_file")
	switch {
	case direct != "" && variable+path != "" || variable != "" && path != "":
		l.fault(where+".client_secret", "is given twice", "keep one of client_secret, client_secret_env and client_secret_file")
	case variable != "":
		if direct = l.environ[variable]; direct == "" {
			l.fault(where+".client_secret_env", "names "+variable+", which is not set in the environment", variable+"=…")
		}
	case path != "":
		var err error
		if direct, err = readSecretFile(path); err != nil {
			l.fault(where+".client_secret_file", "cannot be read: "+err.Error(), "")
		}
	}
	return direct
}

// connectionProblems are what is wrong with a connection, by key.
func connectionProblems(c *identity.ConnectionConfig) map[string]string {
	out, s := map[string]string{}, &c.Settings
	if problem := identity.CheckConnectionName(c.Name); problem != "" {
		out["name"] = problem
	}
	switch {
	case c.Kind == "saml":
		out["kind"] = "is saml, which is not available in this release"
	case !upstream.IsKind(c.Kind):
		out["kind"] = "must be one of " + upstream.KindNames()
	case s.ClientID == "":
		out["client_id"] = "is missing: the provider shows it where the client is registered"
	case c.Kind != upstream.KindOIDC && c.Secret == "":
		out["client_secret"] = "is missing: the provider shows it where the client is registered"
	}
	if u, err := url.Parse(s.Issuer); s.Issuer != "" || c.Kind == upstream.KindOIDC {
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
			u.Scheme != "https" && !(u.Scheme == "http" && loopbackHost(u.Hostname())) {
			out["issuer"] = "must be an https URL without a query, exactly as the provider names itself"
		}
	}
	if s.Tenant != "" && c.Kind != upstream.KindMicrosoft {
		out["tenant"] = "is for the kind microsoft only"
	}
	if s.Tenant != "" && !hostName.MatchString(strings.ToLower(s.Tenant)) {
		out["tenant"] = "must be the id or domain of a tenant, organizations or common"
	}
	for _, domain := range s.Domains {
		if !hostName.MatchString(domain) || !strings.Contains(domain, ".") {
			out["domains"] = fmt.Sprintf("has %q, which is no domain such as acme.example", domain)
		}
	}
	if err := fileExists(s.CAFile); err != nil {
		out["ca_file"] = err.Error()
	}
	if err := oneOfOrEmpty(storage.CallbackLogin, storage.CallbackAuthorized, storage.CallbackAPI)(s.Callback); err != nil {
		out["callback"] = err.Error()
	}
	return out
}

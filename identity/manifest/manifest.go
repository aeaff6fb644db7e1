package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/sample"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"gopkg.in/yaml.v3"
)

// File is a clients.yaml that was read, with all its errors. Plan and Apply refuse a file with errors.
type File struct {
	Clients   []Client
	Resources []Resource

	name   string
	faults FileErrors
}

// Client is one entry under clients.
type Client struct {
	storage.Client
	OrganizationSlug string
	Secret           string // what secret, secret_env or secret_file gave

	secretHash string
	places     places
}

// Resource is one entry under resources.
type Resource struct {
	storage.Resource
	places places
}

// FileError is one thing that is wrong in a file. It never contains a secret.
type FileError struct {
	File    string
	Line    int
	Problem string
	Remedy  string
}

func (f FileError) String() string {
	s := fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Problem)
	if f.Remedy != "" {
		s += "; " + f.Remedy
	}
	return s
}

// FileErrors is everything that is wrong in a file, in the order of its lines.
type FileErrors []FileError

func (f FileErrors) Error() string {
	lines := make([]string, len(f))
	for n, x := range f {
		lines[n] = x.String()
	}
	return strings.Join(lines, "\n")
}

// Source says where secrets are read from.
type Source struct {
	Getenv   func(name string) (string, bool)  // nil: the process's environment
	ReadFile func(name string) ([]byte, error) // nil: the file system; relative names start at the manifest's folder
	// Production refuses secrets in the file, sample secrets anywhere, and plain http to this machine for web
	// applications.
	Production bool
}

// Read parses a clients.yaml. file is its name, for errors and for paths in secret_file.
func Read(file string, text []byte, from Source) *File {
	if from.Getenv == nil {
		from.Getenv = os.LookupEnv
	}
	if from.ReadFile == nil {
		from.ReadFile = os.ReadFile
	}
	m := &File{name: file}
	p := &reader{m: m, from: from}
	if root := p.root(text); root != nil {
		p.document(root)
	}
	return m
}

// Err returns the errors of the file, or nil. Plan finds more, for which it needs the database.
func (m *File) Err() error { return m.faults.err() }

func (f FileErrors) err() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b FileError) int { return a.Line - b.Line })
	return f
}

func (m *File) fault(line int, problem, remedy string) {
	m.faults = append(m.faults, FileError{File: m.name, Line: line, Problem: problem, Remedy: remedy})
}

// faultsAt reports the errors of an entry at the lines of their fields.
func (m *File) faultsAt(what string, at places, faults identity.FieldErrors) {
	for _, f := range faults {
		problem := fmt.Sprintf("%s: %s %s", what, f.Field, f.Problem)
		m.fault(at.line(f.Field, f.Item), problem, f.Remedy)
	}
}

// reader reads the YAML nodes of a file.
type reader struct {
	m    *File
	from Source
}

func (p *reader) document(root *yaml.Node) {
	at := p.mapping(root, "the file", []string{"version", "clients", "resources"})
	switch v := at.value("version"); {
	case v == nil:
		p.m.fault(root.Line, "version is missing", "begin the file with: version: 1")
	case v.Value != "1" || v.ShortTag() != "!!int":
		p.m.fault(v.Line, fmt.Sprintf("version %q is not known to this release", identity.Clip(v.Value)),
			"write: version: 1")
	}
	seen := map[string]int{}
	for _, n := range p.entries(at.value("clients"), "clients") {
		if c, ok := p.client(n); ok {
			p.once(seen, "client_id", c.ID, c.places.line("client_id", 0))
			p.m.Clients = append(p.m.Clients, c)
		}
	}
	seen = map[string]int{}
	for _, n := range p.entries(at.value("resources"), "resources") {
		if r, ok := p.resource(n); ok {
			p.once(seen, "identifier", r.Identifier, r.places.line("identifier", 0))
			p.m.Resources = append(p.m.Resources, r)
		}
	}
}

// once refuses the second entry with the same name.
func (p *reader) once(seen map[string]int, what, name string, line int) {
	if first, ok := seen[name]; ok {
		p.m.fault(line, fmt.Sprintf("%s %q is taken by the entry of line %d", what, identity.Clip(name), first),
			"remove one of them")
		return
	}
	seen[name] = line
}

func (p *reader) client(n *yaml.Node) (Client, bool) {
	c := Client{}
	c.ManagedBy = storage.ManagedByFile
	keys := []string{"client_id", "organization", "secret", "secret_env", "secret_file", "secret_hash"}
	fields := identity.MetadataFields(&c.Metadata)
	for _, f := range fields {
		keys = append(keys, f.Name)
	}
	c.places = p.mapping(n, "a client", keys)
	c.ID = p.text(c.places, "client_id")
	if c.ID == "" {
		p.m.fault(n.Line, "a client has no client_id", "give it one; it never changes afterwards")
		return c, false
	}
	c.OrganizationSlug = p.text(c.places, "organization")
	broken := len(p.m.faults)
	for _, f := range fields {
		p.field(c.places, f)
	}
	if len(p.m.faults) > broken {
		return c, true // the rules would report the same again
	}
	p.m.faultsAt("client "+identity.Clip(c.ID), c.places, identity.CheckMetadata(c.ID, &c.Metadata, p.from.Production))
	p.secret(&c)
	return c, true
}

func (p *reader) resource(n *yaml.Node) (Resource, bool) {
	r := Resource{}
	r.ManagedBy = storage.ManagedByFile
	r.places = p.mapping(n, "a resource", []string{"identifier", "name", "scopes", "served_by"})
	r.Identifier = p.text(r.places, "identifier")
	if r.Identifier == "" {
		p.m.fault(n.Line, "a resource has no identifier", "give it one, such as https://api.example.com")
		return r, false
	}
	broken := len(p.m.faults)
	if r.Name = p.text(r.places, "name"); r.Name == "" {
		r.Name = r.Identifier
	}
	r.ServedBy = p.texts(r.places, "served_by")
	r.Scopes = map[string]string{}
	if scopes := r.places.value("scopes"); scopes != nil {
		at := p.mapping(scopes, "scopes", nil)
		for name, node := range at.values {
			r.Scopes[name] = p.scalar(node, "scopes."+name)
			r.places.values["scopes."+name] = node
		}
	}
	for k, id := range r.ServedBy {
		if slices.Contains(r.ServedBy[:k], id) {
			p.m.fault(r.places.line("served_by", k+1), fmt.Sprintf("served_by has %q twice", identity.Clip(id)),
				"remove one")
		}
	}
	if len(p.m.faults) == broken {
		p.m.faultsAt("resource "+identity.Clip(r.Identifier), r.places, identity.CheckResource(&r.Resource))
	}
	return r, true
}

// secret reads the one secret of a client, or none, which keeps the registered one.
func (p *reader) secret(c *Client) {
	given := slices.DeleteFunc([]string{"secret", "secret_env", "secret_file", "secret_hash"},
		func(key string) bool { return c.places.value(key) == nil })
	if len(given) == 0 {
		return
	}
	key := given[0]
	line := c.places.line(key, 0)
	text := p.text(c.places, key)
	fail := func(problem, remedy string) {
		p.m.fault(line, fmt.Sprintf("client %s: %s %s", identity.Clip(c.ID), key, problem), remedy)
	}
	switch {
	case len(given) > 1:
		fail("is given together with "+strings.Join(given[1:], ", "), "keep one of them")
	case !oauth.UsesSecret(c.Metadata.TokenEndpointAuthMethod):
		fail("is of no use with token_endpoint_auth_method "+c.Metadata.TokenEndpointAuthMethod, "remove it")
	case text == "":
		fail("is empty", "remove it to keep the secret that is registered")
	case key == "secret_hash":
		if secret.CheckHash(text) != nil {
			fail("is not a hash that can be verified", "give a PHC string of argon2id or bcrypt")
			return
		}
		c.secretHash = text
	default:
		if key == "secret" && p.from.Production {
			fail("is for development",
				"use secret_env or secret_file, or remove it and run: sallyport clients rotate-secret "+c.ID)
			return
		}
		c.Secret = p.fetch(key, text, fail)
	}
}

// fetch reads a secret from the place that the file names.
func (p *reader) fetch(key, text string, fail func(problem, remedy string)) string {
	value := text
	switch key {
	case "secret_env":
		var ok bool
		if value, ok = p.from.Getenv(text); !ok || value == "" {
			fail(fmt.Sprintf("names the variable %s, which is not set", identity.Clip(text)), "set it")
			return ""
		}
	case "secret_file":
		path := text
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(p.m.name), path)
		}
		b, err := p.from.ReadFile(path)
		if err != nil {
			fail(fmt.Sprintf("cannot be read: %v", err), "check the path, which is relative to this file")
			return ""
		}
		value = strings.TrimRight(string(b), "\r\n")
	}
	switch {
	case value == "" || len(value) > identity.MaxSecretSize || strings.ContainsFunc(value,
		func(r rune) bool { return r < ' ' || r > '~' }):
		fail(fmt.Sprintf("gives a secret that is not 1 to %d printable ASCII characters (RFC 6749, appendix A.2)",
			identity.MaxSecretSize), "make one with: openssl rand -hex 32")
		return ""
	case p.from.Production && sample.IsCredential(value):
		fail("gives the secret of the sample data, which everybody knows", "make one with: openssl rand -hex 32")
		return ""
	}
	return value
}

package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
	"gopkg.in/yaml.v3"
)

// places are the keys and values of a mapping with their lines.
type places struct {
	start  int // line of the mapping
	keys   map[string]int
	values map[string]*yaml.Node
}

func (p places) value(key string) *yaml.Node { return p.values[key] }

// line is the line of a field or of its item-th entry; for a missing field it is that of the mapping.
func (p places) line(key string, item int) int {
	n := p.values[key]
	switch {
	case n != nil && item > 0 && item <= len(n.Content):
		return n.Content[item-1].Line
	case n != nil:
		return n.Line
	}
	return p.start
}

var yamlErrorLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// root is the only document of the file; nil with an error if there is none.
func (p *reader) root(text []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && (len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null") {
		p.m.fault(1, "the file is empty", "begin it with: version: 1")
		return nil
	}
	if err == nil {
		if next := dec.Decode(&more); !errors.Is(next, io.EOF) {
			p.m.fault(max(more.Line, 1), "there is a second document (---)", "put everything into one")
		}
		if n := firstAlias(&doc); n != nil {
			p.m.fault(n.Line, "aliases (*name) are not read", "write it out")
			return nil
		}
		return doc.Content[0]
	}
	line, what := 1, err.Error()
	if m := yamlErrorLine.FindStringSubmatch(what); m != nil {
		what = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = max(n, 1)
		}
	}
	p.m.fault(line, "this is not YAML: "+identity.Clip(what), "check the indentation and the quotes around this line")
	return nil
}

// firstAlias finds an alias, because expanding aliases can make a small text very large.
func firstAlias(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n
	}
	for _, c := range n.Content {
		if a := firstAlias(c); a != nil {
			return a
		}
	}
	return nil
}

// mapping reads the keys of a mapping. Duplicate keys are errors, and so are unknown ones, unless known is nil.
func (p *reader) mapping(n *yaml.Node, what string, known []string) places {
	at := places{start: n.Line, keys: map[string]int{}, values: map[string]*yaml.Node{}}
	if n.Kind != yaml.MappingNode {
		p.m.fault(n.Line, what+" must be a mapping of keys to values", "write: key: value")
		return at
	}
	for k := 0; k+1 < len(n.Content); k += 2 {
		key, value := n.Content[k], n.Content[k+1]
		first, again := at.keys[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			p.m.fault(key.Line, "a key of "+what+" is not text", "put it in quotes")
		case known != nil && !slices.Contains(known, key.Value):
			p.m.fault(key.Line, fmt.Sprintf("%s has the key %q, which is not known", what, identity.Clip(key.Value)),
				nearest(key.Value, known))
		case again:
			p.m.fault(key.Line, fmt.Sprintf("%s has the key %q twice, first in line %d", what, identity.Clip(key.Value),
				first), "remove one of them")
		default:
			at.keys[key.Value], at.values[key.Value] = key.Line, value
		}
	}
	return at
}

// entries are the members of a list; a missing list is empty.
func (p *reader) entries(n *yaml.Node, what string) []*yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		p.m.fault(n.Line, what+" must be a list", "begin each entry with: - (an empty list is [])")
		return nil
	}
	return n.Content
}

// scalar reads one text.
func (p *reader) scalar(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		remedy := "put it in quotes"
		if n.Kind != yaml.ScalarNode {
			remedy = "write one value"
		}
		p.m.fault(n.Line, what+" must be text", remedy)
		return ""
	}
	return n.Value
}

func (p *reader) text(at places, key string) string {
	if n := at.value(key); n != nil {
		return p.scalar(n, key)
	}
	return ""
}

func (p *reader) texts(at places, key string) []string {
	n := at.value(key)
	if n == nil {
		return nil
	}
	all := []string{}
	for _, e := range p.entries(n, key) {
		all = append(all, p.scalar(e, key))
	}
	return all
}

// field reads one field of a registration.
func (p *reader) field(at places, f identity.MetadataField) {
	n := at.value(f.Name)
	if n == nil {
		return
	}
	switch to := f.Value.Addr().Interface().(type) {
	case *string:
		*to = p.scalar(n, f.Name)
	case *[]string:
		*to = p.texts(at, f.Name)
	case *bool:
		if n.ShortTag() != "!!bool" || n.Decode(to) != nil {
			p.m.fault(n.Line, f.Name+" must be true or false", "write one of them without quotes")
		}
	case *storage.PKCE:
		var required bool
		switch {
		case n.ShortTag() == "!!str" && n.Value == string(storage.PKCEAuto):
			*to = storage.PKCEAuto
		case n.ShortTag() != "!!bool" || n.Decode(&required) != nil:
			p.m.fault(n.Line, f.Name+" must be true, auto or false", "write one of them without quotes")
		case required:
			*to = storage.PKCERequired
		}
	case **int64:
		var seconds int64
		if n.ShortTag() != "!!int" || n.Decode(&seconds) != nil {
			p.m.fault(n.Line, f.Name+" must be a number of seconds", "write digits without quotes")
			return
		}
		*to = &seconds
	case *json.RawMessage:
		var set map[string]any
		if n.Kind != yaml.MappingNode || n.Decode(&set) != nil {
			p.m.fault(n.Line, f.Name+" must be a mapping", "write: jwks: {keys: [{kty: …}]}")
			return
		}
		raw, err := json.Marshal(set)
		if err != nil {
			p.m.fault(n.Line, f.Name+" has a key that is not text", "put it in quotes")
			return
		}
		*to = raw
	}
}

// nearest is the remedy for an unknown key.
func nearest(key string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := editDistance(key, k); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	if len(known) > 8 {
		return "remove it; RFC 7591 has the names, docs/clients.md those that are supported"
	}
	return "the keys are " + strings.Join(known, ", ")
}

// editDistance is the Levenshtein distance; for a long a it is only its length.
func editDistance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
	"gopkg.in/yaml.v3"
)

// Export writes the registry as a clients.yaml. A plan of it shows no difference.
// No secrets are in it, which means keep; what has its default is left out. Deleted
// clients and those that the file has let go of are not in it either.
func (i *Identity) Export(ctx context.Context, a Actor) ([]byte, error) {
	if err := i.platform(ctx, &a); err != nil {
		return nil, err
	}
	clients, err := i.store.Clients(ctx, storage.ClientQuery{})
	if err != nil {
		return nil, err
	}
	resources, err := i.store.Resources(ctx)
	if err != nil {
		return nil, err
	}
	slugs, err := i.slugs(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(clients, func(a, b *storage.Client) int { return strings.Compare(a.ID, b.ID) })

	doc := mappingNode()
	add(doc, "version", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: "1"})
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, c := range clients {
		if c.ManagedBy == storage.ManagedByFileOnce {
			continue
		}
		n, err := exportClient(c, slugs)
		if err != nil {
			return nil, fmt.Errorf("client %s: %w", c.ID, err)
		}
		list.Content = append(list.Content, n)
	}
	add(doc, "clients", list)
	if len(resources) > 0 {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, r := range resources {
			list.Content = append(list.Content, exportResource(&r))
		}
		add(doc, "resources", list)
	}
	return encode(doc)
}

func encode(doc *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(doc); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// slugs are those of all organizations, by id.
func (i *Identity) slugs(ctx context.Context) (map[uuid.UUID]string, error) {
	const page = 1000
	slugs := map[uuid.UUID]string{}
	for after := uuid.Nil; ; {
		all, err := i.store.Organizations(ctx, after, page)
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			slugs[o.ID] = o.Slug
			after = o.ID
		}
		if len(all) < page {
			return slugs, nil
		}
	}
}

func exportClient(c *storage.Client, slugs map[uuid.UUID]string) (*yaml.Node, error) {
	n := mappingNode()
	add(n, "client_id", textNode(c.ID))
	if c.Organization != uuid.Nil {
		add(n, "organization", textNode(slugs[c.Organization]))
	}
	for k, f := range metadataFields(&c.Metadata) {
		if isDefault(&c.Metadata, k) {
			continue
		}
		v, err := exportValue(f.value)
		if err != nil {
			return nil, err
		}
		add(n, f.name, v)
	}
	return n, nil
}

// isDefault reports whether reading a registration without its k-th field gives
// the same registration.
func isDefault(m *storage.Metadata, k int) bool {
	without := *m
	v := metadataFields(&without)[k].value
	v.SetZero()
	fillIn(&without)
	was := metadataFields(m)[k].value
	return reflect.DeepEqual(v.Interface(), was.Interface()) || was.Kind() == reflect.Slice && was.Len() == 0 && v.Len() == 0
}

func exportValue(v reflect.Value) (*yaml.Node, error) {
	n := &yaml.Node{}
	switch x := v.Interface().(type) {
	case string:
		return textNode(x), nil
	case storage.PKCE:
		if x == storage.PKCEAuto {
			return textNode(string(x)), nil
		}
		return n, n.Encode(x == storage.PKCERequired)
	case []string:
		n.Kind = yaml.SequenceNode
		for _, s := range x {
			n.Content = append(n.Content, textNode(s))
		}
		return n, nil
	case json.RawMessage:
		var set any
		if err := json.Unmarshal(x, &set); err != nil {
			return nil, err
		}
		return n, n.Encode(set)
	default:
		return n, n.Encode(x)
	}
}

func exportResource(r *storage.Resource) *yaml.Node {
	n := mappingNode()
	add(n, "identifier", textNode(r.Identifier))
	add(n, "name", textNode(r.Name))
	scopes := mappingNode()
	for _, name := range sortedKeys(r.Scopes) {
		add(scopes, name, textNode(r.Scopes[name]))
	}
	add(n, "scopes", scopes)
	if len(r.ServedBy) > 0 {
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, id := range r.ServedBy {
			list.Content = append(list.Content, textNode(id))
		}
		add(n, "served_by", list)
	}
	return n
}

func mappingNode() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

func add(mapping *yaml.Node, key string, value *yaml.Node) {
	mapping.Content = append(mapping.Content, textNode(key), value)
}

// textNode is text whatever it looks like: the encoder quotes "true" and "1".
func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	n.Tag = "!!str"
	return n
}

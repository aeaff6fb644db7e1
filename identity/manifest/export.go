package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
	"gopkg.in/yaml.v3"
)

// Export writes the registry as a clients.yaml, for which a plan shows no difference. Secrets are left out, which
// keeps them, and so are defaults, deleted clients, and clients that the file no longer owns.
func (p *Planner) Export(ctx context.Context, a identity.Actor) ([]byte, error) {
	if err := p.identity.Authorize(ctx, &a, identity.ReadPlatform, uuid.Nil); err != nil {
		return nil, err
	}
	clients, err := p.exportClients(ctx)
	if err != nil {
		return nil, err
	}
	resources, err := p.store.Resources(ctx)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("version: 1\nclients:")
	if len(clients) == 0 {
		b.WriteString(" []\n")
	} else {
		b.WriteByte('\n')
	}
	for _, clientID := range slices.Sorted(maps.Keys(clients)) {
		b.Write(clients[clientID])
	}
	if len(resources) > 0 {
		var list []exportedResource
		for _, r := range resources {
			list = append(list, exportedResource{r.Identifier, r.Name, r.Scopes, r.ServedBy})
		}
		text, err := encode(map[string]any{"resources": list})
		if err != nil {
			return nil, err
		}
		b.Write(text)
	}
	return b.Bytes(), nil
}

// exportClients are the entries under clients by client_id, as text, because nodes take twenty times the memory.
func (p *Planner) exportClients(ctx context.Context) (map[string][]byte, error) {
	const page = 500
	items, slugs := map[string][]byte{}, map[uuid.UUID]string{}
	for after := ""; ; {
		clients, err := p.store.Clients(ctx, storage.ClientQuery{After: after, Limit: page})
		if err != nil {
			return nil, err
		}
		for _, c := range clients {
			after = c.ID
			if c.ManagedBy == storage.ManagedByFileOnce {
				continue
			}
			if err := p.addSlug(ctx, slugs, c.Organization); err != nil {
				return nil, err
			}
			n, err := exportClient(c, slugs)
			if err != nil {
				return nil, fmt.Errorf("client %s: %w", c.ID, err)
			}
			text, err := encode(map[string]any{"clients": []*yaml.Node{n}})
			if err != nil {
				return nil, fmt.Errorf("client %s: %w", c.ID, err)
			}
			items[c.ID] = bytes.TrimPrefix(text, []byte("clients:\n"))
		}
		if len(clients) < page {
			return items, nil
		}
	}
}

func encode(doc any) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(doc); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// addSlug looks up the slug of a client's organization, once.
func (p *Planner) addSlug(ctx context.Context, slugs map[uuid.UUID]string, organizationID uuid.UUID) error {
	if _, known := slugs[organizationID]; known || organizationID == uuid.Nil {
		return nil
	}
	o, err := p.store.Organization(ctx, organizationID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err == nil {
		slugs[organizationID] = o.Slug
	}
	return err
}

func exportClient(c *storage.Client, slugs map[uuid.UUID]string) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	add(n, "client_id", textNode(c.ID))
	if c.Organization != uuid.Nil {
		add(n, "organization", textNode(slugs[c.Organization]))
	}
	for k, f := range identity.MetadataFields(&c.Metadata) {
		if isDefault(&c.Metadata, k) {
			continue
		}
		v, err := exportValue(f.Value)
		if err != nil {
			return nil, err
		}
		add(n, f.Name, v)
	}
	return n, nil
}

// isDefault reports whether a registration read without its k-th field is the same.
func isDefault(m *storage.Metadata, k int) bool {
	without := *m
	v := identity.MetadataFields(&without)[k].Value
	v.SetZero()
	identity.SetDefaults(&without)
	was := identity.MetadataFields(m)[k].Value
	return reflect.DeepEqual(v.Interface(), was.Interface()) || was.Kind() == reflect.Slice && was.Len() == 0 &&
		v.Len() == 0
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

// exportedResource is one entry under resources.
type exportedResource struct {
	Identifier string            `yaml:"identifier"`
	Name       string            `yaml:"name"`
	Scopes     map[string]string `yaml:"scopes"`
	ServedBy   []string          `yaml:"served_by,omitempty,flow"`
}

func add(mapping *yaml.Node, key string, value *yaml.Node) {
	mapping.Content = append(mapping.Content, textNode(key), value)
}

// textNode is a string; the encoder quotes "true" and "1".
func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	n.Tag = "!!str"
	return n
}

package manifest

import (
	"github.com/sallyport-id/sallyport/storage"
	"gopkg.in/yaml.v3"
)

// Write is the file with one client that an export has.
func Write(c *storage.Client) ([]byte, error) {
	n, err := exportClient(c, nil)
	if err != nil {
		return nil, err
	}
	doc := &yaml.Node{Kind: yaml.MappingNode}
	add(doc, "clients", &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}})
	return encode(doc)
}

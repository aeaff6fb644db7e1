package outbox

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// payload is what the database sees of a message: at most a name for its content, and nothing of whom it is for and
// what it links to.
type payload struct {
	Name   string `json:"mail,omitempty"`
	Sealed []byte `json:"sealed"`
}

// sealedTo binds a payload to its row: a copy of it opens in no other.
func sealedTo(id uuid.UUID) []byte { return []byte("outbox.payload " + id.String()) }

// Seal returns a message of content, to be written in the transaction of what it tells about. The name, which may be
// empty, stays readable for the log.
func Seal(sealer *secret.Sealer, kind, name string, content any) (*storage.Message, error) {
	plain, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("seal a message: %w", err)
	}
	m := &storage.Message{ID: uuid.Must(uuid.NewV7()), Kind: kind}
	p := payload{Name: name}
	if p.Sealed, err = sealer.Seal(plain, sealedTo(m.ID)); err != nil {
		return nil, fmt.Errorf("seal a message: %w", err)
	}
	m.Payload, err = json.Marshal(p)
	return m, err
}

// ErrCleared means that the message was delivered or given up, and that its content is gone.
var ErrCleared = errors.New("the message's content is gone")

var errUnreadable = errors.New("the message cannot be read")

// Open reads the content of a sealed message. Its errors are permanent, but for secret.ErrNoKey: the operator may bring
// the key back.
func Open(sealer *secret.Sealer, m *storage.Message, content any) error {
	var p payload
	if json.Unmarshal(m.Payload, &p) != nil {
		return Permanent(errUnreadable)
	}
	if p.Sealed == nil {
		return Permanent(ErrCleared)
	}
	plain, err := sealer.Open(p.Sealed, sealedTo(m.ID))
	switch {
	case errors.Is(err, secret.ErrNoKey):
		return err
	case err != nil:
		return Permanent(err)
	case json.Unmarshal(plain, content) != nil:
		return Permanent(errUnreadable)
	}
	return nil
}

// Name returns the name that Seal was given, also of a message that cannot be opened.
func Name(m *storage.Message) string {
	var p payload
	_ = json.Unmarshal(m.Payload, &p) // the name is empty then
	return p.Name
}

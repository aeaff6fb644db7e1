package identity

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// Connections are the upstream identity providers, and the identities by which they know users.
type Connections struct {
	*mailer
	registrations *Registrations
}

// ConnectionConfig is a connection as the configuration has it.
type ConnectionConfig struct {
	Name, Kind string
	Settings   storage.ConnectionSettings
	Secret     string // "" for a public client
}

// connectionName is what a connection may be called. The name is part of its URLs.
var connectionName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,38}$`)

// reservedConnections are taken by pages below /login.
var reservedConnections = []string{"factor", "link", "passkey", "switch"}

// CheckConnectionName returns what is wrong with the name of a connection; "" if nothing is.
func CheckConnectionName(name string) string {
	switch {
	case !connectionName.MatchString(name):
		return "must be lower-case letters, digits and dashes, at most 39 and a letter first"
	case slices.Contains(reservedConnections, name):
		return "is the name of a page of this server"
	}
	return ""
}

// Configure makes the connections those of the configuration: it creates and changes what differs, and takes those out
// of use that are not named any more. One that an operator has disabled stays so. Nodes that start together, and an
// operator who disables one meanwhile, change the same rows: what another has changed is read anew.
func (i *Connections) Configure(ctx context.Context, a Actor, all []ConnectionConfig) (err error) {
	for range 5 {
		if err = i.configure(ctx, a, all); !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrExists) {
			break
		}
	}
	return err
}

func (i *Connections) configure(ctx context.Context, a Actor, all []ConnectionConfig) error {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	stored, err := i.store.Connections(ctx)
	if err != nil {
		return err
	}
	var changes []storage.ConnectionChange
	change := func(c storage.Connection, kind storage.EventType) {
		changes = append(changes, storage.ConnectionChange{Connection: c, Event: connectionEvent(a, kind, &c)})
	}
	for _, want := range all {
		c, kind := storage.Connection{ID: uuid.Must(uuid.NewV7()), Name: want.Name, Kind: want.Kind, CreatedAt: i.currentTime()},
			storage.EventConnectionCreated
		if n := slices.IndexFunc(stored, func(c storage.Connection) bool { return c.Name == want.Name }); n >= 0 {
			c, kind = stored[n], storage.EventConnectionUpdated
			if c.Kind != want.Kind || c.Settings.Issuer != want.Settings.Issuer {
				return fmt.Errorf("connection %s: kind and issuer cannot change, because a subject of one provider can be another "+
					"person at the next; give the new provider another name", want.Name)
			}
			if reflect.DeepEqual(c.Settings, want.Settings) && c.RemovedAt.IsZero() && i.hasSecret(&c, want.Secret) {
				continue
			}
		}
		c.Settings, c.RemovedAt, c.Secret = want.Settings, time.Time{}, nil
		if want.Secret != "" {
			if c.Secret, err = i.sealer.Seal([]byte(want.Secret), c.SecretPlace()); err != nil {
				return err
			}
		}
		change(c, kind)
	}
	for _, c := range stored {
		if c.RemovedAt.IsZero() && !slices.ContainsFunc(all, func(want ConnectionConfig) bool { return want.Name == c.Name }) {
			c.RemovedAt = i.currentTime()
			change(c, storage.EventConnectionRemoved)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return i.store.PutConnections(ctx, changes...)
}

// hasSecret reports whether a connection has that secret, sealed under the present ENCRYPTION_KEY.
func (i *Connections) hasSecret(c *storage.Connection, want string) bool {
	if c.Secret == nil || want == "" {
		return c.Secret == nil && want == ""
	}
	plain, err := i.sealer.Open(c.Secret, c.SecretPlace())
	return err == nil && string(plain) == want && i.sealer.KeyID(c.Secret) == i.sealer.CurrentKeyID()
}

func connectionEvent(a Actor, kind storage.EventType, c *storage.Connection) *storage.Event {
	return WithFact(WithFact(a.Event(kind), "connection", c.ID), "name", c.Name)
}

// List returns the connections that belong to no organization, by name.
func (i *Connections) List(ctx context.Context, a Actor) ([]storage.Connection, error) {
	if err := i.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return nil, err
	}
	return i.store.Connections(ctx)
}

// ByName returns a connection; storage.ErrNotFound.
func (i *Connections) ByName(ctx context.Context, a Actor, name string) (*storage.Connection, error) {
	if err := i.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return nil, err
	}
	return i.store.ConnectionByName(ctx, name)
}

// SetEnabled switches a connection on or off: while it is off, nobody signs in with it. False if it was so already.
// storage.ErrNotFound; storage.ErrConflict if it was changed at the same time.
func (i *Connections) SetEnabled(ctx context.Context, a Actor, name string, enabled bool) (changed bool, err error) {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return false, err
	}
	c, err := i.store.ConnectionByName(ctx, name)
	if err != nil || c.DisabledAt.IsZero() == enabled {
		return false, err
	}
	c.DisabledAt = time.Time{}
	kind := storage.EventConnectionEnabled
	if !enabled {
		c.DisabledAt, kind = i.currentTime(), storage.EventConnectionDisabled
	}
	return true, i.store.PutConnections(ctx, storage.ConnectionChange{Connection: *c, Event: connectionEvent(a, kind, c)})
}

package identity

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// registryTries is how often a change of the registry is worked out when others change the registry meanwhile.
const registryTries = 5

// registryChange changes the registry in a transaction.
type registryChange func(*storage.RegistryEdit) error

// editRegistry makes the change that read returns; nil makes none. read looks at the registry first, and is called
// again if the registry was changed between what it read and the change.
func (i *Clients) editRegistry(ctx context.Context, read func() (registryChange, error)) error {
	for try := 1; ; try++ {
		seen, err := i.store.Version(ctx, storage.VersionRegistry)
		if err != nil {
			return err
		}
		change, err := read()
		if err != nil || change == nil {
			return err
		}
		if err = i.store.EditRegistry(ctx, seen, change); try == registryTries || !errors.Is(err, storage.ErrConflict) {
			return err
		}
	}
}

// edit runs edit on a client as it is now. edit may be called more than once.
func (i *Clients) edit(ctx context.Context, a *Actor, clientID string,
	edit func(*storage.RegistryEdit, *storage.Client) error) error {
	if err := i.Authorize(ctx, a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	return i.editRegistry(ctx, func() (registryChange, error) {
		c, err := i.load(ctx, clientID)
		return func(r *storage.RegistryEdit) error { return edit(r, c) }, err
	})
}

// Organization is the slug of the organization that a client belongs to; empty for a client of the platform.
func (i *Clients) Organization(ctx context.Context, a Actor, c *storage.Client) (string, error) {
	if err := i.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return "", err
	}
	if c.Organization == uuid.Nil {
		return "", nil
	}
	o, err := i.store.Organization(ctx, c.Organization)
	if errors.Is(err, storage.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return o.Slug, nil
}

// Update changes the registration of a client by edit, which may be called more than once and replaces lists
// rather than changing them. It returns a line for each field that is different now. How a client authenticates stays.
// Errors: FieldErrors, also for a client that clients.yaml owns, ErrForbidden, storage.ErrNotFound.
func (i *Clients) Update(ctx context.Context, a Actor, clientID string,
	edit func(*storage.Metadata) error) (changes []string, err error) {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return nil, err
	}
	err = i.editRegistry(ctx, func() (registryChange, error) {
		c, err := i.load(ctx, clientID)
		if err != nil {
			return nil, err
		}
		if c.ManagedBy == storage.ManagedByFile {
			return nil, ownedByFile("client_id", c.ID, "change it there and apply the file: sallyport clients apply")
		}
		before := c.Metadata
		if err := edit(&c.Metadata); err != nil {
			return nil, err
		}
		if err := i.check(ctx, c); err != nil {
			return nil, err
		}
		if c.Metadata.TokenEndpointAuthMethod != before.TokenEndpointAuthMethod {
			var faults FieldErrors
			faults.Add("token_endpoint_auth_method", "cannot change", "register another client")
			return nil, faults
		}
		if changes = DiffMetadata(&before, &c.Metadata); len(changes) == 0 {
			return nil, nil
		}
		c.ManagedBy = ""
		return func(r *storage.RegistryEdit) error {
			return r.UpdateClient(ctx, c, WithFact(ClientEvent(a, storage.EventClientUpdated, c), "changed",
				ChangedFields(changes)))
		}, nil
	})
	if err != nil {
		return nil, err
	}
	return changes, nil
}

// ownedByFile refuses to change what clients.yaml says: the next apply would take the change back.
func ownedByFile(field, name, remedy string) error {
	return FieldErrors{{Field: field, Problem: fmt.Sprintf("%q belongs to clients.yaml", Clip(name)), Remedy: remedy}}
}

// Disable stops a client within a second, everywhere; Enable takes it back. Both work on a client that
// clients.yaml owns too, because the file has no such switch.
func (i *Clients) Disable(ctx context.Context, a Actor, clientID string) error {
	return i.edit(ctx, &a, clientID, func(r *storage.RegistryEdit, c *storage.Client) error {
		if err := takeFromFile(ctx, r, a, c); err != nil || !c.Active() {
			return err
		}
		return r.DisableClient(ctx, c.ID, ClientEvent(a, storage.EventClientDisabled, c))
	})
}

// Enable lets a disabled client go on.
func (i *Clients) Enable(ctx context.Context, a Actor, clientID string) error {
	return i.edit(ctx, &a, clientID, func(r *storage.RegistryEdit, c *storage.Client) error {
		if err := takeFromFile(ctx, r, a, c); err != nil || c.Active() {
			return err
		}
		return r.EnableClient(ctx, c.ID, ClientEvent(a, storage.EventClientEnabled, c))
	})
}

// takeFromFile ends the file's ownership of a client that clients.yaml named once and names no more, because a person
// now decides about it: export lists it again, and the file does not enable it by itself.
func takeFromFile(ctx context.Context, r *storage.RegistryEdit, a Actor, c *storage.Client) error {
	if c.ManagedBy != storage.ManagedByFileOnce {
		return nil
	}
	c.ManagedBy = ""
	return r.UpdateClient(ctx, c, WithFact(ClientEvent(a, storage.EventClientUpdated, c), "changed",
		[]string{"managed_by"}))
}

// Delete makes a client a tombstone. One that clients.yaml owns is refused
// with FieldErrors: the file would name a client that can never be again.
func (i *Clients) Delete(ctx context.Context, a Actor, clientID string) error {
	return i.edit(ctx, &a, clientID, func(r *storage.RegistryEdit, c *storage.Client) error {
		if c.ManagedBy == storage.ManagedByFile {
			return ownedByFile("client_id", c.ID, "remove it there and apply the file first")
		}
		return r.DeleteClient(ctx, c.ID, ClientEvent(a, storage.EventClientDeleted, c))
	})
}

package identity

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// registryTries is how often a change is prepared again because the registry was changed in between.
const registryTries = 5

// registryChange changes the registry in a transaction.
type registryChange func(*storage.RegistryEdit) error

// editRegistry makes the change that read returns; nil makes none. read prepares the change and is called again if the
// registry was changed before the change could be made.
func (cl *Clients) editRegistry(ctx context.Context, read func() (registryChange, error)) error {
	for try := 1; ; try++ {
		seen, err := cl.store.Version(ctx, storage.VersionRegistry)
		if err != nil {
			return err
		}
		change, err := read()
		if err != nil || change == nil {
			return err
		}
		if err = cl.store.EditRegistry(ctx, seen, change); try == registryTries || !errors.Is(err, storage.ErrConflict) {
			return err
		}
	}
}

// edit runs edit on the stored client. edit may be called more than once.
func (cl *Clients) edit(ctx context.Context, a *Actor, clientID string,
	edit func(*storage.RegistryEdit, *storage.Client) error) error {
	if err := cl.Authorize(ctx, a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	return cl.editRegistry(ctx, func() (registryChange, error) {
		c, err := cl.load(ctx, clientID)
		return func(r *storage.RegistryEdit) error { return edit(r, c) }, err
	})
}

// Organization returns the slug of a client's organization; empty for a client of the platform.
func (cl *Clients) Organization(ctx context.Context, a Actor, c *storage.Client) (string, error) {
	if err := cl.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return "", err
	}
	if c.Organization == uuid.Nil {
		return "", nil
	}
	o, err := cl.store.Organization(ctx, c.Organization)
	if err != nil {
		return "", ignoreNotFound(err)
	}
	return o.Slug, nil
}

// Update changes the registration of a client by edit, which may be called more than once and must replace lists, not
// modify them. It returns a line for each changed field. The authentication method cannot change. Errors: FieldErrors,
// also for a client that clients.yaml owns, ErrForbidden, storage.ErrNotFound.
func (cl *Clients) Update(ctx context.Context, a Actor, clientID string,
	edit func(*storage.Metadata) error) (changes []string, err error) {
	if err := cl.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return nil, err
	}
	err = cl.editRegistry(ctx, func() (registryChange, error) {
		c, err := cl.load(ctx, clientID)
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
		if err := cl.check(ctx, c); err != nil {
			return nil, err
		}
		if c.Metadata.TokenEndpointAuthMethod != before.TokenEndpointAuthMethod {
			return nil, FieldErrors{{Field: "token_endpoint_auth_method", Problem: "cannot change",
				Remedy: "register another client"}}
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
	return changes, err
}

// ownedByFile refuses to change what clients.yaml defines, because the next apply would undo the change.
func ownedByFile(field, name, remedy string) error {
	return FieldErrors{{Field: field, Problem: fmt.Sprintf("%q belongs to clients.yaml", Clip(name)), Remedy: remedy}}
}

// Disable stops a client everywhere within a second. It works on a client that clients.yaml owns too, because the file
// has no such switch.
func (cl *Clients) Disable(ctx context.Context, a Actor, clientID string) error {
	return cl.edit(ctx, &a, clientID, func(r *storage.RegistryEdit, c *storage.Client) error {
		if err := takeFromFile(ctx, r, a, c); err != nil || !c.Active() {
			return err
		}
		return r.DisableClient(ctx, c.ID, ClientEvent(a, storage.EventClientDisabled, c))
	})
}

// Enable is the reverse of Disable.
func (cl *Clients) Enable(ctx context.Context, a Actor, clientID string) error {
	return cl.edit(ctx, &a, clientID, func(r *storage.RegistryEdit, c *storage.Client) error {
		if err := takeFromFile(ctx, r, a, c); err != nil || c.Active() {
			return err
		}
		return r.EnableClient(ctx, c.ID, ClientEvent(a, storage.EventClientEnabled, c))
	})
}

// takeFromFile ends the file's ownership of a client that clients.yaml no longer names, because a person now decides
// about it: export lists it again, and the file does not enable it.
func takeFromFile(ctx context.Context, r *storage.RegistryEdit, a Actor, c *storage.Client) error {
	if c.ManagedBy != storage.ManagedByFileOnce {
		return nil
	}
	c.ManagedBy = ""
	return r.UpdateClient(ctx, c, WithFact(ClientEvent(a, storage.EventClientUpdated, c), "changed",
		[]string{"managed_by"}))
}

// Delete deletes a client for good; its client_id is never used again. It refuses a client that clients.yaml owns with
// FieldErrors, because the file would name a client that cannot be created.
func (cl *Clients) Delete(ctx context.Context, a Actor, clientID string) error {
	return cl.edit(ctx, &a, clientID, func(r *storage.RegistryEdit, c *storage.Client) error {
		if c.ManagedBy == storage.ManagedByFile {
			return ownedByFile("client_id", c.ID, "remove it there and apply the file first")
		}
		return r.DeleteClient(ctx, c.ID, ClientEvent(a, storage.EventClientDeleted, c))
	})
}

package identity

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// List returns all resource servers, by identifier.
func (rs *Resources) List(ctx context.Context, a Actor) ([]storage.Resource, error) {
	if err := rs.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return nil, err
	}
	return rs.store.Resources(ctx)
}

// Create registers a resource server. Errors: FieldErrors, ErrForbidden, storage.ErrExists.
func (rs *Resources) Create(ctx context.Context, a Actor, r storage.Resource) error {
	if err := rs.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	r.ManagedBy = ""
	own := CheckResource(&r)
	own.AddIf(rs.IsOwnURI(r.Identifier), "identifier", "is this server's own ISSUER or below it",
		"choose a URI of the resource server's own")
	return rs.clients.editRegistry(ctx, func() (registryChange, error) {
		faults := slices.Clone(own)
		present, err := rs.store.Resources(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range present {
			if p.Identifier == r.Identifier {
				return nil, storage.ErrExists
			}
			for _, name := range slices.Sorted(maps.Keys(r.Scopes)) {
				if _, taken := p.Scopes[name]; taken {
					faults.Add("scopes."+Clip(name), "is defined by "+Clip(p.Identifier),
						"choose another name: a token with it would be for both")
				}
			}
		}
		if err := rs.checkServers(ctx, r.ServedBy, &faults); err != nil {
			return nil, err
		}
		return func(e *storage.RegistryEdit) error {
			return e.PutResource(ctx, &r, WithFact(a.Event(storage.EventResourceCreated), "resource", r.Identifier))
		}, faults.err()
	})
}

// checkServers checks the clients that serve a resource.
func (rs *Resources) checkServers(ctx context.Context, clientIDs []string, faults *FieldErrors) error {
	for n, id := range clientIDs {
		if slices.Contains(clientIDs[:n], id) {
			faults.AddItem("served_by", n+1, fmt.Sprintf("%q is listed twice", Clip(id)), "remove one")
			continue
		}
		_, err := rs.clients.load(ctx, id)
		if errors.Is(err, storage.ErrNotFound) {
			faults.AddItem("served_by", n+1, fmt.Sprintf("%q is not registered", Clip(id)),
				"create the client first: sallyport clients create")
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Delete removes a resource server with its scopes. It refuses, with FieldErrors, one that clients.yaml owns and one
// whose scopes a client may still request, because nothing would define them any more. Errors: FieldErrors,
// ErrForbidden, storage.ErrNotFound.
func (rs *Resources) Delete(ctx context.Context, a Actor, identifier string) error {
	if err := rs.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	return rs.clients.editRegistry(ctx, func() (registryChange, error) {
		present, err := rs.store.Resources(ctx)
		if err != nil {
			return nil, err
		}
		n := slices.IndexFunc(present, func(r storage.Resource) bool { return r.Identifier == identifier })
		if n < 0 {
			return nil, storage.ErrNotFound
		}
		if present[n].ManagedBy == storage.ManagedByFile {
			return nil, ownedByFile("identifier", identifier,
				"remove it there and apply the file: sallyport clients apply")
		}
		if err := rs.checkUnused(ctx, present[n].Scopes); err != nil {
			return nil, err
		}
		return func(e *storage.RegistryEdit) error {
			return e.DeleteResource(ctx, identifier, WithFact(a.Event(storage.EventResourceDeleted), "resource",
				identifier))
		}, nil
	})
}

// checkUnused has an error for each client that may request one of the scopes, up to maxNamed.
func (rs *Resources) checkUnused(ctx context.Context, scopes map[string]string) error {
	const page, maxNamed = 500, 10
	var faults FieldErrors
	for after := ""; len(faults) < maxNamed; {
		clients, err := rs.store.Clients(ctx, storage.ClientQuery{After: after, Limit: page})
		if err != nil {
			return err
		}
		for _, c := range clients {
			after = c.ID
			for s := range strings.FieldsSeq(c.Metadata.Scope) {
				if _, ours := scopes[s]; ours && len(faults) < maxNamed {
					faults.Add("scopes."+Clip(s), "is among the scopes of the client "+c.ID,
						"take it from the client first: sallyport clients update "+c.ID+" --scope …")
				}
			}
		}
		if len(clients) < page {
			break
		}
	}
	return faults.err()
}

package manifest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

func (pl *comparison) create(want *Client) {
	c := want.Client
	details := identity.DiffMetadata(&storage.Metadata{}, &c.Metadata)
	if want.OrganizationSlug != "" {
		details = append([]string{"organization: " + want.OrganizationSlug}, details...)
	}
	if k, ok := pl.newSecret(want); ok {
		c.Secrets = []storage.ClientSecret{k}
		details = append(details, "secret: from the file")
		pl.warnWeak(want, &k)
	} else if oauth.UsesSecret(c.Metadata.TokenEndpointAuthMethod) {
		pl.plan.Notes = append(pl.plan.Notes,
			fmt.Sprintf("client %s has no secret yet: sallyport clients rotate-secret %s makes one", c.ID, c.ID))
	}
	pl.plan.Changes = append(pl.plan.Changes, Change{Action: "create", What: "client", Name: c.ID, Details: details,
		apply: func(ctx context.Context, r *storage.RegistryEdit, a identity.Actor) error {
			return r.CreateClient(ctx, &c, identity.ClientEvent(a, storage.EventClientCreated, &c))
		}})
}

func (pl *comparison) update(have *storage.Client, want *Client) {
	details := identity.DiffMetadata(&have.Metadata, &want.Metadata)
	if have.Organization != want.Organization {
		details = append(details, fmt.Sprintf("organization: %s → %s", or(have.Organization, "none"),
			or(want.Organization, "none")))
	}
	var replaced *storage.ClientSecret
	if k, ok := pl.newSecret(want); ok && !pl.hasSecret(have, want) {
		replaced = &k
		details = append(details, fmt.Sprintf("secret: another one, the last works %v longer", identity.SecretOverlap))
		pl.warnWeak(want, &k)
	}
	cleared := !oauth.UsesSecret(want.Metadata.TokenEndpointAuthMethod) && len(have.Secrets) > 0
	if cleared {
		details = append(details, "secret: removed")
	}
	change := Change{Action: "update", What: "client", Name: have.ID, Details: details}
	enable := have.ManagedBy == storage.ManagedByFileOnce
	if enable {
		change.Action = "enable"
	} else if !have.DisabledAt.IsZero() {
		pl.plan.Notes = append(pl.plan.Notes, fmt.Sprintf("client %s is disabled and stays so", have.ID))
	}
	takenOver := have.ManagedBy == ""
	if takenOver {
		change.Action = "take over"
	}
	c := want.Client
	change.apply = func(ctx context.Context, r *storage.RegistryEdit, a identity.Actor) error {
		if enable {
			if err := r.EnableClient(ctx, c.ID, identity.ClientEvent(a, storage.EventClientEnabled, &c)); err != nil {
				return err
			}
		}
		if cleared {
			if err := r.DeleteSecrets(ctx, c.ID); err != nil {
				return err
			}
		}
		if replaced != nil {
			k := *replaced
			if err := r.AddSecret(ctx, c.ID, &k,
				pl.planner.now().UTC().Truncate(time.Microsecond).Add(identity.SecretOverlap), identity.ClientEvent(a,
					storage.EventClientSecretRotated, &c)); err != nil {
				return err
			}
		}
		return r.UpdateClient(ctx, &c, identity.WithFact(identity.ClientEvent(a, storage.EventClientUpdated, &c),
			"changed", identity.ChangedFields(details)))
	}
	if len(details) > 0 || enable || takenOver {
		pl.plan.Changes = append(pl.plan.Changes, change)
	}
}

// newSecret is the stored form of the secret that the file gives.
func (pl *comparison) newSecret(want *Client) (storage.ClientSecret, bool) {
	switch {
	case want.Secret != "":
		return pl.planner.identity.Clients.StoredSecret(want.ID, want.Secret), true
	case want.secretHash != "":
		return storage.ClientSecret{PHC: want.secretHash}, true
	}
	return storage.ClientSecret{}, false
}

// hasSecret reports whether the client's newest secret is that of the file. An older valid one does not count, because
// the file would then bring it back.
func (pl *comparison) hasSecret(have *storage.Client, want *Client) bool {
	if len(have.Secrets) == 0 {
		return false
	}
	newest := &have.Secrets[0]
	if want.secretHash != "" {
		return identity.IsFromPHC(newest, want.secretHash)
	}
	return len(newest.MAC) > 0 && pl.planner.identity.Clients.MatchesSecret(have.ID, newest, want.Secret)
}

func (pl *comparison) warnWeak(want *Client, k *storage.ClientSecret) {
	if k.Weak {
		pl.plan.Notes = append(pl.plan.Notes,
			fmt.Sprintf("client %s has a short or guessable secret; make a better one with: openssl rand -hex 32",
				want.ID))
	}
}

// removed plans changes of clients that the file named before and no longer names.
func (pl *comparison) removed() {
	for _, id := range slices.Sorted(maps.Keys(pl.clients)) {
		c := *pl.clients[id]
		if c.ManagedBy != storage.ManagedByFile || !c.DeletedAt.IsZero() || pl.named[id] {
			continue
		}
		if !c.DisabledAt.IsZero() {
			// An operator disabled it: the file releases it, so that the file cannot enable it later.
			c.ManagedBy = ""
			pl.plan.Changes = append(pl.plan.Changes, Change{Action: "release", What: "client", Name: id,
				Details: []string{"the file names it no more; it is disabled already"},
				apply: func(ctx context.Context, r *storage.RegistryEdit, a identity.Actor) error {
					return r.UpdateClient(ctx, &c, identity.WithFact(identity.ClientEvent(a, storage.EventClientUpdated,
						&c), "changed", []string{"managed_by"}))
				}})
			continue
		}
		c.ManagedBy = storage.ManagedByFileOnce
		pl.plan.Changes = append(pl.plan.Changes, Change{Action: "disable", What: "client", Name: id,
			Details: []string{"the file names it no more; for good: sallyport clients delete " + id},
			apply: func(ctx context.Context, r *storage.RegistryEdit, a identity.Actor) error {
				if err := r.UpdateClient(ctx, &c, identity.WithFact(identity.ClientEvent(a, storage.EventClientUpdated,
					&c), "changed", []string{"managed_by"})); err != nil {
					return err
				}
				return r.DisableClient(ctx, c.ID, identity.ClientEvent(a, storage.EventClientDisabled, &c))
			}})
	}
}

// or is an id, or none for uuid.Nil.
func or(id uuid.UUID, none string) string {
	if id == uuid.Nil {
		return none
	}
	return id.String()
}

package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

func (pl *planner) create(want *manifestClient) {
	c := want.Client
	details := metadataDiff(&storage.Metadata{}, &c.Metadata)
	if want.organization != "" {
		details = append([]string{"organization: " + want.organization}, details...)
	}
	if k, ok := pl.newSecret(want); ok {
		c.Secrets = []storage.ClientSecret{k}
		details = append(details, "secret: from the file")
		pl.warnWeak(want, &k)
	} else if oauth.UsesSecret(c.Metadata.TokenEndpointAuthMethod) {
		pl.plan.Notes = append(pl.plan.Notes, fmt.Sprintf("client %s has no secret yet: sallyport clients rotate-secret %s makes one", c.ID, c.ID))
	}
	pl.plan.Changes = append(pl.plan.Changes, Change{Action: "create", What: "client", Name: c.ID, Details: details,
		apply: func(ctx context.Context, r *storage.RegistryEdit, a Actor) error {
			return r.CreateClient(ctx, &c, clientEvent(a, storage.EventClientCreated, &c))
		}})
}

func (pl *planner) update(have *storage.Client, want *manifestClient) {
	details := metadataDiff(&have.Metadata, &want.Metadata)
	if have.Organization != want.Organization {
		details = append(details, fmt.Sprintf("organization: %s → %s", or(have.Organization, "none"), or(want.Organization, "none")))
	}
	var replaced *storage.ClientSecret
	if k, ok := pl.newSecret(want); ok && !pl.hasSecret(have, want) {
		replaced = &k
		details = append(details, fmt.Sprintf("secret: another one, the last works %v longer", SecretOverlap))
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
	change.apply = func(ctx context.Context, r *storage.RegistryEdit, a Actor) error {
		if enable {
			if err := r.EnableClient(ctx, c.ID, clientEvent(a, storage.EventClientEnabled, &c)); err != nil {
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
			if err := r.AddSecret(ctx, c.ID, &k, pl.i.clock().Add(SecretOverlap), clientEvent(a, storage.EventClientSecretRotated, &c)); err != nil {
				return err
			}
		}
		return r.UpdateClient(ctx, &c, with(clientEvent(a, storage.EventClientUpdated, &c), "changed", fieldsOf(details)))
	}
	if len(details) > 0 || enable || takenOver {
		pl.plan.Changes = append(pl.plan.Changes, change)
	}
}

// newSecret is the secret that the file gives, in the form it would be stored.
func (pl *planner) newSecret(want *manifestClient) (storage.ClientSecret, bool) {
	switch {
	case want.secret != "":
		return pl.i.storedSecret(want.ID, want.secret), true
	case want.secretHash != "":
		return storage.ClientSecret{PHC: want.secretHash}, true
	}
	return storage.ClientSecret{}, false
}

// hasSecret reports whether the newest secret of the client is the file's already.
// An older one that still works is not enough: the file would bring it back.
func (pl *planner) hasSecret(have *storage.Client, want *manifestClient) bool {
	if len(have.Secrets) == 0 {
		return false
	}
	newest := &have.Secrets[0]
	if want.secretHash != "" {
		return fromPHC(newest, want.secretHash)
	}
	return len(newest.MAC) > 0 && pl.i.matches(have.ID, newest, want.secret)
}

func (pl *planner) warnWeak(want *manifestClient, k *storage.ClientSecret) {
	if k.Weak {
		pl.plan.Notes = append(pl.plan.Notes, fmt.Sprintf("client %s has a short or guessable secret; make a better one with: openssl rand -hex 32", want.ID))
	}
}

// metadataDiff has a line for each field in which two registrations differ.
func metadataDiff(have, want *storage.Metadata) []string {
	var lines []string
	before, after := metadataFields(have), metadataFields(want)
	for n, f := range after {
		was, is := before[n].value, f.value
		if was.IsZero() && is.IsZero() || was.Kind() == reflect.Slice && was.Len() == 0 && is.Len() == 0 || reflect.DeepEqual(was.Interface(), is.Interface()) {
			continue
		}
		line := f.name + ": " + display(is)
		if have.TokenEndpointAuthMethod != "" { // there was one
			line = f.name + ": " + display(was) + " → " + display(is)
		}
		lines = append(lines, line)
	}
	return lines
}

// display is a value as one line of text.
func display(v reflect.Value) string {
	switch v := v.Interface().(type) {
	case string:
		if v == "" {
			return "none"
		}
		return v
	case []string:
		if len(v) == 0 {
			return "none"
		}
		return strings.Join(v, ", ")
	case *int64:
		if v == nil {
			return "none"
		}
		return fmt.Sprint(*v)
	case json.RawMessage:
		if len(v) == 0 {
			return "none"
		}
		return string(v)
	default:
		return fmt.Sprint(v)
	}
}

// fieldsOf names what a diff changes, for the audit log.
func fieldsOf(details []string) []string {
	names := make([]string, len(details))
	for n, d := range details {
		names[n], _, _ = strings.Cut(d, ":")
	}
	return names
}

// removed plans what happens to clients that the file named once and names no more.
func (pl *planner) removed() {
	for _, id := range sortedKeys(pl.clients) {
		c := *pl.clients[id]
		if c.ManagedBy != storage.ManagedByFile || !c.DeletedAt.IsZero() || pl.named[id] {
			continue
		}
		if !c.DisabledAt.IsZero() {
			// Somebody disabled it: the file lets go of it, and cannot enable it later.
			c.ManagedBy = ""
			pl.plan.Changes = append(pl.plan.Changes, Change{Action: "release", What: "client", Name: id,
				Details: []string{"the file names it no more; it is disabled already"},
				apply: func(ctx context.Context, r *storage.RegistryEdit, a Actor) error {
					return r.UpdateClient(ctx, &c, with(clientEvent(a, storage.EventClientUpdated, &c), "changed", []string{"managed_by"}))
				}})
			continue
		}
		c.ManagedBy = storage.ManagedByFileOnce
		pl.plan.Changes = append(pl.plan.Changes, Change{Action: "disable", What: "client", Name: id,
			Details: []string{"the file names it no more; for good: sallyport clients delete " + id},
			apply: func(ctx context.Context, r *storage.RegistryEdit, a Actor) error {
				if err := r.UpdateClient(ctx, &c, with(clientEvent(a, storage.EventClientUpdated, &c), "changed", []string{"managed_by"})); err != nil {
					return err
				}
				return r.DisableClient(ctx, c.ID, clientEvent(a, storage.EventClientDisabled, &c))
			}})
	}
}

// or is an id, or what to say for none.
func or(id uuid.UUID, none string) string {
	if id == uuid.Nil {
		return none
	}
	return id.String()
}

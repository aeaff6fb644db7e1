package manifest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

// resources plans the resources of the file, and the deletion of those that it no longer names.
func (pl *comparison) resources() {
	pl.eachScopeOnce()
	named := map[string]bool{}
	for n := range pl.m.Resources {
		want := &pl.m.Resources[n]
		named[want.Identifier] = true
		if pl.planner.identity.Resources.IsOwnURI(want.Identifier) {
			pl.fault(want.places.line("identifier", 0),
				fmt.Sprintf("resource %s: identifier is this server's own ISSUER or below it",
					identity.Clip(want.Identifier)),
				"choose a URI of the resource server's own")
		}
		for k, id := range want.ServedBy {
			have := pl.clients[id]
			gone := have == nil || !have.DeletedAt.IsZero() || have.ManagedBy == storage.ManagedByFile ||
				have.ManagedBy == storage.ManagedByFileOnce
			if !pl.named[id] && gone {
				pl.fault(want.places.line("served_by", k+1),
					fmt.Sprintf("resource %s: served_by names the client %q, which is not registered",
						identity.Clip(want.Identifier), identity.Clip(id)),
					"add it under clients, or remove it here")
			}
		}
		pl.resource(want.Resource)
	}
	for _, r := range pl.present {
		if r.ManagedBy != storage.ManagedByFile || named[r.Identifier] {
			continue
		}
		pl.plan.Changes = append(pl.plan.Changes, Change{Action: "delete", What: "resource", Name: r.Identifier,
			Details: []string{"the file names it no more"},
			apply: func(ctx context.Context, e *storage.RegistryEdit, a identity.Actor) error {
				return e.DeleteResource(ctx, r.Identifier, identity.WithFact(a.Event(storage.EventResourceDeleted),
					"resource", r.Identifier))
			}})
	}
}

// eachScopeOnce refuses a scope of two resources: a token with it would be valid for both, and the consent page could
// show only one of the two descriptions.
func (pl *comparison) eachScopeOnce() {
	owner := map[string]string{}
	for _, r := range pl.resourcesAfter() {
		n := slices.IndexFunc(pl.m.Resources, func(m Resource) bool { return m.Identifier == r.Identifier })
		for _, scope := range slices.Sorted(maps.Keys(r.Scopes)) {
			first, taken := owner[scope]
			owner[scope] = r.Identifier
			if !taken || first == r.Identifier {
				continue
			}
			line := 1
			if n >= 0 {
				line = pl.m.Resources[n].places.line("scopes."+scope, 0)
			}
			pl.fault(line, fmt.Sprintf("scope %q is defined by %s and by %s", identity.Clip(scope),
				identity.Clip(first), identity.Clip(r.Identifier)), "rename one of them")
		}
	}
}

func (pl *comparison) resource(want storage.Resource) {
	n := slices.IndexFunc(pl.present, func(r storage.Resource) bool { return r.Identifier == want.Identifier })
	change, event := Change{Action: "create", What: "resource", Name: want.Identifier}, storage.EventResourceCreated
	have := storage.Resource{}
	if n >= 0 {
		have = pl.present[n]
		change.Action, event = "update", storage.EventResourceUpdated
	}
	change.Details = resourceDiff(&have, &want)
	takenOver := n >= 0 && have.ManagedBy != storage.ManagedByFile
	if takenOver {
		change.Action = "take over"
	}
	change.apply = func(ctx context.Context, e *storage.RegistryEdit, a identity.Actor) error {
		return e.PutResource(ctx, &want, identity.WithFact(a.Event(event), "resource", want.Identifier))
	}
	if n < 0 || len(change.Details) > 0 || takenOver {
		pl.plan.Changes = append(pl.plan.Changes, change)
	}
}

func resourceDiff(have, want *storage.Resource) []string {
	var lines []string
	if have.Name != want.Name {
		lines = append(lines, "name: "+want.Name)
	}
	scopes := maps.Clone(have.Scopes)
	for _, name := range slices.Sorted(maps.Keys(want.Scopes)) {
		if was, ok := scopes[name]; !ok || was != want.Scopes[name] {
			lines = append(lines, fmt.Sprintf("scope %s: %s", name, want.Scopes[name]))
		}
		delete(scopes, name)
	}
	for _, name := range slices.Sorted(maps.Keys(scopes)) {
		lines = append(lines, fmt.Sprintf("scope %s: removed", name))
	}
	if was, is := slices.Sorted(slices.Values(have.ServedBy)),
		slices.Sorted(slices.Values(want.ServedBy)); !slices.Equal(was, is) {
		lines = append(lines, fmt.Sprintf("served_by: %v", is))
	}
	return lines
}

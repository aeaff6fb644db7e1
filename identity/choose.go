package identity

import (
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

var (
	// ErrOrganizationConflict: the request names two organizations (invalid_request).
	ErrOrganizationConflict = errors.New("the request names more than one organization")
	// ErrOrganizationDenied: the organization does not exist or the person is not in
	// it; nobody learns which (access_denied).
	ErrOrganizationDenied = errors.New("not a member of the organization")
	// ErrOrganizationInteraction: the person would have to pick and may not be asked (interaction_required).
	ErrOrganizationInteraction = errors.New("the person must choose an organization")
)

// OrganizationQuestion is all that decides which organization a token names
// ("Which organization" of the product's contract). It is a pure rule:
//
//	needed := q.IsNeeded()              // false: no organization, no picker
//	id, slug, err := q.Named()        // what to look up, if the request says which
//	err = q.Check(organization)      // after looking it up; nil if the person is not in it
//	choice, err := q.Choose(choices)  // if it does not; a nil choice is the picker
type OrganizationQuestion struct {
	// Parameter is the organization parameter, an id or a slug; "" if absent.
	Parameter string
	// Scopes are the scopes asked for that the client may have: org, groups and org:<slug> count.
	Scopes []string
	// Client is the organization the client belongs to; uuid.Nil for the platform's own.
	Client uuid.UUID
	// Picked is what the person has chosen in this flow; uuid.Nil before.
	Picked uuid.UUID
	// PromptNone: the person may not be asked. Only then does Hint count, the org_id
	// of the id_token_hint; uuid.Nil if it has none.
	PromptNone bool
	Hint       uuid.UUID
}

// IsNeeded reports whether the token will name an organization at all.
func (q OrganizationQuestion) IsNeeded() bool {
	return q.Parameter != "" || q.Client != uuid.Nil || slices.ContainsFunc(q.Scopes, func(s string) bool {
		return s == oauth.ScopeOrg || s == oauth.ScopeGroups || strings.HasPrefix(s, oauth.ScopeOrgPrefix)
	})
}

// Named returns the id or the slug of the organization that the request, the
// client or the person's pick names; neither if none does. ErrOrganizationConflict
// if two of them can be seen to differ without looking anything up,
// ErrOrganizationDenied if what is named cannot exist.
func (q OrganizationQuestion) Named() (id uuid.UUID, slug string, err error) {
	if q.Client != uuid.Nil {
		id = q.Client
	}
	if p, err := uuid.Parse(q.Parameter); err == nil && len(q.Parameter) == 36 {
		if id != uuid.Nil && id != p {
			return uuid.Nil, "", ErrOrganizationConflict
		}
		id = p
	}
	slugs := q.slugs()
	if len(slugs) > 1 {
		return uuid.Nil, "", ErrOrganizationConflict
	}
	switch {
	case len(slugs) == 1 && slugs[0] == "": // the scope oauth.ScopeOrgPrefix names nobody
		return uuid.Nil, "", ErrOrganizationDenied
	case id != uuid.Nil:
		return id, "", nil
	case len(slugs) == 1:
		return uuid.Nil, slugs[0], nil
	}
	return q.Picked, "", nil
}

// slugs are the distinct slugs that the request names.
func (q OrganizationQuestion) slugs() []string {
	var all []string
	for _, s := range q.Scopes {
		if slug, ok := strings.CutPrefix(s, oauth.ScopeOrgPrefix); ok {
			all = append(all, slug)
		}
	}
	if _, err := uuid.Parse(q.Parameter); q.Parameter != "" && (err != nil || len(q.Parameter) != 36) {
		all = append(all, q.Parameter)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Check judges what was found for Named: nil if nothing was, or the person is not
// in it. An organization found by id must also be the one that a slug names.
func (q OrganizationQuestion) Check(found *storage.Organization) error {
	if found == nil {
		return ErrOrganizationDenied
	}
	if slugs := q.slugs(); len(slugs) == 1 && slugs[0] != found.Slug {
		return ErrOrganizationConflict
	}
	return nil
}

// Choose decides where nothing names an organization and one is needed, among
// those the person is in. A nil choice without an error: the person picks.
//
// A hint for an organization that the person has left is not passed over in
// favour of another: silently getting a token for the wrong customer is worse
// than being asked.
func (q OrganizationQuestion) Choose(choices []storage.Choice) (*storage.Choice, error) {
	only := func() *storage.Choice {
		if len(choices) == 1 {
			return &choices[0]
		}
		return nil
	}
	if !q.PromptNone {
		if len(choices) == 0 {
			return nil, ErrOrganizationDenied
		}
		return only(), nil
	}
	if q.Hint != uuid.Nil {
		if n := slices.IndexFunc(choices, func(c storage.Choice) bool { return c.Organization.ID == q.Hint }); n >= 0 {
			return &choices[n], nil
		}
		return nil, ErrOrganizationInteraction
	}
	var latest *storage.Choice
	for n := range choices {
		if c := &choices[n]; c.Consent != nil && (latest == nil ||
			c.Consent.GrantedAt.After(latest.Consent.GrantedAt)) {
			latest = c
		}
	}
	if latest != nil {
		return latest, nil
	}
	if c := only(); c != nil {
		return c, nil
	}
	return nil, ErrOrganizationInteraction
}

package identity

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

var (
	// ErrOrganizationConflict: the request names two organizations (invalid_request).
	ErrOrganizationConflict = errors.New("the request names more than one organization")
	// ErrOrganizationDenied: the organization does not exist or the user is not a member; the caller does not learn
	// which (access_denied).
	ErrOrganizationDenied = errors.New("not a member of the organization")
	// ErrOrganizationInteraction: the user would have to choose, but prompt=none forbids to ask (interaction_required).
	ErrOrganizationInteraction = errors.New("the person must choose an organization")
)

// OrganizationQuestion is everything that decides which organization a token names. Its methods are pure rules, used
// in this order:
//
// needed := q.IsNeeded(): without an organization nothing else is asked
//
// id, slug, err := q.Named(): what to look up, if the request names one
//
// err = q.Check(organization): after it was looked up; nil if the user is not a member
//
// choice, err := q.Choose(choices): if the request names none; a nil choice means that the user has to choose
type OrganizationQuestion struct {
	// Parameter is the organization parameter, an id or a slug; "" if absent.
	Parameter string
	// Scopes are the requested scopes that the client may have: org, groups and org:<slug> matter here.
	Scopes []string
	// Client is the organization that the client belongs to; uuid.Nil for a client of the platform.
	Client uuid.UUID
	// Picked is what the user has chosen in this flow; uuid.Nil before.
	Picked uuid.UUID
	// PromptNone says that the user may not be asked. Only then is Hint used, the org_id of the id_token_hint;
	// uuid.Nil if there is none.
	PromptNone bool
	Hint       uuid.UUID
}

// IsNeeded reports whether the token will name an organization at all.
func (q OrganizationQuestion) IsNeeded() bool {
	return q.Parameter != "" || q.Client != uuid.Nil || slices.ContainsFunc(q.Scopes, func(s string) bool {
		return s == oauth.ScopeOrg || s == oauth.ScopeGroups || strings.HasPrefix(s, oauth.ScopeOrgPrefix)
	})
}

// Named returns the id or the slug of the organization that the request, the client or the user's choice names;
// neither if none does. ErrOrganizationConflict if two of them differ visibly, ErrOrganizationDenied if the name
// cannot exist.
func (q OrganizationQuestion) Named() (id uuid.UUID, slug string, err error) {
	id = q.Client
	if p, err := uuid.Parse(q.Parameter); err == nil && len(q.Parameter) == 36 {
		if id != uuid.Nil && id != p {
			return uuid.Nil, "", ErrOrganizationConflict
		}
		id = p
	}
	switch slugs := q.slugs(); {
	case len(slugs) > 1:
		return uuid.Nil, "", ErrOrganizationConflict
	case len(slugs) == 1 && slugs[0] == "": // the scope "org:" without a slug
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

// Check judges the organization found for Named: nil if there is none or the user is not a member. An organization
// found by id must also have the slug that the request names.
func (q OrganizationQuestion) Check(found *storage.Organization) error {
	if found == nil {
		return ErrOrganizationDenied
	}
	if slugs := q.slugs(); len(slugs) == 1 && slugs[0] != found.Slug {
		return ErrOrganizationConflict
	}
	return nil
}

// Choose decides between the user's organizations if the request names none. A nil choice without an error means that
// the user has to choose.
//
// If the user has left the organization of the hint, no other one is taken instead: a token for the wrong customer is
// worse than a question.
func (q OrganizationQuestion) Choose(choices []storage.Choice) (*storage.Choice, error) {
	var choice *storage.Choice
	if len(choices) == 1 {
		choice = &choices[0]
	}
	if !q.PromptNone {
		if len(choices) == 0 {
			return nil, ErrOrganizationDenied
		}
		return choice, nil
	}
	var granted time.Time
	for n := range choices {
		c := &choices[n]
		if q.Hint == uuid.Nil && c.Consent != nil && c.Consent.GrantedAt.After(granted) {
			choice, granted = c, c.Consent.GrantedAt
		}
		if c.Organization.ID == q.Hint {
			return c, nil
		}
	}
	if choice == nil || q.Hint != uuid.Nil {
		return nil, ErrOrganizationInteraction
	}
	return choice, nil
}

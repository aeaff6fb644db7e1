package identity

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

var (
	acmeID = uuid.MustParse("01900000-0000-7000-8000-000000000001")
	techID = uuid.MustParse("01900000-0000-7000-8000-000000000002")
	acme   = &storage.Organization{ID: acmeID, Slug: "acme-corp"}
	tech   = &storage.Organization{ID: techID, Slug: "tech-startup"}
)

// "Which organization" of the contract, as far as the request and the client say:
// every pair of places that can name one, agreeing and not, with members of the one
// or the other.
func TestWhichOrganizationIsNamed(t *testing.T) {
	type question = OrganizationQuestion
	for name, tc := range map[string]struct {
		q       question
		needed  bool
		id      uuid.UUID
		slug    string
		named   error
		inAcme  error // Check's answer where the person is in the one looked up, Acme
		checked bool
	}{
		"nothing":                   {q: question{Scopes: []string{"openid", "orgs", "organization"}}},
		"scope org":                 {q: question{Scopes: []string{"openid", "org"}}, needed: true},
		"scope groups":              {q: question{Scopes: []string{"openid", "groups", "orgs"}}, needed: true},
		"picked for groups":         {q: question{Scopes: []string{"groups"}, Picked: acmeID}, needed: true, id: acmeID, checked: true},
		"groups of a slug":          {q: question{Scopes: []string{"groups", "org:acme-corp"}}, needed: true, slug: "acme-corp", checked: true},
		"picked":                    {q: question{Scopes: []string{"org"}, Picked: acmeID}, needed: true, id: acmeID, checked: true},
		"id":                        {q: question{Parameter: acmeID.String()}, needed: true, id: acmeID, checked: true},
		"slug":                      {q: question{Parameter: "acme-corp"}, needed: true, slug: "acme-corp", checked: true},
		"scope slug":                {q: question{Scopes: []string{"org:acme-corp"}}, needed: true, slug: "acme-corp", checked: true},
		"scope slug twice":          {q: question{Scopes: []string{"org:acme-corp", "org", "org:acme-corp"}}, needed: true, slug: "acme-corp", checked: true},
		"client":                    {q: question{Client: acmeID}, needed: true, id: acmeID, checked: true},
		"id and scope agree":        {q: question{Parameter: acmeID.String(), Scopes: []string{"org:acme-corp"}}, needed: true, id: acmeID, checked: true},
		"id and scope differ":       {q: question{Parameter: acmeID.String(), Scopes: []string{"org:tech-startup"}}, needed: true, id: acmeID, checked: true, inAcme: ErrOrganizationConflict},
		"slug and scope agree":      {q: question{Parameter: "acme-corp", Scopes: []string{"org:acme-corp"}}, needed: true, slug: "acme-corp", checked: true},
		"slug and scope differ":     {q: question{Parameter: "acme-corp", Scopes: []string{"org:tech-startup"}}, needed: true, named: ErrOrganizationConflict},
		"two scopes differ":         {q: question{Scopes: []string{"org:acme-corp", "org:tech-startup"}}, needed: true, named: ErrOrganizationConflict},
		"client and id agree":       {q: question{Client: acmeID, Parameter: acmeID.String()}, needed: true, id: acmeID, checked: true},
		"client and id differ":      {q: question{Client: acmeID, Parameter: techID.String()}, needed: true, named: ErrOrganizationConflict},
		"client and slug agree":     {q: question{Client: acmeID, Parameter: "acme-corp"}, needed: true, id: acmeID, checked: true},
		"client and slug differ":    {q: question{Client: acmeID, Parameter: "tech-startup"}, needed: true, id: acmeID, checked: true, inAcme: ErrOrganizationConflict},
		"client and scope differ":   {q: question{Client: acmeID, Scopes: []string{"org:tech-startup"}}, needed: true, id: acmeID, checked: true, inAcme: ErrOrganizationConflict},
		"all three agree":           {q: question{Client: acmeID, Parameter: "acme-corp", Scopes: []string{"org", "org:acme-corp"}}, needed: true, id: acmeID, checked: true},
		"the request beats a pick":  {q: question{Parameter: "acme-corp", Picked: techID}, needed: true, slug: "acme-corp", checked: true},
		"the client beats a pick":   {q: question{Client: acmeID, Picked: techID}, needed: true, id: acmeID, checked: true},
		"neither id nor slug":       {q: question{Parameter: "Acme Corp"}, needed: true, slug: "Acme Corp", checked: true, inAcme: ErrOrganizationConflict},
		"an id in braces is a slug": {q: question{Parameter: "{" + acmeID.String() + "}"}, needed: true, slug: "{" + acmeID.String() + "}", checked: true, inAcme: ErrOrganizationConflict},
		"an empty scope slug":       {q: question{Scopes: []string{"org:"}}, needed: true, named: ErrOrganizationDenied},
		"a hint names nothing":      {q: question{Scopes: []string{"org"}, Hint: acmeID}, needed: true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.q.IsNeeded(); got != tc.needed {
				t.Errorf("Needed: got %v, want %v", got, tc.needed)
			}
			id, slug, err := tc.q.Named()
			if id != tc.id || slug != tc.slug || !errors.Is(err, tc.named) {
				t.Errorf("Named: got %v, %q, %v, want %v, %q, %v", id, slug, err, tc.id, tc.slug, tc.named)
			}
			if !tc.checked {
				return
			}
			if err := tc.q.Check(acme); !errors.Is(err, tc.inAcme) {
				t.Errorf("Accept: got %v, want %v", err, tc.inAcme)
			}
			// Unknown, or not a member: the same.
			if err := tc.q.Check(nil); !errors.Is(err, ErrOrganizationDenied) {
				t.Errorf("Accept(nil): got %v, want ErrOrganizationDenied", err)
			}
		})
	}
}

// The rest of it: only `org` was asked for.
func TestWhichOrganizationIsChosen(t *testing.T) {
	day := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	in := func(o *storage.Organization, consent time.Time) storage.Choice {
		c := storage.Choice{Organization: *o, Role: storage.RoleMember}
		if !consent.IsZero() {
			c.Consent = &storage.Consent{GrantedAt: consent}
		}
		return c
	}
	var never time.Time
	for name, tc := range map[string]struct {
		none    bool
		hint    uuid.UUID
		choices []storage.Choice
		want    uuid.UUID
		err     error
	}{
		"none at all":                       {err: ErrOrganizationDenied},
		"the only one":                      {choices: []storage.Choice{in(acme, never)}, want: acmeID},
		"the picker":                        {choices: []storage.Choice{in(acme, day), in(tech, never)}},
		"the picker, whatever the hint":     {hint: acmeID, choices: []storage.Choice{in(acme, day), in(tech, never)}},
		"silent: none at all":               {none: true, err: ErrOrganizationInteraction},
		"silent: the only one":              {none: true, choices: []storage.Choice{in(acme, never)}, want: acmeID},
		"silent: nothing to go by":          {none: true, choices: []storage.Choice{in(acme, never), in(tech, never)}, err: ErrOrganizationInteraction},
		"silent: the hint":                  {none: true, hint: techID, choices: []storage.Choice{in(acme, day), in(tech, never)}, want: techID},
		"silent: the hint was left":         {none: true, hint: techID, choices: []storage.Choice{in(acme, day)}, err: ErrOrganizationInteraction},
		"silent: the remembered":            {none: true, choices: []storage.Choice{in(acme, never), in(tech, day)}, want: techID},
		"silent: the latest remembered":     {none: true, choices: []storage.Choice{in(acme, day), in(tech, day.Add(time.Hour))}, want: techID},
		"silent: remembered, later in list": {none: true, choices: []storage.Choice{in(acme, day.Add(time.Hour)), in(tech, day)}, want: acmeID},
	} {
		t.Run(name, func(t *testing.T) {
			q := OrganizationQuestion{Scopes: []string{"org"}, PromptNone: tc.none, Hint: tc.hint}
			got, err := q.Choose(tc.choices)
			var id uuid.UUID
			if got != nil {
				id = got.Organization.ID
			}
			if id != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("got %v, %v, want %v, %v", id, err, tc.want, tc.err)
			}
		})
	}
}

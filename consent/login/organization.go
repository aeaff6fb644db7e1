package login

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// organizationPath is the step of a flow that asks for an organization.
const organizationPath = "/org"

// showOrganizations is the picker.
func (p *Pages) showOrganizations(w http.ResponseWriter, r *http.Request, q *page.Request) error {
	choices, ok, err := p.choices(r, q.Flow)
	if err != nil {
		return err
	}
	if !ok {
		return web.SeeOther(w, r, q.NextURL())
	}
	picker := organizationPage(choices)
	picker.Flow, picker.CSRF, picker.CancelURL = q.FlowToken, csrf(q, actOrganization), q.CancelURL()
	picker.AppName, picker.Query = q.Flow.Client.Name(), page.Shorten(q.Query.Get("q"))
	return q.Render(w, http.StatusOK, picker)
}

// chooseOrganization records the choice, if the user is in that organization.
func (p *Pages) chooseOrganization(w http.ResponseWriter, r *http.Request, q *page.Request, form url.Values) error {
	choices, ok, err := p.choices(r, q.Flow)
	if err != nil {
		return err
	}
	if !ok {
		return web.SeeOther(w, r, q.NextURL())
	}
	slug := form.Get("organization")
	i := slices.IndexFunc(choices, func(c storage.Choice) bool { return c.Organization.Slug == slug })
	if i < 0 {
		// The answer must not tell an organization of others from one that does not exist.
		return &web.Error{Status: http.StatusForbidden, Code: "not_a_member", BackURL: q.Path(organizationPath),
			BackLabel: "Choose another organization"}
	}
	err = p.Store.ChooseOrganization(r.Context(), q.Flow.Flow.IDHash, q.Browser, choices[i].Organization.ID)
	if err != nil && !errors.Is(err, storage.ErrSpent) {
		return err
	}
	return web.SeeOther(w, r, q.NextURL())
}

// choices returns the organizations that the user may choose from. ok is false if there is no choice to make, or not yet.
func (p *Pages) choices(r *http.Request, f *storage.FlowState) (choices []storage.Choice, ok bool, err error) {
	switch {
	case f == nil:
		return nil, false, errNoFlow
	case f.NextStep == organizationPath:
		return f.Choices, true, nil
	case f.NextStep == loginPath, signin.NeedsSecondFactor(f.Session), !f.NeedsOrganization, f.Flow.OrganizationID == uuid.Nil:
		return nil, false, nil
	}
	// A user who has chosen within this flow and comes back may choose again.
	choices, err = p.Store.Choices(r.Context(), f.Session.User.ID, f.Client.ID)
	return choices, len(choices) > 0, err
}

// organizationPage lists choices: the one used last first, the others in their order.
func organizationPage(choices []storage.Choice) templates.ChooseOrganization {
	last := 0
	for i, c := range choices {
		if c.LastUsedAt.After(choices[last].LastUsedAt) {
			last = i
		}
	}
	picker := templates.ChooseOrganization{LastUsed: len(choices) > 0 && !choices[last].LastUsedAt.IsZero()}
	for i, c := range choices {
		o := templates.Organization{Slug: c.Organization.Slug, Name: c.Organization.Name, Role: page.RoleNames[c.Role]}
		at := len(picker.Organizations)
		if picker.LastUsed && i == last {
			at = 0
		}
		picker.Organizations = slices.Insert(picker.Organizations, at, o)
	}
	return picker
}

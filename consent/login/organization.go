package login

import (
	"errors"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Choose is the step that asks for which organization somebody acts.
type Choose struct{}

// Path is /org.
func (Choose) Path() string { return "/org" }

// Pending while the token will name an organization and none is determined.
func (Choose) Pending(j *storage.FlowState) bool { return signin.RequiredFor(j).Organization }

// Refusal is interaction_required (OpenID Connect Core 1.0, section 3.1.2.6).
func (Choose) Refusal() string { return "interaction_required" }

// showOrganizations is the picker.
func (p *Pages) showOrganizations(w http.ResponseWriter, r *http.Request) error {
	v, err := ReadFlowRequest(r, p.journeys, p.sessions)
	if err != nil {
		return err
	}
	choices, err := p.choices(r, v.Journey)
	if err != nil {
		return err
	}
	if choices == nil {
		return web.SeeOther(w, r, v.Next())
	}
	page := organizationPage(choices)
	page.Flow, page.CSRF, page.CancelURL = v.Flow, p.sessions.CSRFToken(v.Browser, v.Purpose(actOrg)), v.CancelURL()
	page.AppName, page.Query = v.Journey.Client.Name(), cut(r.URL.Query().Get("q"))
	web.OmitFormAction(w)
	return p.web.Page(w, http.StatusOK, page)
}

// chooseOrganization records the pick, if the person is in that organization.
func (p *Pages) chooseOrganization(w http.ResponseWriter, r *http.Request) error {
	v, err := ReadFlowRequest(r, p.journeys, p.sessions)
	if err != nil {
		return err
	}
	form, err := p.form(r, v, actOrg)
	if err != nil {
		return err
	}
	choices, err := p.choices(r, v.Journey)
	if err != nil {
		return err
	}
	if choices == nil {
		return web.SeeOther(w, r, v.Next())
	}
	slug := form.Get("organization")
	i := slices.IndexFunc(choices, func(c storage.Choice) bool { return c.Organization.Slug == slug })
	if i < 0 {
		// Not theirs, not there, or not any more: nobody learns which.
		return &web.Error{Status: http.StatusForbidden, Code: "not_a_member", BackURL: "/org?flow=" + v.Flow, BackLabel: "Choose another organization"}
	}
	err = p.store.ChooseOrganization(r.Context(), v.Journey.Flow.IDHash, v.Browser, choices[i].Organization.ID)
	if err != nil && !errors.Is(err, storage.ErrSpent) {
		return err
	}
	return web.SeeOther(w, r, v.Next())
}

// choices are what the person may pick from; nil if it is not for them to pick or
// not yet. Who has picked and comes back may pick again.
func (p *Pages) choices(r *http.Request, j *storage.FlowState) ([]storage.Choice, error) {
	switch required := signin.RequiredFor(j); {
	case required.SignIn, signin.NeedsSecondFactor(j.Session):
		return nil, nil
	case required.Organization:
		return append([]storage.Choice{}, j.Choices...), nil
	case j.NeedsOrganization && j.Flow.OrganizationID != uuid.Nil:
		return p.store.Choices(r.Context(), j.Session.User.ID, j.Client.ID)
	}
	return nil, nil
}

// organizationPage lists choices: the last one first, the others in their order.
func organizationPage(choices []storage.Choice) templates.ChooseOrganization {
	last := 0
	for i, c := range choices {
		if c.LastUsedAt.After(choices[last].LastUsedAt) {
			last = i
		}
	}
	page := templates.ChooseOrganization{LastUsed: len(choices) > 0 && !choices[last].LastUsedAt.IsZero()}
	for i, c := range choices {
		o := templates.Organization{Slug: c.Organization.Slug, Name: c.Organization.Name, Role: roleWords[c.Role]}
		if page.LastUsed && i == last {
			page.Organizations = slices.Insert(page.Organizations, 0, o)
		} else {
			page.Organizations = append(page.Organizations, o)
		}
	}
	return page
}

var roleWords = map[string]string{
	storage.RoleOwner: "Owner", storage.RoleAdmin: "Admin", storage.RoleMember: "Member", storage.RoleGuest: "Guest",
}

package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

func (a *API) me(c *call) (response, error) {
	return response{message: "You.", data: viewUser(&c.current.User)}, nil
}

func (a *API) updateMe(c *call, in *identity.ProfilePatch) (response, error) {
	if err := a.identity.Accounts.UpdateProfile(c.r.Context(), c.actor(), *in); err != nil {
		return response{}, err
	}
	u, err := a.store.User(c.r.Context(), c.current.User.ID)
	if err != nil {
		return response{}, err
	}
	return response{message: "The profile is changed.", data: viewUser(u)}, nil
}

// deleteMe deletes the account, or says what prevents it.
func (a *API) deleteMe(c *call) (response, error) {
	ctx := c.r.Context()
	err := a.identity.Accounts.Delete(ctx, c.actor(), c.sid(), a.origin(c))
	if errors.Is(err, storage.ErrLastSuperadmin) {
		return response{}, &web.Error{Status: http.StatusConflict, Err: err,
			Message: "You are the last superadmin: without you nobody could administer this installation. Make somebody else one first."}
	}
	if errors.Is(err, storage.ErrConflict) {
		err = a.explainBlockedDeletion(c, err)
	}
	return response{message: "The account is deleted."}, err
}

func (a *API) explainBlockedDeletion(c *call, cause error) error {
	d, err := a.identity.Accounts.PreviewDeletion(c.r.Context(), c.actor())
	if err != nil {
		return err
	}
	names := []string{}
	for _, o := range d.Blocking {
		names = append(names, o.Slug+" would be left without an owner: make somebody else owner, or remove its members")
	}
	return &web.Error{Status: http.StatusConflict, Message: "You are the only owner of an organization with other members.",
		Details: map[string][]string{"organizations": names}, Err: cause}
}

// passwordInput is the body of users/me/password.
type passwordInput struct {
	Current string `json:"current_password"`
	New     string `json:"new_password"`
}

// changePassword counts a wrong present password as a failed sign-in.
func (a *API) changePassword(c *call, in *passwordInput) (response, error) {
	mark, err := a.signIn.ChangePassword(c.r.Context(), a.source(c), c.current, in.Current, in.New)
	if errors.Is(err, identity.ErrWrongPassword) {
		return response{}, invalid("current_password", "is not your password")
	}
	a.sessions.SetCookies(c.w, c.r, "", mark)
	return response{message: "The password is changed. All other sessions have ended, and what your applications held."},
		renameFields(err, map[string]string{"password": "new_password"})
}

// organizationView is an organization as a member sees it.
type organizationView struct {
	ID    uuid.UUID `json:"id"`
	Slug  string    `json:"slug"`
	Name  string    `json:"name"`
	Roles []string  `json:"roles"`
	// OverdueSince is since when it asks for two-step verification that the session does
	// not meet: applications learn nothing of it.
	OverdueSince *time.Time `json:"two_step_verification_overdue_since,omitempty"`
}

func (a *API) viewOrganization(c *call, m *storage.Membership) organizationView {
	o := &m.Organization
	v := organizationView{ID: o.ID, Slug: o.Slug, Name: o.Name, Roles: []string{m.Role}}
	if since, overdue := a.identity.Sessions.OverdueSince(c.current.SessionContext, m); overdue {
		v.OverdueSince = &since
	}
	return v
}

func (a *API) listOrganizations(c *call) (response, error) {
	p, err := a.page(c)
	if err != nil {
		return response{}, err
	}
	var all []storage.Membership
	if b := c.personal; b != nil { // it may see its own organization only
		if o := b.Token.Organization; o.Slug > p.after {
			all = []storage.Membership{{Organization: o, Role: b.Role}}
		}
	} else if all, err = a.store.Memberships(c.r.Context(), c.current.User.ID, p.after, p.fetchLimit()); err != nil {
		return response{}, err
	}
	return listResponse(p, "Your organizations.", all, func(m *storage.Membership) string { return m.Organization.Slug },
		func(m *storage.Membership) organizationView { return a.viewOrganization(c, m) }), nil
}

// grantView is one authorization that an application holds.
type grantView struct {
	ID             uuid.UUID  `json:"id"`
	ClientID       string     `json:"client_id"`
	ClientName     string     `json:"client_name"` // empty for a client that was deleted
	OrganizationID *uuid.UUID `json:"organization_id"`
	Scopes         []string   `json:"scopes"`
	Offline        bool       `json:"offline"`
	CreatedAt      time.Time  `json:"created_at"`
	ExpiresAt      time.Time  `json:"expires_at"`
}

func (a *API) viewGrant(ctx context.Context, g *storage.Grant) grantView {
	v := grantView{ID: g.ID, ClientID: g.ClientID, Scopes: g.Scopes, Offline: g.Offline, CreatedAt: g.CreatedAt,
		ExpiresAt: g.ExpiresAt}
	if g.OrganizationID != uuid.Nil {
		v.OrganizationID = &g.OrganizationID
	}
	if client, err := a.registry.Client(ctx, g.ClientID); err == nil {
		v.ClientName = client.Name()
	}
	return v
}

func (a *API) listGrants(c *call) (response, error) {
	p, err := a.page(c)
	if err != nil {
		return response{}, err
	}
	all, err := a.identity.Accounts.Grants(c.r.Context(), c.actor(), p.id(uuid.Max), p.fetchLimit())
	if err != nil {
		return response{}, err
	}
	return listResponse(p, "What you have allowed applications.", all, func(g *storage.Grant) string { return g.ID.String() },
		func(g *storage.Grant) grantView { return a.viewGrant(c.r.Context(), g) }), nil
}

func (a *API) revokeGrant(c *call) (response, error) {
	return response{message: "The application's access has ended, and it has to ask again."},
		a.identity.Accounts.WithdrawGrant(c.r.Context(), c.actor(), c.id)
}

func (a *API) export(c *call) (response, error) {
	all, err := a.identity.Accounts.Export(c.r.Context(), c.actor())
	return response{message: "Everything that is held about you.", data: all}, err
}

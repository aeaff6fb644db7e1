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

func (a *API) me(c *call) (answer, error) {
	return answer{message: "You.", data: viewUser(&c.current.User)}, nil
}

func (a *API) updateMe(c *call) (answer, error) {
	var in identity.ProfilePatch
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	if err := a.identity.Accounts.UpdateProfile(c.r.Context(), c.actor(), in); err != nil {
		return answer{}, err
	}
	u, err := a.store.User(c.r.Context(), c.current.User.ID)
	if err != nil {
		return answer{}, err
	}
	return answer{message: "The profile is changed.", data: viewUser(u)}, nil
}

// deleteMe deletes the account; what stands in the way is named.
func (a *API) deleteMe(c *call) (answer, error) {
	ctx := c.r.Context()
	err := a.identity.Accounts.Delete(ctx, c.actor(), c.sid(), a.origin(c))
	if errors.Is(err, storage.ErrLastSuperadmin) {
		return answer{}, &web.Error{Status: http.StatusConflict, Message: "You are the last superadmin: without you nobody could administer this installation. Make somebody else one first.", Err: err}
	}
	if errors.Is(err, storage.ErrConflict) {
		return answer{}, a.blocked(c, err)
	}
	if err != nil {
		return answer{}, err
	}
	return answer{message: "The account is deleted."}, nil
}

func (a *API) blocked(c *call, cause error) error {
	d, err := a.identity.Accounts.PreviewDeletion(c.r.Context(), c.actor())
	if err != nil {
		return err
	}
	names := []string{}
	for _, o := range d.Blocking {
		names = append(names, o.Slug+" would be left without an owner: make somebody else owner, or remove its members")
	}
	return &web.Error{Status: http.StatusConflict, Message: "You are the only owner of an organization with other members.", Details: map[string][]string{"organizations": names}, Err: cause}
}

// changePassword counts a wrong present password as a failed sign-in.
func (a *API) changePassword(c *call) (answer, error) {
	var in struct {
		Current string `json:"current_password"`
		New     string `json:"new_password"`
	}
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	mark, err := a.signIn.ChangePassword(c.r.Context(), a.source(c), c.current, in.Current, in.New)
	if errors.Is(err, identity.ErrWrongPassword) {
		return answer{}, invalid("current_password", "is not your password")
	}
	a.sessions.SetCookies(c.w, c.r, "", mark)
	return answer{message: "The password is changed. All other sessions have ended, and what your applications held."}, renamed(err, map[string]string{"password": "new_password"})
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

func (a *API) listOrganizations(c *call) (answer, error) {
	p, err := a.page(c)
	if err != nil {
		return answer{}, err
	}
	var all []storage.Membership
	if b := c.personal; b != nil { // which knows of its own alone
		if o := b.Token.Organization; o.Slug > p.after {
			all = []storage.Membership{{Organization: o, Role: b.Role}}
		}
	} else if all, err = a.store.Memberships(c.r.Context(), c.current.User.ID, p.after, p.fetch()); err != nil {
		return answer{}, err
	}
	return listed(p, "Your organizations.", all, func(m *storage.Membership) string { return m.Organization.Slug },
		func(m *storage.Membership) organizationView { return a.viewOrganization(c, m) }), nil
}

// grantView is one authorization that an application holds.
type grantView struct {
	ID             uuid.UUID  `json:"id"`
	ClientID       string     `json:"client_id"`
	ClientName     string     `json:"client_name"` // empty for a client that is gone
	OrganizationID *uuid.UUID `json:"organization_id"`
	Scopes         []string   `json:"scopes"`
	Offline        bool       `json:"offline"`
	CreatedAt      time.Time  `json:"created_at"`
	ExpiresAt      time.Time  `json:"expires_at"`
}

func (a *API) viewGrant(ctx context.Context, g *storage.Grant) grantView {
	v := grantView{ID: g.ID, ClientID: g.ClientID, Scopes: g.Scopes, Offline: g.Offline, CreatedAt: g.CreatedAt, ExpiresAt: g.ExpiresAt}
	if g.OrganizationID != uuid.Nil {
		v.OrganizationID = &g.OrganizationID
	}
	if client, err := a.registry.Client(ctx, g.ClientID); err == nil {
		v.ClientName = client.Name()
	}
	return v
}

func (a *API) listGrants(c *call) (answer, error) {
	p, err := a.page(c)
	if err != nil {
		return answer{}, err
	}
	all, err := a.identity.Accounts.Grants(c.r.Context(), c.actor(), p.id(uuid.Max), p.fetch())
	if err != nil {
		return answer{}, err
	}
	return listed(p, "What you have allowed applications.", all, func(g *storage.Grant) string { return g.ID.String() },
		func(g *storage.Grant) grantView { return a.viewGrant(c.r.Context(), g) }), nil
}

func (a *API) revokeGrant(c *call) (answer, error) {
	id, err := c.id()
	if err != nil {
		return answer{}, err
	}
	return answer{message: "The application's access has ended, and it has to ask again."}, a.identity.Accounts.WithdrawGrant(c.r.Context(), c.actor(), id)
}

func (a *API) export(c *call) (answer, error) {
	all, err := a.identity.Accounts.Export(c.r.Context(), c.actor())
	return answer{message: "Everything that is held about you.", data: all}, err
}

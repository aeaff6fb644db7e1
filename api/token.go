package api

import (
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

// tokenView is a personal access token in answers.
type tokenView struct {
	ID             uuid.UUID  `json:"id"`
	Name           string     `json:"name"`
	OrganizationID uuid.UUID  `json:"organization_id"`
	Scopes         []string   `json:"scopes"`
	CreatedAt      time.Time  `json:"created_at"`
	ExpiresAt      time.Time  `json:"expires_at"`
	LastUsedAt     *time.Time `json:"last_used_at"`
	Token          string     `json:"token,omitempty"` // in the answer that creates it, and never again
}

func viewToken(t *storage.PersonalToken) tokenView {
	v := tokenView{ID: t.ID, Name: t.Name, OrganizationID: t.Organization.ID, Scopes: t.Scopes, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt}
	if !t.LastUsedAt.IsZero() {
		v.LastUsedAt = &t.LastUsedAt
	}
	return v
}

func (a *API) listTokens(c *call) (answer, error) {
	all, err := a.identity.Tokens.List(c.r.Context(), c.actor())
	if err != nil {
		return answer{}, err
	}
	list := []tokenView{}
	for i := range all {
		list = append(list, viewToken(&all[i]))
	}
	return answer{message: "Your personal access tokens.", data: list}, nil
}

// createToken gives out a personal access token, 30 days if nobody says.
func (a *API) createToken(c *call) (answer, error) {
	var in struct {
		Name           string    `json:"name"`
		OrganizationID uuid.UUID `json:"organization_id"`
		Scopes         []string  `json:"scopes"`
		Days           int       `json:"expires_in_days"`
	}
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	if in.OrganizationID == uuid.Nil {
		return answer{}, invalid("organization_id", "is missing")
	}
	most := int(identity.MaxTokenLife / (24 * time.Hour))
	if in.Days < 0 || in.Days > most {
		return answer{}, invalid("expires_in_days", fmt.Sprintf("is not from 1 to %d", most))
	}
	token, t, err := a.identity.Tokens.Create(c.r.Context(), c.actor(), identity.NewToken{Session: c.sid(), OrganizationID: in.OrganizationID, Name: in.Name, Scopes: in.Scopes,
		Life: time.Duration(in.Days) * 24 * time.Hour})
	if err != nil {
		return answer{}, err
	}
	v := viewToken(t)
	v.Token = token
	return answer{status: http.StatusCreated, message: "Keep the token: it is shown once.", data: v}, nil
}

func (a *API) revokeToken(c *call) (answer, error) {
	id, err := c.id()
	if err != nil {
		return answer{}, err
	}
	return answer{message: "The token does not work any more."}, a.identity.Tokens.Revoke(c.r.Context(), c.actor(), id)
}

package api

import (
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
)

// tokenView is a personal access token in responses.
type tokenView struct {
	ID             uuid.UUID  `json:"id"`
	Name           string     `json:"name"`
	OrganizationID uuid.UUID  `json:"organization_id"`
	Scopes         []string   `json:"scopes"`
	CreatedAt      time.Time  `json:"created_at"`
	ExpiresAt      time.Time  `json:"expires_at"`
	LastUsedAt     *time.Time `json:"last_used_at"`
	Token          string     `json:"token,omitempty"` // only in the response that creates it
}

func viewToken(t *storage.PersonalToken) tokenView {
	return tokenView{ID: t.ID, Name: t.Name, OrganizationID: t.Organization.ID, Scopes: t.Scopes,
		CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, LastUsedAt: timeOrNull(t.LastUsedAt)}
}

func (a *API) listTokens(c *call) (response, error) {
	all, err := a.identity.Tokens.List(c.r.Context(), c.actor())
	if err != nil {
		return response{}, err
	}
	list := []tokenView{}
	for i := range all {
		list = append(list, viewToken(&all[i]))
	}
	return response{message: "Your personal access tokens.", data: list}, nil
}

// tokenInput is the body that creates a personal access token. Days is 30 if it is left out.
type tokenInput struct {
	Name           string    `json:"name"`
	OrganizationID uuid.UUID `json:"organization_id"`
	Scopes         []string  `json:"scopes"`
	Days           int       `json:"expires_in_days"`
}

func (a *API) createToken(c *call, in *tokenInput) (response, error) {
	const maxDays = int(identity.MaxTokenLife / (24 * time.Hour))
	switch {
	case in.OrganizationID == uuid.Nil:
		return response{}, invalid("organization_id", "is missing")
	case in.Days < 0 || in.Days > maxDays:
		return response{}, invalid("expires_in_days", fmt.Sprintf("is not from 1 to %d", maxDays))
	}
	token, t, err := a.identity.Tokens.Create(c.r.Context(), c.actor(), identity.NewToken{Session: c.sid(),
		OrganizationID: in.OrganizationID, Name: in.Name, Scopes: in.Scopes, Life: assurance.Days(in.Days)})
	if err != nil {
		return response{}, err
	}
	v := viewToken(t)
	v.Token = token
	return response{status: http.StatusCreated, message: "Keep the token: it is shown once.", data: v}, nil
}

func (a *API) revokeToken(c *call) (response, error) {
	return response{message: "The token does not work any more."},
		a.identity.Tokens.Revoke(c.r.Context(), c.actor(), c.id)
}

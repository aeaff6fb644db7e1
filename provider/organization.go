package provider

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
)

// organizationErrors are the refusals of the rule about organizations in the terms of the protocol.
var organizationErrors = map[error]*Error{
	identity.ErrOrganizationConflict: refuse("invalid_request",
		"The parameter organization, the scope org:<slug> and the client's own organization name different organizations."),
	identity.ErrOrganizationDenied:      refuse("access_denied", "The person does not belong to the organization."),
	identity.ErrOrganizationInteraction: errMustInteract,
}

// organizationError is err in the terms of the protocol, if it is such a refusal.
func organizationError(err error) error {
	for rule, refusal := range organizationErrors {
		if errors.Is(err, rule) {
			return refusal
		}
	}
	return err
}

// resolveOrganization finds the flow's organization and the consent that goes with it, or
// leaves the choices to pick from. An organization that the request names was read with the session.
func (p *Provider) resolveOrganization(ctx context.Context, q *request, j *storage.FlowState) error {
	v := j.Session
	if !j.NeedsOrganization {
		j.Consent = v.Consent
		return nil
	}
	question := q.org
	question.Picked = j.Flow.OrganizationID
	id, slug, err := question.Named()
	if err != nil {
		return organizationError(err)
	}
	if id != uuid.Nil || slug != "" {
		if err := question.Check(v.Organization); err != nil {
			return organizationError(err)
		}
		if isHidden(j, v.Requirement) {
			return organizationError(identity.ErrOrganizationDenied)
		}
		j.Organization, j.Role, j.Consent = v.Organization, v.Role, v.Consent
		addRequirement(j, v.Requirement)
		return nil
	}
	choices, err := p.store.Choices(ctx, v.User.ID, j.Client.ID)
	if err != nil {
		return err
	}
	chosen, err := question.Choose(choices)
	if err != nil {
		return organizationError(err)
	}
	if chosen == nil {
		j.Choices = choices
		return nil
	}
	// The choice is made among all of them first: the next best one is another customer, to which the person has not
	// been asked to go.
	if isHidden(j, chosen.Requirement) {
		return organizationError(identity.ErrOrganizationInteraction)
	}
	j.Organization, j.Role, j.Consent = &chosen.Organization, chosen.Role, chosen.Consent
	addRequirement(j, chosen.Requirement)
	return nil
}

// isHidden reports whether an organization is to look as if the person were not in it: they have to set up a second
// factor for it first, have none at all, and cannot be asked for one. Their password alone must not tell a client where
// they are a member.
func isHidden(j *storage.FlowState, r *storage.Requirement) bool {
	return j.HasPrompt("none") && r != nil && len(j.Session.User.Factors) == 0 &&
		assurance.IsOverdue(nil, []storage.Requirement{*r}, j.Now)
}

// addRequirement adds what the flow's organization requires of the sign-in.
func addRequirement(j *storage.FlowState, r *storage.Requirement) {
	if r == nil {
		return
	}
	asked := *r
	asked.Organization = j.Organization
	j.Requirements = append(j.Requirements, asked)
}

// clientOrganization is the organization a client belongs to, for tokens of its own.
func (p *Provider) clientOrganization(ctx context.Context, c *client) (*storage.Organization, error) {
	o, err := p.registry.Organization(ctx, c.Organization)
	return o, replace(err, storage.ErrNotFound, errInvalidClient.because(errors.New("the client's organization is gone")))
}

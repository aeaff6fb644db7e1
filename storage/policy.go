package storage

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
)

// Second factors that a policy can require.
const (
	RequireAny     = "any"     // any second step, or a passkey
	RequireTOTP    = "totp"    // a code of an authenticator app
	RequirePasskey = "passkey" // WebAuthn, which cannot be phished
)

// MFAPolicy asks people for a second step. The zero value asks for nothing.
type MFAPolicy struct {
	// Require is RequireAny, RequireTOTP or RequirePasskey; "" asks for nothing.
	Require string `json:"require,omitempty"`
	// GraceDays is how long people have to enrol, from Since or from when they came, whichever is later.
	GraceDays int       `json:"grace_days,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	// Earlier is the policy that was in force when this one was set; nil for none. It
	// goes on until GraceDays after Since.
	Earlier *MFAPolicy `json:"earlier,omitempty"`
}

// Settled is when nothing of an earlier policy goes on any more.
func (p *MFAPolicy) Settled() time.Time {
	return p.Since.Add(time.Duration(p.GraceDays) * 24 * time.Hour)
}

// Requirement is a policy as it applies to one person.
type Requirement struct {
	Policy MFAPolicy
	// Organization is whose policy it is; nil for the installation's.
	Organization *Organization
	// From is when it began to apply to the person.
	From time.Time
}

// Deadline is when the person must have enrolled.
func (r *Requirement) Deadline() time.Time {
	from := r.From
	if r.Policy.Since.After(from) {
		from = r.Policy.Since
	}
	return from.Add(time.Duration(r.Policy.GraceDays) * 24 * time.Hour)
}

// OrganizationSettings are an organization's own rules.
type OrganizationSettings struct {
	MFA MFAPolicy `json:"mfa,omitzero"`
}

// PlatformSettings are the installation's own rules, which a superadmin changes while it runs.
type PlatformSettings struct {
	MFA   MFAPolicy     `json:"mfa,omitzero"`
	Brand BrandSettings `json:"brand,omitzero"`
}

// BrandSettings are how the installation presents itself where its configuration
// does not say.
type BrandSettings struct {
	Name  string `json:"name,omitempty"`
	Color string `json:"color,omitempty"` // #rrggbb
	Logo  string `json:"logo,omitempty"`  // a data:image/…;base64 URL
}

// requirement is what the rules ask of a member since then; nil if nothing.
func (o *OrganizationSettings) requirement(since time.Time) *Requirement {
	if o.MFA.Require == "" {
		return nil
	}
	return &Requirement{Policy: o.MFA, From: since}
}

// Requirements are what the organizations of a person ask of their sign-ins.
func (s *Store) Requirements(ctx context.Context, userID uuid.UUID) ([]Requirement, error) {
	var all []Requirement
	err := s.rows(ctx, func(r scanner) error {
		var o Organization
		var settings OrganizationSettings
		var since time.Time
		err := r.Scan(append(organizationRow.dest(&o), &settings, &since)...)
		if asked := settings.requirement(since); asked != nil {
			asked.Organization = &o
			all = append(all, *asked)
		}
		return err
	}, `SELECT `+organizationRow.columns+`, o.settings, m.created_at FROM memberships m JOIN organizations o ON o.id = m.organization_id
		WHERE m.user_id = ? AND o.deleted_at IS NULL AND o.settings <> '{}' ORDER BY o.id`, id(userID))
	return all, fault("read what organizations require", err)
}

// OrganizationSettings returns the rules of a live organization.
func (s *Store) OrganizationSettings(ctx context.Context, organizationID uuid.UUID) (OrganizationSettings, error) {
	var settings OrganizationSettings
	err := s.row(ctx, `SELECT o.settings FROM organizations o WHERE o.id = ? AND o.deleted_at IS NULL`, id(organizationID)).Scan(&settings)
	return settings, fault("read an organization's settings", err)
}

// EditOrganizationSettings changes them. edit may be run more than once, and is
// given what no other change can overtake; a nil event of it is no change.
func (s *Store) EditOrganizationSettings(ctx context.Context, organizationID uuid.UUID, edit func(*OrganizationSettings) *Event) error {
	return s.change(ctx, "set an organization's settings", func(t *tx) error {
		if err := t.lockOrganization(ctx, organizationID); err != nil {
			return err
		}
		var settings OrganizationSettings
		if err := t.row(ctx, `SELECT settings FROM organizations WHERE id = ?`, id(organizationID)).Scan(&settings); err != nil {
			return err
		}
		e := edit(&settings)
		if e == nil {
			return nil
		}
		value, err := json.Marshal(settings)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, `UPDATE organizations SET settings = ? WHERE id = ?`, string(value), id(organizationID)); err != nil {
			return err
		}
		return t.event(ctx, e)
	})
}

const settingPlatform = "platform"

// PlatformSettings returns the installation's rules; the zero value before anybody set any.
func (s *Store) PlatformSettings(ctx context.Context) (PlatformSettings, error) {
	var settings PlatformSettings
	err := s.row(ctx, `SELECT value FROM settings WHERE name = ?`, settingPlatform).Scan(&settings)
	if errors.Is(classify(err), ErrNotFound) {
		err = nil
	}
	return settings, fault("read the settings", err)
}

// EditPlatformSettings changes them as EditOrganizationSettings does; every process
// sees it within a second.
func (s *Store) EditPlatformSettings(ctx context.Context, edit func(*PlatformSettings) *Event) error {
	return s.change(ctx, "set the settings", func(t *tx) error {
		// It takes the row until the transaction ends, and makes it before the first change.
		var settings PlatformSettings
		if err := t.row(ctx, `INSERT INTO settings (name, value, updated_at) VALUES (?, '{}', ?)
			ON CONFLICT (name) DO UPDATE SET updated_at = excluded.updated_at RETURNING value`, settingPlatform, usec(s.clock())).Scan(&settings); err != nil {
			return err
		}
		e := edit(&settings)
		if e == nil {
			return nil
		}
		value, err := json.Marshal(settings)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, `UPDATE settings SET value = ? WHERE name = ?`, string(value), settingPlatform); err != nil {
			return err
		}
		if err := t.changeRegistry(ctx, registryChange{changedSettings, ""}); err != nil {
			return err
		}
		return t.event(ctx, e)
	})
}

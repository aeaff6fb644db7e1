package identity

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

const maxSlug = 39

var slugGrammar = regexp.MustCompile(`^[a-z][a-z0-9-]{1,38}$`)

// reservedSlugs are names that look like a part of the product, or like no value.
var reservedSlugs = []string{
	"account", "admin", "administrator", "api", "app", "audit", "auth", "authorize", "callback", "client", "clients",
	"console", "consent",
	"default", "demo", "dev", "docs", "false", "health", "healthz", "help", "internal", "invite", "jwks", "login",
	"logout", "mail", "me",
	"metrics", "new", "nil", "none", "null", "oauth", "oauth2", "oidc", "org", "organization", "organizations", "orgs",
	"platform", "public",
	"readyz", "recover", "register", "root", "sallyport", "saml", "scim", "security", "settings", "setup", "static",
	"status", "superadmin",
	"support", "system", "token", "true", "undefined", "userinfo", "users", "verify", "webhooks", "well-known", "www",
}

// CheckSlug applies the rules for the name of an organization in URLs, scopes and tokens. The error is FieldErrors.
func CheckSlug(slug string) error {
	const remedy = "use 2 to 39 of a-z, 0-9 and -, beginning with a letter, such as acme-corp"
	var faults FieldErrors
	switch _, err := uuid.Parse(slug); {
	case len(slug) > maxSlug || !slugGrammar.MatchString(slug):
		faults.Add("slug", fmt.Sprintf("%q is not a slug", Clip(slug)), remedy)
	case slices.Contains(reservedSlugs, slug):
		faults.Add("slug", fmt.Sprintf("%q is reserved", slug), "choose another")
	case err == nil:
		// The organization parameter takes an id or a slug; nothing may be both.
		faults.Add("slug", "looks like the id of an organization", "choose another")
	}
	return faults.err()
}

// checkName is for visible names: one line without invisible characters, which could make it look like another name.
func checkName(faults *FieldErrors, field, name string, max int) {
	switch {
	case len(name) > utf8.UTFMax*max: // before the work of looking at each character
		faults.Add(field, fmt.Sprintf("has more than %d characters", max), "choose a shorter one")
	case strings.TrimSpace(name) != name || name == "":
		faults.Add(field, "is empty or begins or ends with a space", "write a name")
	case !utf8.ValidString(name) || utf8.RuneCountInString(name) > max:
		faults.Add(field, fmt.Sprintf("has more than %d characters", max), "choose a shorter one")
	case strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || unicode.Is(unicode.Cf,
			r) && r != '\u200d' && r != '\u200c'
	}):
		faults.Add(field, "has invisible characters in it", "type it again")
	}
}

// Clip shortens typed text for a message.
func Clip(s string) string {
	characters := 0
	for at := range s {
		if characters++; characters > 60 {
			return s[:at] + "…"
		}
	}
	return s
}

// Create creates an organization, with an owner unless it is uuid.Nil. storage.ErrExists if the slug is or was taken,
// storage.ErrEmailUnverified if the owner's address is not verified, storage.ErrNotFound if there is no such user.
func (og *Organizations) Create(ctx context.Context, a Actor, slug, name string, owner uuid.UUID) (*storage.Organization,
	error) {
	if err := og.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return nil, err
	}
	var faults FieldErrors
	faults.AddAll(CheckSlug(slug))
	checkName(&faults, "name", name, 100)
	if len(faults) > 0 {
		return nil, faults
	}
	if owner != uuid.Nil {
		// A verified address stays verified, so that this read needs no lock.
		if u, err := og.store.User(ctx, owner); err != nil {
			return nil, err
		} else if !u.EmailVerified() {
			return nil, storage.ErrEmailUnverified
		}
	}
	n := PrepareOrganization(a, slug, name, owner, og.currentTime())
	return &n.Organization, og.store.CreateOrganizations(ctx, n)
}

// PrepareOrganization is an organization to create at now, with its event.
func PrepareOrganization(a Actor, slug, name string, owner uuid.UUID, now time.Time) *storage.NewOrganization {
	o := storage.Organization{ID: uuid.Must(uuid.NewV7()), Slug: slug, Name: name, CreatedAt: now, UpdatedAt: now}
	e := WithFact(a.Event(storage.EventOrganizationCreated), "slug", slug)
	e.Organization, e.User = o.ID, owner
	return &storage.NewOrganization{Organization: o, Owner: owner, Event: e}
}

// BySlug finds an organization for its members, superadmins and the operator.
func (og *Organizations) BySlug(ctx context.Context, a Actor, slug string) (*storage.Organization, error) {
	o, err := og.store.OrganizationBySlug(ctx, slug)
	if err != nil {
		return nil, err
	}
	if err := og.Authorize(ctx, &a, SeeOrganization, o.ID); err != nil {
		return nil, err
	}
	return o, nil
}

// List returns up to limit organizations after the id after.
func (og *Organizations) List(ctx context.Context, a Actor, after uuid.UUID, limit int) ([]storage.Organization, error) {
	if err := og.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return nil, err
	}
	return og.store.Organizations(ctx, after, limit)
}

// Rename changes the visible name. The slug never changes, because relying parties have stored it.
func (og *Organizations) Rename(ctx context.Context, a Actor, organizationID uuid.UUID, name string) error {
	if err := og.Authorize(ctx, &a, ManageOrganization, organizationID); err != nil {
		return err
	}
	var faults FieldErrors
	if checkName(&faults, "name", name, 100); len(faults) > 0 {
		return faults
	}
	e := a.Event(storage.EventOrganizationRenamed)
	e.Organization = organizationID
	return og.store.RenameOrganization(ctx, organizationID, name, e)
}

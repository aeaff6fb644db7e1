package identity

import (
	"cmp"
	"context"
	"encoding/hex"
	"strings"
	"unicode"

	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"golang.org/x/text/unicode/norm"
)

// The values of PERSONAL_ORG.
const (
	PersonalAlways    = "always"    // every user gets an organization of their own
	PersonalUninvited = "uninvited" // only users who are in none at their first sign-in
	PersonalNever     = "never"
)

// OnFirstSignIn records a user's first sign-in and gives them an organization of their own if PERSONAL_ORG says so. At
// later sign-ins it does nothing. u is not changed.
func (ac *Accounts) OnFirstSignIn(ctx context.Context, u *storage.User) error {
	if !u.FirstSignInAt.IsZero() {
		return nil
	}
	var own []*storage.NewOrganization
	if ac.personalOrg == PersonalAlways || ac.personalOrg == PersonalUninvited {
		own = ac.personalOrganizations(u)
	}
	_, err := ac.store.OnFirstSignIn(ctx, u.ID, ac.personalOrg == PersonalAlways, own)
	return err
}

// personalOrganizations are alternatives for a user's own organization, with different slugs, because another user of
// the same name may have the first.
func (ac *Accounts) personalOrganizations(u *storage.User) []*storage.NewOrganization {
	name, slug := personalOrganizationName(u)
	var all []*storage.NewOrganization
	for n := range 4 {
		s := slug
		if n > 0 {
			s += "-" + hex.EncodeToString(secret.Random(4))
		}
		if CheckSlug(s) != nil {
			continue
		}
		o := PrepareOrganization(Actor{}, s, name, u.ID, ac.currentTime())
		// The slug is made of the user's name, so it is personal data, which is erased with the user.
		o.Event.Facts, o.Event.Personal = map[string]any{"personal": true}, map[string]string{"slug": s}
		all = append(all, o)
	}
	return all
}

// maxOwnSlug leaves room for a random suffix.
const maxOwnSlug = 39 - 9

// personalOrganizationName is the name of a user's own organization, "Bob's organization", and the slug,
// bobs-organization. The suffix prevents taking the slug of a company by using its name as one's own.
func personalOrganizationName(u *storage.User) (name, slug string) {
	const end = "-organization"
	local, _, _ := strings.Cut(u.Email, "@")
	owner := cmp.Or(visibleName(u.Profile.Name), visibleName(local))
	if owner == "" {
		return "My organization", "personal" + end
	}
	if slug = slugOf(owner); slug == "" {
		return owner + "’s organization", "personal" + end
	}
	slug += "s"
	return owner + "’s organization", strings.TrimRight(slug[:min(len(slug), maxOwnSlug-len(end))], "-") + end
}

// visibleName is a name that checkName accepts, short enough to be a part of another.
func visibleName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	if r := []rune(name); len(r) > 80 {
		name = string(r[:80])
	}
	return strings.TrimSpace(name)
}

// slugOf is the part of a name in a-z, 0-9 and -, from its first letter on; "" if there is none.
func slugOf(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(name)) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9' && b.Len() > 0:
			b.WriteRune(r)
		case (unicode.IsSpace(r) || unicode.IsPunct(r)) && r != '\'' && r != '’' && b.Len() > 0 &&
			!strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.TrimRight(b.String(), "-")
}

package provider

import (
	"github.com/sallyport-id/sallyport/storage"
)

// maxGroups bounds the claim groups: relying parties keep it in cookies and headers.
const maxGroups = 200

// groups are the groups of a member of an organization. Each value is qualified by the slug, so that a role in one
// organization never passes for the same role in another. Guests are not in the group of the members.
func groups(slug, role string) []string {
	if role == storage.RoleGuest {
		return []string{slug + ":" + role}
	}
	return []string{slug, slug + ":" + role}
}

// groupsOfOne is the claim groups of the token's one organization. It is an array even if it is empty: a relying party
// that gets no claim may go on with the groups that it remembers.
func groupsOfOne(a *storage.Authorization) []string {
	if a.Organization == nil || a.Role == "" {
		return []string{}
	}
	return groups(a.Organization.Slug, a.Role)
}

// groupsOfAll adds the claim groups of all organizations that the claim organizations tells, the token's own first.
// No organization is told in part; groups_truncated says that there are more than maxGroups.
func groupsOfAll(claims map[string]any, a *storage.Authorization) {
	all := groupsOfOne(a)
	for _, m := range a.Memberships {
		if a.Organization != nil && m.Organization.ID == a.Organization.ID {
			continue
		}
		more := groups(m.Organization.Slug, m.Role)
		if len(all)+len(more) > maxGroups {
			claims["groups_truncated"] = true
			break
		}
		all = append(all, more...)
	}
	claims["groups"] = all
}

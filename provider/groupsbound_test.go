package provider

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// A person in many organizations has at most 200 groups, those of the token's organization among them, and no
// organization in part.
func TestGroupsAreBounded(t *testing.T) {
	for _, tc := range []struct {
		organizations, guestOf int
		own                    bool
		want                   int
		truncated              bool
	}{
		{0, 0, false, 0, false}, {1, 0, true, 2, false}, {100, 0, true, 200, false}, {101, 0, true, 200, true}, {101, 1, true, 199, true},
		{101, 2, true, 200, false}, {500, 0, true, 200, true}, {500, 0, false, 200, true},
	} {
		a := &storage.Authorization{}
		for n := range tc.organizations {
			m := storage.Membership{Role: storage.RoleMember, Organization: storage.Organization{ID: uuid.New(), Slug: fmt.Sprintf("org-%03d", n)}}
			if n < tc.guestOf {
				m.Role = storage.RoleGuest
			}
			a.Memberships = append(a.Memberships, m)
		}
		if tc.own {
			last := a.Memberships[tc.organizations-1]
			a.Organization, a.Role = &last.Organization, last.Role
		}
		claims := map[string]any{}
		groupsOfAll(claims, a)
		got := claims["groups"].([]string)
		if truncated := claims["groups_truncated"] == true; len(got) != tc.want || truncated != tc.truncated {
			t.Errorf("%+v: %d groups, truncated %v", tc, len(got), truncated)
		}
		if tc.own && got[0] != a.Organization.Slug {
			t.Errorf("%+v: the first group is %s, not the token's own %s", tc, got[0], a.Organization.Slug)
		}
	}
}

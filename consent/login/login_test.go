package login

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

var now = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

// The page says why it asks, and fills in whom it expects; after "not you?" nobody.
func TestWhomTheFormIsFor(t *testing.T) {
	bob := &storage.SessionContext{User: storage.User{Email: "bob@example.com"}}
	app := &storage.Client{ID: "app", Metadata: storage.Metadata{ClientName: "Acme Portal"}}
	for name, tc := range map[string]struct {
		j           storage.FlowState
		whom, notes string
	}{
		"a stranger":   {storage.FlowState{Flow: &storage.Flow{RequestedAt: now}}, "", ""},
		"a hint":       {storage.FlowState{Flow: &storage.Flow{RequestedAt: now}, LoginHint: "eve@example.com"}, "eve@example.com", ""},
		"prompt=login": {storage.FlowState{Flow: &storage.Flow{RequestedAt: now, SignInAfter: now}, LoginHint: "eve@example.com", Session: bob}, "bob@example.com", "Acme Portal asks"},
		"not you":      {storage.FlowState{Flow: &storage.Flow{RequestedAt: now, SignInAfter: now.Add(time.Second)}, LoginHint: "eve@example.com", Session: bob}, "", "somebody else"},
	} {
		tc.j.Client = app
		if got := expectedEmail(&tc.j); got != tc.whom {
			t.Errorf("%s: for %q, want %q", name, got, tc.whom)
		}
		if got := whyAgain(&tc.j); !strings.Contains(got, tc.notes) || (got == "") != (tc.notes == "") {
			t.Errorf("%s: says %q, want %q in it", name, got, tc.notes)
		}
	}
}

// The last choice comes first, the others keep their order.
func TestOrderOfOrganizations(t *testing.T) {
	choices := func(last ...time.Duration) (all []storage.Choice) {
		for i, d := range last {
			c := storage.Choice{Organization: storage.Organization{ID: uuid.New(), Slug: string(rune('a' + i))}, Role: storage.RoleOwner}
			if d != 0 {
				c.LastUsedAt = now.Add(d)
			}
			all = append(all, c)
		}
		return all
	}
	for name, tc := range map[string]struct {
		in   []storage.Choice
		want string
		last bool
	}{
		"none":       {nil, "", false},
		"never used": {choices(0, 0, 0), "abc", false},
		"the middle": {choices(0, 1, 0), "bac", true},
		"the latest": {choices(1, 2, 3), "cab", true},
		"the first":  {choices(3, 2, 0), "abc", true},
	} {
		page := organizationPage(tc.in)
		var got strings.Builder
		for _, o := range page.Organizations {
			got.WriteString(o.Slug)
		}
		if got.String() != tc.want || page.LastUsed != tc.last {
			t.Errorf("%s: got %q, last used %v; want %q, %v", name, got.String(), page.LastUsed, tc.want, tc.last)
		}
	}
}

package api_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/harness"
)

// pages walks over a list and returns the ids of each page.
func (c *caller) pages(t *testing.T, path, limit string) (all [][]string, cursors []string) {
	t.Helper()
	query := "?limit=" + limit
	for {
		r := c.want(t, http.StatusOK, "GET", path+query, nil)
		var ids []string
		for _, v := range r.list(t) {
			ids = append(ids, v["id"].(string))
		}
		all = append(all, ids)
		var meta struct {
			Next *string `json:"next"`
		}
		if err := json.Unmarshal(r.Meta, &meta); err != nil {
			t.Fatal(err)
		}
		if meta.Next == nil {
			return all, cursors
		}
		if len(all) > 10 {
			t.Fatalf("%s has no end", path)
		}
		cursors = append(cursors, *meta.Next)
		query = "?limit=" + limit + "&after=" + url.QueryEscape(*meta.Next)
	}
}

// Lists page: by an opaque cursor, which is good for its list and its caller alone.
func TestListsPage(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		c := newCaller(t, s)
		for range 3 {
			c.signIn(t, harness.Alice, true)
			c.want(t, http.StatusCreated, "POST", "/users/me/tokens", object{"name": "x", "organization_id": organization(t, c, "acme-corp"), "scopes": []string{"sallyport:read"}})
			s.Portal().SignIn(t, s.Browser(t), harness.Alice, nil)
		}
		acme := organization(t, c, "acme-corp")
		lists := []string{"/auth/sessions", "/users/me/tokens", "/users/me/grants", "/users/me/organizations", "/organizations/" + acme + "/compliance"}
		cursors := map[string]string{}
		for _, path := range lists {
			whole, none := c.pages(t, path, "200")
			if len(whole) != 1 || len(none) != 0 || len(whole[0]) < 2 {
				t.Fatalf("%s: one page of %v", path, whole)
			}
			var want, got []string
			want = whole[0]
			single, next := c.pages(t, path, "1")
			for _, ids := range single {
				got = append(got, ids...)
			}
			if diff := cmp.Diff(want, got); diff != "" || len(single) != len(want) {
				t.Errorf("%s in %d pages of one: %s", path, len(single), diff)
			}
			for _, cursor := range next {
				for _, id := range want {
					if strings.Contains(cursor, id) {
						t.Errorf("%s: the cursor is an id: %s", path, cursor)
					}
				}
			}
			cursors[path] = next[0]
		}
		other := newCaller(t, s)
		other.signIn(t, harness.Bob, true)
		other.refused(t, "VALIDATION_ERROR", "GET", "/users/me/organizations?after="+cursors["/users/me/organizations"], nil)
		for _, path := range append(lists, "/auth/webauthn/credentials") {
			for _, bad := range []string{"limit=0", "limit=201", "limit=-1", "limit=x", "limit=", "after=", "after=x", "after=" + acme, "after=" + strings.Repeat("A", 66),
				"after=" + cursors["/auth/sessions"][1:], "after=" + cursors["/auth/sessions"] + "AAAA"} {
				field, _, _ := strings.Cut(bad, "=")
				if r := c.refused(t, "VALIDATION_ERROR", "GET", path+"?"+bad, nil); r.Error.Details[field] == nil {
					t.Errorf("%s?%s: details %v", path, bad, r.Error.Details)
				}
			}
			c.refused(t, "BAD_REQUEST", "GET", path+"?limit=1&limit=2", nil)
			for from, cursor := range cursors {
				if from != path {
					c.refused(t, "VALIDATION_ERROR", "GET", path+"?after="+cursor, nil)
				}
			}
		}
		if r := c.want(t, http.StatusOK, "GET", "/auth/webauthn/credentials?limit=1", nil); string(r.Meta) != `{"limit":1}` || len(r.list(t)) != 0 {
			t.Errorf("credentials: %s", r.Body)
		}
	})
}

package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// A member that is left out of a policy must not switch it off; and what is wrong is named
// as the caller wrote it.
func TestAPolicyIsSetAsAWhole(t *testing.T) {
	s := harness.Start(t, "sqlite", harness.Options{})
	c := newCaller(t, s)
	c.signIn(t, harness.Alice, true)
	admin := newCaller(t, s)
	admin.signIn(t, harness.Admin, true)
	acme := "/organizations/" + organization(t, c, "acme-corp") + "/security-policy"
	for path, by := range map[string]*caller{acme: c, "/admin/settings": admin} {
		by.want(t, http.StatusOK, "PUT", path, object{"mfa": object{"require": "any", "grace_days": 14}})
		for body, field := range map[string]string{
			`{}`:           "mfa",
			`{"mfa":null}`: "mfa",
			`{"mfa":{}}`:   "mfa.require",
			`{"mfa":{"require":null,"grace_days":14}}`:    "mfa.require",
			`{"mfa":{"grace_days":14}}`:                   "mfa.require",
			`{"mfa":{"require":"any"}}`:                   "mfa.grace_days",
			`{"mfa":{"require":"any","grace_days":null}}`: "mfa.grace_days",
			`{"mfa":{"require":"all","grace_days":14}}`:   "mfa.require",
			`{"mfa":{"require":"any","grace_days":91}}`:   "mfa.grace_days",
			`{"mfa":{"require":["any"],"grace_days":1}}`:  "mfa.require",
		} {
			if r := by.refused(t, "VALIDATION_ERROR", "PUT", path, body); r.Error.Details[field] == nil {
				t.Errorf("%s %s: details %v, want %s", path, body, r.Error.Details, field)
			}
		}
		if r := by.want(t, http.StatusOK, "GET", path, nil); !strings.Contains(r.Body, `"require":"any","grace_days":14`) {
			t.Errorf("%s: afterwards %s", path, r.Body)
		}
		by.want(t, http.StatusOK, "PUT", path, object{"mfa": object{"require": ""}})
		if r := by.want(t, http.StatusOK, "GET", path, nil); !strings.Contains(r.Body, `"require":""`) {
			t.Errorf("%s: switched off %s", path, r.Body)
		}
	}
}

// Until the grace of a stricter policy is over the one before it is in force, and
// shown beside it.
func TestAPolicyShowsWhatIsStillInForce(t *testing.T) {
	s := harness.Start(t, "sqlite", harness.Options{})
	c := newCaller(t, s)
	c.signIn(t, harness.Alice, true)
	c.enrolTOTP(t)
	path := "/organizations/" + organization(t, c, "acme-corp") + "/security-policy"
	c.want(t, http.StatusOK, "PUT", path, object{"mfa": object{"require": "any", "grace_days": 0}})
	c.want(t, http.StatusOK, "PUT", path, object{"mfa": object{"require": "passkey", "grace_days": 14}})
	if r := c.want(t, http.StatusOK, "GET", path, nil); !strings.Contains(r.Body, `"require":"passkey","grace_days":14`) || !strings.Contains(r.Body, `"earlier":{"require":"any"`) {
		t.Errorf("got %s", r.Body)
	}
}

// details name the members that the caller sent.
func TestDetailsNameTheCallersMembers(t *testing.T) {
	s := harness.Start(t, "sqlite", harness.Options{})
	c := newCaller(t, s)
	c.signIn(t, harness.Alice, true)
	acme := organization(t, c, "acme-corp")
	for _, k := range []struct {
		path, field string
		body        object
	}{
		{"/users/me/password", "new_password", object{"current_password": harness.Alice.Password, "new_password": "password"}},
		{"/users/me/password", "new_password", object{"current_password": harness.Alice.Password, "new_password": harness.Alice.Password}},
		{"/users/me/password", "current_password", object{"current_password": "wrong", "new_password": "quite another phrase 4"}},
		{"/users/me/tokens", "organization_id", object{"name": "x", "organization_id": "acme-corp", "scopes": []string{"sallyport:read"}}},
		{"/users/me/tokens", "organization_id", object{"name": "x", "organization_id": 7, "scopes": []string{"sallyport:read"}}},
		{"/users/me/tokens", "organization_id", object{"name": "x", "scopes": []string{"sallyport:read"}}},
		{"/users/me/tokens", "scopes", object{"name": "x", "organization_id": acme, "scopes": []string{"all"}}},
		{"/users/me/tokens", "scopes", object{"name": "x", "organization_id": acme, "scopes": []any{nil}}},
		{"/users/me/tokens", "name", object{"organization_id": acme, "scopes": []string{"sallyport:read"}}},
	} {
		if r := c.refused(t, "VALIDATION_ERROR", "POST", k.path, k.body); len(r.Error.Details) != 1 || r.Error.Details[k.field] == nil {
			t.Errorf("%s %v: details %v, want %s", k.path, k.body, r.Error.Details, k.field)
		}
	}
}

// The platform role admin reads what a superadmin reads, of the installation and of organizations that its person is not
// in, and sets nothing.
func TestAPlatformAdminReadsPoliciesAndSetsNone(t *testing.T) {
	s := harness.Start(t, "sqlite", harness.Options{})
	alice, c := newCaller(t, s), newCaller(t, s)
	alice.signIn(t, harness.Alice, true)
	c.signIn(t, harness.Bob, true)
	tech := "/organizations/" + organization(t, alice, "tech-startup")
	reads := []string{"/admin/settings", tech + "/security-policy", tech + "/compliance"}
	for _, path := range reads {
		if r := c.call(t, "GET", path, nil); r.Status == http.StatusOK {
			t.Errorf("%s: read by one without a role", path)
		}
	}
	bob, err := s.App.Identity.People.ByEmail(t.Context(), identity.Operator(), harness.Bob.Email)
	if err == nil {
		_, err = s.App.Identity.People.AddPlatformRole(t.Context(), identity.Operator(), bob.ID, storage.RolePlatformAdmin)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range reads {
		c.want(t, http.StatusOK, "GET", path, nil)
	}
	for _, path := range []string{"/admin/settings", tech + "/security-policy"} {
		if r := c.call(t, "PUT", path, object{"mfa": object{"require": "any", "grace_days": 14}}); r.Status != http.StatusForbidden && r.Status != http.StatusNotFound {
			t.Errorf("%s: a platform admin sets it: %d %s", path, r.Status, r.Body)
		}
	}
}

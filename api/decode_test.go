package api_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// DO-01: a body's members and elements are counted, and the count ends the reading.
func TestABodyHasABoundedNumberOfParts(t *testing.T) {
	s := harness.Start(t, "sqlite", harness.Options{})
	c := newCaller(t, s)
	c.signIn(t, harness.Bob, true)
	var members strings.Builder
	for i := range 1001 {
		members.WriteString(`"m` + strconv.Itoa(i) + `":1,`)
	}
	elements := strings.Repeat("[],", 1001)
	for name, body := range map[string]string{
		"members":  `{"credential":{` + strings.TrimSuffix(members.String(), ",") + `},"name":"x"}`,
		"elements": `{"credential":[` + strings.TrimSuffix(elements, ",") + `],"name":"x"}`,
		// The text after the bound is not looked at.
		"the rest": `{"credential":{` + members.String() + `no JSON at all`,
	} {
		r := c.refused(t, "BAD_REQUEST", "POST", "/auth/webauthn/register/complete", body)
		if !strings.Contains(r.Message, "more than 1000") {
			t.Errorf("%s: got %s", name, r.Message)
		}
	}
}

// DO-01: a name that is not known is not sent back whole, nor is a number.
func TestLongInputIsNotEchoed(t *testing.T) {
	s := harness.Start(t, "sqlite", harness.Options{})
	c := newCaller(t, s)
	c.signIn(t, harness.Bob, true)
	long := strings.Repeat("ä", 5000)
	for path, body := range map[string]string{
		"/auth/login":                      `{"` + long + `":1}`,
		"/auth/forgot-password":            `{"email":1` + strings.Repeat("0", 5000) + `}`,
		"/auth/webauthn/register/complete": `{"credential":{"` + long + `":1,"` + long + `":2},"name":"x"}`,
	} {
		r := c.refused(t, "VALIDATION_ERROR", "POST", path, body)
		for field, problems := range r.Error.Details {
			if n := utf8.RuneCountInString(field); n > 80 || len(problems[0]) > 100 {
				t.Errorf("%s: a field of %d characters, %d bytes of problem", path, n, len(problems[0]))
			}
		}
	}
}

// HT-07: a member counts under its own name alone, and a null is no value.
func TestMembersAreTakenByTheirNamesAlone(t *testing.T) {
	s := harness.Start(t, "sqlite", harness.Options{})
	c := newCaller(t, s)
	for body, field := range map[string]string{
		`{"email":"bob@acme-corp.com","password":"a","paſſword":"b"}`: "paſſword",
		`{"email":"bob@acme-corp.com","Password":"a"}`:                "Password",
		`{"email":null,"password":"a"}`:                               "email",
		`{"email":"bob@acme-corp.com","password":null}`:               "password",
		`{"email":"bob@acme-corp.com","password":"a","token":null}`:   "token",
		`{"email":"bob@acme-corp.com","password":["a"]}`:              "password",
	} {
		r := c.refused(t, "VALIDATION_ERROR", "POST", "/auth/login", body)
		if r.Error.Details[field] == nil {
			t.Errorf("%s: details %v", body, r.Error.Details)
		}
	}
	c.signIn(t, harness.Bob, true)
	c.want(t, http.StatusOK, "PATCH", "/users/me", object{"nickname": "Bobby", "address": object{"country": "DE"}})
	c.want(t, http.StatusOK, "PATCH", "/users/me", object{"nickname": nil, "address": nil})
	if me := c.want(t, http.StatusOK, "GET", "/users/me", nil); !strings.Contains(me.Body, "Bobby") || !strings.Contains(me.Body, `"DE"`) {
		t.Errorf("null changes the profile: %s", me.Body)
	}
	for field, body := range map[string]object{
		"address.country": {"address": object{"country": nil}},
		"address.planet":  {"address": object{"planet": "Earth"}},
	} {
		if r := c.refused(t, "VALIDATION_ERROR", "PATCH", "/users/me", body); r.Error.Details[field] == nil {
			t.Errorf("%s: details %v", field, r.Error.Details)
		}
	}
	c.refused(t, "VALIDATION_ERROR", "POST", "/auth/webauthn/register/complete", `{"name":"x","credential":{"id":"a","ID":"b"}}`)
}

// An endpoint without a body accepts an object with nothing in it, written however, and nothing else.
func TestWhatTakesNoBodyRefusesOne(t *testing.T) {
	s := harness.Start(t, "sqlite", harness.Options{})
	c := newCaller(t, s)
	for _, e := range [][2]string{{"POST", "/auth/logout"}, {"POST", "/auth/verify-email/send"}, {"DELETE", "/auth/sessions"}, {"GET", "/users/me"}, {"DELETE", "/users/me"}} {
		c.signIn(t, harness.Bob, true)
		for _, body := range []string{"junk", "{", "}", "{{}}", "[]", "null", `{"a":1}`, "{} {}", "\u00a0", strings.Repeat("x", 900_000)} {
			if r := c.call(t, e[0], e[1], body); r.Status != http.StatusBadRequest || r.Error.Type != "BAD_REQUEST" {
				t.Fatalf("%s %s with %.10q: got %d %s", e[0], e[1], body, r.Status, r.Body)
			}
		}
		if r := c.call(t, e[0], e[1], " {\r\n\t} "); !r.Success {
			t.Errorf("%s %s with an empty object: got %d %s", e[0], e[1], r.Status, r.Body)
		}
		c.token = ""
	}
}

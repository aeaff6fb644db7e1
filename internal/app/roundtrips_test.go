package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// background are statements of the workers, which run whatever is asked.
var background = []string{"FROM versions", "clock_timestamp()", "goose_db_version", "leases"}

// tripsOf counts what do costs at the database, without the workers' statements.
func tripsOf(s *harness.Server, do func()) (int, []string) {
	s.Counter.Reset()
	do()
	_, log := s.Counter.Trips()
	var own []string
next:
	for _, q := range log {
		for _, b := range background {
			if strings.Contains(q, b) {
				continue next
			}
		}
		own = append(own, strings.Join(strings.Fields(q), " "))
	}
	return len(own), own
}

const tripsClients = `
version: 1
clients:
  - client_id: jwt-machine
    client_name: JWT machine
    secret: jwt_machine_secret_2024_long_enough_to_be_strong
    grant_types: [client_credentials]
    response_types: []
    scope: api:read
    access_token_format: jwt
    id_token_signed_response_alg: ES256
`

// The hot paths are counted: these are the round trips to PostgreSQL that each may
// cost on success, with the client cache warm and the statements prepared.
func TestHotPathsStayWithinTheirRoundTrips(t *testing.T) {
	s := harness.Start(t, storage.Postgres, harness.Options{Count: true, Clients: tripsClients})
	rp, b := s.Portal(), s.Browser(t)
	machine, jwt := s.Machine(), s.RP("jwt-machine", "jwt_machine_secret_2024_long_enough_to_be_strong", "", "api:read")

	var code, refresh, access, opaque string
	var r *harness.Request
	credentials := func(rp *harness.RP, form url.Values) *harness.Tokens {
		tokens := rp.Token(t, form)
		if tokens.Status != http.StatusOK {
			t.Fatalf("%s gets %d %s", form.Get("grant_type"), tokens.Status, tokens.Description)
		}
		return tokens
	}
	steps := []struct {
		name  string
		limit int
		do    func()
	}{
		{"authorize with a live session and remembered consent", 3, func() {
			r = rp.Authorize(nil)
			p := b.Get(t, r.URL)
			if p.Away == nil || p.Away.Query().Get("code") == "" {
				t.Fatalf("authorize ends at %s with %d", p.URL, p.Status)
			}
			code = p.Away.Query().Get("code")
		}},
		{"token: authorization_code", 2, func() {
			tokens := rp.Redeem(t, code, r)
			refresh, access = tokens.RefreshToken, tokens.AccessToken
		}},
		{"token: refresh_token", 2, func() {
			tokens := rp.Refresh(t, refresh)
			if tokens.Status != http.StatusOK {
				t.Fatalf("the refresh answers %d", tokens.Status)
			}
			refresh, access = tokens.RefreshToken, tokens.AccessToken
		}},
		{"token: client_credentials", 1, func() {
			opaque = credentials(machine, url.Values{"grant_type": {"client_credentials"}}).AccessToken
		}},
		{"token: client_credentials with a JWT access token", 0, func() {
			credentials(jwt, url.Values{"grant_type": {"client_credentials"}})
		}},
		{"userinfo", 1, func() {
			if status, _ := rp.Userinfo(t, access); status != http.StatusOK {
				t.Fatalf("userinfo answers %d", status)
			}
		}},
		{"introspect", 1, func() {
			if about := machine.Introspect(t, opaque); about["active"] != true {
				t.Fatalf("introspection says %v", about)
			}
		}},
		{"revoke", 1, func() {
			if status, _ := machine.Post(t, "/oauth2/revoke", url.Values{"token": {opaque}}, nil); status != http.StatusOK {
				t.Fatalf("revocation answers %d", status)
			}
		}},
		{"revoke a refresh token", 1, func() {
			if status, _ := rp.Post(t, "/oauth2/revoke", url.Values{"token": {refresh}}, nil); status != http.StatusOK {
				t.Fatalf("revocation answers %d", status)
			}
		}},
		{"par", 1, func() {
			var answer map[string]any
			if status, _ := rp.Post(t, "/oauth2/par", rp.Authorize(nil).Params, &answer); status != http.StatusCreated {
				t.Fatalf("par answers %d %v", status, answer)
			}
		}},
		{"POST /login with a password", 6, func() {}},
		{"discovery", 0, func() { b.Get(t, "/.well-known/openid-configuration") }},
		{"jwks", 0, func() { b.Get(t, "/.well-known/jwks.json") }},
	}
	rp.SignIn(t, b, harness.Bob, nil)
	for range 2 { // statements are prepared, caches filled
		for _, step := range steps {
			step.do()
		}
	}
	for _, step := range steps {
		if step.name == "POST /login with a password" {
			continue
		}
		if n, log := tripsOf(s, step.do); n > step.limit {
			t.Errorf("%s costs %d round trips, want at most %d:\n%s", step.name, n, step.limit, strings.Join(log, "\n"))
		} else {
			t.Logf("%s: %d round trips", step.name, n)
		}
	}
	// The sign-in's own request: a new browser comes to the form, and only the POST is counted.
	for i := range 2 {
		fresh := s.Browser(t)
		page := fresh.Get(t, rp.Authorize(nil).URL)
		form := page.Form(t, "login")
		var answer *http.Response
		n, log := tripsOf(s, func() {
			form.Values.Set("email", harness.Bob.Email)
			form.Values.Set("password", harness.Bob.Password)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, form.Action.String(), strings.NewReader(form.Values.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if answer, err = fresh.HTTP.Do(req); err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
		})
		if answer.StatusCode != http.StatusSeeOther {
			t.Fatalf("POST /login answers %d", answer.StatusCode)
		}
		if i > 0 && n > 6 {
			t.Errorf("POST /login costs %d round trips, want at most 6:\n%s", n, strings.Join(log, "\n"))
		} else if i > 0 {
			t.Logf("POST /login: %d round trips:\n%s", n, strings.Join(log, "\n"))
		}
	}
}

package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// spellings are what people and programs write for Bob's one address.
var spellings = []string{"bob@acme-corp.com", "BOB@acme-corp.com", "Bob@ACME-CORP.COM", " bob@acme-corp.com ", "bOb@aCmE-cOrP.cOm"}

// wandering is a proxy in front of somebody who has many addresses.
type wandering struct {
	http.RoundTripper
	address string
}

func (w *wandering) RoundTrip(r *http.Request) (*http.Response, error) {
	return harness.Forwarded{RoundTripper: w.RoundTripper, Address: w.address}.RoundTrip(r)
}

// guesser tries passwords at one node, on the page and by the API.
type guesser struct {
	s    *harness.Server
	from *wandering
	b    *harness.Browser
	form *harness.Form
}

func newGuesser(t *testing.T, s *harness.Server) *guesser {
	t.Helper()
	transport := s.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	return &guesser{s: s, from: &wandering{transport, "198.18.0.0"}}
}

// arrive opens the sign-in page in a browser of today.
func (g *guesser) arrive(t *testing.T) {
	t.Helper()
	g.b = harness.NewBrowser(t, g.s.Issuer, g.from)
	g.form = g.b.Get(t, "/login").Form(t, "login")
}

// page reports whether a password that is wrong was compared.
func (g *guesser) page(t *testing.T, email string) bool {
	t.Helper()
	p := g.b.Submit(t, g.form, "email", email, "password", "not the password")
	return compared(t, p.Status, http.StatusUnprocessableEntity)
}

// api is page by the other door.
func (g *guesser) api(t *testing.T, email string) bool {
	t.Helper()
	return compared(t, apiLogin(t, g.s, g.from, email, "not the password", nil), http.StatusUnauthorized)
}

func compared(t *testing.T, status, wrong int) bool {
	t.Helper()
	if status != wrong && status != http.StatusTooManyRequests {
		t.Fatalf("a guess gets %d", status)
	}
	return status == wrong
}

// apiLogin is the status of auth/login, asked with or without a device's cookie.
func apiLogin(t *testing.T, s *harness.Server, transport http.RoundTripper, email, password string, device *http.Cookie) int {
	t.Helper()
	body, err := json.Marshal(map[string]any{"email": email, "password": password, "token": true})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Issuer+"/api/v1/auth/login", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if device != nil {
		req.AddCookie(device)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// Guessing at one account for hours, from a hundred addresses, by the page and the API
// of two nodes and with every spelling of its address, gets a hundred tries and then ten an hour.
// The owner gets in at any time where they got in before. internal/limit tests a whole day.
func TestHoursOfGuessingAtOneAccount(t *testing.T) {
	o := harness.Options{Environ: []string{"SALLYPORT_TRUSTED_PROXIES=127.0.0.1/32", "SALLYPORT_PASSWORD_HASHER=bcrypt", "SALLYPORT_BCRYPT_LOG_ROUNDS=4"}}
	harness.EachEngine(t, o, func(t *testing.T, s *harness.Server) {
		nodes := []*harness.Server{s, s.Node(t)}
		attackers := []*guesser{newGuesser(t, nodes[0]), newGuesser(t, nodes[1])}
		for _, spelling := range spellings { // else a guess with it would be none
			if got := apiLogin(t, s, attackers[0].from, spelling, harness.Bob.Password, nil); got != http.StatusOK {
				t.Fatalf("%q signs in with %d", spelling, got)
			}
		}
		owner := harness.BrowserAt(t, s, "192.0.2.1")
		harness.SignIn(t, owner, harness.Bob)
		var tries []time.Time
		const step, hours = 4 * time.Minute, 6
		guesses, begin := 0, s.Clock.Now()
		for at := time.Duration(0); at < hours*time.Hour; at += step {
			if at%time.Hour == 0 {
				attackers[0].arrive(t)
				attackers[1].arrive(t)
				ownerReturns(t, nodes[int(at/time.Hour)%2], owner)
			}
			// As many as are let through now, until two are refused, one at each door.
			for refused := 0; refused < 2; guesses++ {
				a := attackers[guesses/2%2]
				a.from.address = fmt.Sprintf("198.18.%d.%d", guesses%100/25, guesses%25)
				try := []func(*testing.T, string) bool{a.page, a.api}[guesses%2]
				if !try(t, spellings[guesses%len(spellings)]) {
					refused++
				} else if tries = append(tries, s.Clock.Now()); len(tries) > 100+hours*10 {
					t.Fatalf("%d guesses are compared within %v", len(tries), at)
				}
			}
			s.Clock.Advance(step)
		}
		if guesses < 250 || len(tries) <= 100 {
			t.Fatalf("%d guesses, of which %d were compared: this is no attack", guesses, len(tries))
		}
		for i := 100; i+10 < len(tries); i++ {
			if within := tries[i+10].Sub(tries[i]); within < time.Hour {
				t.Fatalf("after %d tries there are 11 within %v, %v after the first", i, within.Round(time.Second), tries[i].Sub(begin).Round(time.Minute))
			}
		}
		t.Logf("%d guesses in %d hours, of which %d were compared", guesses, hours, len(tries))
	})
}

// ownerReturns signs out and in again, with the device's cookie, through both doors
// of a node.
func ownerReturns(t *testing.T, node *harness.Server, b *harness.Browser) {
	t.Helper()
	if p := b.Submit(t, b.Get(t, "/").FormWith(t, "csrf")); p.Status != http.StatusOK {
		t.Fatalf("signing out answers %d", p.Status)
	}
	p := b.Submit(t, b.Get(t, "/login").Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password)
	if p.Status != http.StatusOK || p.URL.Path != "/" {
		t.Errorf("the owner gets %d at %s", p.Status, p.URL)
	}
	transport := node.Transport()
	defer transport.CloseIdleConnections()
	u, err := url.Parse(node.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.HTTP.Jar.Cookies(u) {
		if c.Name == "sp_device" {
			if got := apiLogin(t, node, harness.Forwarded{RoundTripper: transport, Address: "192.0.2.1"}, harness.Bob.Email, harness.Bob.Password, c); got != http.StatusOK {
				t.Errorf("the owner gets %d from the API", got)
			}
			return
		}
	}
	t.Error("the owner's browser has no device cookie")
}

package app_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// Whole-server tests explain what their requests send to an empty database; this one, what most requests send to
// databases of three sizes. A plan that PostgreSQL keeps while a table is new must be as good when it has grown.
func TestNoRequestHasAPlanThatGrowsWithATable(t *testing.T) {
	s := harness.Start(t, storage.Postgres, harness.Options{Count: true})
	requestAll(t, s)
	statements := s.Counter.Statements.List()
	if len(statements) < 30 {
		t.Fatalf("only %d statements were seen", len(statements))
	}
	const few, many = 400, 8000
	empty, small, large := harness.OpenPlanner(t, harness.NewDatabase(t, storage.Postgres)),
		harness.OpenPlanner(t, harness.FilledDatabase(t, few)), harness.OpenPlanner(t, harness.FilledDatabase(t, many))
	for _, q := range statements {
		plans := []harness.Plan{empty.Explain(t, q), small.Explain(t, q), large.Explain(t, q)}
		for n, size := range []string{"an empty", "a small", "a large"} {
			if reads := plans[n].ReadsWhole(); len(reads) > 0 {
				t.Errorf("on %s database a request reads all of %s:\n%s\n%s", size, strings.Join(reads, ", "), q, plans[n].Text)
			}
		}
		// Twenty times as many rows cost twenty times as much where all are read, and a page or two more where few are.
		if before, now := plans[1].Cost, plans[2].Cost; now > 3*before+20 {
			t.Errorf("a statement costs %.0f with %d rows and %.0f with %d:\n%s\n%s", before, few, now, many, q, plans[2].Text)
		}
	}
}

// requestAll signs in, does what a client can do, and opens every page and list that needs no id.
func requestAll(t *testing.T, s *harness.Server) {
	rp, machine, b := s.Portal(), s.Machine(), s.Browser(t)
	tokens := rp.SignIn(t, b, harness.Bob, nil)
	tokens = rp.Refresh(t, tokens.RefreshToken)
	rp.Userinfo(t, tokens.AccessToken)
	own := machine.Token(t, url.Values{"grant_type": {"client_credentials"}})
	machine.Introspect(t, own.AccessToken)
	for _, token := range []string{tokens.AccessToken, tokens.RefreshToken} {
		if status, _ := rp.Post(t, "/oauth2/revoke", url.Values{"token": {token}}, nil); status != http.StatusOK {
			t.Fatalf("revocation answers %d", status)
		}
	}
	rp.Post(t, "/oauth2/par", rp.Authorize(nil).Params, &map[string]any{})
	b.Get(t, rp.Authorize(nil).URL)
	for path, methods := range s.Server.Routes() {
		if slices.Contains(methods, http.MethodGet) && !strings.Contains(path, "{") && path != "/oauth2/logout" {
			b.Get(t, path)
		}
	}
}

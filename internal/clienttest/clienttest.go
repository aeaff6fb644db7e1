// Package clienttest tries a client out, as the client's own library would use it.
//
// The test runs in the browser of an administrator: Start sends it to the authorization
// endpoint, where sign-in and consent follow, and Finish takes the code to the token
// endpoint and the tokens to userinfo, through the server's whole handler. A client
// without redirects asks for its token at once.
//
//	Start ──client_credentials──▶ Result
//	  └──▶ /oauth2/authorize ──▶ sign-in, consent ──▶ /setup/test ──▶ Finish ──▶ Result
//
// For ten minutes at most the client has one more redirect URI and a secret for the test
// (identity.StartClientTest). That secret, the code verifier and the nonce are kept under
// the state (session.States); the answer counts in the session that began the test. What
// the person granted for it is revoked at the end, whatever came of it.
package clienttest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/storage"
)

// Config is what a Tester needs. All of it.
type Config struct {
	Store    *storage.Store
	Registry *storage.Registry
	Identity *identity.Domain
	States   *session.States
	// Server answers the requests of a test, as it does those from outside.
	Server http.Handler
	Issuer string
	Now    func() time.Time
}

// Tester is safe for use by several goroutines.
type Tester struct{ Config }

// New returns a Tester, or an error if c is not whole.
func New(c Config) (*Tester, error) {
	if c.Store == nil || c.Registry == nil || c.Identity == nil || c.States == nil || c.Server == nil || c.Issuer == "" || c.Now == nil {
		return nil, errors.New("clienttest: something of the configuration is missing")
	}
	return &Tester{c}, nil
}

// Result is what came of a test.
type Result struct {
	ClientID   string // "" if it is not known which client was meant
	ClientName string
	Passed     bool
	Machine    bool // nobody signed in
	Checks     []Check
	// Name and Email are of the account that signed in; Claims are what the client learns of it.
	Name, Email string
	Claims      []Claim
	// Problem says in a sentence why the test did not pass, Advice what to do, Detail the rest for developers.
	Problem, Advice, Detail string
}

// Check is one thing that was looked at.
type Check struct {
	Title string
	OK    bool
}

// Claim is what a token says, as people read it.
type Claim struct{ Name, Value string }

// lifetime is how long a test is remembered: longer than it may take, so that a late answer is told from a foreign one.
const lifetime = 2 * identity.ClientTestFor

// test is what the server remembers of a test.
type test struct {
	clientID, session, secret, verifier, nonce string
	begun                                      time.Time
}

// Start begins a test in a session of the actor. It returns where the browser goes next, or the result of a client
// that needs no browser. Errors: identity.FieldErrors for a client that cannot be tested from here, storage.ErrNotFound.
func (t *Tester) Start(w http.ResponseWriter, r *http.Request, a identity.Actor, sid uuid.UUID,
	clientID string) (next string, result *Result, err error) {
	ctx := r.Context()
	run := &test{clientID: clientID, session: sid.String(), secret: secret.NewToken(""),
		verifier: secret.NewToken(""), nonce: secret.NewToken(""), begun: t.Now().Truncate(time.Second)}
	c, err := t.Identity.Clients.StartTest(ctx, a, clientID, run.secret)
	if err != nil {
		return "", nil, err
	}
	if err := t.Registry.Refresh(ctx); err != nil {
		return "", nil, err
	}
	if !slices.Contains(c.Metadata.GrantTypes, "authorization_code") {
		rp := t.newTestRP(r, c, run)
		rp.clientCredentials(ctx)
		return "", &rp.result, t.end(ctx, a, run, &rp.result)
	}
	state := secret.NewToken("")
	if err := t.save(w, r, state, run); err != nil {
		return "", nil, err
	}
	challenge := sha256.Sum256([]byte(run.verifier))
	query := url.Values{"client_id": {c.ID}, "redirect_uri": {t.Identity.Clients.TestRedirectURI()}, "response_type": {"code"}, "scope": {testScope(c)}, "state": {state},
		"nonce": {run.nonce}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"}}
	return "/oauth2/authorize?" + query.Encode(), nil, nil
}

// Finish takes the answer of the authorization endpoint. storage.ErrNotFound if the client is gone.
func (t *Tester) Finish(r *http.Request, a identity.Actor, sid uuid.UUID) (*Result, error) {
	ctx, answer := r.Context(), r.URL.Query()
	run, err := t.load(r, answer.Get("state"))
	switch {
	case err != nil:
		return nil, err
	case run == nil || run.session != sid.String():
		return &Result{Problem: "This is not the answer to a test that you began here.", Advice: "Begin it again."}, nil
	case !t.Now().Before(run.begun.Add(identity.ClientTestFor)):
		late := &Result{ClientID: run.clientID, Problem: "The test took more than ten minutes.", Advice: "Nothing is wrong with the app. Try again."}
		return late, t.end(ctx, a, run, late)
	}
	running, err := t.Store.ClientTests(ctx)
	if err != nil {
		return nil, err
	}
	if _, ok := running[run.clientID]; !ok { // the page was loaded again
		return &Result{ClientID: run.clientID, Problem: "This test has ended.", Advice: "You can begin another one."}, nil
	}
	c, err := t.Identity.Clients.Get(ctx, a, run.clientID)
	if err != nil {
		return nil, err
	}
	rp := t.newTestRP(r, c, run)
	rp.finish(ctx, answer)
	return &rp.result, t.end(ctx, a, run, &rp.result)
}

// save keeps a test under its state.
func (t *Tester) save(w http.ResponseWriter, r *http.Request, state string, run *test) error {
	s, err := t.States.Get(r, "client_test."+state)
	if err != nil {
		return err
	}
	s.Options.MaxAge = int(lifetime / time.Second)
	s.Values["client"], s.Values["session"], s.Values["secret"] = run.clientID, run.session, run.secret
	s.Values["verifier"], s.Values["nonce"], s.Values["begun"] = run.verifier, run.nonce, run.begun.Format(time.RFC3339)
	return s.Save(r, w)
}

// load returns the test of a state, nil if there is none.
func (t *Tester) load(r *http.Request, state string) (*test, error) {
	s, err := t.States.New(r, "client_test."+state)
	if err != nil || s.IsNew {
		return nil, err
	}
	text := func(name string) string { v, _ := s.Values[name].(string); return v }
	begun, err := time.Parse(time.RFC3339, text("begun"))
	return &test{clientID: text("client"), session: text("session"), secret: text("secret"), verifier: text("verifier"), nonce: text("nonce"), begun: begun}, err
}

// testScope is what a test asks for: who the person is, and no lasting access.
func testScope(c *storage.Client) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(c.Metadata.Scope), func(s string) bool {
		return !slices.Contains([]string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail}, s)
	}), " ")
}

// end takes away what the test had given, whatever came of it.
func (t *Tester) end(ctx context.Context, a identity.Actor, run *test, result *Result) error {
	ctx = context.WithoutCancel(ctx) // a browser that hangs up must not leave it behind
	if err := t.Identity.Clients.EndTest(ctx, a, run.clientID, result.Passed); err != nil {
		return err
	}
	if err := t.revoke(ctx, a, run); err != nil {
		return err
	}
	if err := t.Identity.WriteUses(ctx, &storage.Pace{Rest: storage.Hurry}); err != nil { // for the list of steps
		return err
	}
	return t.Registry.Refresh(ctx)
}

// maxGrants is more than a person makes while a test lasts.
const maxGrants = 100

// revoke ends the grants that the person made during the test, with their tokens.
// The remembered consent stays: the person allowed the app the same.
func (t *Tester) revoke(ctx context.Context, a identity.Actor, run *test) error {
	grants, err := t.Identity.Accounts.Grants(ctx, a, uuid.Max, maxGrants)
	if err != nil {
		return err
	}
	for _, g := range grants {
		if g.ClientID != run.clientID || g.SessionID.String() != run.session || g.CreatedAt.Before(run.begun) {
			continue
		}
		if err := t.Identity.Accounts.RevokeGrant(ctx, a, g.ID); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	return nil
}

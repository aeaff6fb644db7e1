package setup

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// trial is one test of an app by one session. Its JSON with a MAC is the state of
// the authorization request; all secrets are derived from it.
type trial struct {
	ClientID string `json:"c"`
	Random   string `json:"r"`
	Expires  int64  `json:"e"` // Unix seconds

	session uuid.UUID
	keys    secret.Subkeys
}

func (p *Pages) newTrial(v *person, clientID string) *trial {
	return &trial{ClientID: clientID, Random: secret.NewToken(""), Expires: p.Now().Add(identity.ClientTestFor).Unix(), session: v.Session.ID, keys: p.tests}
}

// secret derives what the trial needs for a purpose: 256 bits that nobody without
// the server's key can work out from what is in the URL.
func (t *trial) secret(purpose string) string {
	mac := t.keys.MAC([]byte(purpose), t.session[:], []byte(t.ClientID), []byte(t.Random))
	return base64.RawURLEncoding.EncodeToString(mac[:])
}

func (t *trial) clientSecret() string { return t.secret("client secret") }
func (t *trial) verifier() string     { return t.secret("code verifier") }
func (t *trial) nonce() string        { return t.secret("nonce") }

// state is what comes back with the code.
func (t *trial) state() string {
	said, err := json.Marshal(t)
	if err != nil {
		panic(err) // three plain fields always encode
	}
	mac := t.keys.MAC([]byte("state"), t.session[:], said)
	return base64.RawURLEncoding.EncodeToString(said) + "." + base64.RawURLEncoding.EncodeToString(mac[:])
}

// trialOf opens a state that this session was given and that has not expired.
func (p *Pages) trialOf(v *person, state string) (*trial, bool) {
	body, proof, _ := strings.Cut(state, ".")
	said, err := base64.RawURLEncoding.DecodeString(body)
	mac, macErr := base64.RawURLEncoding.DecodeString(proof)
	t := &trial{session: v.Session.ID, keys: p.tests}
	if err != nil || macErr != nil || !p.tests.Verify(mac, []byte("state"), t.session[:], said) || json.Unmarshal(said, t) != nil {
		return nil, false
	}
	return t, p.Now().Before(time.Unix(t.Expires, 0))
}

// asked are the scopes that a test asks for: who it is, and no lasting access.
func asked(c *storage.Client) string {
	var scopes []string
	for _, s := range strings.Fields(c.Metadata.Scope) {
		if slices.Contains([]string{"openid", "profile", "email"}, s) {
			scopes = append(scopes, s)
		}
	}
	return strings.Join(scopes, " ")
}

// startTest sends the browser where the app would, or for a machine asks for its
// token at once.
func (p *Pages) startTest(w http.ResponseWriter, r *http.Request, v *person) error {
	form, err := p.form(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	t := p.newTrial(v, form.Get("client_id"))
	c, err := p.Identity.StartClientTest(ctx, v.Actor, t.ClientID, t.clientSecret())
	if faults, ok := errors.AsType[identity.Faults](err); ok {
		return p.tell(w, r, templates.SetupTested{Problem: "This app " + faults[0].Problem + ".", Advice: capital(faults[0].Remedy) + "."})
	}
	if errors.Is(err, storage.ErrNotFound) {
		return errAbsent
	} else if err != nil {
		return err
	}
	if err := p.Registry.Refresh(ctx); err != nil {
		return err
	}
	if !slices.Contains(c.Metadata.GrantTypes, "authorization_code") {
		return p.conclude(w, r, v, t, p.asMachine(r, c, t))
	}
	sum := sha256.Sum256([]byte(t.verifier()))
	query := url.Values{"client_id": {c.ID}, "redirect_uri": {p.Identity.TestRedirectURI()}, "response_type": {"code"}, "scope": {asked(c)}, "state": {t.state()}, "nonce": {t.nonce()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	return web.SeeOther(w, r, "/oauth2/authorize?"+query.Encode())
}

// finishTest takes the answer of the authorization endpoint.
func (p *Pages) finishTest(w http.ResponseWriter, r *http.Request, v *person) error {
	query := r.URL.Query()
	t, ok := p.trialOf(v, query.Get("state"))
	if t == nil {
		return p.tell(w, r, templates.SetupTested{Problem: "This is not the answer to a test that you began here.", Advice: "Begin it again."})
	}
	if !ok {
		return p.conclude(w, r, v, t, &templates.SetupTested{Problem: "The test took more than ten minutes.", Advice: "Nothing is wrong with the app. Try again."})
	}
	tests, err := p.Store.ClientTests(r.Context())
	if err != nil {
		return err
	}
	if _, running := tests[t.ClientID]; !running { // the page was loaded again
		return p.tell(w, r, templates.SetupTested{ClientID: t.ClientID, Problem: "This test has ended.", Advice: "You can begin another one."})
	}
	c, err := p.Identity.Client(r.Context(), v.Actor, t.ClientID)
	if errors.Is(err, storage.ErrNotFound) {
		return errAbsent
	} else if err != nil {
		return err
	}
	return p.conclude(w, r, v, t, p.asApp(r, c, t, query))
}

// conclude takes away what the test had given, whatever came of it, and tells that.
func (p *Pages) conclude(w http.ResponseWriter, r *http.Request, v *person, t *trial, page *templates.SetupTested) error {
	ctx := context.WithoutCancel(r.Context()) // a browser that hangs up must not leave it behind
	if err := p.Identity.EndClientTest(ctx, v.Actor, t.ClientID, page.Passed); err != nil {
		return err
	}
	if err := p.revoke(ctx, v, t); err != nil {
		return err
	}
	if err := p.Identity.WriteUses(ctx, &storage.Pace{Rest: storage.Hurry}); err != nil { // for the list of steps
		return err
	}
	if err := p.Registry.Refresh(ctx); err != nil {
		return err
	}
	page.ClientID = t.ClientID
	return p.tell(w, r, *page)
}

// trialGrants is more than a person makes while a test lasts.
const trialGrants = 100

// revoke ends what the person granted in the course of the test, with its tokens.
// What was remembered of it is for the app as it was for the test.
func (p *Pages) revoke(ctx context.Context, v *person, t *trial) error {
	grants, err := p.Identity.Grants(ctx, v.Actor, uuid.Max, trialGrants)
	if err != nil {
		return err
	}
	begun := time.Unix(t.Expires, 0).Add(-identity.ClientTestFor)
	for _, g := range grants {
		if g.ClientID != t.ClientID || g.SessionID != t.session || g.CreatedAt.Before(begun) {
			continue
		}
		if err := p.Identity.RevokeGrant(ctx, v.Actor, g.ID); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	return nil
}

func (p *Pages) tell(w http.ResponseWriter, r *http.Request, page templates.SetupTested) error {
	page.SetupStep = p.step(r, 5)
	status := http.StatusOK
	if !page.Passed {
		status = http.StatusUnprocessableEntity
	}
	return p.Web.Page(w, status, page)
}

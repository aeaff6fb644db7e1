package identity

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

// ClientTestFor is how long a test of a client may take.
const ClientTestFor = 10 * time.Minute

// TestRedirectURI is where this server receives the code of a test.
func (cl *Clients) TestRedirectURI() string { return cl.issuer + "/setup/test" }

// StartTest lets this server act as a client for ClientTestFor or until EndTest: it adds a redirect URI and, for a
// client with secrets, clientSecret. Errors: FieldErrors for a client whose keys this server does not have,
// ErrForbidden, storage.ErrNotFound.
func (cl *Clients) StartTest(ctx context.Context, a Actor, clientID, clientSecret string) (*storage.Client, error) {
	if err := cl.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return nil, err
	}
	c, err := cl.load(ctx, clientID)
	if err != nil {
		return nil, err
	}
	m := &c.Metadata
	switch {
	case !c.Active():
		return nil, FieldErrors{{Field: "client_id", Problem: "is disabled", Remedy: "enable it first"}}
	case m.TokenEndpointAuthMethod == oauth.AuthPrivateKeyJWT, m.RequireSignedRequestObject, m.RequirePushedRequests:
		return nil, FieldErrors{{Field: "client_id", Problem: "signs with a key of its own, or pushes its requests",
			Remedy: "try it out from the application itself"}}
	}
	until := cl.currentTime().Add(ClientTestFor)
	var k *storage.ClientSecret
	if oauth.UsesSecret(m.TokenEndpointAuthMethod) {
		stored := cl.StoredSecret(c.ID, clientSecret)
		stored.ExpiresAt = until
		k = &stored
	}
	redirect := ""
	if slices.Contains(m.GrantTypes, oauth.GrantAuthorizationCode) {
		redirect = cl.TestRedirectURI()
	}
	err = cl.store.EditRegistry(ctx, 0, func(r *storage.RegistryEdit) error {
		return r.SetClientTest(ctx, c.ID, redirect, k, until, ClientEvent(a, storage.EventClientTestStarted, c))
	})
	return c, err
}

// EndTest removes what StartTest added. It is no error if the test has ended.
func (cl *Clients) EndTest(ctx context.Context, a Actor, clientID string, passed bool) error {
	if err := cl.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	e := WithFact(a.Event(storage.EventClientTestEnded), "passed", passed)
	e.Client = clientID
	return cl.endTest(ctx, clientID, e)
}

func (cl *Clients) endTest(ctx context.Context, clientID string, e *storage.Event) error {
	return ignoreNotFound(cl.store.EditRegistry(ctx, 0, func(r *storage.RegistryEdit) error {
		return r.EndClientTest(ctx, clientID, e)
	}))
}

// EndOverdueTests ends the tests that were not ended in time.
func (cl *Clients) EndOverdueTests(ctx context.Context) error {
	tests, err := cl.store.ClientTests(ctx)
	if err != nil {
		return err
	}
	for clientID, test := range tests {
		if !cl.currentTime().Before(test.Until) {
			e := WithFact(&storage.Event{Type: storage.EventClientTestEnded, Client: clientID}, "overdue", true)
			if err := cl.endTest(ctx, clientID, e); err != nil {
				return err
			}
		}
	}
	return nil
}

package identity

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

// ClientTestFor is how long a test of a client may take.
const ClientTestFor = 10 * time.Minute

// TestRedirectURI is where this server takes the code of a test.
func (i *Clients) TestRedirectURI() string { return i.issuer + "/setup/test" }

// StartTest lets this server act as a client for ClientTestFor, until
// EndTest: by one more redirect URI, and for one with secrets by clientSecret
// beside its own. Errors: FieldErrors for a client that a server without its keys cannot
// stand in for, ErrForbidden, storage.ErrNotFound.
func (i *Clients) StartTest(ctx context.Context, a Actor, clientID, clientSecret string) (*storage.Client, error) {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return nil, err
	}
	c, err := i.load(ctx, clientID)
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
	until := i.clock().Add(ClientTestFor)
	var k *storage.ClientSecret
	if oauth.UsesSecret(m.TokenEndpointAuthMethod) {
		stored := i.StoredSecret(c.ID, clientSecret)
		stored.ExpiresAt = until
		k = &stored
	}
	redirect := ""
	if slices.Contains(m.GrantTypes, oauth.GrantAuthorizationCode) {
		redirect = i.TestRedirectURI()
	}
	err = i.store.EditRegistry(ctx, 0, func(r *storage.RegistryEdit) error {
		return r.SetClientTest(ctx, c.ID, redirect, k, until, ClientEvent(a, storage.EventClientTestStarted, c))
	})
	return c, err
}

// EndTest takes what StartTest gave away again. A test that has ended
// already is no error.
func (i *Clients) EndTest(ctx context.Context, a Actor, clientID string, passed bool) error {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	e := WithFact(a.Event(storage.EventClientTestEnded), "passed", passed)
	e.Client = clientID
	return i.endTest(ctx, clientID, e)
}

func (i *Clients) endTest(ctx context.Context, clientID string, e *storage.Event) error {
	err := i.store.EditRegistry(ctx, 0, func(r *storage.RegistryEdit) error {
		return r.EndClientTest(ctx, clientID,
			e)
	})
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// EndOverdueTests ends the tests that nobody has ended in time.
func (i *Clients) EndOverdueTests(ctx context.Context) error {
	tests, err := i.store.ClientTests(ctx)
	if err != nil {
		return err
	}
	for clientID, test := range tests {
		if !i.clock().Before(test.Until) {
			e := WithFact(&storage.Event{Type: storage.EventClientTestEnded, Client: clientID}, "overdue", true)
			if err := i.endTest(ctx, clientID, e); err != nil {
				return err
			}
		}
	}
	return nil
}

package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

// SecretOverlap is how long the last secret works beside a new one, unless
// somebody says otherwise: a relying party has a day to change over.
const SecretOverlap = 24 * time.Hour

// NewClient is a client to register.
type NewClient struct {
	ID           string    // client_id; "" makes one
	Organization uuid.UUID // uuid.Nil: the platform's own
	Metadata     storage.Metadata
}

// Create registers a client and returns it with its secret, which nobody
// can read again; "" for a client without one. Only those who administer the
// installation register clients, which makes all of them first-party: that is
// what skip_consent rests on. Errors: FieldErrors, storage.ErrExists.
func (i *Clients) Create(ctx context.Context, a Actor, n NewClient) (c *storage.Client, clientSecret string,
	err error) {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return nil, "", err
	}
	if n.ID == "" {
		n.ID = uuid.NewString()
	}
	c = &storage.Client{ID: n.ID, Organization: n.Organization, Metadata: n.Metadata}
	if err := i.check(ctx, c); err != nil {
		return nil, "", err
	}
	if oauth.UsesSecret(c.Metadata.TokenEndpointAuthMethod) {
		clientSecret = NewClientSecret()
		c.Secrets = []storage.ClientSecret{i.StoredSecret(c.ID, clientSecret)}
	}
	err = i.store.EditRegistry(ctx, 0, func(r *storage.RegistryEdit) error {
		return r.CreateClient(ctx, c, ClientEvent(a, storage.EventClientCreated, c))
	})
	if err != nil {
		return nil, "", err
	}
	return c, clientSecret, nil
}

// check applies every rule to a client that people register.
func (i *Clients) check(ctx context.Context, c *storage.Client) error {
	faults := CheckMetadata(c.ID, &c.Metadata, i.production)
	resources, err := i.store.Resources(ctx)
	if err != nil {
		return err
	}
	CheckScopes(&faults, &c.Metadata, DefinedScopes(resources))
	CheckOffered(&faults, &c.Metadata, i.grantTypes)
	if c.Organization != uuid.Nil {
		_, err := i.store.Organization(ctx, c.Organization)
		if errors.Is(err, storage.ErrNotFound) {
			faults.Add("organization", "does not exist", "create it first, or leave it out")
		} else if err != nil {
			return err
		}
	}
	return faults.err()
}

// DefinedScopes tells which scopes the resources define.
func DefinedScopes(resources []storage.Resource) func(string) bool {
	known := map[string]bool{}
	for _, r := range resources {
		for name := range r.Scopes {
			known[name] = true
		}
	}
	return func(scope string) bool { return known[scope] }
}

// Get returns a client that is not deleted.
func (i *Clients) Get(ctx context.Context, a Actor, clientID string) (*storage.Client, error) {
	if err := i.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return nil, err
	}
	return i.load(ctx, clientID)
}

func (i *Clients) load(ctx context.Context, clientID string) (*storage.Client, error) {
	c, err := i.store.Client(ctx, clientID)
	if err == nil && !c.DeletedAt.IsZero() {
		return nil, storage.ErrNotFound
	}
	return c, err
}

// List lists up to limit clients after the one with that client_id.
func (i *Clients) List(ctx context.Context, a Actor, after string, limit int) ([]*storage.Client, error) {
	if err := i.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return nil, err
	}
	return i.store.Clients(ctx, storage.ClientQuery{After: after, Limit: limit})
}

// RotateSecret gives a client a new secret and returns it. The newest of the old
// ones works on for overlap, 0 ends all of them at once.
func (i *Clients) RotateSecret(ctx context.Context, a Actor, clientID string, overlap time.Duration) (string, error) {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return "", err
	}
	c, err := i.load(ctx, clientID)
	if err != nil {
		return "", err
	}
	if !oauth.UsesSecret(c.Metadata.TokenEndpointAuthMethod) {
		return "", FieldErrors{{Field: "client_id", Problem: fmt.Sprintf("%q authenticates by %s, not by a secret",
			Clip(clientID), c.Metadata.TokenEndpointAuthMethod)}}
	}
	text := NewClientSecret()
	k := i.StoredSecret(c.ID, text)
	err = i.store.EditRegistry(ctx, 0, func(r *storage.RegistryEdit) error {
		return r.AddSecret(ctx, c.ID, &k, i.clock().Add(overlap), WithFact(ClientEvent(a,
			storage.EventClientSecretRotated, c), "overlap_seconds", int64(overlap/time.Second)))
	})
	if err != nil {
		return "", err
	}
	return text, nil
}

// SecretKeys counts the client secrets that work by the id of the SECRET_KEY they
// are kept under, and names the one in use. "" are those that wait for their first use.
func (i *Clients) SecretKeys(ctx context.Context, a Actor) (counts map[string]int, current string, err error) {
	if err := i.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return nil, "", err
	}
	counts, err = i.store.ClientSecretKeys(ctx)
	return counts, i.keys.KeyIDs()[0], err
}

// ClientEvent is an event concerning a client, in the log of its organization.
func ClientEvent(a Actor, kind storage.EventType, c *storage.Client) *storage.Event {
	e := a.Event(kind)
	e.Client, e.Organization = c.ID, c.Organization
	return e
}

// The types of applications that ClientPreset knows.
const (
	ClientWeb     = "web"     // a server with a secret
	ClientSPA     = "spa"     // a page in a browser
	ClientNative  = "native"  // an app on people's own devices
	ClientMachine = "machine" // no people
)

// ClientPreset are the safe settings for a type of application; false for none such.
func ClientPreset(kind string) (m storage.Metadata, ok bool) {
	m.GrantTypes = []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}
	switch kind {
	case ClientWeb:
		m.RequirePKCE = storage.PKCEAuto // many libraries for servers send a nonce, and no challenge unless told to
	case ClientSPA:
		m.TokenEndpointAuthMethod, m.RequirePKCE = oauth.AuthNone, storage.PKCERequired
	case ClientNative:
		m.TokenEndpointAuthMethod, m.ApplicationType, m.RequirePKCE = oauth.AuthNone, "native", storage.PKCERequired
	case ClientMachine:
		m.GrantTypes = []string{oauth.GrantClientCredentials}
	default:
		return m, false
	}
	return m, true
}

package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

// SecretOverlap is how long the previous secret stays valid by default: the relying party has a day to change over.
const SecretOverlap = 24 * time.Hour

// NewClient is a client to register.
type NewClient struct {
	ID           string    // client_id; "" makes one
	Organization uuid.UUID // uuid.Nil: the platform's own
	Metadata     storage.Metadata
}

// Create registers a client and returns it with its secret, which cannot be read again; "" for a client without one.
// Only superadmins and the operator register clients, so that all clients are first-party and skip_consent is safe.
// Errors: FieldErrors, storage.ErrExists.
func (cl *Clients) Create(ctx context.Context, a Actor, n NewClient) (c *storage.Client, clientSecret string,
	err error) {
	if err := cl.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return nil, "", err
	}
	if n.ID == "" {
		n.ID = uuid.NewString()
	}
	c = &storage.Client{ID: n.ID, Organization: n.Organization, Metadata: n.Metadata}
	if err := cl.check(ctx, c); err != nil {
		return nil, "", err
	}
	if oauth.UsesSecret(c.Metadata.TokenEndpointAuthMethod) {
		clientSecret = NewClientSecret()
		c.Secrets = []storage.ClientSecret{cl.StoredSecret(c.ID, clientSecret)}
	}
	err = cl.store.EditRegistry(ctx, 0, func(r *storage.RegistryEdit) error {
		return r.CreateClient(ctx, c, ClientEvent(a, storage.EventClientCreated, c))
	})
	return c, clientSecret, err
}

// check applies every rule to a registration.
func (cl *Clients) check(ctx context.Context, c *storage.Client) error {
	faults := CheckMetadata(c.ID, &c.Metadata, cl.production)
	resources, err := cl.store.Resources(ctx)
	if err != nil {
		return err
	}
	CheckScopes(&faults, &c.Metadata, DefinedScopes(resources))
	CheckOffered(&faults, &c.Metadata, cl.grantTypes)
	if c.Organization != uuid.Nil {
		_, err := cl.store.Organization(ctx, c.Organization)
		if errors.Is(err, storage.ErrNotFound) {
			faults.Add("organization", "does not exist", "create it first, or leave it out")
		} else if err != nil {
			return err
		}
	}
	return faults.err()
}

// DefinedScopes returns a function that reports whether one of the resources defines a scope.
func DefinedScopes(resources []storage.Resource) func(string) bool {
	return func(scope string) bool {
		return slices.ContainsFunc(resources, func(r storage.Resource) bool {
			_, defined := r.Scopes[scope]
			return defined
		})
	}
}

// Get returns a client that is not deleted.
func (cl *Clients) Get(ctx context.Context, a Actor, clientID string) (*storage.Client, error) {
	if err := cl.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return nil, err
	}
	return cl.load(ctx, clientID)
}

func (cl *Clients) load(ctx context.Context, clientID string) (*storage.Client, error) {
	c, err := cl.store.Client(ctx, clientID)
	if err == nil && !c.DeletedAt.IsZero() {
		return nil, storage.ErrNotFound
	}
	return c, err
}

// List returns up to limit clients after the client_id after.
func (cl *Clients) List(ctx context.Context, a Actor, after string, limit int) ([]*storage.Client, error) {
	if err := cl.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return nil, err
	}
	return cl.store.Clients(ctx, storage.ClientQuery{After: after, Limit: limit})
}

// RotateSecret gives a client a new secret and returns it. The newest of the old secrets stays valid for overlap; 0
// ends all at once.
func (cl *Clients) RotateSecret(ctx context.Context, a Actor, clientID string, overlap time.Duration) (string, error) {
	if err := cl.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return "", err
	}
	c, err := cl.load(ctx, clientID)
	if err != nil {
		return "", err
	}
	if !oauth.UsesSecret(c.Metadata.TokenEndpointAuthMethod) {
		return "", FieldErrors{{Field: "client_id", Problem: fmt.Sprintf("%q authenticates by %s, not by a secret",
			Clip(clientID), c.Metadata.TokenEndpointAuthMethod)}}
	}
	text := NewClientSecret()
	k := cl.StoredSecret(c.ID, text)
	err = cl.store.EditRegistry(ctx, 0, func(r *storage.RegistryEdit) error {
		return r.AddSecret(ctx, c.ID, &k, cl.currentTime().Add(overlap), WithFact(ClientEvent(a,
			storage.EventClientSecretRotated, c), "overlap_seconds", int64(overlap/time.Second)))
	})
	return text, err
}

// SecretKeys counts the valid client secrets by the id of the SECRET_KEY that protects them, and returns the current
// id. "" counts secrets registered as a PHC string and not used yet.
func (cl *Clients) SecretKeys(ctx context.Context, a Actor) (counts map[string]int, current string, err error) {
	if err := cl.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return nil, "", err
	}
	counts, err = cl.store.ClientSecretKeys(ctx)
	return counts, cl.keys.KeyIDs()[0], err
}

// ClientEvent is an event about a client, in the log of its organization.
func ClientEvent(a Actor, kind storage.EventType, c *storage.Client) *storage.Event {
	e := a.Event(kind)
	e.Client, e.Organization = c.ID, c.Organization
	return e
}

// The types of applications that ClientPreset knows.
const (
	ClientWeb     = "web"     // a server with a secret
	ClientSPA     = "spa"     // a page in a browser
	ClientNative  = "native"  // an app on a user's device
	ClientMachine = "machine" // no users
)

// ClientPreset returns the safe settings for a type of application; false if there is no such type.
func ClientPreset(kind string) (m storage.Metadata, ok bool) {
	code := []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}
	m, ok = map[string]storage.Metadata{
		// Many libraries for servers send a nonce by default, and a PKCE challenge only if it is turned on.
		ClientWeb: {GrantTypes: code, RequirePKCE: storage.PKCEAuto},
		ClientSPA: {GrantTypes: code, RequirePKCE: storage.PKCERequired, TokenEndpointAuthMethod: oauth.AuthNone},
		ClientNative: {GrantTypes: code, RequirePKCE: storage.PKCERequired, TokenEndpointAuthMethod: oauth.AuthNone,
			ApplicationType: "native"},
		ClientMachine: {GrantTypes: []string{oauth.GrantClientCredentials}},
	}[kind]
	return m, ok
}

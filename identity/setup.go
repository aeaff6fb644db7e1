package identity

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	// SetupTokenFor is how long a setup token counts.
	SetupTokenFor = time.Hour
	// ClientTestFor is how long a test of a client may take.
	ClientTestFor = 10 * time.Minute
	// administeredFor is how long a process believes that there is an administrator
	// before it looks again.
	administeredFor = time.Minute
)

var (
	// ErrSetUp: somebody administers the installation, so nobody can begin it.
	ErrSetUp = errors.New("there is an administrator already")
	// ErrSetupToken: the token is not the one that was printed last, was used, or is too old.
	ErrSetupToken = errors.New("the setup token does not count")
)

// administered is until when a process believes that there is an administrator.
type administered struct{ until atomic.Int64 }

// SetupOpen reports whether the installation waits for its first administrator.
// Once there is one it mostly answers from memory.
func (i *Identity) SetupOpen(ctx context.Context) (bool, error) {
	now := i.clock()
	if now.UnixMicro() < i.administered.until.Load() {
		return false, nil
	}
	has, err := i.store.HasSuperadmin(ctx)
	if has {
		i.administered.until.Store(now.Add(administeredFor).UnixMicro())
	}
	return !has, err
}

// NewSetupToken makes the token that lets its bearer become the first
// administrator, once. Those made before count no more. Only the operator may:
// whoever reads the server's output owns the machine. ErrSetUp.
func (i *Identity) NewSetupToken(ctx context.Context, a Actor) (token string, expires time.Time, err error) {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return "", time.Time{}, err
	}
	token, now := secret.NewToken(""), i.clock()
	expires = now.Add(SetupTokenFor)
	err = i.store.NewSetupLink(ctx, &storage.Link{Hash: secret.HashOf(token), Purpose: storage.LinkSetup, CreatedAt: now, ExpiresAt: expires},
		a.Event(storage.EventSetupTokenCreated))
	if errors.Is(err, storage.ErrConflict) {
		err = ErrSetUp
	}
	if err != nil {
		return "", time.Time{}, err
	}
	return token, expires, nil
}

// SetupLink is where a browser begins with a setup token.
func (i *Identity) SetupLink(token string) string { return i.issuer + "/setup?token=" + token }

// CheckSetupToken is nil for a token that Bootstrap would take now, else ErrSetupToken.
func (i *Identity) CheckSetupToken(ctx context.Context, token string) error {
	_, err := i.store.Link(ctx, secret.HashOf(token), storage.LinkSetup)
	if errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrSpent) {
		return ErrSetupToken
	}
	return err
}

// Bootstrap makes the bearer of a setup token the first administrator, with a
// proven address: whoever has the token could vouch for any. It returns the stored
// hash of the password for signing in. Errors: Faults, ErrSetupToken, ErrSetUp,
// ErrRegistered if somebody has the address; the last leaves the token as it was.
func (i *Identity) Bootstrap(ctx context.Context, token string, n NewUser, requestID string) (u *storage.User, passwordHash string, err error) {
	if err := i.CheckSetupToken(ctx, token); err != nil {
		return nil, "", err
	}
	n.Superadmin, n.Profile.Name = true, strings.TrimSpace(n.Profile.Name)
	key, err := i.checkFounder(n)
	if err != nil {
		return nil, "", err
	}
	if passwordHash, err = i.passwords.Hash(ctx, n.Password); err != nil {
		return nil, "", err
	}
	p := PrepareUser(Actor{RequestID: requestID}, n, key, i.clock())
	p.PasswordHash = passwordHash
	WithFact(p.Events[0], "by", "setup")
	switch err := i.store.Bootstrap(ctx, secret.HashOf(token), p); {
	case errors.Is(err, storage.ErrSpent):
		return nil, "", ErrSetupToken
	case errors.Is(err, storage.ErrConflict):
		return nil, "", ErrSetUp
	case errors.Is(err, storage.ErrExists):
		return nil, "", ErrRegistered
	case err != nil:
		return nil, "", err
	}
	return &p.User, passwordHash, nil
}

func (i *Identity) checkFounder(n NewUser) (emailKey string, err error) {
	var faults, more Faults
	if n.Profile.Name != "" {
		checkName(&faults, "name", n.Profile.Name, 200)
	}
	key, err := EmailKey(n.Email)
	if errors.As(err, &more) {
		faults = append(faults, more...)
	}
	if err := i.CheckPassword(n.Password, n.Email, n.Profile.Name); errors.As(err, &more) {
		faults = append(faults, more...)
	}
	return key, faults.err()
}

var brandColor = regexp.MustCompile(`^#[0-9a-f]{6}$`)

// SetBrand sets how the installation presents itself where its configuration does
// not say; empty members leave it to the default. Logo is as CheckLogo returns it.
// Every process shows it within a second. Errors: Faults, ErrForbidden.
func (i *Identity) SetBrand(ctx context.Context, a Actor, b storage.BrandSettings) error {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	var faults Faults
	b.Name = strings.TrimSpace(b.Name)
	if len(b.Color) <= len("#rrggbb") {
		b.Color = strings.ToLower(b.Color)
	}
	if b.Name != "" {
		checkName(&faults, "name", b.Name, 60)
	}
	if b.Color != "" && !brandColor.MatchString(b.Color) {
		faults.Add("color", "is not a colour", "write it as #rrggbb, such as #0b6b5d")
	}
	if len(faults) > 0 {
		return faults
	}
	return i.store.EditPlatformSettings(ctx, func(s *storage.PlatformSettings) *storage.Event {
		if s.Brand == b {
			return nil
		}
		s.Brand = b
		return WithFact(WithFact(WithFact(a.Event(storage.EventPlatformBrandChanged), "name", b.Name), "color", b.Color), "logo", b.Logo != "")
	})
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

// TestRedirectURI is where this server takes the code of a test.
func (i *Identity) TestRedirectURI() string { return i.issuer + "/setup/test" }

// StartClientTest lets this server act as a client for ClientTestFor, until
// EndClientTest: by one more redirect URI, and for one with secrets by clientSecret
// beside its own. Errors: Faults for a client that a server without its keys cannot
// stand in for, ErrForbidden, storage.ErrNotFound.
func (i *Identity) StartClientTest(ctx context.Context, a Actor, clientID, clientSecret string) (*storage.Client, error) {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return nil, err
	}
	c, err := i.Client(ctx, a, clientID)
	if err != nil {
		return nil, err
	}
	m := &c.Metadata
	switch {
	case !c.Active():
		return nil, Faults{{Field: "client_id", Problem: "is disabled", Remedy: "enable it first"}}
	case m.TokenEndpointAuthMethod == oauth.AuthPrivateKeyJWT, m.RequireSignedRequestObject, m.RequirePushedRequests:
		return nil, Faults{{Field: "client_id", Problem: "signs with a key of its own, or pushes its requests", Remedy: "try it out from the application itself"}}
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

// EndClientTest takes what StartClientTest gave away again. A test that has ended
// already is no error.
func (i *Identity) EndClientTest(ctx context.Context, a Actor, clientID string, passed bool) error {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	e := WithFact(a.Event(storage.EventClientTestEnded), "passed", passed)
	e.Client = clientID
	return i.endClientTest(ctx, clientID, e)
}

func (i *Identity) endClientTest(ctx context.Context, clientID string, e *storage.Event) error {
	err := i.store.EditRegistry(ctx, 0, func(r *storage.RegistryEdit) error { return r.EndClientTest(ctx, clientID, e) })
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// EndOverdueClientTests ends the tests that nobody has ended in time.
func (i *Identity) EndOverdueClientTests(ctx context.Context) error {
	tests, err := i.store.ClientTests(ctx)
	if err != nil {
		return err
	}
	for clientID, test := range tests {
		if !i.clock().Before(test.Until) {
			e := WithFact(&storage.Event{Type: storage.EventClientTestEnded, Client: clientID}, "overdue", true)
			if err := i.endClientTest(ctx, clientID, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// NoteUnlock records that an operator lets a person try again at once.
func (i *Identity) NoteUnlock(ctx context.Context, a Actor, userID uuid.UUID) error {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	return i.store.Record(ctx, about(a, storage.EventUserUnlocked, userID))
}

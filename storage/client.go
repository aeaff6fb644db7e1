package storage

import (
	"context"
	"encoding/json"
	"math"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Client is a registered OAuth 2.0 client application. A *Client that came out
// of the Registry is shared and must not be changed.
type Client struct {
	ID           string    `db:"id"` // client_id
	Organization uuid.UUID `db:"organization_id"`
	Metadata     Metadata  `db:"metadata"`
	// ManagedBy is who owns the registration: ManagedByFile, ManagedByFileOnce or "" for people.
	ManagedBy  string `db:"managed_by"`
	Secrets    []ClientSecret
	CreatedAt  time.Time `db:"created_at"`
	UpdatedAt  time.Time `db:"updated_at"`
	LastUsedAt time.Time `db:"last_used_at"`
	DisabledAt time.Time `db:"disabled_at"`
	DeletedAt  time.Time `db:"deleted_at"`
	// UnprotectedRequests got a code with neither PKCE nor nonce, the last one at UnprotectedAt.
	UnprotectedRequests int64     `db:"unprotected_requests"`
	UnprotectedAt       time.Time `db:"unprotected_at"`
	// LogoHash names the picture that was fetched from Metadata.LogoURI; "" while there is none.
	LogoHash string `db:"(SELECT l.hash FROM client_logos l WHERE l.client_id = c.id)"`
}

// Owners of a registration.
const (
	// ManagedByFile: clients.yaml owns it.
	ManagedByFile = "file"
	// ManagedByFileOnce: clients.yaml owned it and names it no more, for which it
	// was disabled. Naming it again enables it; what a person has disabled stays so.
	ManagedByFileOnce = "file:removed"
)

// Metadata is a client's registration: the names of RFC 7591 and of OpenID
// Connect Registration 1.0, and ours.
type Metadata struct {
	ClientName                  string          `json:"client_name,omitempty"`
	ClientURI                   string          `json:"client_uri,omitempty"`
	LogoURI                     string          `json:"logo_uri,omitempty"`
	PolicyURI                   string          `json:"policy_uri,omitempty"`
	TosURI                      string          `json:"tos_uri,omitempty"`
	Contacts                    []string        `json:"contacts,omitempty"`
	ApplicationType             string          `json:"application_type,omitempty"` // web or native
	RedirectURIs                []string        `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs      []string        `json:"post_logout_redirect_uris,omitempty"`
	InitiateLoginURI            string          `json:"initiate_login_uri,omitempty"`
	GrantTypes                  []string        `json:"grant_types,omitempty"`
	ResponseTypes               []string        `json:"response_types,omitempty"`
	Scope                       string          `json:"scope,omitempty"`
	TokenEndpointAuthMethod     string          `json:"token_endpoint_auth_method,omitempty"`
	TokenEndpointAuthSigningAlg string          `json:"token_endpoint_auth_signing_alg,omitempty"`
	JWKS                        json.RawMessage `json:"jwks,omitempty"`
	JWKSURI                     string          `json:"jwks_uri,omitempty"`
	IDTokenSignedResponseAlg    string          `json:"id_token_signed_response_alg,omitempty"`
	UserinfoSignedResponseAlg   string          `json:"userinfo_signed_response_alg,omitempty"`
	RequestObjectSigningAlg     string          `json:"request_object_signing_alg,omitempty"`
	RequireSignedRequestObject  bool            `json:"require_signed_request_object,omitempty"`
	RequirePushedRequests       bool            `json:"require_pushed_authorization_requests,omitempty"`
	DefaultMaxAge               *int64          `json:"default_max_age,omitempty"` // seconds
	DefaultACRValues            []string        `json:"default_acr_values,omitempty"`

	SkipConsent       bool     `json:"skip_consent,omitempty"`
	AccessTokenFormat string   `json:"access_token_format,omitempty"` // opaque (default) or jwt
	RequirePKCE       PKCE     `json:"require_pkce,omitempty"`
	ClaimsInIDToken   bool     `json:"claims_in_id_token,omitempty"`
	WebOrigins        []string `json:"web_origins,omitempty"`
	Management        bool     `json:"management,omitempty"`
}

// ClientSecret is a secret of a confidential client: a MAC of it under a key of
// the installation, or a PHC string until its first use.
type ClientSecret struct {
	ID    uuid.UUID `db:"id"`
	KeyID string    `db:"key_id"`
	MAC   []byte    `db:"mac"` // empty until the first use of a secret that came as a PHC string
	// PHC is that string. After the first use it is only a fingerprint of it, so
	// that a clients.yaml that still has the string is seen to agree.
	PHC        string    `db:"phc"`
	Weak       bool      `db:"weak"`
	CreatedAt  time.Time `db:"created_at"`
	ExpiresAt  time.Time `db:"expires_at"`
	LastUsedAt time.Time `db:"last_used_at"`
}

// Active reports whether the client may take part in anything.
func (c *Client) Active() bool { return c.DisabledAt.IsZero() && c.DeletedAt.IsZero() }

// Public reports whether the client cannot keep a secret (RFC 6749, section 2.1).
func (c *Client) Public() bool { return c.Metadata.TokenEndpointAuthMethod == "none" }

// Native reports a native application (RFC 8252), whose loopback redirects match any port.
func (c *Client) Native() bool { return c.Metadata.ApplicationType == "native" }

// SkipsConsent reports the installation's own app, which can prove that it is itself:
// its people are not asked.
func (c *Client) SkipsConsent() bool { return c.Metadata.SkipConsent && !c.Public() }

// Name is what people are shown.
func (c *Client) Name() string {
	if c.Metadata.ClientName != "" {
		return c.Metadata.ClientName
	}
	return c.ID
}

// LogoPath is where this server serves the client's logo; "" if there is none.
func (c *Client) LogoPath() string {
	if c.LogoHash == "" {
		return ""
	}
	return "/logos/" + c.LogoHash + ".png"
}

// Origins are the browser origins the client may call protocol endpoints from:
// those of its https and loopback redirect URIs, and its web_origins.
func (c *Client) Origins() []string {
	origins := slices.Clone(c.Metadata.WebOrigins)
	for _, raw := range c.Metadata.RedirectURIs {
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" {
			continue
		}
		host := u.Hostname()
		loopback := host == "localhost" || host == "127.0.0.1" || host == "::1"
		if u.Scheme == "https" || (u.Scheme == "http" && loopback) {
			origins = append(origins, u.Scheme+"://"+u.Host)
		}
	}
	slices.Sort(origins)
	return slices.Compact(origins)
}

var clientRow = layoutOf[Client]("c")

// Client returns the client with its secrets, disabled ones and tombstones too;
// ErrNotFound if there never was one. Requests ask the Registry instead.
func (s *Store) Client(ctx context.Context, clientID string) (*Client, error) {
	var c Client
	found := false
	err := s.rows(ctx, func(r scanner) error {
		var k ClientSecret
		found = true
		if err := r.Scan(append(clientRow.dest(&c), clientSecretRow.dest(&k)...)...); err != nil {
			return err
		}
		if k.ID != uuid.Nil {
			c.Secrets = append(c.Secrets, k)
		}
		return nil
	}, `SELECT `+clientRow.columns+`, `+clientSecretRow.columns+`
		FROM clients c LEFT JOIN client_secrets k ON k.client_id = c.id WHERE c.id = ? ORDER BY k.created_at DESC`, clientID)
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fault("read a client", err)
	}
	return &c, nil
}

var clientSecretRow = layoutOf[ClientSecret]("k")

// ClientQuery says which clients to list.
type ClientQuery struct {
	After   string // client_ids after this one
	Limit   int    // 0 is all of them
	Deleted bool   // tombstones too
}

// Clients lists clients with their secrets, in the database's order of client_id.
func (s *Store) Clients(ctx context.Context, q ClientQuery) ([]*Client, error) {
	if q.Limit <= 0 {
		q.Limit = math.MaxInt32
	}
	var all []*Client
	err := s.rows(ctx, func(r scanner) error {
		var c Client
		var k ClientSecret
		if err := r.Scan(append(clientRow.dest(&c), clientSecretRow.dest(&k)...)...); err != nil {
			return err
		}
		if n := len(all); n == 0 || all[n-1].ID != c.ID {
			all = append(all, &c)
		}
		if k.ID != uuid.Nil {
			last := all[len(all)-1]
			last.Secrets = append(last.Secrets, k)
		}
		return nil
	}, `SELECT `+clientRow.columns+`, `+clientSecretRow.columns+`
		FROM (SELECT id, organization_id, metadata, managed_by, created_at, updated_at, last_used_at, disabled_at, deleted_at,
			unprotected_requests, unprotected_at FROM clients WHERE id > ? AND (deleted_at IS NULL OR ? = 1) ORDER BY id LIMIT ?) c
		LEFT JOIN client_secrets k ON k.client_id = c.id ORDER BY c.id, k.created_at DESC`, q.After, btoi(q.Deleted), q.Limit)
	return all, fault("list clients", err)
}

// ClientSecretKeys counts the client secrets by the id of the key they are MACed
// under; "" are those that came as a PHC string and were never used.
func (s *Store) ClientSecretKeys(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	err := s.rows(ctx, func(r scanner) error {
		var keyID string
		var n int
		err := r.Scan(&keyID, &n)
		counts[keyID] = n
		return err
	}, `SELECT key_id, count(*) FROM client_secrets WHERE expires_at IS NULL OR expires_at > ? GROUP BY key_id`, usec(s.clock()))
	return counts, fault("count client secrets", err)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ClientUse is a client that authenticated, and the secret it did so with (nil: none).
type ClientUse struct {
	ClientID string
	SecretID uuid.UUID
	At       time.Time
}

// TouchClients records when clients and their secrets were last used, in one
// transaction. Callers give them in the same order everywhere, so that two nodes
// do not wait for each other.
func (s *Store) TouchClients(ctx context.Context, used []ClientUse) error {
	var all []statement
	for _, u := range used {
		all = append(all, touchRow("clients", u.ClientID, u.At))
		if u.SecretID != uuid.Nil {
			all = append(all, touchRow("client_secrets", id(u.SecretID), u.At))
		}
	}
	return s.touch(ctx, "touch clients", all)
}

package upstream

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/sallyport-id/sallyport/storage"
	"golang.org/x/oauth2"
)

const (
	// metadataLife is for how long a discovery document is used; keys are fetched again when an unknown one signs.
	metadataLife = time.Hour
	// failureLife is for how long a provider that did not answer is not asked again.
	failureLife = 5 * time.Second
)

// metadata is what is read of a discovery document (OpenID Connect Discovery 1.0, section 3).
type metadata struct {
	Issuer        string   `json:"issuer"`
	AuthURL       string   `json:"authorization_endpoint"`
	TokenURL      string   `json:"token_endpoint"`
	KeysURL       string   `json:"jwks_uri"`
	UserinfoURL   string   `json:"userinfo_endpoint"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	SendsIssuer   bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
	PKCEMethods   []string `json:"code_challenge_methods_supported"`
	ResponseTypes []string `json:"response_types_supported"`

	keys *oidc.RemoteKeySet
}

// endpoint is what this process knows of the provider of one connection.
type endpoint struct {
	waiting chan struct{}
	// logouts is the same for logout tokens: strangers post them, and must not take the places of sign-ins.
	logouts chan struct{}

	mu        sync.Mutex // one discovers for all
	version   time.Time  // the connection's UpdatedAt
	metadata  *metadata
	err       error
	fetchedAt time.Time
}

// endpoint returns the entry of a connection.
func (s *Service) endpoint(c *storage.Connection) *endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.known[c.ID]
	if e == nil {
		e = &endpoint{waiting: make(chan struct{}, maxWaiting), logouts: make(chan struct{}, maxLogouts)}
		s.known[c.ID] = e
	}
	return e
}

// discover returns the metadata of the connection's issuer, fetched at most once an hour, and once in five seconds
// while that fails.
func (x *exchange) discover(ctx context.Context) (*metadata, error) {
	e := x.service.endpoint(x.Connection)
	e.mu.Lock()
	defer e.mu.Unlock()
	age := x.service.Now().Sub(e.fetchedAt)
	switch {
	case !e.version.Equal(x.UpdatedAt) || age < 0:
	case e.err != nil && age < failureLife:
		return nil, e.err
	case e.metadata != nil && age < metadataLife:
		return e.metadata, nil
	}
	// The answer is for all callers, so the one who asks cannot spoil it by hanging up.
	shared, cancel := context.WithTimeout(context.WithoutCancel(ctx), x.service.Timeout)
	defer cancel()
	e.metadata, e.err = x.fetchMetadata(shared)
	e.version, e.fetchedAt = x.UpdatedAt, x.service.Now()
	return e.metadata, e.err
}

func (x *exchange) fetchMetadata(ctx context.Context) (*metadata, error) {
	issuer := x.kind.issuer(x.Connection)
	body, err := x.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration",
		"the discovery document of "+issuer)
	if err != nil {
		return nil, err
	}
	var m metadata
	if json.Unmarshal(body, &m) != nil {
		return nil, fault(BadMetadata, nil, "the discovery document of %s is not JSON as it should be",
			"check the issuer", issuer)
	}
	if !x.kind.sameIssuer(x.Connection, m.Issuer) {
		return nil, fault(WrongIssuer, nil, "the discovery document of %s names the issuer %.200q",
			"set the issuer to exactly what the provider names, with or without the slash at its end", issuer, m.Issuer)
	}
	for name, uri := range map[string]string{"authorization_endpoint": m.AuthURL, "token_endpoint": m.TokenURL,
		"jwks_uri": m.KeysURL} {
		if !plainURL(uri, issuer) {
			return nil, fault(BadMetadata, nil, "the discovery document has no %s that is an https URL",
				"check the issuer", name)
		}
	}
	if m.UserinfoURL != "" && !plainURL(m.UserinfoURL, issuer) {
		return nil, fault(BadMetadata, nil, "the userinfo_endpoint is no https URL", "check the issuer")
	}
	if len(m.ResponseTypes) > 0 && !slices.Contains(m.ResponseTypes, "code") {
		return nil, fault(BadMetadata, nil, "the provider does not offer the authorization code flow",
			"use another kind of connection")
	}
	m.keys = oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), x.client), m.KeysURL)
	return &m, nil
}

// plainURL reports whether uri is https, or http where the issuer itself is (on loopback), with nothing odd in it.
func plainURL(uri, issuer string) bool {
	u, err := url.Parse(uri)
	return err == nil && u.Host != "" && u.User == nil && u.Fragment == "" &&
		(u.Scheme == "https" || u.Scheme == "http" && strings.HasPrefix(issuer, "http://"))
}

// oauth is the connection as x/oauth2 sees it.
func (x *exchange) oauth(m *metadata, redirectURI string) *oauth2.Config {
	style := oauth2.AuthStyleInHeader
	if x.secret == "" || len(m.AuthMethods) > 0 && !slices.Contains(m.AuthMethods, "client_secret_basic") {
		style = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{ClientID: x.Settings.ClientID, ClientSecret: x.secret, RedirectURL: redirectURI,
		Scopes:   x.kind.scopes,
		Endpoint: oauth2.Endpoint{AuthURL: m.AuthURL, TokenURL: m.TokenURL, AuthStyle: style}}
}

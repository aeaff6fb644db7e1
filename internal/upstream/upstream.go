package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/fetch"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// Config is what a Service needs. All of it, but for Allow and Timeout.
type Config struct {
	// Sealer opens the secrets of connections.
	Sealer *secret.Sealer
	// Allow lists addresses that may be asked besides public ones (OUTBOUND_ALLOW).
	Allow []netip.Prefix
	// Timeout bounds one Begin, Finish or Test with all its requests; 0 is 8 seconds.
	Timeout time.Duration
	Now     func() time.Time
}

const (
	defaultTimeout = 8 * time.Second
	// maxBody bounds what is read of one response.
	maxBody = 1 << 20
	// maxWaiting bounds the calls that wait for the provider of one connection.
	maxWaiting = 32
	// maxLogouts bounds the logout tokens that wait for the keys of one connection's provider.
	maxLogouts = 4
)

// Service speaks to the providers of all connections. It is safe for concurrent use.
type Service struct {
	Config
	mu sync.Mutex
	// known has an entry for each connection that was used, so it is bounded by those of the configuration.
	known map[uuid.UUID]*endpoint
}

// New returns a Service, or an error if c is not complete.
func New(c Config) (*Service, error) {
	if c.Sealer == nil || c.Now == nil {
		return nil, errors.New("upstream: sealer and clock are needed")
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	return &Service{Config: c, known: map[uuid.UUID]*endpoint{}}, nil
}

// Request is a sign-in to begin.
type Request struct {
	// RedirectURI is the connection's callback.
	RedirectURI string
	// LoginHint is the address that the person is expected to have; "" if none is.
	LoginHint string
	// Prompt is passed on: login or select_account; "" for none.
	Prompt string
	// SignedInAfter: a sign-in to the provider before it does not count; zero accepts any.
	SignedInAfter time.Time
}

// State is what Finish needs to know of Begin. It holds secrets; the caller keeps it sealed, under the hash of Token.
type State struct {
	// Token is the parameter state, 256 random bits.
	Token         string    `json:"-"`
	Connection    uuid.UUID `json:"connection"`
	RedirectURI   string    `json:"redirect_uri"`
	Nonce         string    `json:"nonce"`
	Verifier      string    `json:"verifier"` // PKCE (RFC 7636)
	SignedInAfter time.Time `json:"signed_in_after,omitzero"`
}

// Answer is what the provider sent to the callback.
type Answer struct {
	Code   string `json:"code,omitempty"`
	Issuer string `json:"iss,omitempty"` // RFC 9207; "" if it was not sent
	Error  string `json:"error,omitempty"`
}

// Identity is whom a provider vouches for.
type Identity struct {
	// Subject identifies the person within the connection. It never is an address.
	Subject string
	// Email is what the provider says; "" if nothing. EmailVerified: the provider has seen that it is the person's.
	Email         string
	EmailVerified bool
	Name          string
	GivenName     string
	FamilyName    string
	// SID is the provider's session; "" if it tells none.
	SID string
	// MFA: the provider says that the person has shown a second factor.
	MFA bool
}

// Begin returns where to send the browser, and what to keep for Finish. A *Fault if the provider cannot be used.
func (s *Service) Begin(ctx context.Context, c *storage.Connection, r Request) (location string, st State, err error) {
	st = State{Token: secret.NewToken(""), Connection: c.ID, RedirectURI: r.RedirectURI, Nonce: secret.NewToken(""),
		Verifier: secret.NewToken(""), SignedInAfter: r.SignedInAfter}
	err = s.call(ctx, c, func(ctx context.Context, x *exchange) error {
		location, err = x.kind.begin(ctx, x, r, &st)
		return err
	})
	return location, st, err
}

// Finish asks the provider whom it vouches for. A *Fault if it refuses, does not answer, or says what must not be
// believed. The caller has compared the browser, and lets an answer count once.
func (s *Service) Finish(ctx context.Context, c *storage.Connection, st State, a Answer) (id *Identity, err error) {
	switch {
	case st.Connection != c.ID: // an answer of one provider that came to the callback of another
		return nil, fault(AnswerIssuer, nil, "the answer is for another connection", "")
	case a.Error == "access_denied":
		return nil, fault(Denied, nil, "the sign-in was cancelled", "")
	case a.Error != "":
		return nil, fault(AnswerRefused, nil, "the provider answered with the error %s",
			"look the error up with the provider", cleanCode(a.Error))
	case a.Code == "":
		return nil, fault(BadAnswer, nil, "the answer has neither a code nor an error", "")
	}
	err = s.call(ctx, c, func(ctx context.Context, x *exchange) error {
		id, err = x.kind.finish(ctx, x, st, a)
		return err
	})
	return id, err
}

// Logout is what a logout token says (OpenID Connect Back-Channel Logout 1.0, section 2.4): the sessions of that
// subject, in that session of the provider, are over. One of the two may be "".
type Logout struct {
	Subject, SID string
	// ID and ExpiresAt are for the caller, who lets a token count once.
	ID        string
	ExpiresAt time.Time
}

// Logout checks a logout token that the provider of a connection has posted. A *Fault if it must not be believed.
func (s *Service) Logout(ctx context.Context, c *storage.Connection, raw string) (out *Logout, err error) {
	err = s.callIn(ctx, c, s.endpoint(c).logouts, func(ctx context.Context, x *exchange) error {
		if x.kind.logout == nil {
			return fault(BadSettings, nil, "providers of the kind %s send no logout tokens", "", c.Kind)
		}
		out, err = x.kind.logout(ctx, x, raw)
		return err
	})
	return out, err
}

// Test reports what is wrong with a connection, as far as that can be seen without a person: a *Fault, or nil.
func (s *Service) Test(ctx context.Context, c *storage.Connection, redirectURI string) error {
	return s.call(ctx, c, func(ctx context.Context, x *exchange) error {
		return x.kind.test(ctx, x, redirectURI)
	})
}

// exchange is one Begin, Finish or Test with the provider of a connection.
type exchange struct {
	*storage.Connection
	kind    *kind
	service *Service
	client  *http.Client
	secret  string
}

// call runs do with what it needs to speak to the provider, within the time that it may take.
func (s *Service) call(ctx context.Context, c *storage.Connection, do func(context.Context, *exchange) error) error {
	return s.callIn(ctx, c, s.endpoint(c).waiting, do)
}

// callIn is call in one of places, of which each call takes one.
func (s *Service) callIn(ctx context.Context, c *storage.Connection, places chan struct{}, do func(context.Context, *exchange) error) error {
	k := kinds[c.Kind]
	if k == nil {
		return fault(BadSettings, nil, "the kind %q is not known", "choose one of "+KindNames(), c.Kind)
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		return fault(Busy, nil, "%d calls wait for this provider already", retryRemedy, cap(places))
	}
	x := &exchange{Connection: c, kind: k, service: s}
	if c.Secret != nil {
		opened, err := s.Sealer.Open(c.Secret, c.SecretPlace())
		if err != nil {
			return fault(BadSettings, err, "the client secret cannot be opened", "restart the server, which seals it anew")
		}
		x.secret = string(opened)
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	var err error
	if x.client, err = s.newClient(c); err != nil {
		return err
	}
	return do(ctx, x)
}

// newClient is the HTTP client for a connection. Bodies end with an error after maxBody.
func (s *Service) newClient(c *storage.Connection) (*http.Client, error) {
	client := fetch.NewClient(s.Allow, s.Timeout)
	transport := client.Transport.(*http.Transport)
	if path := c.Settings.CAFile; path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, fault(BadSettings, err, "the ca_file cannot be read", "give the path of a PEM file that this server can read")
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fault(BadSettings, nil, "the ca_file holds no certificate", "give a file with certificates in PEM")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	client.Transport = bounded{transport}
	return client, nil
}

// bounded reads no more than maxBody of a response: libraries read bodies whole.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxBody)
	}
	return resp, err
}

// get returns the body at uri, or the *Fault that the provider cannot be reached.
func (x *exchange) get(ctx context.Context, uri, what string) ([]byte, error) {
	body, err := fetch.Get(ctx, x.client, uri, "application/json", maxBody)
	if err != nil {
		return nil, fault(Unreachable, err, "%s cannot be fetched", retryRemedy, what)
	}
	return body, nil
}

// cleanCode keeps what is an error code of OAuth (RFC 6749 appendix A.7) from what a stranger sent.
func cleanCode(text string) string {
	if len(text) > 64 {
		return "(long)"
	}
	for _, r := range text {
		if r != '_' && r != '-' && r != '.' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return "(unreadable)"
		}
	}
	return text
}

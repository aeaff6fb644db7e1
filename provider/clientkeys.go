package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/fetch"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"golang.org/x/sync/singleflight"
)

// maxJWS bounds what a client may have us parse, in bytes.
const maxJWS = 16 << 10

// parseJWKS reads a key set and keeps its public signature keys.
func parseJWKS(raw []byte) (*jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("the key set cannot be read: %w", err)
	}
	set.Keys = slices.DeleteFunc(set.Keys, func(k jose.JSONWebKey) bool {
		return !k.Valid() || !k.IsPublic() || k.Use == "enc"
	})
	return &set, nil
}

// verifyClientJWS checks a compact JWS with the client's registered keys and
// returns its payload. Keys, URLs and certificates in the header are never used
// (RFC 8725, section 3.10). alg, if not empty, is the only algorithm.
func (p *Provider) verifyClientJWS(ctx context.Context, c *client, raw, alg string) ([]byte, error) {
	if len(raw) > maxJWS {
		return nil, errors.New("the JWS is too large")
	}
	algs := oauth.ClientAlgs()
	if alg != "" {
		if !slices.Contains(algs, alg) {
			return nil, errors.New("the client is registered for an algorithm that is not supported")
		}
		algs = []string{alg}
	}
	jws, err := jose.ParseSignedCompact(raw, keys.Algorithms(algs))
	if err != nil {
		return nil, err
	}
	if len(jws.Signatures) != 1 {
		return nil, errors.New("the JWS has not one signature")
	}
	// No extension is understood here, and b64 would change what is signed (RFC 7515, section 4.1.11; RFC 7797, section 7).
	if extra := jws.Signatures[0].Header.ExtraHeaders; extra["crit"] != nil || extra["b64"] != nil {
		return nil, errors.New("the JWS has a critical header")
	}
	kid := jws.Signatures[0].Header.KeyID
	set, err := p.clientKeys(ctx, c, kid)
	if err != nil {
		return nil, err
	}
	for _, k := range set.Keys {
		if (kid != "" && k.KeyID != "" && k.KeyID != kid) || (k.Algorithm != "" && k.Algorithm != jws.Signatures[0].Header.Algorithm) {
			continue
		}
		if payload, err := jws.Verify(k.Key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("no registered key of the client verifies the signature")
}

// clientKeys returns the keys of a client: registered by value, or fetched from
// its jwks_uri, anew if kid is not among them.
func (p *Provider) clientKeys(ctx context.Context, c *client, kid string) (*jose.JSONWebKeySet, error) {
	if c.Metadata.JWKSURI == "" {
		if c.jwks == nil {
			return nil, errors.New("the client has no registered keys")
		}
		return c.jwks, nil
	}
	return p.fetcher.keys(ctx, c.Metadata.JWKSURI, kid)
}

// Limits of fetching a jwks_uri: freshFor is how long an answer is used, staleFor how
// long it is used while the server is down, so that its clients can still authenticate, and
// againIn the least time between two fetches, so that unknown kids cause no load.
const (
	freshFor    = time.Hour
	staleFor    = 24 * time.Hour
	againIn     = 30 * time.Second
	fetchLimit  = 5 * time.Second
	maxKeysBody = 64 << 10
)

// fetcher fetches key sets of clients from where they registered them, and from
// nowhere else: https only, no redirects, addresses checked after resolution.
type fetcher struct {
	http  *http.Client
	now   func() time.Time
	cache *expirable.LRU[string, fetched]
	group singleflight.Group
}

type fetched struct {
	tried time.Time           // the last fetch, whatever came of it
	got   time.Time           // when set was published
	set   *jose.JSONWebKeySet // nil if there is none that can still be used
	err   error
}

func newFetcher(allow []netip.Prefix, now func() time.Time) *fetcher {
	return &fetcher{now: now, cache: expirable.NewLRU[string, fetched](1000, nil, staleFor),
		http: fetch.NewClient(allow, fetchLimit)}
}

func (f *fetcher) keys(ctx context.Context, uri, kid string) (*jose.JSONWebKeySet, error) {
	known, ok := f.cache.Get(uri)
	now := f.now()
	age := now.Sub(known.tried).Abs() // a clock that is set back must not make an answer new for ever
	has := ok && known.set != nil && (kid == "" || len(known.set.Key(kid)) > 0)
	if ok && (age < againIn || (has && age < freshFor)) {
		if known.set == nil {
			return nil, known.err
		}
		return known.set, nil
	}
	v, err, _ := f.group.Do(uri, func() (any, error) {
		set, err := f.fetch(context.WithoutCancel(ctx), uri)
		got := now
		if err != nil && known.set != nil && now.Sub(known.got) < staleFor {
			set, got = known.set, known.got
		}
		f.cache.Add(uri, fetched{now, got, set, err})
		if set == nil {
			return nil, err
		}
		return set, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*jose.JSONWebKeySet), nil
}

func (f *fetcher) fetch(ctx context.Context, uri string) (*jose.JSONWebKeySet, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	body, err := fetch.Get(ctx, f.http, uri, "application/jwk-set+json, application/json", maxKeysBody)
	if err != nil {
		return nil, fmt.Errorf("the jwks_uri of the client: %w", err)
	}
	usable, err := identity.UsableKeys(body)
	if err != nil {
		return nil, err
	}
	return parseJWKS(usable)
}

package storage

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// PKCE says what an authorization request of a confidential client must carry against code injection (RFC 9700,
// section 2.1.1). Public clients must use PKCE whatever their registration says.
type PKCE string

// The values of require_pkce. The zero value is that of a registration that does not name it.
const (
	PKCEOptional PKCE = ""     // false: a request without protection is accepted, and counted
	PKCEAuto     PKCE = "auto" // S256, or with the scope openid a nonce
	PKCERequired PKCE = "true" // S256
)

// String returns the value as it is written in clients.yaml.
func (p PKCE) String() string { return cmp.Or(string(p), "false") }

// MarshalJSON writes true, false or "auto". Registrations made before "auto" existed have a boolean.
func (p PKCE) MarshalJSON() ([]byte, error) {
	if p == PKCEAuto {
		return []byte(`"auto"`), nil
	}
	return []byte(p.String()), nil
}

// UnmarshalJSON reads true, false or "auto".
func (p *PKCE) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch v {
	case true:
		*p = PKCERequired
	case false:
		*p = PKCEOptional
	case string(PKCEAuto):
		*p = PKCEAuto
	default:
		return fmt.Errorf("require_pkce is %s, not true, false or \"auto\"", b)
	}
	return nil
}

// Unprotected reports whether an attacker could inject a stolen code into the client: its registration accepts requests
// with neither PKCE nor nonce, and it has sent some.
func (c *Client) Unprotected() bool {
	return c.Metadata.RequirePKCE == PKCEOptional && !c.Public() && c.UnprotectedRequests > 0
}

// UnprotectedUse counts the requests of a client that got a code with neither PKCE nor nonce.
type UnprotectedUse struct {
	Requests int64
	Last     time.Time
}

// CountUnprotected adds to the counts of clients, by client_id, in one transaction.
func (s *Store) CountUnprotected(ctx context.Context, uses map[string]UnprotectedUse) error {
	var all []statement
	// In the same order on every node, so that two nodes do not wait for each other.
	for _, clientID := range slices.Sorted(maps.Keys(uses)) {
		all = append(all, statement{`UPDATE clients SET unprotected_requests = unprotected_requests + ?, unprotected_at = ? WHERE id = ?`,
			[]any{uses[clientID].Requests, usec(uses[clientID].Last), clientID}})
	}
	return s.touch(ctx, "count unprotected requests", all)
}

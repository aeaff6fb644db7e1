package upstream

import (
	"crypto"
	_ "crypto/sha256" // the hashes of at_hash and c_hash
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

const (
	// skew is by how much the provider's clock may differ from ours.
	skew = time.Minute
	// maxSubject bounds a subject (OpenID Connect Core 1.0, section 2).
	maxSubject = 255
)

// claims are what is read of an ID token and of userinfo.
type claims struct {
	Issuer        string   `json:"iss"`
	Subject       string   `json:"sub"`
	Audience      list     `json:"aud"`
	Party         string   `json:"azp"`
	ExpiresAt     instant  `json:"exp"`
	NotBefore     instant  `json:"nbf"`
	IssuedAt      instant  `json:"iat"`
	AuthTime      instant  `json:"auth_time"`
	Nonce         string   `json:"nonce"`
	AccessHash    string   `json:"at_hash"`
	CodeHash      string   `json:"c_hash"`
	ACR           string   `json:"acr"`
	AMR           []string `json:"amr"`
	SID           string   `json:"sid"`
	ID            string   `json:"jti"`
	Events        events   `json:"events"`
	Email         string   `json:"email"`
	EmailVerified truth    `json:"email_verified"`
	Name          string   `json:"name"`
	GivenName     string   `json:"given_name"`
	FamilyName    string   `json:"family_name"`

	// Microsoft's: tenant, object id, and whether the domain of the address belongs to the tenant.
	Tenant         string `json:"tid"`
	ObjectID       string `json:"oid"`
	DomainVerified truth  `json:"xms_edov"`
}

// events are those that a logout token tells.
type events map[string]json.RawMessage

// list is one string or several, as an audience may be.
type list []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *list) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*l = list{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(l))
}

// instant is seconds since the epoch; some providers send fractions.
type instant float64

func (i instant) time() time.Time { return time.Unix(int64(i), 0) }

// truth is a boolean, which some providers send as a string or a number. Anything but true, "true", "1" and 1 is false.
type truth bool

// UnmarshalJSON implements json.Unmarshaler.
func (t *truth) UnmarshalJSON(b []byte) error {
	*t = truth(slices.Contains([]string{"true", `"true"`, `"1"`, "1"}, string(b)))
	return nil
}

// tokenCheck is one check of an ID token whose signature is verified.
type tokenCheck struct {
	code, problem string
	ok            func(v *verification) bool
}

// verification is an ID token with what it is compared with.
type verification struct {
	*claims
	connection  *storage.Connection
	kind        *kind
	metadata    *metadata
	state       State
	code        string
	accessToken string
	hash        crypto.Hash // of the algorithm that signed the token
	now         time.Time
}

// tokenChecks are those of OpenID Connect Core 1.0, sections 3.1.3.7 and 3.3.2.11.
var tokenChecks = []tokenCheck{
	{TokenIssuer, "the ID token is of another issuer",
		func(v *verification) bool {
			return v.Issuer != "" && v.Issuer == v.kind.tokenIssuer(v.metadata, v.claims)
		}},
	{TokenAudience, "the ID token is not for this client",
		func(v *verification) bool { return slices.Contains(v.Audience, v.connection.Settings.ClientID) }},
	{TokenParty, "the ID token was issued to another client",
		func(v *verification) bool {
			return v.Party == v.connection.Settings.ClientID || v.Party == "" && len(v.Audience) == 1
		}},
	{TokenExpired, "the ID token has expired",
		func(v *verification) bool { return v.ExpiresAt > 0 && v.now.Add(-skew).Before(v.ExpiresAt.time()) }},
	{TokenEarly, "the ID token is of a time to come",
		func(v *verification) bool {
			return v.IssuedAt > 0 && !v.IssuedAt.time().After(v.now.Add(skew)) && !v.NotBefore.time().After(v.now.Add(skew))
		}},
	{TokenNonce, "the ID token is of another sign-in",
		func(v *verification) bool { return v.Nonce != "" && v.Nonce == v.state.Nonce }},
	{TokenSubject, "the ID token names nobody whom this connection accepts",
		func(v *verification) bool {
			subject := v.kind.subject(v.connection, v.claims)
			return subject != "" && len(subject) <= maxSubject && storage.Storable(subject, maxSubject) == subject
		}},
	{TokenAge, "the person did not sign in anew, as was asked for",
		func(v *verification) bool {
			return v.state.SignedInAfter.IsZero() || !v.kind.maxAge || !v.AuthTime.time().Before(v.state.SignedInAfter.Add(-skew))
		}},
	{TokenHash, "the ID token belongs to another access token or code",
		func(v *verification) bool {
			return v.matches(v.AccessHash, v.accessToken) && v.matches(v.CodeHash, v.code)
		}},
}

// check returns the first check that fails as a *Fault.
func (v *verification) check() error {
	for _, c := range tokenChecks {
		if !c.ok(v) {
			return fault(c.code, nil, "%s", "compare the connection with what the provider shows for this client", c.problem)
		}
	}
	return nil
}

// logoutEvent is the event of a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.4).
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// checkLogout is check for a logout token: the checks of an ID token that apply, and those of its own. The nonce keeps
// an ID token from being taken for one.
func (v *verification) checkLogout() error {
	for _, c := range tokenChecks {
		if slices.Contains([]string{TokenIssuer, TokenAudience, TokenExpired, TokenEarly}, c.code) && !c.ok(v) {
			return fault(c.code, nil, "of a logout token: %s", "", c.problem)
		}
	}
	_, isLogout := v.Events[logoutEvent]
	if !isLogout || v.Nonce != "" || v.ID == "" || v.Subject == "" && v.SID == "" {
		return fault(LogoutInvalid, nil, "the token is no logout token", "")
	}
	return nil
}

// matches reports whether hash, if the token has one, is the left half of that of text.
func (v *verification) matches(hash, text string) bool {
	if hash == "" {
		return true
	}
	if !v.hash.Available() {
		return false
	}
	h := v.hash.New()
	h.Write([]byte(text))
	sum := h.Sum(nil)
	return hash == base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// hashOf is the hash of a signature algorithm (RFC 7518, section 3.1; EdDSA with Ed25519 uses SHA-512).
func hashOf(algorithm string) crypto.Hash {
	switch {
	case strings.HasSuffix(algorithm, "256"):
		return crypto.SHA256
	case strings.HasSuffix(algorithm, "384"):
		return crypto.SHA384
	}
	return crypto.SHA512
}

// secondFactors are the methods of RFC 8176 that say that more than a password was shown.
var secondFactors = []string{"mfa", "otp", "hwk", "swk", "fpt", "sms", "tel"}

// multiFactor are the contexts that say so (acr).
var multiFactor = []string{"http://schemas.openid.net/pape/policies/2007/06/multi-factor", "urn:sallyport:acr:mfa", "phr",
	"phrh"}

// hasMFA reports whether the provider says that the person has shown a second factor.
func (c *claims) hasMFA() bool {
	isSecond := func(method string) bool { return slices.Contains(secondFactors, method) }
	return slices.Contains(multiFactor, c.ACR) || slices.Contains(c.AMR, "mfa") ||
		slices.Contains(c.AMR, "pwd") && slices.ContainsFunc(c.AMR, isSecond)
}

// identity is whom the claims name.
func (c *claims) identity(k *kind, connection *storage.Connection) *Identity {
	return &Identity{Subject: k.subject(connection, c), Email: cut(c.Email), EmailVerified: k.verified(c), Name: cut(c.Name),
		GivenName: cut(c.GivenName), FamilyName: cut(c.FamilyName), SID: cut(c.SID), MFA: c.hasMFA()}
}

// cut bounds a text that a provider sent. Addresses have at most 254 bytes; names are shortened further by package
// identity.
func cut(text string) string { return storage.Storable(text, 1000) }

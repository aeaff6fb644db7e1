package samplerp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// jwtParts splits a JWT in compact form (RFC 7519 section 3) without judging
// its signature: this is for showing.
func jwtParts(token string) (header, payload map[string]any, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, errors.New("not three parts")
	}
	if header, err = object(parts[0]); err != nil {
		return nil, nil, err
	}
	payload, err = object(parts[1])
	return header, payload, err
}

func object(part string) (map[string]any, error) {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil, err
	}
	return decode(text)
}

// decode reads a JSON object; numbers stay as they are written.
func decode(text []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var out map[string]any
	if err := decoder.Decode(&out); err != nil {
		return nil, err
	}
	if out == nil {
		return nil, errors.New("not a JSON object")
	}
	return out, nil
}

// claimsOf is the payload of a JWT that was verified before.
func claimsOf(token string) (map[string]any, error) {
	_, payload, err := jwtParts(token)
	return payload, err
}

// claimRow is a claim as the page shows it.
type claimRow struct {
	Name, Value, Meaning string
	Nested               bool // Value is JSON of several lines
}

// meanings explains claims, in the order they are shown.
var meanings = []struct{ name, text string }{
	{"iss", "who says this; must be exactly the issuer you trust"},
	{"sub", "who signed in; the one value to store, it never changes and is never the email"},
	{"aud", "who this is for; must hold your client ID"},
	{"azp", "the client it was issued to"},
	{"client_id", "the client it was issued to"},
	{"org_id", "the one organization this token is for"},
	{"org_slug", "the same, as it stands in addresses"},
	{"org_name", "the same, for people"},
	{"org_roles", "what the person is in that organization"},
	{"roles", "what the person is in the whole installation"},
	{"scope", "what the token may be used for"},
	{"acr", "how sure the provider is that it is this person"},
	{"amr", "how they proved it (RFC 8176)"},
	{"auth_time", "when they proved it"},
	{"iat", "when this was issued"},
	{"nbf", "not valid before"},
	{"exp", "not valid after"},
	{"nonce", "what your app sent, so that the token fits this sign-in and no other"},
	{"sid", "the session at the provider; its logout names it"},
	{"at_hash", "ties the access token to this ID token"},
	{"jti", "this token's own number"},
	{"name", "from the scope profile"},
	{"email", "from the scope email; can change, so it is no identity"},
	{"email_verified", "whether the address was proven"},
}

// claimRows puts known claims first, with what they mean.
func claimRows(claims map[string]any, now time.Time) []claimRow {
	var rows []claimRow
	known := map[string]bool{}
	for _, m := range meanings {
		known[m.name] = true
		if v, ok := claims[m.name]; ok {
			rows = append(rows, row(m.name, v, m.text, now))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		if !known[name] {
			rows = append(rows, row(name, claims[name], "", now))
		}
	}
	return rows
}

func row(name string, v any, meaning string, now time.Time) claimRow {
	switch v := v.(type) {
	case string:
		return claimRow{Name: name, Value: v, Meaning: meaning}
	case []any, map[string]any:
		compact, _ := json.Marshal(v)
		if len(compact) > 48 {
			return claimRow{Name: name, Value: pretty(v), Meaning: meaning, Nested: true}
		}
		return claimRow{Name: name, Value: string(compact), Meaning: meaning}
	case json.Number:
		if at, ok := moment(name, v); ok {
			return claimRow{Name: name, Value: v.String(), Meaning: strings.TrimPrefix(meaning+": "+at.Format("15:04:05 UTC, 2 January 2006")+", "+life(at, now), ": ")}
		}
	}
	return claimRow{Name: name, Value: fmt.Sprint(v), Meaning: meaning}
}

// moment reads the claims that are points in time (RFC 7519 section 2).
func moment(name string, v json.Number) (time.Time, bool) {
	if !slices.Contains([]string{"iat", "exp", "nbf", "auth_time", "updated_at"}, name) {
		return time.Time{}, false
	}
	seconds, err := v.Int64()
	return time.Unix(seconds, 0).UTC(), err == nil
}

// pretty writes JSON for people.
func pretty(v any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // the template escapes
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}

// life words how long something lasts from now.
func life(until, now time.Time) string {
	d := until.Sub(now).Round(time.Second)
	word := func(n int, unit string) string {
		if n != 1 {
			unit += "s"
		}
		return fmt.Sprintf("%d %s", n, unit)
	}
	text := func(d time.Duration) string {
		switch {
		case d >= 48*time.Hour:
			return word(int(d/(24*time.Hour)), "day")
		case d >= 2*time.Hour:
			return word(int(d/time.Hour), "hour")
		case d >= 2*time.Minute:
			return word(int(d/time.Minute), "minute")
		}
		return word(int(d/time.Second), "second")
	}
	if d < 0 {
		return text(-d) + " ago"
	}
	return "in " + text(d)
}

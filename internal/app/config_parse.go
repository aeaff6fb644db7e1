package app

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/identity"
)

// minKeyBytes is what a key must have: 256 bits.
const minKeyBytes = 32

// environmentOf applies the rule for ENV to what the sources say. A value that is not
// a known environment counts as not given; its own parser reports it.
func environmentOf(values map[string]value) Environment {
	switch e := Environment(values["ENV"].text); e {
	case Production, Development, Testing:
		return e
	}
	if loopbackIssuer(issuerText(values)) && loopbackListen(listenText(values)) {
		return Development
	}
	return Production
}

func listenText(values map[string]value) string {
	if v, ok := values["LISTEN"]; ok {
		return v.text
	}
	return settingFor("LISTEN").def
}

// issuerText is ISSUER, or what it is by default: localhost with the port that
// is listened on, because any other would answer 421 to everybody.
func issuerText(values map[string]value) string {
	if v, ok := values["ISSUER"]; ok {
		return v.text
	}
	_, port, err := net.SplitHostPort(listenText(values))
	if err != nil {
		port = "5000"
	}
	return "http://" + net.JoinHostPort("localhost", port)
}

// loopbackIssuer is lenient about the rest of the URL: a trailing slash is a
// fault of its own and should not turn development into production.
func loopbackIssuer(text string) bool {
	u, err := url.Parse(text)
	return err == nil && loopbackHost(u.Hostname())
}

func loopbackListen(text string) bool {
	host, _, err := net.SplitHostPort(text)
	return err == nil && loopbackHost(host)
}

// loopbackHost knows localhost and its subdomains (RFC 6761) and the loopback
// addresses; an empty host listens everywhere.
func loopbackHost(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// parseIssuer wants exactly the string that goes into tokens: relying parties
// compare it byte for byte (OpenID Connect Core 3.1.3.7).
func parseIssuer(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", errors.New("is not a URL")
	}
	host, port := u.Hostname(), u.Port()
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("must begin with https:// (http:// on loopback)")
	case u.User != nil:
		return "", errors.New("must not hold a user name or password")
	case host == "":
		return "", errors.New("has no host")
	case u.Path == "/":
		return "", errors.New("must not end in a slash")
	case u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return "", errors.New("must end after the host and port: no path, query or fragment")
	case host != strings.ToLower(host) || !isASCII(host):
		return "", errors.New("must have its host in lower-case ASCII (xn--… for others), as browsers send it")
	case strings.HasSuffix(u.Host, ":"), port == "443" && u.Scheme == "https", port == "80" && u.Scheme == "http":
		return "", errors.New("must leave out the scheme's own port, as browsers do")
	case u.Scheme == "http" && !loopbackHost(host):
		return "", errors.New("must begin with https:// unless its host is loopback")
	}
	if text != u.Scheme+"://"+u.Host {
		return "", errors.New("must be scheme://host[:port]")
	}
	return text, nil
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func parseListen(text string) (string, error) {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", errors.New("must be host:port")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", errors.New("must have a port from 0 to 65535")
	}
	return text, nil
}

// parseKeys reads a comma-separated list of keys. Hex of 32 bytes or more is
// read as hex, else base64 (either alphabet, padded or not) of 32 bytes or more as
// base64; any other text is the key itself. Errors never quote it.
func parseKeys(text string) ([][]byte, error) {
	if text == "" {
		return nil, nil
	}
	var keys [][]byte
	for i, part := range strings.Split(text, ",") {
		key, err := parseKey(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("(number %d of the list) %w", i+1, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func parseKey(text string) ([]byte, error) {
	if len(text) < minKeyBytes {
		return nil, fmt.Errorf("has fewer than %d bytes", minKeyBytes)
	}
	key := decodeKey(text)
	if isGuessable(text, key) {
		return nil, errors.New("can be guessed: it was typed, or repeats or continues a pattern")
	}
	if key != nil {
		return key, nil
	}
	lower := strings.ToLower(text)
	for _, sign := range []string{"change", "example", "insecure", "password", "replace", "secret", "your-"} {
		if strings.Contains(lower, sign) {
			return nil, fmt.Errorf("looks like a placeholder (it says %q)", sign)
		}
	}
	return []byte(text), nil
}

// decodeKey is the key that text encodes in hex or base64, nil if it encodes none.
func decodeKey(text string) []byte {
	if key, err := hex.DecodeString(text); err == nil && len(key) >= minKeyBytes {
		return key
	}
	unified := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	if key, err := base64.RawURLEncoding.DecodeString(unified); err == nil && len(key) >= minKeyBytes {
		return key
	}
	return nil
}

// isGuessable finds keys that were made up rather than drawn. 32 drawn bytes have about
// 30 different values and as many different steps from one to the next; even 32 drawn hex
// digits that are taken as they are have about 14.
func isGuessable(text string, decoded []byte) bool {
	if variety([]byte(text)) < 8 || identity.IsMadeUp(text) {
		return true
	}
	if decoded == nil {
		return false
	}
	printable := !bytes.ContainsFunc(decoded, func(r rune) bool { return r < ' ' || r > '~' })
	return variety(decoded) < 16 || (printable && identity.IsMadeUp(string(decoded)))
}

// variety counts the different bytes, or the different steps from one to the next if
// these are fewer.
func variety(key []byte) int {
	values, steps := map[byte]bool{}, map[byte]bool{}
	for i, b := range key {
		values[b] = true
		if i > 0 {
			steps[b-key[i-1]] = true
		}
	}
	return min(len(values), len(steps))
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "1", "yes", "on":
		return true, nil
	case "false", "0", "no", "off":
		return false, nil
	}
	return false, errors.New("must be true or false")
}

// parseRegistration takes the values of Flask's switch besides our three.
func parseRegistration(text string) (string, error) {
	if strings.EqualFold(text, "invite") {
		return "invite", nil
	}
	open, err := parseBool(text)
	if err != nil {
		return "", errors.New("must be true, invite or false")
	}
	return strconv.FormatBool(open), nil
}

// parseProtection also takes what Flask-Login's setting of this name may be, None among them, in any case.
func parseProtection(text string) (string, error) {
	text = strings.ToLower(text)
	if slices.Contains([]string{"none", "null", "false", "0"}, text) {
		text = "off"
	}
	return text, oneOf("strong", "basic", "off")(text)
}

// number returns a parser of whole numbers from low to high.
func number(low, high int) func(text string) (int, error) {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("must be a whole number from %d to %d", low, high)
		}
		return n, nil
	}
}

// seconds returns a parser of whole seconds, the only unit this configuration has.
func seconds(low, high time.Duration) func(text string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		n, err := number(int(low/time.Second), int(high/time.Second))(text)
		if err != nil {
			return 0, fmt.Errorf("%w (seconds, without a unit)", err)
		}
		return time.Duration(n) * time.Second, nil
	}
}

// parseLevel also takes the names that Python's logging has.
func parseLevel(text string) (slog.Level, error) {
	switch strings.ToLower(text) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error", "critical":
		return slog.LevelError, nil
	}
	return 0, errors.New("must be debug, info, warn or error")
}

func parseNetworks(text string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, part := range list(text) {
		if addr, err := netip.ParseAddr(part); err == nil {
			networks = append(networks, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, fmt.Errorf("has %q, which is no network such as 10.0.0.0/8", part)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

var hostName = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?$`)

// parseHosts reads names as they stand in a Host header, without ports.
func parseHosts(text string) ([]string, error) {
	hosts := list(strings.ToLower(text))
	for _, host := range hosts {
		if !hostName.MatchString(host) {
			return nil, fmt.Errorf("has %q, which is no name such as sallyport.internal", host)
		}
	}
	return hosts, nil
}

// list splits at commas and drops blanks.
func list(text string) []string {
	var parts []string
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// oneOf returns a check that a text is one of the allowed ones.
func oneOf(allowed ...string) func(text string) error {
	return func(text string) error {
		if !slices.Contains(allowed, text) {
			return fmt.Errorf("must be one of %s", strings.TrimSuffix(strings.Join(allowed, ", "), ", "))
		}
		return nil
	}
}

// oneOfOrEmpty is oneOf for a key that may be left out.
func oneOfOrEmpty(allowed ...string) func(text string) error { return oneOf(append(allowed, "")...) }

// atMost returns a check of a text's length.
func atMost(characters int) func(text string) error {
	return func(text string) error {
		if utf8.RuneCountInString(text) > characters {
			return fmt.Errorf("must have at most %d characters", characters)
		}
		return nil
	}
}

var hexColor = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

func parseColor(text string) (string, error) {
	if text != "" && !hexColor.MatchString(text) {
		return "", errors.New("must be a colour such as #0a6e5c")
	}
	return strings.ToLower(text), nil
}

func checkAddress(text string) error {
	if text == "" {
		return nil
	}
	if _, err := mail.ParseAddress(text); err != nil {
		return errors.New("must be a mail address")
	}
	return nil
}

// parseOrigins wants origins as browsers send them (RFC 6454 section 7).
func parseOrigins(text string) ([]string, error) {
	var origins []string
	for _, origin := range list(text) {
		if _, err := parseIssuer(origin); err != nil {
			return nil, fmt.Errorf("has %q, which %w", origin, err)
		}
		origins = append(origins, origin)
	}
	return origins, nil
}

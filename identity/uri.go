package identity

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	maxURIs     = 50
	maxURIBytes = 2048
)

// uriKind says which URIs a field of a registration accepts.
type uriKind struct {
	// loopback allows plain http to this machine by IP address. The name localhost, which a resolver can be made to
	// answer differently, needs localhost too.
	loopback, localhost bool
	// custom allows a private-use scheme of an app (RFC 8252, section 7.1).
	custom bool
}

// redirectKind is for redirect_uris and post_logout_redirect_uris.
func redirectKind(native, production bool) uriKind {
	return uriKind{loopback: native || !production, localhost: !production, custom: native}
}

// pageKind is for pages and key sets that are linked or fetched.
func pageKind(production bool) uriKind { return uriKind{loopback: !production, localhost: !production} }

// checkURI refuses URIs that a browser, Go and a person could read differently, and those that are not safe to send a
// code to (RFC 9700, section 4.1). An accepted URI is compared as a whole and literally.
func checkURI(raw string, kind uriKind) error {
	if err := checkURIText(raw); err != nil {
		return err
	}
	u, err := url.Parse(raw)
	switch {
	case err == nil && u.Scheme == "":
		return errors.New("has no scheme; write it whole, like https://app.example.com/callback")
	case err != nil || u.String() != raw:
		return errors.New("is not a URI in its normal form: scheme in lower case, no needless escapes")
	case u.User != nil || strings.Contains(u.Host, "@"):
		return errors.New("has a user name in it")
	case u.Opaque != "":
		return fmt.Errorf("has no / behind its scheme, %s", u.Scheme)
	}
	if err := checkPath(u); err != nil {
		return err
	}
	switch u.Scheme {
	case "https":
		return checkHost(u)
	case "http":
		if err := checkHost(u); err != nil {
			return err
		}
		return checkHTTP(u, kind)
	}
	return checkCustomScheme(u, kind)
}

// checkURIText checks the bytes before a parser interprets them.
func checkURIText(raw string) error {
	if raw == "" || len(raw) > maxURIBytes {
		return fmt.Errorf("is empty or longer than %d bytes", maxURIBytes)
	}
	for _, b := range []byte(raw) {
		if b <= ' ' || b >= 0x7f || strings.IndexByte("\\\"<>^`{|}", b) >= 0 {
			return fmt.Errorf("has the character %q in it; write other alphabets as xn-- and %%-escapes", b)
		}
	}
	switch {
	case strings.Contains(raw, "#"):
		return errors.New("has a fragment (#) in it")
	case strings.Contains(raw, "*"):
		return errors.New("has a * in it; redirects are compared literally, so list each URI")
	}
	for _, after := range strings.Split(raw, "%")[1:] {
		n, err := strconv.ParseUint(after[:min(2, len(after))], 16, 8)
		switch {
		case err != nil || len(after) < 2:
			return errors.New("has a % that begins no escape")
		case n < ' ' || n == 0x7f || n == '\\':
			return fmt.Errorf("has the escape %%%s in it, which some software takes for a separator", after[:2])
		}
	}
	return nil
}

// checkPath refuses . and .. as path segments, which some software removes and other keeps. u.Path is unescaped, so
// that %2e and a segment after %2f are found too.
func checkPath(u *url.URL) error {
	if u.Path != "" && !strings.HasPrefix(u.Path, "/") {
		return errors.New("has a path that does not begin with /")
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return errors.New("has . or .. in its path")
		}
	}
	return nil
}

func checkHost(u *url.URL) error {
	host := u.Hostname()
	if host == "" {
		return errors.New("has no host")
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
			return errors.New("has a port that does not exist")
		}
	}
	if strings.HasPrefix(u.Host, "[") {
		if a, err := netip.ParseAddr(host); err != nil || a.Zone() != "" {
			return errors.New("has a host that is no IP address")
		}
		return nil
	}
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if l == "" || strings.Trim(strings.ToLower(l), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return errors.New("has a host that is no name")
		}
	}
	// A browser reads 2130706433, 0x7f.1 and 127.1 as IP addresses, other software as names.
	last := strings.ToLower(labels[len(labels)-1])
	_, hex := strings.CutPrefix(last, "0x")
	if hex || strings.Trim(last, "0123456789") == "" {
		if _, err := netip.ParseAddr(host); err != nil {
			return errors.New("has a host that some software takes for an IP address")
		}
	}
	return nil
}

func checkHTTP(u *url.URL, kind uriKind) error {
	host := u.Hostname()
	switch {
	case kind.localhost && host == "localhost", kind.loopback && (host == "127.0.0.1" || host == "::1"):
		return nil
	case kind.loopback && host == "localhost":
		return errors.New("has the host localhost; write 127.0.0.1 or [::1] (RFC 8252, section 8.3)")
	case kind.loopback:
		return errors.New("is plain http to another machine; use https")
	}
	return errors.New("is plain http; use https")
}

func checkCustomScheme(u *url.URL, kind uriKind) error {
	switch {
	case !kind.custom:
		return fmt.Errorf("has the scheme %s; use https", u.Scheme)
	case !strings.Contains(u.Scheme, ".") || slices.Contains(strings.Split(u.Scheme, "."), ""):
		// A scheme without a dot can be javascript, data, file, or that of another app (RFC 8252, section 7.1).
		return fmt.Errorf("has the scheme %s; use a domain of yours in reverse, such as com.example.app:/callback", u.Scheme)
	}
	return nil
}

// checkOrigin checks an entry of web_origins: scheme, host and port as a browser sends them.
func checkOrigin(raw string, kind uriKind) error {
	if err := checkURI(raw, kind); err != nil {
		return err
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme+"://"+u.Host != raw || strings.ToLower(raw) != raw ||
		u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		return errors.New("is not an origin; write https://app.example.com without path, capitals or the usual port")
	}
	return nil
}

// checkURIs checks a list.
func checkURIs(faults *FieldErrors, field string, uris []string, check func(string, uriKind) error, kind uriKind) {
	if len(uris) > maxURIs {
		faults.Add(field, fmt.Sprintf("has more than %d entries", maxURIs), "register another client")
		return
	}
	for n, raw := range uris {
		if err := check(raw, kind); err != nil {
			faults.AddItem(field, n+1, fmt.Sprintf("%q %s", Clip(raw), err), "")
		} else if slices.Contains(uris[:n], raw) {
			faults.AddItem(field, n+1, fmt.Sprintf("%q is listed twice", Clip(raw)), "remove one")
		}
	}
}

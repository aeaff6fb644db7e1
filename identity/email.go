package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

const maxEmailBytes = 254 // RFC 5321, section 4.5.3.1, less the angle brackets

// EmailKey returns the form of an address under which it is unique: trimmed, in normal form C, the local part in lower
// case, the domain in lower-case ASCII (IDNA). Dots and plus signs stay, because at many providers they make different
// mailboxes. The error is FieldErrors.
//
// Everything but one plain address is refused, above all what a mail program would read as several: commas, angle
// brackets, a second at sign.
func EmailKey(email string) (string, error) {
	refuse := func(problem string) (string, error) {
		return "", FieldErrors{{Field: "email", Problem: problem, Remedy: "write it like name@example.com"}}
	}
	// A longer text cannot compose to a valid address. It is refused before the work: a megabyte of combining marks
	// takes 65 ms.
	if len(email) > 4*maxEmailBytes {
		return refuse("is longer than 254 bytes")
	}
	email = norm.NFC.String(strings.TrimSpace(email))
	if !utf8.ValidString(email) || len(email) > maxEmailBytes {
		return refuse("is not text, or longer than 254 bytes")
	}
	local, domain, ok := strings.Cut(email, "@")
	if !ok || local == "" || domain == "" || strings.Contains(domain, "@") {
		return refuse("is not an address with one @ in it")
	}
	switch {
	case strings.ContainsFunc(local, notInLocalPart):
		return refuse("has a character that addresses do not have")
	case strings.HasPrefix(local, "."), strings.HasSuffix(local, "."), strings.Contains(local, ".."):
		return refuse("has a dot too many before the @")
	}
	typed := len(local)
	// The lower case of a composed text need not be composed, so normal form C comes last.
	local = norm.NFC.String(strings.ToLower(local))
	if max(typed, len(local)) > 64 {
		return refuse("has more than 64 bytes before the @")
	}
	profile := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))
	domain, err := profile.ToASCII(domain)
	if err == nil {
		// A name that cannot be read back from its ASCII form is not valid.
		_, err = profile.ToUnicode(domain)
	}
	if err != nil || domain == "" || strings.HasSuffix(domain, ".") {
		return refuse("has no domain behind the @ that could exist")
	}
	key := local + "@" + domain
	if max(typed, len(local))+len("@")+len(domain) > maxEmailBytes {
		return refuse("is longer than 254 bytes")
	}
	return key, nil
}

// notInLocalPart reports characters that occur only in quoted local parts, in lists and in attacks. An invisible
// character could make two addresses look the same.
func notInLocalPart(r rune) bool {
	return r == unicode.ReplacementChar || r == ' ' || !unicode.IsPrint(r) ||
		strings.ContainsRune(`,;:<>()[]\"@`, r)
}

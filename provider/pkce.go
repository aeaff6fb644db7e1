package provider

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"regexp"
)

// verifierFormat is code_verifier of RFC 7636, section 4.1.
var verifierFormat = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// verifyChallenge checks a code_verifier against an S256 challenge (RFC 7636,
// section 4.6). A code without a challenge takes no verifier: a client that sends
// one believes in a protection that is not there (RFC 9700, section 4.8.2).
func verifyChallenge(challenge, verifier string) bool {
	if challenge == "" {
		return verifier == ""
	}
	if !verifierFormat.MatchString(verifier) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	got := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(got), []byte(challenge)) == 1
}

package limit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/secret"
)

const (
	maxAccounts    = 5                    // that one browser is known to
	deviceLifetime = 400 * 24 * time.Hour // the longest browsers keep a cookie
	tokenChars     = 43
	timeBytes      = 8                               // of when a MAC was earned: Unix, in microseconds
	earnedChars    = (timeBytes+sha256.Size)*4/3 + 1 // both, in base64url
)

// anyAccount stands in the part of the cookie that shows a sign-in before anybody has
// said to which account. It is no folded address.
const anyAccount = ""

// proof is what a browser showed when it last signed in to an account.
type proof string

const (
	byPassword proof = ""
	byFactor   proof = "factor" // and whatever went before it
)

// devices reads and writes the device cookie: a random token and, for each
// account that this browser signed in to, and for all of them together, when it last
// did with a MAC over all three, joined by dots. Who has not signed in to an account cannot make one for it,
// and what was earned with an earlier password counts no more (Attempt.Since).
type devices struct {
	keys   secret.Subkeys
	name   string
	secure bool
}

func newDevices(keys *secret.Keyring, secure bool) devices {
	d := devices{keys: keys.Subkeys("device"), name: "sp_device", secure: secure}
	if secure {
		d.name = "__Host-sp_device"
	}
	return d
}

// read returns the parts of the cookie; nothing if it is not one of ours in form.
func (d devices) read(r *http.Request) (token string, earned []string) {
	all := r.CookiesNamed(d.name)
	if len(all) != 1 || all[0].Quoted {
		return "", nil
	}
	token, rest, _ := strings.Cut(all[0].Value, ".")
	if rest != "" {
		earned = strings.Split(rest, ".")
	}
	if len(earned) > maxAccounts+1 || !isBase64url(token, tokenChars) {
		return "", nil
	}
	for _, e := range earned {
		if !isBase64url(e, earnedChars) {
			return "", nil
		}
	}
	return token, earned
}

func isBase64url(s string, chars int) bool {
	return len(s) == chars && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// knows tells when this browser last signed in to the account, with that much: what
// a second factor has earned does for a password too. Zero if it did not.
func (d devices) knows(token string, earned []string, account string, p proof) time.Time {
	var last time.Time
	for _, e := range earned {
		for _, with := range []proof{byFactor, byPassword} {
			if at := d.earnedAt(token, e, account, with); (with == byFactor || p == byPassword) && at.After(last) {
				last = at
			}
		}
	}
	return last
}

// isKnown reports whether this browser signed in before, to whichever account.
func (d devices) isKnown(token string, earned []string) bool {
	return !d.knows(token, earned, anyAccount, byPassword).IsZero()
}

// earnedAt is when a part of the cookie was earned on the account in that way; zero
// if it was not.
func (d devices) earnedAt(token, part, account string, p proof) time.Time {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil || len(raw) <= timeBytes || !d.keys.Verify(raw[timeBytes:], d.parts(token, account, p, raw[:timeBytes])...) {
		return time.Time{}
	}
	return time.UnixMicro(int64(binary.BigEndian.Uint64(raw)))
}

// parts are what a MAC of the cookie is over.
func (d devices) parts(token, account string, p proof, at []byte) [][]byte {
	return [][]byte{[]byte(token), []byte(account), []byte(p), at}
}

// remember sends the cookie with the account first; the one that was used longest
// ago is dropped.
func (d devices) remember(w http.ResponseWriter, token string, earned []string, account string, p proof, now time.Time) {
	if token == "" {
		token, earned = secret.NewToken(""), nil
	}
	at := binary.BigEndian.AppendUint64(nil, uint64(now.UnixMicro()))
	mac := d.keys.MAC(d.parts(token, account, p, at)...)
	anyMAC := d.keys.MAC(d.parts(token, anyAccount, byPassword, at)...)
	parts := []string{token}
	for _, m := range []secret.Hash{mac, anyMAC} {
		parts = append(parts, base64.RawURLEncoding.EncodeToString(slices.Concat(at, m[:])))
	}
	for _, e := range earned {
		if d.knows(token, []string{e}, account, byPassword).IsZero() && !d.isKnown(token, []string{e}) && len(parts) < 2+maxAccounts {
			parts = append(parts, e)
		}
	}
	http.SetCookie(w, &http.Cookie{Name: d.name, Value: strings.Join(parts, "."), Path: "/", MaxAge: int(deviceLifetime / time.Second),
		Secure: d.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// KnowsDevice reports whether this browser signed in to the account with that
// folded address before. At the second factor ask Attempt.Known instead: the
// password has just made the browser known.
func (g *Guard) KnowsDevice(r *http.Request, account string) bool {
	token, earned := g.device.read(r)
	return !g.device.knows(token, earned, account, byPassword).IsZero()
}

// RememberDevice makes this browser known to the account, as Attempt.Succeeded
// does, after a sign-in that had nothing to guess: a passkey, a new factor.
func (g *Guard) RememberDevice(w http.ResponseWriter, r *http.Request, account string) {
	token, earned := g.device.read(r)
	g.device.remember(w, token, earned, account, byFactor, g.now())
}

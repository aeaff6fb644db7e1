package limit

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/secret"
)

const (
	maxAccounts    = 5                    // that one browser is known to
	deviceLifetime = 400 * 24 * time.Hour // the longest browsers keep a cookie
	macChars       = 43
)

// proof is what a browser showed when it last signed in to an account.
type proof string

const (
	byPassword proof = ""
	byFactor   proof = "factor" // and whatever went before it
)

// devices reads and writes the device cookie: a random token and, for each
// account that this browser signed in to, a MAC over both, joined by dots. Who has
// not signed in to an account cannot make one for it.
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
func (d devices) read(r *http.Request) (token string, macs []string) {
	all := r.CookiesNamed(d.name)
	if len(all) != 1 || all[0].Quoted {
		return "", nil
	}
	parts := strings.Split(all[0].Value, ".")
	if len(parts) > 1+maxAccounts {
		return "", nil
	}
	for _, p := range parts {
		if len(p) != macChars || strings.Trim(p, base64urlChars) != "" {
			return "", nil
		}
	}
	return parts[0], parts[1:]
}

const base64urlChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// knows reports whether this browser signed in to the account before, with that
// much: what a second factor has earned does for a password too.
func (d devices) knows(token string, macs []string, account string, p proof) bool {
	known := false
	for _, m := range macs {
		mac, err := base64.RawURLEncoding.DecodeString(m)
		known = err == nil && d.keys.Verify(mac, d.parts(token, account, byFactor)...) || known
		known = err == nil && p == byPassword && d.keys.Verify(mac, d.parts(token, account, byPassword)...) || known
	}
	return known
}

// parts are what a MAC of the cookie is over.
func (d devices) parts(token, account string, p proof) [][]byte {
	parts := [][]byte{[]byte(token), []byte(account)}
	if p != byPassword {
		parts = append(parts, []byte(p))
	}
	return parts
}

// remember sends the cookie with the account first; the one that was used longest
// ago is dropped. What a second factor has earned is not lost to a password.
func (d devices) remember(w http.ResponseWriter, token string, macs []string, account string, p proof) {
	if token == "" {
		token, macs = secret.NewToken(""), nil
	}
	if d.knows(token, macs, account, byFactor) {
		p = byFactor
	}
	text := func(p proof) string {
		mac := d.keys.MAC(d.parts(token, account, p)...)
		return base64.RawURLEncoding.EncodeToString(mac[:])
	}
	parts := []string{token, text(p)}
	for _, m := range macs {
		if m != text(byPassword) && m != text(byFactor) && len(parts) < 1+maxAccounts {
			parts = append(parts, m)
		}
	}
	http.SetCookie(w, &http.Cookie{Name: d.name, Value: strings.Join(parts, "."), Path: "/", MaxAge: int(deviceLifetime / time.Second),
		Secure: d.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// KnowsDevice reports whether this browser signed in to the account with that
// folded address before. At the second factor ask Attempt.Known instead: the
// password has just made the browser known.
func (g *Guard) KnowsDevice(r *http.Request, account string) bool {
	token, macs := g.device.read(r)
	return g.device.knows(token, macs, account, byPassword)
}

// RememberDevice makes this browser known to the account, as Attempt.Succeeded
// does, after a sign-in that had nothing to guess: a passkey, a new factor.
func (g *Guard) RememberDevice(w http.ResponseWriter, r *http.Request, account string) {
	token, macs := g.device.read(r)
	g.device.remember(w, token, macs, account, byFactor)
}

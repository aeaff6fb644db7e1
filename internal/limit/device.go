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

// knows reports whether this browser signed in to the account before.
func (d devices) knows(token string, macs []string, account string) bool {
	known := false
	for _, m := range macs {
		mac, err := base64.RawURLEncoding.DecodeString(m)
		known = err == nil && d.keys.Verify(mac, []byte(token), []byte(account)) || known
	}
	return known
}

// remember sends the cookie with the account first; the one that was used longest
// ago is dropped.
func (d devices) remember(w http.ResponseWriter, token string, macs []string, account string) {
	if token == "" {
		token, macs = secret.NewToken(""), nil
	}
	mac := d.keys.MAC([]byte(token), []byte(account))
	parts := []string{token, base64.RawURLEncoding.EncodeToString(mac[:])}
	for _, m := range macs {
		if m != parts[1] && len(parts) < 1+maxAccounts {
			parts = append(parts, m)
		}
	}
	http.SetCookie(w, &http.Cookie{Name: d.name, Value: strings.Join(parts, "."), Path: "/", MaxAge: int(deviceLifetime / time.Second),
		Secure: d.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// Package device reads and writes the device cookie, by which a browser is known to
// the accounts that it has signed in to. It gives such a browser budgets of its own
// against guessing (internal/limit), and tells whether a sign-in is one to be mailed about.
package device

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

// Proof is what a browser showed when it last signed in to an account.
type Proof string

// The proofs, the lesser one first.
const (
	ByPassword Proof = ""
	ByFactor   Proof = "factor" // and whatever went before it
)

// Device is a device cookie: a random token and, for each account that this browser
// signed in to, and for all of them together, when it last did with a MAC over all
// three, joined by dots. A browser that has not signed in to an account cannot make one for it.
type Device struct {
	Token  string // "" if the browser has none
	earned []string
}

// Devices reads and writes device cookies.
type Devices struct {
	keys   secret.Subkeys
	name   string
	secure bool
	now    func() time.Time
}

// New returns the Devices of an installation; secure tells that the issuer is https.
func New(keys *secret.Keyring, secure bool, now func() time.Time) *Devices {
	d := &Devices{keys: keys.Subkeys("device"), name: "sp_device", secure: secure, now: now}
	if secure {
		d.name = "__Host-sp_device"
	}
	return d
}

// Read returns the parts of the cookie; nothing if it is not one of ours in form.
func (d *Devices) Read(r *http.Request) Device {
	all := r.CookiesNamed(d.name)
	if len(all) != 1 || all[0].Quoted {
		return Device{}
	}
	token, rest, _ := strings.Cut(all[0].Value, ".")
	in := Device{Token: token}
	if rest != "" {
		in.earned = strings.Split(rest, ".")
	}
	isForged := func(e string) bool { return !isBase64url(e, earnedChars) }
	if len(in.earned) > maxAccounts+1 || !isBase64url(token, tokenChars) || slices.ContainsFunc(in.earned, isForged) {
		return Device{}
	}
	return in
}

func isBase64url(s string, chars int) bool {
	return len(s) == chars && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// KnownSince tells when this browser last signed in to the account, with that much: what
// a second factor has earned does for a password too. Zero if it did not.
func (d *Devices) KnownSince(in Device, account string, p Proof) (last time.Time) {
	for _, e := range in.earned {
		for _, with := range []Proof{ByFactor, ByPassword} {
			if at := d.earnedAt(in.Token, e, account, with); (with == ByFactor || p == ByPassword) && at.After(last) {
				last = at
			}
		}
	}
	return last
}

// IsKnown reports whether this browser signed in before, to whichever account.
func (d *Devices) IsKnown(in Device) bool {
	return !d.KnownSince(in, anyAccount, ByPassword).IsZero()
}

// earnedAt is when a part of the cookie was earned on the account in that way; zero
// if it was not.
func (d *Devices) earnedAt(token, part, account string, p Proof) time.Time {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil || len(raw) <= timeBytes || !d.keys.Verify(raw[timeBytes:], []byte(token), []byte(account), []byte(p), raw[:timeBytes]) {
		return time.Time{}
	}
	return time.UnixMicro(int64(binary.BigEndian.Uint64(raw)))
}

// Without is a device's cookie without what it earned on an account.
func (d *Devices) Without(in Device, account string) Device {
	in.earned = slices.DeleteFunc(slices.Clone(in.earned), func(e string) bool {
		return !d.KnownSince(Device{in.Token, []string{e}}, account, ByPassword).IsZero()
	})
	return in
}

// Mark returns the cookie of a browser that has just signed in to the account, which then
// comes first; the account that was used longest ago is dropped. The proof of a factor is
// not lost to a password.
func (d *Devices) Mark(in Device, account string, p Proof) (cookie string) {
	if in.Token == "" {
		in = Device{Token: secret.NewToken("")}
	}
	if !d.KnownSince(in, account, ByFactor).IsZero() {
		p = ByFactor
	}
	at := binary.BigEndian.AppendUint64(nil, uint64(d.now().UnixMicro()))
	parts := []string{in.Token}
	for _, mac := range [][sha256.Size]byte{d.keys.MAC([]byte(in.Token), []byte(account), []byte(p), at),
		d.keys.MAC([]byte(in.Token), []byte(anyAccount), []byte(ByPassword), at)} {
		parts = append(parts, base64.RawURLEncoding.EncodeToString(slices.Concat(at, mac[:])))
	}
	parts = append(parts, d.Without(d.Without(in, account), anyAccount).earned...)
	return strings.Join(parts[:min(len(parts), 2+maxAccounts)], ".")
}

// SetCookie sends what Mark returned.
func (d *Devices) SetCookie(w http.ResponseWriter, cookie string) {
	http.SetCookie(w, &http.Cookie{Name: d.name, Value: cookie, Path: "/",
		MaxAge: int(deviceLifetime / time.Second), Secure: d.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

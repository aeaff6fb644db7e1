package factor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"rsc.io/qr"
)

// The parameters that every authenticator app supports (RFC 6238): SHA-1, which is safe in an HMAC, six digits, 30 seconds.
const (
	totpPeriod   = 30 // seconds
	totpDigits   = 6
	totpWindow   = 1  // steps to either side
	maxTypedCode = 64 // bytes of a code with the spaces around it
	totpSeed     = 20 // bytes: the length of the hash (RFC 4226 section 4, R6)
	totpWaits    = 30 * time.Minute
	defaultName  = "Authenticator app"
)

var base32Text = base32.StdEncoding.WithPadding(base32.NoPadding)

// apps are authenticator apps.
type apps struct {
	sealer *secret.Sealer
	issuer func() string
	now    func() time.Time
}

// TOTPEnrolment is an authenticator app that waits for its first code. Everything but ID is secret and is shown only
// in the session that asked for it.
type TOTPEnrolment struct {
	ID     uuid.UUID
	Secret string // base32, for typing
	URI    string // otpauth://…
	QR     []byte // the URI as a PNG
}

// ImageURL is the QR code as a data: URL.
func (e *TOTPEnrolment) ImageURL() string {
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(e.QR)
}

// place binds an encrypted seed to its row and user, so that it cannot be moved to another.
func place(factorID, userID uuid.UUID) []byte {
	return []byte("factors\x00" + factorID.String() + "\x00" + userID.String() + "\x00totp")
}

// begin makes a seed. No part of it comes from outside (RFC 6238 section 5.1).
func (a *apps) begin(w *Subject, name string) (*storage.Factor, *TOTPEnrolment, error) {
	seed := secret.Random(totpSeed)
	row, err := a.newFactor(w.User.ID, w.Session, cmp.Or(name, defaultName), seed)
	if err != nil {
		return nil, nil, err
	}
	offer, err := a.offer(w.User, row.ID, seed)
	return row, offer, err
}

// ImportedTOTP is the authenticator app of a user of another system. It is confirmed, because the user has used it
// there.
func (f *Factors) ImportedTOTP(userID uuid.UUID, seed []byte) (*storage.Factor, error) {
	row, err := f.apps.newFactor(userID, uuid.Nil, defaultName, seed)
	row.ConfirmedAt = row.CreatedAt
	return row, err
}

// newFactor is the row of an authenticator app with that seed.
func (a *apps) newFactor(userID, session uuid.UUID, name string, seed []byte) (row *storage.Factor, err error) {
	row = &storage.Factor{ID: uuid.Must(uuid.NewV7()), UserID: userID, Session: session, Kind: storage.FactorTOTP,
		Name: name, CreatedAt: a.now()}
	row.Sealed, err = a.sealer.Seal(seed, place(row.ID, userID))
	return row, err
}

// offer is a seed in the forms in which a user can add it to an app.
func (a *apps) offer(u *storage.User, factorID uuid.UUID, seed []byte) (*TOTPEnrolment, error) {
	key := base32Text.EncodeToString(seed)
	uri := keyURI(a.issuer(), u.Email, key)
	picture, err := qr.Encode(uri, qr.M)
	if err != nil {
		return nil, fmt.Errorf("draw a QR code: %w", err)
	}
	return &TOTPEnrolment{ID: factorID, Secret: key, URI: uri, QR: picture.PNG()}, nil
}

// keyURI is the URI that authenticator apps read. Label and issuer are escaped except for unreserved characters (RFC
// 3986, section 2.3), because strict apps refuse others in a label and not all read + as a space. A colon separates
// the issuer from the account in the label, and some apps take %3A for one; an issuer with a colon is therefore only
// in the parameter.
func keyURI(issuer, account, key string) string {
	if hasColon(issuer) && hasColon(account) {
		issuer = strings.NewReplacer(":", " ", "%3A", " ", "%3a", " ").Replace(issuer)
	}
	label := escape(account)
	if !hasColon(issuer) {
		label = escape(issuer) + ":" + label
	}
	return fmt.Sprintf("otpauth://totp/%s?secret=%s&issuer=%s&algorithm=SHA1&digits=%d&period=%d", label, key,
		escape(issuer), totpDigits, totpPeriod)
}

func hasColon(s string) bool {
	return strings.ContainsAny(s, ":") || strings.Contains(strings.ToUpper(s), "%3A")
}

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// waiting is the app that waits for its first code in this session.
func (a *apps) waiting(w *Subject, all []storage.Factor) *storage.Factor {
	for n := range all {
		f := &all[n]
		if f.Kind == storage.FactorTOTP && f.ConfirmedAt.IsZero() && f.Session == w.Session &&
			a.now().Sub(f.CreatedAt) <= totpWaits {
			return f
		}
	}
	return nil
}

// again is the offer of the app that already waits in this session, unless another name is given; nil if none waits. A
// reload or a second tab must not replace a key that the user has just scanned.
func (a *apps) again(w *Subject, all []storage.Factor, name string) (*TOTPEnrolment, error) {
	row := a.waiting(w, all)
	if row == nil || w.Session == uuid.Nil || name != "" && name != row.Name {
		return nil, nil
	}
	seed, err := a.open(row)
	if err != nil {
		return nil, err
	}
	return a.offer(w.User, row.ID, seed)
}

func (a *apps) open(row *storage.Factor) ([]byte, error) {
	seed, err := a.sealer.Open(row.Sealed, place(row.ID, row.UserID))
	if err != nil {
		return nil, fmt.Errorf("the seed of factor %s does not open: %w", row.ID, err)
	}
	return seed, nil
}

func (a *apps) confirm(w *Subject, all []storage.Factor, name string, answer []byte) (*storage.NewFactor, error) {
	row := a.waiting(w, all)
	if row == nil {
		return nil, ErrChallenge
	}
	step, ok, err := a.match(row, string(answer))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrVerification
	}
	// The code that enrols the app is used up and cannot sign in.
	row.Counter = step
	if name = clean(name); name != "" {
		row.Name = name
	}
	return &storage.NewFactor{Factor: *row}, nil
}

func (a *apps) verify(_ context.Context, _ *Subject, all []storage.Factor, answer []byte) (*storage.Factor,
	*storage.FactorUse, error) {
	refused := ErrVerification
	for _, row := range confirmed(all, storage.FactorTOTP) {
		step, ok, err := a.match(&row, string(answer))
		if err != nil {
			refused = err // another app may still match
		}
		if ok {
			return &row, &storage.FactorUse{Factor: row.ID, Counter: step}, nil
		}
	}
	return nil, nil, refused
}

func (a *apps) proves(*storage.Factor) Strength {
	return Strength{ACR: assurance.ACRMFA, AMR: []string{assurance.AMROTP, assurance.AMRMFA}}
}

// match returns the step whose code was typed, if it is later than the last used step (RFC 6238 section 5.2). Storage
// checks that again.
func (a *apps) match(row *storage.Factor, typed string) (step int64, ok bool, err error) {
	code, well := digits(typed)
	if !well {
		return 0, false, nil
	}
	seed, err := a.open(row)
	if err != nil {
		return 0, false, err
	}
	now := a.now().Unix() / totpPeriod
	for n := now - totpWindow; n <= now+totpWindow; n++ {
		want, err := hotp.GenerateCodeCustom(base32Text.EncodeToString(seed), uint64(n),
			hotp.ValidateOpts{Digits: totpDigits, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, false, err
		}
		if subtle.ConstantTimeCompare([]byte(want), code) == 1 && n > row.Counter {
			step, ok = n, true
		}
	}
	return step, ok, nil
}

// digits parses a typed code: six ASCII digits, optionally with spaces around them and the one in the middle that apps
// show.
func digits(typed string) ([]byte, bool) {
	if len(typed) > maxTypedCode {
		return nil, false
	}
	code := bytes.Trim([]byte(typed), " \t\r\n")
	if len(code) == totpDigits+1 && code[totpDigits/2] == ' ' {
		code = append(code[:totpDigits/2:totpDigits/2], code[totpDigits/2+1:]...)
	}
	if len(code) != totpDigits || len(bytes.Trim(code, "0123456789")) > 0 {
		return nil, false
	}
	return code, true
}

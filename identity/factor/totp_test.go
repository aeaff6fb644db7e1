package factor

import (
	"bytes"
	"errors"
	"image/png"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
)

// code is what an app shows some steps from now.
func (in *installation) code(t testing.TB, seed string, steps int) string {
	t.Helper()
	code, err := totp.GenerateCode(seed, in.now.Add(time.Duration(steps)*totpPeriod*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enrolApp gives a person an app and returns its seed. The code that it took is of the step before now.
func (in *installation) enrolApp(t testing.TB, w Subject) (seed string, e *Enrolment) {
	t.Helper()
	offer, err := in.BeginTOTP(t.Context(), w, "Phone")
	if err != nil {
		t.Fatal(err)
	}
	e, err = in.ConfirmTOTP(t.Context(), w, in.code(t, offer.Secret, -1), "")
	if err != nil {
		t.Fatal(err)
	}
	return offer.Secret, e
}

// RFC 6238 appendix B, SHA-1, cut to six digits.
func TestCodesAreThoseOfTheStandard(t *testing.T) {
	in := onSQLite(t)
	row := &storage.Factor{ID: uuid.New(), UserID: uuid.New()}
	var err error
	if row.Sealed, err = in.apps.sealer.Seal([]byte("12345678901234567890"), place(row.ID, row.UserID)); err != nil {
		t.Fatal(err)
	}
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		in.now = time.Unix(at, 0)
		if step, ok, err := in.apps.match(row, code); !ok || err != nil || step != at/30 {
			t.Errorf("at %d: got step %d, %v, %v, want step %d", at, step, ok, err, at/30)
		}
	}
}

// MF-08: the seed is made here, 160 bits of it (RFC 4226 section 4), and what is
// kept of it is sealed.
func TestAnAppIsOfferedASeedOfOurs(t *testing.T) {
	in := onSQLite(t)
	alice := in.person(t, "alice@acme-corp.com")
	seen := map[string]bool{}
	for range 3 {
		offer, err := in.BeginTOTP(t.Context(), alice, "")
		if err != nil {
			t.Fatal(err)
		}
		seed, err := base32Text.DecodeString(offer.Secret)
		if err != nil || len(seed) != 20 || seen[offer.Secret] {
			t.Fatalf("got a seed of %d bytes, %v, want 20 new ones", len(seed), err)
		}
		seen[offer.Secret] = true
		uri, err := url.Parse(offer.URI)
		if err != nil {
			t.Fatal(err)
		}
		want := url.Values{"secret": {offer.Secret}, "issuer": {"Wonderland: Identity"}, "period": {"30"}, "digits": {"6"}, "algorithm": {"SHA1"}}
		if diff := cmp.Diff(want, uri.Query()); diff != "" {
			t.Errorf("the URI (-want +got):\n%s", diff)
		}
		if got, want := uri.Scheme+"://"+uri.Host+uri.Path, "otpauth://totp/alice@acme-corp.com"; got != want {
			t.Errorf("the URI: got %s, want %s", got, want)
		}
		if picture, err := png.Decode(bytes.NewReader(offer.QR)); err != nil || picture.Bounds().Dx() < 200 {
			t.Errorf("the QR code is no picture that can be scanned: %v", err)
		}
		all, err := in.store.Factors.List(t.Context(), alice.User.ID)
		if err != nil || len(all) != 1 {
			t.Fatalf("got %d factors, %v, want the one that waits", len(all), err)
		}
		if bytes.Contains(all[0].Sealed, seed) || bytes.Contains(all[0].Sealed, []byte(offer.Secret)) {
			t.Error("the seed is kept as it is")
		}
	}
}

// MF-08: nothing counts before the app has shown a code.
func TestAnAppCountsWithItsFirstCode(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice := in.person(t, "alice@acme-corp.com")
		if _, err := in.ConfirmTOTP(t.Context(), alice, "123456", ""); !errors.Is(err, ErrChallenge) {
			t.Errorf("before it began: got %v, want ErrChallenge", err)
		}
		first, err := in.BeginTOTP(t.Context(), alice, "Phone")
		if err != nil {
			t.Fatal(err)
		}
		_, err = in.VerifyTOTP(t.Context(), alice, in.code(t, first.Secret, 0))
		wantError(t, "signing in with one that waits", err, ErrVerification)
		second, err := in.BeginTOTP(t.Context(), alice, "Phone")
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range []string{"", in.code(t, first.Secret, 0), in.code(t, second.Secret, 2)} {
			_, err = in.ConfirmTOTP(t.Context(), alice, code, "")
			wantError(t, "confirming with a wrong code", err, ErrVerification)
		}
		if l, err := in.List(t.Context(), alice.User.ID); err != nil || len(l.Factors) != 0 {
			t.Errorf("got %v, %v, want nothing enrolled", l, err)
		}
		e, err := in.ConfirmTOTP(t.Context(), alice, in.code(t, second.Secret, 0), " My\u202e\nphone ")
		if err != nil {
			t.Fatal(err)
		}
		if e.Factor.Name != "My phone" || e.ACR != assurance.ACRMFA || len(e.RecoveryCodes) != 3 {
			t.Errorf("got %q, %s, %d codes, want My phone, mfa, 3 codes", e.Factor.Name, e.ACR, len(e.RecoveryCodes))
		}
		l, err := in.List(t.Context(), alice.User.ID)
		if err != nil || len(l.Factors) != 1 || l.Factors[0].ID != second.ID || l.RecoveryCodesLeft != 3 {
			t.Errorf("got %+v, %v, want the app and 3 codes", l, err)
		}
		wantMails(t, in, "factoradded")
	})
}

func TestAnAppWaitsForHalfAnHour(t *testing.T) {
	in := onSQLite(t)
	alice := in.person(t, "alice@acme-corp.com")
	offer, err := in.BeginTOTP(t.Context(), alice, "Phone")
	if err != nil {
		t.Fatal(err)
	}
	in.now = in.now.Add(totpWaits + time.Microsecond)
	_, err = in.ConfirmTOTP(t.Context(), alice, in.code(t, offer.Secret, 0), "")
	wantError(t, "too late", err, ErrChallenge)
}

// MF-03: a window of one step to either side, and six ASCII digits.
func TestWhichCodesSignIn(t *testing.T) {
	in := onSQLite(t)
	alice := in.person(t, "alice@acme-corp.com")
	seed, _ := in.enrolApp(t, alice)
	in.now = in.now.Add(10 * time.Minute)
	for steps, want := range map[int]error{-3: ErrVerification, -2: ErrVerification, -1: nil, 0: nil, 1: nil, 2: ErrVerification, 3: ErrVerification} {
		v, err := in.VerifyTOTP(t.Context(), alice, in.code(t, seed, steps))
		wantError(t, "a code of another step", err, want)
		if err == nil && v.Use.Counter != in.now.Unix()/30+int64(steps) {
			t.Errorf("%d steps: got step %d", steps, v.Use.Counter)
		}
	}
	code := in.code(t, seed, 0)
	arabic := strings.Map(func(r rune) rune { return r - '0' + '٠' }, code)
	wide := strings.Map(func(r rune) rune { return r - '0' + '０' }, code)
	for typed, want := range map[string]error{
		code: nil, " " + code + "\r\n": nil, code[:3] + " " + code[3:]: nil,
		"": ErrVerification, " ": ErrVerification, "null": ErrVerification, "[" + code + "]": ErrVerification, code[:5]: ErrVerification, code + "0": ErrVerification, "00" + code: ErrVerification, code + "\x00": ErrVerification,
		arabic: ErrVerification, wide: ErrVerification, code[:2] + " " + code[2:]: ErrVerification, code[:3] + "  " + code[3:]: ErrVerification, code[:3] + "-" + code[3:]: ErrVerification,
		code[:3] + "\u00a0" + code[3:]: ErrVerification, "+" + code[1:]: ErrVerification, strings.Repeat(" ", 1<<16) + "x": ErrVerification,
	} {
		_, err := in.VerifyTOTP(t.Context(), alice, typed)
		wantError(t, "typed "+typed[:min(len(typed), 20)], err, want)
	}
}

// MF-01, RFC 6238 section 5.2: a code signs in once, the one that enrolled the app
// not at all, and none that is older than the last.
func TestACodeSignsInOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice := in.person(t, "alice@acme-corp.com")
		seed, _ := in.enrolApp(t, alice)
		_, err := in.VerifyTOTP(t.Context(), alice, in.code(t, seed, -1))
		wantError(t, "the code that enrolled it", err, ErrVerification)
		v, err := in.VerifyTOTP(t.Context(), alice, in.code(t, seed, 1))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Strength{ACR: assurance.ACRMFA, AMR: []string{"otp", "mfa"}}, v.Strength); diff != "" {
			t.Error(diff)
		}
		late, err := in.VerifyTOTP(t.Context(), alice, in.code(t, seed, 0))
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, "signing in", signIn(t, in.store, v), nil)
		wantError(t, "the same use again", signIn(t, in.store, v), storage.ErrSpent)
		wantError(t, "an older one that was verified before", signIn(t, in.store, late), storage.ErrSpent)
		for _, steps := range []int{1, 0} {
			_, err = in.VerifyTOTP(t.Context(), alice, in.code(t, seed, steps))
			wantError(t, "the code again, or an older one", err, ErrVerification)
		}
	})
}

func TestACodeSignsInOnceOnTwoNodes(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice := in.person(t, "alice@acme-corp.com")
		seed, _ := in.enrolApp(t, alice)
		code := in.code(t, seed, 0)
		in.once(t, func(f *Factors, s *storage.Store) error {
			v, err := f.VerifyTOTP(t.Context(), alice, code)
			if err != nil {
				return err
			}
			return signIn(t, s, v)
		})
	})
}

func TestEachOfSeveralAppsWorks(t *testing.T) {
	in := onSQLite(t)
	alice, bob := in.person(t, "alice@acme-corp.com"), in.person(t, "bob@acme-corp.com")
	phone, first := in.enrolApp(t, alice)
	tablet, second := in.enrolApp(t, alice)
	bobs, _ := in.enrolApp(t, bob)
	if second.RecoveryCodes != nil {
		t.Error("the second app gave out recovery codes beside unspent ones")
	}
	for seed, want := range map[string]uuid.UUID{phone: first.Factor.ID, tablet: second.Factor.ID} {
		v, err := in.VerifyTOTP(t.Context(), alice, in.code(t, seed, 0))
		if err != nil || v.Use.Factor != want {
			t.Errorf("got %v, %v, want a use of %v", v, err, want)
		}
	}
	_, err := in.VerifyTOTP(t.Context(), alice, in.code(t, bobs, 0))
	wantError(t, "another person's app", err, ErrVerification)
}

// A seed that somebody with the database puts into another row opens nothing, and
// the operator is told; a person's other apps still work.
func TestASeedIsBoundToItsRow(t *testing.T) {
	in := onSQLite(t)
	eve, alice := in.person(t, "eve@evil.example"), in.person(t, "alice@acme-corp.com")
	eves, e := in.enrolApp(t, eve)
	_, moved := in.enrolApp(t, alice)
	other, _ := in.enrolApp(t, alice)
	row := func(w Subject, n int) *storage.Factor {
		all, err := in.store.Factors.List(t.Context(), w.User.ID)
		if err != nil {
			t.Fatal(err)
		}
		return &all[n]
	}
	if err := in.store.Factors.Reseal(t.Context(), moved.Factor.ID, row(alice, 0).Sealed, row(eve, 0).Sealed); err != nil {
		t.Fatal(err)
	}
	v, err := in.VerifyTOTP(t.Context(), alice, in.code(t, eves, 0))
	if v != nil || err == nil || errors.Is(err, ErrVerification) || !strings.Contains(err.Error(), moved.Factor.ID.String()) {
		t.Errorf("a moved seed: got %v, %v, want an error that names the row", v, err)
	}
	if _, err := in.VerifyTOTP(t.Context(), alice, in.code(t, other, 0)); err != nil {
		t.Errorf("the other app: %v", err)
	}
	tampered := append([]byte{}, row(eve, 0).Sealed...)
	tampered[len(tampered)-1] ^= 1
	if err := in.store.Factors.Reseal(t.Context(), e.Factor.ID, row(eve, 0).Sealed, tampered); err != nil {
		t.Fatal(err)
	}
	if v, err := in.VerifyTOTP(t.Context(), eve, in.code(t, eves, 0)); v != nil || err == nil {
		t.Errorf("a tampered seed: got %v, %v, want an error", v, err)
	}
}

// A former ENCRYPTION_KEY may go once nothing is sealed under it.
func TestSeedsMoveToANewKey(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice := in.person(t, "alice@acme-corp.com")
		seed, _ := in.enrolApp(t, alice)
		if _, err := in.BeginTOTP(t.Context(), alice, "one that waits"); err != nil {
			t.Fatal(err)
		}
		former := in.apps.sealer.CurrentKeyID()
		rotated := in.factors(t, in.store, 2)
		count := func(want map[string]int) {
			t.Helper()
			got, err := rotated.Sealed(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("sealed (-want +got):\n%s", diff)
			}
		}
		count(map[string]int{former: 2})
		for _, want := range []int{2, 0} {
			if n, err := rotated.Reseal(t.Context()); err != nil || n != want {
				t.Errorf("resealed %d, %v, want %d", n, err, want)
			}
		}
		count(map[string]int{rotated.apps.sealer.CurrentKeyID(): 2})
		if _, err := rotated.VerifyTOTP(t.Context(), alice, in.code(t, seed, 0)); err != nil {
			t.Errorf("under the new key: %v", err)
		}
	})
}

// A typed code is foreign input: nothing but six digits is ever compared.
func FuzzDigits(f *testing.F) {
	for _, s := range []string{"123456", " 123 456\n", "", "12345", "٠١٢٣٤٥", "1234567", "12a456", "+12345", "-00001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := digits(typed)
		if !ok {
			return
		}
		if len(code) != 6 || strings.Trim(string(code), "0123456789") != "" {
			t.Errorf("%q became %q", typed, code)
		}
		if rest := strings.Map(func(r rune) rune {
			if strings.ContainsRune(" \t\r\n", r) {
				return -1
			}
			return r
		}, typed); rest != string(code) {
			t.Errorf("%q became %q", typed, code)
		}
	})
}

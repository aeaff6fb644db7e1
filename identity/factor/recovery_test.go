package factor

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
)

// 80 bits, without letters that people misread, and never the same twice.
func TestRecoveryCodesAreLongAndLegible(t *testing.T) {
	in := onSQLite(t)
	alice := in.person(t, "alice@acme-corp.com")
	_, e := in.enrolApp(t, alice)
	form, seen := regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){3}$`), map[string]bool{}
	codes := e.RecoveryCodes
	for range 100 {
		more, _ := in.recovery.make(alice.User.ID)
		codes = append(codes, more...)
	}
	for _, c := range codes {
		if !form.MatchString(c) || seen[c] {
			t.Fatalf("got the code %q", c)
		}
		seen[c] = true
	}
	used := map[rune]bool{}
	for c := range seen {
		for _, r := range c {
			used[r] = true
		}
	}
	if len(used) != len(alphabet)+1 {
		t.Errorf("%d characters are in use, want all %d and the dash", len(used), len(alphabet))
	}
}

// On the worst day people type from paper.
func TestARecoveryCodeCountsHoweverItIsWritten(t *testing.T) {
	in := onSQLite(t)
	alice, bob := in.person(t, "alice@acme-corp.com"), in.person(t, "bob@acme-corp.com")
	in.enrolApp(t, bob)
	_, e := in.enrolApp(t, alice)
	code := e.RecoveryCodes[0]
	for typed, want := range map[string]error{
		code: nil, strings.ToUpper(code): nil, strings.ReplaceAll(code, "-", ""): nil, " " + strings.ReplaceAll(code, "-", " ") + "\n": nil,
		strings.NewReplacer("0", "O", "1", "l").Replace(code): nil,
		"": ErrVerification, code[:18]: ErrVerification, code + "0": ErrVerification, "uuuu-uuuu-uuuu-uuuu": ErrVerification, "0000-0000-0000-0000": ErrVerification,
		strings.Repeat("-", 1<<16) + code: ErrVerification, strings.ReplaceAll(code, "-", "–"): ErrVerification,
	} {
		_, err := in.VerifyRecoveryCode(t.Context(), alice, typed)
		wantError(t, "typed "+typed[:min(len(typed), 30)], err, want)
	}
	_, err := in.VerifyRecoveryCode(t.Context(), bob, code)
	wantError(t, "another person's code", err, ErrVerification)
}

// Spent once, told by mail, and counted down.
func TestARecoveryCodeSignsInOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice := in.person(t, "alice@acme-corp.com")
		_, e := in.enrolApp(t, alice)
		for n, code := range e.RecoveryCodes {
			v, err := in.VerifyRecoveryCode(t.Context(), alice, code)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Strength{ACR: assurance.ACRMFA, AMR: []string{"otp", "mfa"}}, v.Strength); diff != "" {
				t.Error(diff)
			}
			wantError(t, "signing in", signIn(t, in.store, v), nil)
			wantError(t, "the same use again", signIn(t, in.store, v), storage.ErrSpent)
			_, err = in.VerifyRecoveryCode(t.Context(), alice, code)
			wantError(t, "the same code again", err, ErrVerification)
			left := 2 - n
			if left == 0 { // the last one is answered with new ones
				left = len(v.NewCodes())
			} else if codes := v.NewCodes(); codes != nil {
				t.Errorf("new codes beside unspent ones: %q", codes)
			}
			if l, err := in.List(t.Context(), alice.User.ID); err != nil || l.RecoveryCodesLeft != left || left == 0 {
				t.Errorf("got %v, %v, want %d left", l, err, left)
			}
			for _, code := range v.NewCodes() {
				if _, err := in.VerifyRecoveryCode(t.Context(), alice, code); err != nil {
					t.Errorf("a new code: %v", err)
				}
			}
			if got := v.Use.Event.Facts["left"]; got != 2-n {
				t.Errorf("the event says %v left, want %d", got, 2-n)
			}
		}
		wantMails(t, in, "factoradded", "recoverycodeused", "recoverycodeused", "recoverycodeused")
	})
}

func TestARecoveryCodeSignsInOnceOnTwoNodes(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice := in.person(t, "alice@acme-corp.com")
		_, e := in.enrolApp(t, alice)
		in.once(t, func(f *Factors, s *storage.Store) error {
			v, err := f.VerifyRecoveryCode(t.Context(), alice, e.RecoveryCodes[1])
			if err != nil {
				return err
			}
			return signIn(t, s, v)
		})
	})
}

// A new SECRET_KEY in front of the old one takes nobody's way back in.
func TestRecoveryCodesOutliveANewKey(t *testing.T) {
	in := onSQLite(t)
	alice := in.person(t, "alice@acme-corp.com")
	_, e := in.enrolApp(t, alice)
	v, err := in.factors(t, in.store, 2).VerifyRecoveryCode(t.Context(), alice, e.RecoveryCodes[0])
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, "signing in", signIn(t, in.store, v), nil)
}

func TestNewRecoveryCodesReplaceTheOld(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice := in.person(t, "alice@acme-corp.com")
		_, err := in.RegenerateRecoveryCodes(t.Context(), alice)
		wantError(t, "without a factor", err, storage.ErrConflict)
		_, e := in.enrolApp(t, alice)
		codes, err := in.RegenerateRecoveryCodes(t.Context(), alice)
		if err != nil || len(codes) != 3 {
			t.Fatalf("got %d codes, %v, want 3", len(codes), err)
		}
		_, err = in.VerifyRecoveryCode(t.Context(), alice, e.RecoveryCodes[0])
		wantError(t, "an old code", err, ErrVerification)
		_, err = in.VerifyRecoveryCode(t.Context(), alice, codes[2])
		wantError(t, "a new code", err, nil)
		wantMails(t, in, "factoradded", "factoradded")
	})
}

package factor

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/storage"
)

// An address belongs to nobody until proven.
func TestNothingAttachesToAnUnprovenAddress(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		eve := in.person(t, "victim@acme-corp.com", unproven)
		_, err := in.BeginTOTP(t.Context(), eve, "")
		wantError(t, "an app", err, ErrEmailUnverified)
		_, err = in.ConfirmTOTP(t.Context(), eve, "123456", "")
		wantError(t, "an app's code", err, ErrEmailUnverified)
		// The user in the session may be outdated: storage has the last word.
		believed := *eve.User
		believed.EmailVerifiedAt = in.now
		eve.User = &believed
		_, err = in.BeginTOTP(t.Context(), eve, "")
		wantError(t, "an app, by a stale session", err, ErrEmailUnverified)
	})
}

// MF-13: only what a policy accepts is offered and accepted.
func TestKindsThatAreNotAllowedAreRefused(t *testing.T) {
	in := onSQLite(t)
	alice := in.person(t, "alice@acme-corp.com")
	seed, e := in.enrolApp(t, alice)
	narrow := alice
	narrow.Allowed = []string{storage.FactorWebAuthn}
	for what, try := range map[string]func() error{
		"a code":            func() error { _, err := in.VerifyTOTP(t.Context(), narrow, in.code(t, seed, 0)); return err },
		"a recovery code":   func() error { _, err := in.VerifyRecoveryCode(t.Context(), narrow, e.RecoveryCodes[0]); return err },
		"another app":       func() error { _, err := in.BeginTOTP(t.Context(), narrow, ""); return err },
		"another app's end": func() error { _, err := in.ConfirmTOTP(t.Context(), narrow, in.code(t, seed, 0), ""); return err },
	} {
		wantError(t, what, try(), ErrNotAllowed)
	}
	narrow.Allowed = []string{storage.FactorTOTP, assurance.FactorRecovery}
	for what, try := range map[string]func() error{
		"a key's challenge": func() error { _, err := in.ChallengeWebAuthn(t.Context(), narrow); return err },
		"a key's answer":    func() error { _, err := in.VerifyWebAuthn(t.Context(), narrow, nil); return err },
		"another key":       func() error { _, err := in.BeginWebAuthn(t.Context(), narrow); return err },
		"another key's end": func() error { _, err := in.ConfirmWebAuthn(t.Context(), narrow, "", nil); return err },
	} {
		wantError(t, what, try(), ErrNotAllowed)
	}
	_, err := in.VerifyTOTP(t.Context(), narrow, in.code(t, seed, 0))
	wantError(t, "what is allowed", err, nil)
}

func TestThereIsALimitOfApps(t *testing.T) {
	in := onSQLite(t)
	alice := in.person(t, "alice@acme-corp.com")
	for range storage.MaxFactors {
		in.enrolApp(t, alice)
	}
	_, err := in.BeginTOTP(t.Context(), alice, "")
	wantError(t, "one more", err, ErrTooMany)
}

func TestANameIsOneLineThatPrints(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice, bob := in.person(t, "alice@acme-corp.com"), in.person(t, "bob@acme-corp.com")
		_, e := in.enrolApp(t, alice)
		for given, want := range map[string]string{
			"Tablet": "Tablet", "  a \t b\r\nBcc: c ": "a b Bcc: c", "\u202eevil\x00\xff": "evil", strings.Repeat("é", 70): strings.Repeat("é", 64),
		} {
			if err := in.Rename(t.Context(), alice, e.Factor.ID, given); err != nil {
				t.Fatal(err)
			}
			l, err := in.List(t.Context(), alice.User.ID)
			if err != nil || l.Factors[0].Name != want {
				t.Errorf("%q: got %v, %v, want %q", given, l, err, want)
			}
		}
		var faults identity.FieldErrors
		if err := in.Rename(t.Context(), alice, e.Factor.ID, " \x00 "); !errors.As(err, &faults) {
			t.Errorf("an empty name: got %v, want faults", err)
		}
		wantError(t, "another person's", in.Rename(t.Context(), bob, e.Factor.ID, "Mine"), storage.ErrNotFound)
		wantError(t, "nobody's", in.Rename(t.Context(), alice, uuid.New(), "Mine"), storage.ErrNotFound)
	})
}

// MF-09: what a policy asks for can be replaced, not removed.
func TestTheLastFactorAPolicyAsksForStays(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice, bob := in.person(t, "alice@acme-corp.com"), in.person(t, "bob@acme-corp.com")
		acme := storage.Organization{ID: uuid.Must(uuid.NewV7()), Slug: "acme-corp", Name: "Acme", CreatedAt: in.now, UpdatedAt: in.now}
		if err := in.store.CreateOrganizations(t.Context(), &storage.NewOrganization{Organization: acme, Owner: alice.User.ID, Event: &storage.Event{Type: "organization.created"}}); err != nil {
			t.Fatal(err)
		}
		_, first := in.enrolApp(t, alice)
		_, second := in.enrolApp(t, alice)
		_, bobs := in.enrolApp(t, bob)
		ask := func(require string) {
			t.Helper()
			settings := storage.OrganizationSettings{MFA: storage.MFAPolicy{Require: require, GraceDays: 30, Since: in.now}}
			if err := in.store.EditOrganizationSettings(t.Context(), acme.ID, func(set *storage.OrganizationSettings) *storage.Event {
				*set = settings
				return &storage.Event{Type: "organization.policy_changed"}
			}); err != nil {
				t.Fatal(err)
			}
		}
		ask(storage.RequireAny)
		wantError(t, "one of two", in.Remove(t.Context(), alice, first.Factor.ID), nil)
		wantError(t, "the last one", in.Remove(t.Context(), alice, second.Factor.ID), ErrRequired)
		ask(storage.RequireTOTP)
		wantError(t, "the last app", in.Remove(t.Context(), alice, second.Factor.ID), ErrRequired)
		if l, err := in.List(t.Context(), alice.User.ID); err != nil || len(l.Factors) != 1 || l.RecoveryCodesLeft != 3 {
			t.Errorf("got %+v, %v, want everything as it was", l, err)
		}
		stricter := storage.MFAPolicy{Require: storage.RequirePasskey, GraceDays: 30, Since: in.now, Earlier: &storage.MFAPolicy{Require: storage.RequireTOTP}}
		if err := in.store.EditOrganizationSettings(t.Context(), acme.ID, func(set *storage.OrganizationSettings) *storage.Event {
			*set = storage.OrganizationSettings{MFA: stricter}
			return &storage.Event{Type: "organization.policy_changed"}
		}); err != nil {
			t.Fatal(err)
		}
		wantError(t, "the last app, while the policy that asked for it goes on", in.Remove(t.Context(), alice, second.Factor.ID), ErrRequired)
		ask(storage.RequirePasskey) // an app never met it
		wantError(t, "an app where a passkey is asked for", in.Remove(t.Context(), alice, second.Factor.ID), nil)
		if err := in.store.EditPlatformSettings(t.Context(), func(set *storage.PlatformSettings) *storage.Event {
			*set = storage.PlatformSettings{MFA: storage.MFAPolicy{Require: storage.RequireAny}}
			return &storage.Event{Type: "settings.changed"}
		}); err != nil {
			t.Fatal(err)
		}
		wantError(t, "the last one, by the platform's policy", in.Remove(t.Context(), bob, bobs.Factor.ID), ErrRequired)
	})
}

func TestRemovingIsToldAndForTheOwnerAlone(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice, bob := in.person(t, "alice@acme-corp.com"), in.person(t, "bob@acme-corp.com")
		seed, e := in.enrolApp(t, alice)
		waiting, err := in.BeginTOTP(t.Context(), alice, "")
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, "another person's", in.Remove(t.Context(), bob, e.Factor.ID), storage.ErrNotFound)
		wantError(t, "one that waits", in.Remove(t.Context(), alice, waiting.ID), storage.ErrNotFound)
		wantError(t, "one's own", in.Remove(t.Context(), alice, e.Factor.ID), nil)
		wantError(t, "it again", in.Remove(t.Context(), alice, e.Factor.ID), storage.ErrNotFound)
		_, err = in.VerifyTOTP(t.Context(), alice, in.code(t, seed, 0))
		wantError(t, "its code", err, ErrVerification)
		_, err = in.VerifyRecoveryCode(t.Context(), alice, e.RecoveryCodes[0])
		wantError(t, "a recovery code", err, ErrVerification)
		wantMails(t, in, "factoradded", "factorremoved")
	})
}

// MF-09: the way back in is opened by whoever administers the installation.
func TestResettingIsForAdministrators(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice, bob := in.person(t, "alice@acme-corp.com"), in.person(t, "bob@acme-corp.com")
		admin := in.person(t, "admin@acme-corp.com", func(u *storage.User) { u.PlatformRoles = []string{storage.RolePlatformAdmin} })
		super := in.person(t, "super@acme-corp.com", func(u *storage.User) { u.PlatformRoles = []string{storage.RoleSuperadmin} })
		for _, by := range []Subject{alice, bob, admin} {
			err := in.Reset(t.Context(), identity.Actor{UserID: by.User.ID}, alice.User.ID, request.Info{})
			wantError(t, "by "+by.User.Email, err, identity.ErrForbidden)
		}
		for _, by := range []identity.Actor{{UserID: super.User.ID}, identity.Operator()} {
			in.enrolApp(t, alice)
			wantError(t, "by one who may", in.Reset(t.Context(), by, alice.User.ID, request.Info{At: in.now}), nil)
			l, err := in.List(t.Context(), alice.User.ID)
			if err != nil || len(l.Factors) > 0 || l.RecoveryCodesLeft > 0 {
				t.Errorf("got %+v, %v, want nothing", l, err)
			}
		}
		wantError(t, "nobody's", in.Reset(t.Context(), identity.Operator(), uuid.New(), request.Info{}), storage.ErrNotFound)
		wantMails(t, in, "factoradded", "factorremoved", "factoradded", "factorremoved")
	})
}

package identity

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
)

// MF-07: on pages that serve no app, the installation and every organization of
// the person are heard, and a deadline counts from when it began to apply.
func TestWhatASessionOwes(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		bob := in.user(t, "bob@example.com", false)
		acme, err := in.Organizations.Create(t.Context(), Operator(), "acme", "Acme", bob.ID)
		if err != nil {
			t.Fatal(err)
		}
		visit := func(acr string, factors ...string) *storage.SessionContext {
			u := *bob
			u.Factors = factors
			return &storage.SessionContext{User: u, Session: storage.Session{ID: uuid.New(), UserID: u.ID, ACR: acr}}
		}
		owed := func(v *storage.SessionContext, platform storage.MFAPolicy) assurance.Decision {
			a, err := in.Sessions.RequiredSteps(t.Context(), v, storage.PlatformSettings{MFA: platform})
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		none := storage.MFAPolicy{}
		if a := owed(visit(assurance.ACRPassword), none); a.Incomplete() || a.Upcoming != nil {
			t.Errorf("nobody asks for anything, and it owes %+v", a)
		}
		if a := owed(visit(assurance.ACRPassword, storage.FactorTOTP), none); len(a.Verify) == 0 {
			t.Error("a half session owes nothing")
		}
		if a := owed(visit(assurance.ACRPassword), storage.MFAPolicy{Require: storage.RequireAny}); len(a.Enrol) != 2 {
			t.Errorf("the installation asks, and it owes %+v", a)
		}
		if a := owed(visit(assurance.ACRPassword), storage.MFAPolicy{Require: storage.RequireAny, GraceDays: 7}); a.Incomplete() || a.Upcoming == nil || a.Upcoming.Organization != nil {
			t.Errorf("before the installation's deadline: %+v", a)
		}
		settings := storage.OrganizationSettings{MFA: storage.MFAPolicy{Require: storage.RequirePasskey}}
		if err := in.store.EditOrganizationSettings(t.Context(), acme.ID, func(set *storage.OrganizationSettings) *storage.Event {
			*set = settings
			return &storage.Event{Type: "organization.changed", Organization: acme.ID}
		}); err != nil {
			t.Fatal(err)
		}
		if a := owed(visit(assurance.ACRPassword), none); len(a.Enrol) != 1 || a.Enrol[0] != storage.FactorWebAuthn || a.EnrolFor.Organization.ID != acme.ID {
			t.Errorf("the organization asks, and it owes %+v", a)
		}
		if a := owed(visit(assurance.ACRPhishingResistant, storage.FactorWebAuthn), none); a.Incomplete() {
			t.Errorf("all is proven, and it owes %+v", a)
		}
	})
}

// An action that weakens an account needs a complete sign-in within five minutes.
func TestFreshSignIns(t *testing.T) {
	in := onSQLite(t)
	now := in.currentTime()
	for _, tc := range []struct {
		ago     time.Duration
		factors []string
		acr     string
		want    bool
	}{
		{0, nil, assurance.ACRPassword, true},
		{5 * time.Minute, nil, assurance.ACRPassword, true},
		{5*time.Minute + 2*time.Second, nil, assurance.ACRPassword, false},
		{0, []string{storage.FactorTOTP}, assurance.ACRPassword, false},
		{0, []string{storage.FactorTOTP}, assurance.ACRMFA, true},
	} {
		v := &storage.SessionContext{User: storage.User{Factors: tc.factors}, Session: storage.Session{ACR: tc.acr, AuthTime: now.Add(-tc.ago)}}
		if got := in.Sessions.IsFresh(v); got != tc.want {
			t.Errorf("%+v: got %v", tc, got)
		}
	}
}

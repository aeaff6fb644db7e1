package provider_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// Access that was given before a policy ends with the time to meet it, and
// goes on once it is met.
func TestARefreshMeetsThePoliciesOfNow(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		ctx, operator := t.Context(), identity.Operator()
		tokens := s.Portal().SignIn(t, s.Browser(t), harness.Bob, nil)
		refresh := func(what string, want int) {
			t.Helper()
			again := s.Portal().Refresh(t, tokens.RefreshToken)
			if again.Status != want || want != http.StatusOK && again.Error != "invalid_grant" {
				t.Fatalf("%s: %d %s, want %d", what, again.Status, again.Error, want)
			}
			if want == http.StatusOK {
				tokens = again
			}
		}
		acme, err := s.App.Store.OrganizationBySlug(ctx, "acme-corp")
		if err != nil {
			t.Fatal(err)
		}
		policy := func(p storage.MFAPolicy) {
			t.Helper()
			if _, err := s.App.Identity.Policies.SetMFA(ctx, operator, acme.ID, p); err != nil {
				t.Fatal(err)
			}
		}
		refresh("without a policy", http.StatusOK)
		policy(storage.MFAPolicy{Require: storage.RequireAny, GraceDays: 3})
		refresh("within the grace", http.StatusOK)
		s.Clock.Advance(3 * 24 * time.Hour)
		refresh("after it", http.StatusBadRequest)
		policy(storage.MFAPolicy{})
		refresh("with the policy gone", http.StatusOK)

		if _, err := s.App.Identity.Policies.SetPlatformMFA(ctx, operator, storage.MFAPolicy{Require: storage.RequirePasskey}); err != nil {
			t.Fatal(err)
		}
		if err := s.App.Registry.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		refresh("with everybody's policy", http.StatusBadRequest)
	})
}

package app_test

import (
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// After a change of the parameters of argon2id the hashes that exist follow: each does at the next sign-in of its
// owner, whether it was made with less or with more, and a wrong password changes none.
func TestChangedParametersReachAHashAtTheNextSignIn(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		stored := func() string {
			t.Helper()
			_, hash, err := s.App.Store.UserWithPassword(t.Context(), harness.Bob.Email)
			if err != nil {
				t.Fatal(err)
			}
			return hash[:strings.LastIndex(hash[:strings.LastIndex(hash, "$")], "$")]
		}
		for _, tc := range []struct{ want, environ string }{
			{"$argon2id$v=19$m=19456,t=3,p=1", "SALLYPORT_ARGON2_TIME=3"},
			{"$argon2id$v=19$m=20000,t=2,p=1", "SALLYPORT_ARGON2_MEMORY_KIB=20000"},
			{"$argon2id$v=19$m=19456,t=2,p=2", "SALLYPORT_ARGON2_PARALLELISM=2"},
			{"$argon2id$v=19$m=19456,t=2,p=1", "SALLYPORT_ARGON2_TIME=2"}, // back to the default
		} {
			n, before := s.Node(t, tc.environ), stored()
			b := n.Browser(t)
			wrong := b.Submit(t, b.Get(t, "/login").Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password+"x")
			if got := stored(); wrong.Status != 422 || got != before {
				t.Errorf("%s: after a wrong password (%d) got %s, want %s", tc.environ, wrong.Status, got, before)
			}
			harness.SignIn(t, n.Browser(t), harness.Bob)
			if got := stored(); got != tc.want {
				t.Errorf("%s: after a sign-in got %s, want %s", tc.environ, got, tc.want)
			}
		}
	})
}

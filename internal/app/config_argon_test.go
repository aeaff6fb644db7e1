package app

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Less than OWASP's least is refused everywhere, development included: its hashes go on living in a copied database.
func TestArgon2ParametersHaveAFloorAndACeiling(t *testing.T) {
	if got, want := mustLoad(t).Argon2, (secret.Argon2Params{MemoryKiB: 19456, Time: 2, Threads: 1}); got != want {
		t.Errorf("default: got %+v, want %+v", got, want)
	}
	got := mustLoad(t, inProduction("SALLYPORT_ARGON2_MEMORY_KIB=65536", "SALLYPORT_ARGON2_TIME=3", "SALLYPORT_ARGON2_PARALLELISM=4")...).Argon2
	if want := (secret.Argon2Params{MemoryKiB: 65536, Time: 3, Threads: 4}); got != want {
		t.Errorf("as asked: got %+v, want %+v", got, want)
	}
	for _, tc := range []struct {
		environ []string
		want    []string
	}{
		{[]string{"SALLYPORT_ARGON2_MEMORY_KIB=19455"}, []string{"ARGON2_MEMORY_KIB"}},
		{[]string{"SALLYPORT_ARGON2_TIME=1", "SALLYPORT_ARGON2_MEMORY_KIB=47104"}, []string{"ARGON2_TIME"}},
		{[]string{"SALLYPORT_ARGON2_PARALLELISM=0"}, []string{"ARGON2_PARALLELISM"}},
		{[]string{"SALLYPORT_ARGON2_MEMORY_KIB=19 MiB", "SALLYPORT_ARGON2_TIME=-2", "SALLYPORT_ENV=testing"}, []string{"ARGON2_MEMORY_KIB", "ARGON2_TIME"}},
		{[]string{"SALLYPORT_ARGON2_MEMORY_KIB=262145", "SALLYPORT_PASSWORD_HASHER=bcrypt"}, []string{"ARGON2_MEMORY_KIB"}},
		{[]string{"SALLYPORT_ARGON2_PARALLELISM=257"}, []string{"ARGON2_PARALLELISM"}},
		{[]string{"SALLYPORT_ARGON2_MEMORY_KIB=262144", "SALLYPORT_ARGON2_TIME=5"}, []string{"ARGON2_TIME"}},
		{[]string{"SALLYPORT_ARGON2_MEMORY_KIB=262144", "SALLYPORT_ARGON2_TIME=4"}, nil},
	} {
		if diff := cmp.Diff(tc.want, faultKeys(t, LoadOptions{Environ: tc.environ})); diff != "" {
			t.Errorf("%v: faults (-want +got):\n%s", tc.environ, diff)
		}
	}
}

// Operators choose the parameters by what a sign-in may take, which depends on the machine.
func TestDoctorEstimatesTheTimeOfAHash(t *testing.T) {
	for _, tc := range []struct {
		environ []string
		want    string
	}{
		{nil, `^argon2id with 19456 KiB, 2 passes, parallelism 1: about [0-9]+ ms per hash here, [0-9]+ at once`},
		{[]string{"SALLYPORT_ARGON2_TIME=3", "SALLYPORT_ARGON2_PARALLELISM=2"}, `^argon2id with 19456 KiB, 3 passes, parallelism 2: about [0-9]+ ms`},
		{[]string{"SALLYPORT_PASSWORD_HASHER=bcrypt", "BCRYPT_LOG_ROUNDS=4"}, `^bcrypt with 4 rounds: about [0-9]+ ms`},
	} {
		found := map[string]Finding{}
		for _, f := range Doctor(t.Context(), LoadOptions{Environ: tc.environ, Dir: t.TempDir()}) {
			found[f.Check] = f
		}
		if got := found["passwords"].Detail + found["passwords"].Warning; !regexp.MustCompile(tc.want).MatchString(got) {
			t.Errorf("%v: got %q, want %s", tc.environ, got, tc.want)
		}
	}
}

package app_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// numbered is an INSERT … SELECT that runs for n from 1 to rows. uuid is an expression for an id of row n.
func numbered(s *harness.Server, rows int, insert func(uuid string) string) string {
	uuid := `('019a0000-0000-7000-8000-' || printf('%012x', n))`
	if s.App.Store.Engine() == storage.Postgres {
		uuid = `CAST('019a0000-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid)`
	}
	return fmt.Sprintf(`WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < %d) `, rows) + insert(uuid) + ` FROM k`
}

// After any change of the registry a preflight costs one look-up, however many clients there are; until the next one, none.
func TestAPreflightReadsNoMoreWithManyClients(t *testing.T) {
	harness.EachEngine(t, harness.Options{Count: true}, func(t *testing.T, s *harness.Server) {
		edit := func(change func(ctx context.Context, r *storage.RegistryEdit) error) {
			t.Helper()
			long := storage.WithLongCalls(t.Context(), time.Minute)
			if err := s.App.Store.EditRegistry(long, 0, func(r *storage.RegistryEdit) error { return change(long, r) }); err != nil {
				t.Fatal(err)
			}
			if err := s.App.Registry.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		event := func() *storage.Event { return &storage.Event{Type: "client.updated"} }
		edit(func(ctx context.Context, r *storage.RegistryEdit) error {
			for n := range 1000 {
				m := storage.Metadata{RedirectURIs: []string{"https://shared.example/cb", fmt.Sprintf("https://c%d.example:8443/cb", n)}}
				if err := r.CreateClient(ctx, &storage.Client{ID: fmt.Sprintf("client-%d", n), Metadata: m}, event()); err != nil {
					return err
				}
			}
			return nil
		})
		preflight := func(origin string) bool {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, s.Issuer+"/oauth2/token", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Origin", origin)
			r.Header.Set("Access-Control-Request-Method", http.MethodPost)
			answer, err := (&http.Client{Transport: s.Transport()}).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			return answer.Header.Get("Access-Control-Allow-Origin") == origin
		}
		for origin, want := range map[string]bool{
			"https://shared.example": true, "https://c7.example:8443": true, "https://c999.example:8443": true,
			"https://c7.example": false, "http://shared.example": false, "https://unknown.example": false, "null": false, "https://\xff.example": false,
		} {
			edit(func(ctx context.Context, r *storage.RegistryEdit) error {
				return r.DisableClient(ctx, "client-3", event())
			})
			for n, most := range []int{2, 0} { // to prepare it and to run it
				s.Counter.Reset()
				if got := preflight(origin); got != want {
					t.Errorf("%s: got %v, want %v", origin, got, want)
				}
				if trips, log := s.Counter.Trips(); int(trips) > most || s.Counter.Rows() > 1 {
					t.Errorf("%s, preflight %d: %d rows in %d round trips: %v", origin, n+1, s.Counter.Rows(), trips, log)
				}
			}
		}
		if preflight("https://c3.example:8443") {
			t.Error("the origin of a disabled client is let in")
		}
		edit(func(ctx context.Context, r *storage.RegistryEdit) error {
			return r.EnableClient(ctx, "client-3", event())
		})
		if !preflight("https://c3.example:8443") {
			t.Error("the origin of an enabled client is not let in")
		}
	})
}

// A run of the notices reads a bounded number of rows, whether the people lack a second step or not; the next goes on
// where it stopped, and all who are to be told are.
func TestARunOfTheNoticesReadsABoundedNumberOfRows(t *testing.T) {
	const people, perRun = 12_000, 10_000
	harness.EachEngine(t, harness.Options{Count: true}, func(t *testing.T, s *harness.Server) {
		now := s.Clock.Now().UnixMicro()
		// The last three have nothing that counts; the others have what is asked for, are shut out or have not proven their address.
		s.Exec(t, numbered(s, people, func(uuid string) string {
			return `INSERT INTO users (id, sub, email, email_key, email_verified_at, created_at, updated_at, disabled_at, factors) SELECT ` + uuid + `, ` + uuid + `,
				'p' || n || '@many.example', 'p' || n || '@many.example', ` + fmt.Sprintf(`CASE WHEN n %% 3 > 0 OR n > 11997 THEN 1 END, %d + n, 1,
				CASE WHEN n %% 3 = 1 AND n <= 11997 THEN 1 END, CASE WHEN n %% 3 = 2 AND n <= 11997 THEN 'totp webauthn' WHEN n = 12000 THEN 'totp' ELSE '' END`, now-3600_000_000)
		}))
		told := func() int {
			n, _, err := s.App.Store.Outbox.CountWaiting(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		// sweep runs until all was read, and returns how many runs that took.
		sweep := func() int {
			for n := 1; ; n++ {
				s.Counter.Reset()
				more, err := s.App.Identity.Policies.DeadlineNotices(t.Context())
				if err != nil || n > 10 {
					t.Fatal(n, err)
				}
				if rows := s.Counter.Rows(); rows > perRun+1000 {
					t.Errorf("run %d reads %d rows", n, rows)
				}
				if !more {
					return n
				}
			}
		}
		before := told()
		if n := sweep(); n != 1 || told() != before {
			t.Errorf("without a policy: %d runs and %d notices, want one and none", n, told()-before)
		}
		if _, err := s.App.Identity.Policies.SetPlatformMFA(t.Context(), identity.Operator(), storage.MFAPolicy{Require: storage.RequirePasskey, GraceDays: 3}); err != nil {
			t.Fatal(err)
		}
		s.Clock.Advance(time.Minute)
		before = told()
		if n := sweep(); n < 2 || told() != before+6 { // with the three people of the sample data
			t.Errorf("everybody: %d runs and %d notices, want two or more and 6", n, told()-before)
		}
		if sweep(); told() != before+6 {
			t.Errorf("again: %d notices, want 6", told()-before)
		}
		acme, err := s.App.Store.OrganizationBySlug(t.Context(), "acme-corp")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.App.Identity.Policies.SetPlatformMFA(t.Context(), identity.Operator(), storage.MFAPolicy{}); err != nil {
			t.Fatal(err)
		}
		s.Exec(t, numbered(s, people, func(uuid string) string {
			return fmt.Sprintf(`INSERT INTO memberships (organization_id, user_id, role, created_at) SELECT %s, %s, 'member', %d`,
				map[bool]string{true: `CAST('` + acme.ID.String() + `' AS uuid)`, false: `'` + acme.ID.String() + `'`}[s.App.Store.Engine() == storage.Postgres], uuid, now)
		}))
		if _, err := s.App.Identity.Policies.SetMFA(t.Context(), identity.Operator(), acme.ID, storage.MFAPolicy{Require: storage.RequirePasskey, GraceDays: 3}); err != nil {
			t.Fatal(err)
		}
		before = told()
		if n := sweep(); n < 2 || told() < before+3 {
			t.Errorf("a large organization: %d runs and %d notices, want two or more and 3 or more", n, told()-before)
		}
	})
}

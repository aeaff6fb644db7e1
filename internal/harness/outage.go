package harness

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/storage"
)

// Outage takes the server's PostgreSQL database away: its connections are cut and
// new ones refused, until the returned function gives it back.
func (s *Server) Outage(t testing.TB) (restore func()) {
	t.Helper()
	if s.App.Store.Engine() != storage.Postgres {
		t.Fatal("only PostgreSQL can be taken away")
	}
	server := variable(t, "SALLYPORT_TEST_POSTGRES_URL")
	u, err := url.Parse(s.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	for _, statement := range []string{
		`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS false`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '` + name + `'`,
	} {
		if err := admin(server, statement); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		t.Helper()
		if err := admin(server, `ALTER DATABASE `+name+` ALLOW_CONNECTIONS true`); err != nil {
			t.Fatal(err)
		}
	}
}

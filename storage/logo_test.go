package storage

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// A cause can quote another server's certificate or answer. Bytes that a database refuses must not keep the failure from
// being noted: the logo would be tried again and again, with those after it waiting.
func TestAnyCauseOfAFailedLogoIsKept(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		c := newClient("logo")
		c.Metadata.LogoURI = "https://logo.example/a.png"
		edit(t, s, func(ctx context.Context, r *RegistryEdit) error {
			return r.CreateClient(ctx, c, &Event{Type: "client.created"})
		})
		for _, problem := range []string{
			"x509: certificate is valid for a\x00b, not c", "\xff\xfe", strings.Repeat("é", 500), "x" + strings.Repeat("é", 500), "",
		} {
			due, err := s.Logos.Lease(t.Context(), time.Now().Add(time.Minute).Truncate(time.Microsecond))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Logos.Fail(t.Context(), due, problem, time.Now().Add(-time.Second)); err != nil {
				t.Fatalf("%.20q: %v", problem, err)
			}
			got, err := s.Logos.Get(t.Context(), "logo")
			if err != nil || !utf8.ValidString(got.Problem) || len(got.Problem) > maxProblem+len("…") || (got.Problem == "") != (problem == "") {
				t.Errorf("%.20q: got %+v, %v", problem, got, err)
			}
		}
	})
}

package app_test

import (
	"net/url"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// factorForms are the forms of the second step, for TestNoForgedRequestChangesAnything.
func factorForms(t *testing.T, s *harness.Server) map[string]func(b *harness.Browser) (*harness.Form, []string) {
	phone := s.Phone(t, harness.Admin)
	s.SecurityKey(t, harness.Admin)
	return map[string]func(b *harness.Browser) (*harness.Form, []string){
		"/login/factor": func(b *harness.Browser) (*harness.Form, []string) {
			return harness.EnterPassword(t, b, harness.Admin).Form(t, "factor"), []string{"code", phone.Code(t)}
		},
		"/login/factor/begin": func(b *harness.Browser) (*harness.Form, []string) {
			f := *harness.EnterPassword(t, b, harness.Admin).Form(t, "factor-passkey")
			f.Action, _ = url.Parse(s.Issuer + f.Begin)
			return &f, nil
		},
	}
}

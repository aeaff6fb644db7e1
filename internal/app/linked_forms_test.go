package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/fakeidp"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// linkedForms are the forms that link an identity of another provider to an account, and unlink it.
func linkedForms(t *testing.T, s *harness.Server) map[string]forged {
	listener := httptest.NewUnstartedServer(nil)
	idp := fakeidp.New(fakeidp.Config{Kind: fakeidp.OIDC, BaseURL: "http://" + listener.Listener.Addr().String(), ClientID: "sallyport",
		ClientSecret: "secret-of-the-connection", Now: s.Clock.Now})
	listener.Config.Handler = idp.Handler()
	listener.Start()
	t.Cleanup(listener.Close)
	if err := s.App.Identity.Connections.Configure(t.Context(), identity.Operator(), []identity.ConnectionConfig{{Name: "acme",
		Kind: fakeidp.OIDC, Secret: idp.ClientSecret, Settings: storage.ConnectionSettings{Label: "Acme ID", Issuer: idp.BaseURL,
			ClientID: idp.ClientID, Callback: storage.CallbackLogin}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.App.Registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	confirm := func(b *harness.Browser) (*harness.Form, []string) {
		n++
		who := harness.NewPerson(t, s, fmt.Sprintf("linked%d@example.com", n))
		harness.SignIn(t, b, who)
		idp.SignInAs(&fakeidp.Person{Subject: fmt.Sprint(n), Email: who.Email, EmailVerified: true})
		there := b.Get(t, "/login/acme?link=1")
		if there.Away == nil {
			t.Fatalf("linking does not lead to the provider: %d at %s", there.Status, there.URL)
		}
		resp, err := client.Get(there.Away.String())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		back, err := resp.Location()
		if err != nil {
			t.Fatal(err)
		}
		return b.Get(t, back.String()).Form(t, "confirm"), nil
	}
	return map[string]forged{
		"/account/linked/confirm": {form: confirm},
		"/account/linked/remove": {form: func(b *harness.Browser) (*harness.Form, []string) {
			form, _ := confirm(b)
			b.Submit(t, form)
			return b.Get(t, fmt.Sprintf("/account/linked/remove?connection=acme&subject=%d", n)).Form(t, "confirm"), nil
		}},
	}
}

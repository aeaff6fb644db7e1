package login_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/fakeidp"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// Another Sallyport is a provider like any other.
func TestAnotherSallyportAsProvider(t *testing.T) {
	down := harness.Start(t, storage.SQLite, harness.Options{Empty: true})
	up := harness.Start(t, storage.SQLite, harness.Options{Clients: `version: 1
clients:
  - client_id: downstream
    client_name: Downstream
    secret: a-long-secret-of-the-downstream-server-42
    redirect_uris: ["` + down.Issuer + `/login/up/callback"]
    grant_types: [authorization_code]
    scope: openid profile email
    require_pkce: true
`})
	if err := down.App.Identity.Connections.Configure(t.Context(), identity.Operator(), []identity.ConnectionConfig{{Name: "up",
		Kind: fakeidp.OIDC, Secret: "a-long-secret-of-the-downstream-server-42", Settings: storage.ConnectionSettings{Label: "Up",
			Issuer: up.Issuer, ClientID: "downstream", Callback: storage.CallbackLogin}}}); err != nil {
		t.Fatal(err)
	}
	if err := down.App.Registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, there := down.Browser(t), up.Browser(t)
	for _, signsUp := range []bool{true, false} {
		page := there.WalkTo(t, b.Get(t, "/login/up?to=/account").Away.String(), harness.Bob)
		isAt(t, b.Get(t, page.Away.String()), "/account")
		if u, err := down.App.Store.UserByEmail(t.Context(), harness.Bob.Email); err != nil || u.Profile.Name == "" || !u.EmailVerified() {
			t.Errorf("signs up %v: the account is %+v, %v", signsUp, u, err)
		}
		b = down.Browser(t)
	}
}

// Of answers that come at once, one asks the provider and signs in.
func TestSeveralAnswersAtOnceAreOne(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		p := connect(t, s, fakeidp.OIDC, nil)
		b := s.Browser(t)
		answer := p.answer(t, b, "/login/acme?to=/account", carol)
		var all sync.WaitGroup
		var signedIn atomic.Int32
		for range 8 {
			all.Go(func() {
				resp, err := b.HTTP.Get(answer)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.Header.Get("Location") == "/account" && len(resp.Cookies()) > 0 {
					signedIn.Add(1)
				}
			})
		}
		all.Wait()
		if signedIn.Load() != 1 || p.Redeemed() != 1 {
			t.Errorf("%d answers signed in, and the provider was asked %d times, want 1 and 1", signedIn.Load(), p.Redeemed())
		}
	})
}

package app_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// After a backup was restored, nothing that was spent, revoked or left behind since it was taken works again, nor what
// lived then and may have been.
func TestNothingOldWorksAfterARestoredBackup(t *testing.T) {
	for source, backup := range map[storage.Engine]storage.Engine{storage.SQLite: storage.Postgres, storage.Postgres: storage.SQLite} {
		t.Run("restored to "+string(backup), func(t *testing.T) {
			s := harness.Start(t, source, harness.Options{Host: "localhost"})
			phone := s.Phone(t, harness.Alice)
			rp, b := s.Portal(), s.Browser(t)
			tokens := rp.SignIn(t, b, harness.Bob, nil)
			kept := rp.SignIn(t, s.Browser(t), harness.Bob, nil)
			own := s.Machine().Token(t, url.Values{"grant_type": {"client_credentials"}})
			r := rp.Authorize(nil)
			p := b.Get(t, r.URL)
			code := p.Away.Query().Get("code")
			var pushed struct {
				URI string `json:"request_uri"`
			}
			rp.Post(t, "/oauth2/par", rp.Authorize(nil).Params, &pushed)
			recover := s.Browser(t)
			recover.Submit(t, recover.Get(t, "/recover").Form(t, "recover"), "email", harness.Bob.Email)
			s.Settle(t)
			reset := s.LastMail(t, harness.Bob.Email).Link
			if code == "" || pushed.URI == "" || reset == "" {
				t.Fatalf("code %q, pushed %q, link %q", code, pushed.URI, reset)
			}

			// The backup is a copy by the other engine, which every row of it has passed.
			taken := s.Clock.Now()
			databaseURL := harness.EmptyDatabase(t, backup)
			to, err := storage.Open(t.Context(), storage.Config{URL: databaseURL})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.App.Store.CopyTo(t.Context(), to, nil); err != nil {
				t.Fatal(err)
			}
			if err := to.Close(); err != nil {
				t.Fatal(err)
			}

			// The changes to the original are lost with it.
			rp.Redeem(t, code, r)
			rp.Refresh(t, tokens.RefreshToken)
			a := s.Browser(t)
			appCode := phone.Code(t)
			a.Submit(t, harness.EnterPassword(t, a, harness.Alice).Form(t, "factor"), "code", appCode)

			n := s.Moved(t, databaseURL)
			ended, err := n.App.Factors.EndRestored(t.Context(), identity.Operator(), taken)
			if err != nil {
				t.Fatal(err)
			}
			count := map[string]int64{}
			for _, x := range ended {
				count[x.What] = x.Count
			}
			if count["sessions"] < 2 || count["grants"] < 3 || count["authorization codes"] != 1 || count["mailed links"] < 1 || count["authenticator apps, advanced"] != 1 {
				t.Errorf("ended %v", count)
			}

			portal := n.Portal()
			if got := portal.Token(t, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {portal.RedirectURI}, "code_verifier": {r.Verifier}}); got.Error != "invalid_grant" {
				t.Errorf("the spent code: %d %s", got.Status, got.Error)
			}
			for name, token := range map[string]string{"spent": tokens.RefreshToken, "left": kept.RefreshToken} {
				if got := portal.Refresh(t, token); got.Error != "invalid_grant" {
					t.Errorf("the %s refresh token: %d %s", name, got.Status, got.Error)
				}
			}
			if status, _ := portal.Userinfo(t, kept.AccessToken); status != http.StatusUnauthorized {
				t.Errorf("an access token: %d", status)
			}
			if about := n.Machine().Introspect(t, own.AccessToken); about["active"] != false {
				t.Errorf("a machine's token: %v", about)
			}
			back := n.Browser(t)
			back.HTTP.Jar = b.HTTP.Jar
			if p := back.Get(t, portal.Authorize(nil).URL); p.URL.Path != "/login" {
				t.Errorf("the old session: %d at %s, away to %v", p.Status, p.URL, p.Away)
			}
			if p := n.Browser(t).Get(t, "/oauth2/authorize?"+url.Values{"client_id": {portal.ClientID}, "request_uri": {pushed.URI}}.Encode()); p.URL.Path == "/login" {
				t.Errorf("the pushed request leads to %s", p.URL)
			}
			link := n.Browser(t)
			if p := link.Get(t, reset); p.Status == http.StatusOK && len(p.Forms) > 0 && p.Forms[0].Values.Has("password") {
				t.Errorf("the reset link: %d at %s", p.Status, p.URL)
			}
			for name, typed := range map[string]string{"the app's used code": appCode, "the app's next code": harness.TOTP(t, phone.Key, n.Clock.Now().Add(30*time.Second))} {
				l := n.Browser(t)
				if p := l.Submit(t, harness.EnterPassword(t, l, harness.Alice).Form(t, "factor"), "code", typed); p.URL.Path == "/" {
					t.Errorf("%s signs in", name)
				}
			}
			l := n.Browser(t)
			harness.EnterPassword(t, l, harness.Alice)
			if p := l.Submit(t, l.Get(t, "/login/factor?method=recovery").Form(t, "factor"), "code", phone.RecoveryCodes[0]); p.URL.Path == "/" {
				t.Error("a recovery code signs in")
			}

			// And people come back: two minutes later the app counts, and the consent is asked again.
			n.Clock.Advance(2 * time.Minute)
			fresh := n.Browser(t)
			if p := fresh.Submit(t, harness.EnterPassword(t, fresh, harness.Alice).Form(t, "factor"), "code", phone.Code(t)); p.URL.Path != "/" {
				t.Errorf("alice's app later: %d at %s", p.Status, p.URL)
			}
			again := portal.SignIn(t, n.Browser(t), harness.Bob, nil)
			if diff := cmp.Diff(harness.Claims(t, tokens.IDToken)["sub"], harness.Claims(t, again.IDToken)["sub"]); diff != "" {
				t.Errorf("another person signs in: %s", diff)
			}
		})
	}
}

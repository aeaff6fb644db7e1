package app_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// kid is the key that signed a token.
func kid(t *testing.T, token string) string {
	t.Helper()
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(header), `"kid":"`)
	id, _, _ := strings.Cut(after, `"`)
	return id
}

// Sessions, tokens and factors work after a move to the other engine, and those that were over stay over.
func TestAnInstallationGoesOnAfterItMovedToTheOtherEngine(t *testing.T) {
	for source, target := range map[storage.Engine]storage.Engine{storage.SQLite: storage.Postgres, storage.Postgres: storage.SQLite} {
		t.Run("from "+string(source), func(t *testing.T) {
			s := harness.Start(t, source, harness.Options{Host: "localhost"})
			phone, key := s.Phone(t, harness.Alice), s.SecurityKey(t, harness.Admin)
			rp, b := s.Portal(), s.Browser(t)
			before := rp.SignIn(t, b, harness.Bob, nil)
			spent := before.RefreshToken
			if refreshed := rp.Refresh(t, spent); refreshed.Status == http.StatusOK {
				before.AccessToken, before.RefreshToken = refreshed.AccessToken, refreshed.RefreshToken
			} else {
				t.Fatalf("the refresh answers %d", refreshed.Status)
			}
			jwks := b.Get(t, "/.well-known/jwks.json").Body

			databaseURL := harness.EmptyDatabase(t, target)
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

			n := s.Moved(t, databaseURL)
			portal, browser := n.Portal(), n.Browser(t)
			browser.HTTP.Jar = b.HTTP.Jar
			if got := browser.Get(t, "/.well-known/jwks.json").Body; got != jwks {
				t.Errorf("other keys are published:\n%s\nwant\n%s", got, jwks)
			}
			if status, about := portal.Userinfo(t, before.AccessToken); status != http.StatusOK || about["email"] != harness.Bob.Email {
				t.Errorf("userinfo answers %d %v", status, about)
			}
			r := portal.Authorize(nil)
			p := browser.Get(t, r.URL)
			if p.Away == nil || p.Away.Query().Get("code") == "" {
				t.Fatalf("the session or the consent is lost: %d at %s", p.Status, p.URL)
			}
			after := portal.Redeem(t, p.Away.Query().Get("code"), r)
			if was, is := kid(t, before.IDToken), kid(t, after.IDToken); was == "" || is != was {
				t.Errorf("signed by %q, want %q", is, was)
			}
			if machine := n.Machine().Token(t, url.Values{"grant_type": {"client_credentials"}}); machine.Status != http.StatusOK {
				t.Errorf("client_credentials answers %d", machine.Status)
			}
			a := n.Browser(t)
			if p := a.Submit(t, harness.EnterPassword(t, a, harness.Alice).Form(t, "factor"), "code", phone.Code(t)); p.URL.Path != "/" {
				t.Errorf("alice's app: %d at %s", p.Status, p.URL)
			}
			c := n.Browser(t)
			if p := c.Ceremony(t, harness.EnterPassword(t, c, harness.Admin).Form(t, "factor-passkey"), key); p.URL.Path != "/" {
				t.Errorf("the administrator's passkey: %d at %s", p.Status, p.URL)
			}
			if got := portal.Refresh(t, before.RefreshToken); got.Status != http.StatusOK {
				t.Errorf("the refresh token: %d %s", got.Status, got.Description)
			}
			if got := portal.Refresh(t, spent); got.Error != "invalid_grant" {
				t.Errorf("a spent refresh token: %d %s", got.Status, got.Error)
			}
		})
	}
}

package app_test

import (
	"encoding/base64"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// A key that leaked is taken out of the list, and what was made with it stands for nothing from then on. While it is in
// the list, behind the new one, all goes on. A session is no such thing: its token is random, and only its hash is kept.
func TestASecretKeyThatIsTakenOutVerifiesNothing(t *testing.T) {
	const next = "8J2qkX0vVn3rYw5tB7mZc1LdS4hGfP6aEeUiOo9TzKs="
	s := harness.Start(t, storage.SQLite, harness.Options{})
	former := base64.StdEncoding.EncodeToString(s.App.Config.SecretKeys[0])
	site, err := url.Parse(s.Issuer)
	noError(t, err)
	for name, tc := range map[string]struct {
		keys     string
		verifies bool
	}{
		"behind the new one": {next + "," + former, true},
		"taken out":          {next, false},
	} {
		who := harness.NewPerson(t, s, map[bool]string{true: "behind", false: "out"}[tc.verifies]+"@example.com")
		known, signedIn := s.Browser(t), s.Browser(t)
		harness.SignIn(t, known, who)
		harness.SignIn(t, signedIn, who)
		password := signedIn.Get(t, "/account/password").Form(t, "change-password")
		token := &program{Browser: s.Browser(t), issuer: s.Issuer, byToken: true}
		if status := token.login(t, harness.Alice); status != http.StatusOK {
			t.Fatalf("Alice by token: %d %s", status, token.lastResponse)
		}
		token.call(t, http.MethodGet, "/users/me/organizations?limit=1", "")
		cursor := regexp.MustCompile(`"next":"([^"]+)"`).FindStringSubmatch(token.lastResponse)
		if cursor == nil {
			t.Fatalf("the list has one page: %s", token.lastResponse)
		}

		n := s.Node(t, "SALLYPORT_SECRET_KEY="+tc.keys)
		at := func(b *harness.Browser) *harness.Browser {
			moved := n.Browser(t)
			moved.HTTP.Jar = b.HTTP.Jar
			return moved
		}
		token.Browser = at(token.Browser)
		if status := token.call(t, http.MethodGet, "/users/me/organizations?limit=1&after="+url.QueryEscape(cursor[1]), ""); (status == http.StatusOK) != tc.verifies {
			t.Errorf("%s: the cursor: %d %s", name, status, token.lastResponse)
		}
		before := len(n.Mail(t, who.Email))
		device := at(known)
		device.HTTP.Jar, err = cookiejar.New(nil)
		noError(t, err)
		for _, c := range known.HTTP.Jar.Cookies(site) {
			if c.Name == "sp_device" {
				device.HTTP.Jar.SetCookies(site, []*http.Cookie{c})
			}
		}
		harness.SignIn(t, device, who)
		if isNew := len(n.Mail(t, who.Email)) > before; isNew == tc.verifies {
			t.Errorf("%s: a mail says that the device is new: %v", name, isNew)
		}
		here := at(signedIn)
		if p := here.Get(t, "/account/password"); p.Status != http.StatusOK {
			t.Errorf("%s: the session: %d at %s", name, p.Status, p.URL)
		}
		if p := here.Submit(t, password, "current_password", who.Password, "password", newPassword); (p.Status == http.StatusOK) != tc.verifies {
			t.Errorf("%s: the form: %d at %s", name, p.Status, p.URL)
		}
	}
}

package importer_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/importer"
	"github.com/sallyport-id/sallyport/internal/harness"
)

const importedPassword = "correct horse grüße 🔑"

// importedHashes are of importedPassword: one of each kind, as the systems write them that people come from.
var importedHashes = map[string]string{
	"bcrypt-2a":       "$2a$04$SZrkyXqzXylznP2lZlESxOPijRcCMDVzWN7ObE/zO.mQCX2kCmaB.",
	"bcrypt-2b":       "$2b$04$cDrP0SsSvpPK3jMHovEk8eIvJGaoJL4oK.QohFYsL0Xc3DdUdhB2W",
	"bcrypt-2y":       "$2y$04$GnxvoGLNjokkHL8sYW9xc.zDu04fEJ7nwPxNLRPO6CGNm5cenT6kS",
	"argon2i":         "$argon2i$v=19$m=64,t=2,p=2$y3lvbQ1BSElJSUmJkRKi1A$S8dy0haqzY9ajGDyalk4d8eS0eSSFx2WZnh27zrA1/w",
	"argon2id":        "$argon2id$v=19$m=64,t=2,p=2$SsmZM0aoFcIYA8CY0xqjlA$pLS+Pj1kpgUm6R6QM+EewexjAkRj5guzYmMrbUajEtQ",
	"pbkdf2-passlib":  "$pbkdf2-sha512$1000$n9MaozTGeI.RMubc.x8DYA$LlxJtThOCYTfoY7/IRdJVXpiSAKFCfSatqltqs.rrpJvvOUdp/7tSXE2pRQ24iQdQZ5Cig9VSV0y8WE4.7Tv5Q",
	"pbkdf2-phc":      "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$mA4ot81E0Asddo7Wspt/hOxKBnvgEEe8G4ATMl8vZDw",
	"pbkdf2-django":   "pbkdf2_sha256$1000$f2fEr9j4a8F1XdBqQm06Xf$5seRxnZlUM6Q7RjYiHFVXoJ/PxeQ+1T/yhlPpi8npss=",
	"pbkdf2-werkzeug": "pbkdf2:sha256:1000$DD6RjnsO$318c5bc93a31adef1978cdcfd4ed322e293f270549bf19e7d389f8ce21b467d6",
	"scrypt-phc":      "$scrypt$ln=10,r=8,p=1$k3LOmVNKKYWwNmaslRJCaA$kTv3vKGuTY2lBVZkiCc2bYinqDAL/qK3PF4LuG9ucr8",
	"scrypt-werkzeug": "scrypt:1024:8:1$YflCRQVJNKTeMblF$acac994cb99eb4913184f535a661be8ce9fe9f7a186b3487ac5c26f5fef2e242e12fa632905d5e2eefabd8b18b17d2689fadbca79721c412d88df6c7be731cb7",
}

// flaskHashes have SECURITY_PASSWORD_SALT "flask-salt" in them, as Flask-Security puts it there.
var flaskHashes = map[string]string{
	"flask-bcrypt": "$2b$04$gGhiWDO.L8OHs004YXi.6.2u9TSGi928BCp9y5CPiIRB4iBsxCsv.",
	"flask-argon2": "$argon2id$v=19$m=64,t=2,p=2$1prz3puTUgqBUKoVIqQ05g$6Uex/VDlPJxUsg5T72nARi382h/rp1XWWCqAmI0+MDM",
	"flask-pbkdf2": "$pbkdf2-sha512$1000$a.0dw1iLMUaotXYOAQCgNA$5.YrAkdMBFOxGXbQgHBjg0/BJNOLG/mzZjlfV7n75LVxP9m5nMBdsbBsIa88NaDDRb1KRkxkrmGJ2DsAMNg/YA",
}

// The promise of the import: people sign in the first time with the
// password they have, whatever system hashed it, and the hash is ours from then on.
func TestImportedPeopleSignInTheFirstTime(t *testing.T) {
	o := harness.Options{Environ: []string{"SALLYPORT_PASSWORD_PEPPER=flask-salt"}}
	harness.EachEngine(t, o, func(t *testing.T, s *harness.Server) {
		importPeople(t, s, importedHashes, false)
		importPeople(t, s, flaskHashes, true)
		for _, hashes := range []map[string]string{importedHashes, flaskHashes} {
			for name := range hashes {
				email := name + "@example.com"
				signIn(t, s, email, importedPassword, true)
				_, hash, err := s.App.Store.UserWithPassword(t.Context(), email)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(hash, "$hmac-sha512$keyid=") || !strings.Contains(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
					t.Errorf("%s: the stored hash is %s, want today's", name, hash)
				}
			}
		}
		signIn(t, s, "bcrypt-2b@example.com", importedPassword, true) // with the new hash
		signIn(t, s, "bcrypt-2b@example.com", importedPassword+"x", false)
	})
}

// The authenticator apps of Flask-Security, encrypted by passlib under SECURITY_TOTP_SECRETS, go on giving the codes that
// the second step asks for; and the password alone does not sign in any more.
func TestImportedAuthenticatorAppsProveTheSecondStep(t *testing.T) {
	o := harness.Options{Environ: []string{`SECURITY_TOTP_SECRETS={"1":"TjQ9Qa31VOrfEzuPy4VHQWPCTmRzCnFzMKLxXYiZu9B","2020-01":"old"}`}}
	harness.EachEngine(t, o, func(t *testing.T, s *harness.Server) {
		const wallet = `{"enckey":{"c":14,"k":"6WG7QGF5Z6BMGGNSSPYMGXIBBJO2UMC6","s":"VT234V2KVG2ZNMUWGKTA","t":"1","v":1},"type":"totp","v":1}`
		password := `"password_hash":"` + importedHashes["bcrypt-2b"] + `"`
		file := `{"email":"text@example.com",` + password + `,"totp_secret":"` + strings.ReplaceAll(wallet, `"`, `\"`) + `"}
{"email":"object@example.com",` + password + `,"totp_secret":` + wallet + `}
{"email":"short@example.com",` + password + `,"totp_secret":{"enckey":{"c":4,"k":"OAJBBMQHCCVFC7NJ","s":"4YOKG5BOAXADQB5AKRVA","t":"2020-01","v":1},"type":"totp","v":1}}
{"email":"plain@example.com",` + password + `,"totp_secret":"jbsw y3dp ehpk 3pxp"}
{"email":"none@example.com",` + password + `,"totp_secret":null}
`
		options := importer.Options{TOTPSecrets: s.App.Config.TOTPSecrets, Authenticator: s.App.Factors.ImportedTOTP}
		if done, err := s.App.Importer.Import(t.Context(), identity.Operator(), strings.NewReader(file), options); err != nil || done.Created != 5 {
			t.Fatalf("%+v, %v", done, err)
		}
		const flask, short = "DPR5ZG4T6JPAWILEZQ44PWE3WMLAFQBY", "JBSWY3DPEHPK3PXP"
		for email, key := range map[string]string{"text@example.com": flask, "object@example.com": flask, "short@example.com": short, "plain@example.com": short} {
			b := s.Browser(t)
			page := b.Submit(t, b.Get(t, "/login").Form(t, "login"), "email", email, "password", importedPassword)
			if page.URL.Path != "/login/factor" {
				t.Fatalf("%s: the password alone leads to %s", email, page.URL)
			}
			page = b.Submit(t, page.Form(t, "factor"), "code", harness.TOTP(t, key, s.Clock.Now()))
			if page.URL.Path == "/login/factor" || page.Status != 200 {
				t.Errorf("%s: the code leads to %d at %s", email, page.Status, page.URL)
			}
		}
		signIn(t, s, "none@example.com", importedPassword, true)
		for text, problem := range map[string]string{
			`{"email":"x@example.com","totp_secret":"canary"}`:                                                 "totp_secret: has",
			`{"email":"x@example.com","email_verified":false,"totp_secret":"JBSWY3DPEHPK3PXP"}`:                "totp_secret: is given for an address that is not verified",
			"email,totp_secret\nx@example.com,\"" + strings.ReplaceAll(wallet[:80], `"`, `""`) + "\"":          "totp_secret: is not the JSON",
			`{"email":"x@example.com","totp_secret":` + strings.Replace(wallet, `"t":"1"`, `"t":"9"`, 1) + `}`: `under the key "9", which SECURITY_TOTP_SECRETS does not have`,
		} {
			_, err := s.App.Importer.Import(t.Context(), identity.Operator(), strings.NewReader(text), options)
			if err == nil || !strings.Contains(err.Error(), problem) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "JBSWY") {
				t.Errorf("%s: got %v, want %q", text, err, problem)
			}
		}
	})
}

func importPeople(t *testing.T, s *harness.Server, hashes map[string]string, peppered bool) {
	t.Helper()
	var file strings.Builder
	for name, hash := range hashes {
		line, err := json.Marshal(map[string]string{"email": name + "@example.com", "password_hash": hash, "organization": "acme-corp"})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&file, "%s\n", line)
	}
	done, err := s.App.Importer.Import(t.Context(), identity.Operator(), strings.NewReader(file.String()), importer.Options{Peppered: peppered})
	if err != nil || done.Created != len(hashes) {
		t.Fatalf("%+v, %v", done, err)
	}
}

func signIn(t *testing.T, s *harness.Server, email, password string, want bool) {
	t.Helper()
	b := s.Browser(t)
	page := b.Submit(t, b.Get(t, "/login").Form(t, "login"), "email", email, "password", password)
	if in := page.URL.Path != "/login"; in != want {
		t.Errorf("%s: status %d at %s, want signed in %v", email, page.Status, page.URL.Path, want)
	}
}

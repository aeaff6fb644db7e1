package secret

import (
	"errors"
	"strings"
	"testing"
)

const foreignPassword = "correct horse grüße 🔑"

// foreignHashes are of foreignPassword, made by the systems that people come from:
// passlib 1.7.4, argon2-cffi 25.1, bcrypt 4.0, Werkzeug 3.1, Django 5.2 and Python's hashlib.
var foreignHashes = map[string]string{
	"passlib pbkdf2_sha256":  "$pbkdf2-sha256$1000$q/X.v3eOUYpRipESYuydEw$lH4KuO/qLfRyqkCLEwppOakNzu/jGpewTphbyHxss2k",
	"passlib pbkdf2_sha512":  "$pbkdf2-sha512$1000$n9MaozTGeI.RMubc.x8DYA$LlxJtThOCYTfoY7/IRdJVXpiSAKFCfSatqltqs.rrpJvvOUdp/7tSXE2pRQ24iQdQZ5Cig9VSV0y8WE4.7Tv5Q",
	"passlib pbkdf2_sha1":    "$pbkdf2$1000$lnLO2Tun9F6LEWIMwTgHwA$bRnh8ih6HSFU.1omHaGmvguS08E",
	"passlib scrypt":         "$scrypt$ln=10,r=8,p=1$k3LOmVNKKYWwNmaslRJCaA$kTv3vKGuTY2lBVZkiCc2bYinqDAL/qK3PF4LuG9ucr8",
	"passlib argon2i":        "$argon2i$v=19$m=64,t=2,p=2$y3lvbQ1BSElJSUmJkRKi1A$S8dy0haqzY9ajGDyalk4d8eS0eSSFx2WZnh27zrA1/w",
	"passlib argon2id":       "$argon2id$v=19$m=64,t=2,p=2$SsmZM0aoFcIYA8CY0xqjlA$pLS+Pj1kpgUm6R6QM+EewexjAkRj5guzYmMrbUajEtQ",
	"passlib bcrypt 2b":      "$2b$04$cDrP0SsSvpPK3jMHovEk8eIvJGaoJL4oK.QohFYsL0Xc3DdUdhB2W",
	"passlib bcrypt 2y":      "$2y$04$GnxvoGLNjokkHL8sYW9xc.zDu04fEJ7nwPxNLRPO6CGNm5cenT6kS",
	"passlib bcrypt 2a":      "$2a$04$SZrkyXqzXylznP2lZlESxOPijRcCMDVzWN7ObE/zO.mQCX2kCmaB.",
	"Werkzeug scrypt":        "scrypt:1024:8:1$YflCRQVJNKTeMblF$acac994cb99eb4913184f535a661be8ce9fe9f7a186b3487ac5c26f5fef2e242e12fa632905d5e2eefabd8b18b17d2689fadbca79721c412d88df6c7be731cb7",
	"Werkzeug pbkdf2 sha256": "pbkdf2:sha256:1000$DD6RjnsO$318c5bc93a31adef1978cdcfd4ed322e293f270549bf19e7d389f8ce21b467d6",
	"Werkzeug pbkdf2 sha512": "pbkdf2:sha512:1000$1MDp1ZALq6F65ajl$150cfd0f8edb1fad2eabb8822c6d5aa39cf9630db4d44e945829ded79e88c2a90cb50f1aa9420cee697ac3906e65a573c7de5fec7dbb2f05efe6d6cfd585a7e7",
	"Werkzeug pbkdf2 sha1":   "pbkdf2:sha1:1000$ocbKkfChlODqFdN7$cf23749807c5d2e88376c7af33750256c1b89252",
	"Django pbkdf2_sha256":   "pbkdf2_sha256$1000$f2fEr9j4a8F1XdBqQm06Xf$5seRxnZlUM6Q7RjYiHFVXoJ/PxeQ+1T/yhlPpi8npss=",
	"Django pbkdf2_sha1":     "pbkdf2_sha1$1000$Km4lknQMZs5Ubv45XZATZ7$gjpeDunzDictQfcgHh7a0N3tYpo=",
	"Django argon2":          "argon2$argon2id$v=19$m=64,t=1,p=1$QjNxSzFFZ2dTWEV5WnpCOUFHUjhySA$iCNnpS1op9kGGX4Z2VEznvY8nrjCHs/tAhKl3O1Ztsg",
	"Django bcrypt_sha256":   "bcrypt_sha256$$2b$04$u8KcMf5HnXQJ2ItQNpYDtezmy7KqzjWUcQIc3571QkjpJdi0ZClJG",
	"Django bcrypt":          "bcrypt$$2b$04$wVxTwV1NSM3Cg.LWDwbdW.0P1cDygE9cShnNrh7aN2qbi10X/ODde",
	"Django scrypt":          "scrypt$1024$uz2YPD2B6AFKIbLxhwjilD$8$1$oaDPHvbXZcBGb03Zb9Eqk6utDnXaPOFSObx6AnuXph7a8mC0Fq5LQzGdqi97LRf+P4d2bGvdqPi/6A/SKDjSTA==",
	"PHC pbkdf2 sha256":      "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$mA4ot81E0Asddo7Wspt/hOxKBnvgEEe8G4ATMl8vZDw",
	"PHC pbkdf2 sha512":      "$pbkdf2-sha512$i=1000,l=64$MDEyMzQ1Njc4OWFiY2RlZg$618UR0zSos5ttINdKVj2PTzJW68QKrqX/StJZ66y4DEVcfUNaXc1fEQZzrvzyEedM89xjf0J7CqrDtJmKU70bg",
	"PHC pbkdf2 without l":   "$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$mA4ot81E0Asddo7Wspt/hOxKBnvgEEe8G4ATMl8vZDw",
}

// LG-09: whoever comes with a hash of another system signs in the first time, and
// gets one of ours, whichever kind ours is.
func TestHashesOfOtherSystemsVerifyAndAskForOurs(t *testing.T) {
	p, b := newPasswords(t, PasswordConfig{}), newPasswords(t, PasswordConfig{Kind: Bcrypt, BcryptCost: 5})
	for name, encoded := range foreignHashes {
		t.Run(name, func(t *testing.T) {
			if err := errors.Join(CheckHash(encoded), p.CheckHash(encoded)); err != nil {
				t.Fatalf("CheckHash: %v", err)
			}
			checkVerify(t, p, encoded, foreignPassword, true, true)
			checkVerify(t, b, encoded, foreignPassword, true, true)
			checkVerify(t, p, encoded, foreignPassword+"x", false, false)
			checkVerify(t, p, encoded, "", false, false)
			// Systems that do not normalize hashed what was typed; it may be typed in another form now.
			checkVerify(t, p, encoded, strings.ReplaceAll(foreignPassword, "ü", "u\u0308"), true, true)
		})
	}
}

// flaskHashes are of foreignPassword in normal form KD, which is Flask-Security's,
// under its SECURITY_PASSWORD_SALT "flask-salt".
var flaskHashes = map[string]string{
	"bcrypt":        "$2b$04$gGhiWDO.L8OHs004YXi.6.2u9TSGi928BCp9y5CPiIRB4iBsxCsv.",
	"argon2":        "$argon2id$v=19$m=64,t=2,p=2$1prz3puTUgqBUKoVIqQ05g$6Uex/VDlPJxUsg5T72nARi382h/rp1XWWCqAmI0+MDM",
	"pbkdf2_sha512": "$pbkdf2-sha512$1000$a.0dw1iLMUaotXYOAQCgNA$5.YrAkdMBFOxGXbQgHBjg0/BJNOLG/mzZjlfV7n75LVxP9m5nMBdsbBsIa88NaDDRb1KRkxkrmGJ2DsAMNg/YA",
}

func TestHashesOfFlaskSecurityVerify(t *testing.T) {
	p := newPasswords(t, PasswordConfig{Peppers: [][]byte{[]byte("flask-salt")}})
	later := newPasswords(t, PasswordConfig{Peppers: [][]byte{[]byte("new"), []byte("flask-salt")}})
	none := newPasswords(t, PasswordConfig{})
	for name, plain := range flaskHashes {
		encoded, err := p.Peppered(plain)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := p.CheckHash(encoded); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		checkVerify(t, p, encoded, foreignPassword, true, true)
		checkVerify(t, later, encoded, foreignPassword, true, true)
		checkVerify(t, p, encoded, foreignPassword+"x", false, false)
		checkVerify(t, p, plain, foreignPassword, false, false)
		if err := none.CheckHash(encoded); !errors.Is(err, ErrBadHash) {
			t.Errorf("%s without the pepper: %v, want ErrBadHash", name, err)
		}
		if _, err := none.Peppered(plain); !errors.Is(err, ErrBadHash) {
			t.Errorf("%s, and no pepper is configured: %v, want ErrBadHash", name, err)
		}
		if _, err := p.Peppered(encoded); !errors.Is(err, ErrBadHash) {
			t.Errorf("%s with two peppers: %v, want ErrBadHash", name, err)
		}
	}
}

// Another spelling is tried for a hash from elsewhere only: for ours, and for
// passwords in ASCII, a wrong password costs one comparison.
func TestSpellings(t *testing.T) {
	for _, tc := range []struct {
		typed string
		want  int
	}{{"plain", 1}, {"gr\u00fcn", 2}, {"gru\u0308n", 2}, {"gr\u00fc\ufb01n", 2}, {"gru\u0308\ufb01n", 3}} {
		text, _ := normalize(tc.typed)
		if got := normalForms(tc.typed, text); len(got) != tc.want || got[0] != text {
			t.Errorf("normalForms(%q) = %q, want %d", tc.typed, got, tc.want)
		}
	}
	p := newPasswords(t, PasswordConfig{})
	e := p.newHash("")
	e.salt = Random(saltBytes)
	e.sum = e.argon.sum([]byte("gru\u0308n"), e.salt, sumBytes) // not in normal form C, so not by Hash
	checkVerify(t, p, e.String(), "gru\u0308n", false, false)
}

// LG-09: a hash that no honest system writes is refused before anything is computed.
func TestForeignHashesAreBounded(t *testing.T) {
	sum := strings.Repeat("0", 64)
	for name, encoded := range map[string]string{
		"argon2d":              "$argon2d$v=19$m=64,t=2,p=2$qZWSsva+t1ZqLaU0RohxTg$WM4Qf47RBDqPlng+12oeEL6REO2M0Bqz2NuydmTnsrA",
		"argon2i memory":       "$argon2i$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"iterations":           "pbkdf2:sha256:5000001$salt$" + sum,
		"iterations by blocks": "pbkdf2:sha1:2500001$salt$" + sum,
		"no iterations":        "pbkdf2:sha256:0$salt$" + sum,
		"negative iterations":  "pbkdf2:sha256:-1$salt$" + sum,
		"overflow":             "pbkdf2:sha256:18446744073709551617$salt$" + sum,
		"digest":               "pbkdf2:md5:1000$salt$" + sum,
		"no digest":            "pbkdf2::1000$salt$" + sum,
		"no salt":              "pbkdf2:sha256:1000$$" + sum,
		"long salt":            "pbkdf2:sha256:1000$" + strings.Repeat("s", 129) + "$" + sum,
		"short sum":            "pbkdf2:sha256:1000$salt$00",
		"no hexadecimal":       "pbkdf2:sha256:1000$salt$" + strings.Repeat("x", 64),
		"wrong length":         "$pbkdf2-sha256$i=1000,l=16$MDEyMzQ1Njc4OWFiY2RlZg$mA4ot81E0Asddo7Wspt/hOxKBnvgEEe8G4ATMl8vZDw",
		"more parameters":      "$pbkdf2-sha256$i=1000,l=32,x=1$MDEyMzQ1Njc4OWFiY2RlZg$mA4ot81E0Asddo7Wspt/hOxKBnvgEEe8G4ATMl8vZDw",
		"line break":           "$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFi\nY2RlZg$mA4ot81E0Asddo7Wspt/hOxKBnvgEEe8G4ATMl8vZDw",
		"N no power of two":    "scrypt:1000:8:1$salt$" + sum,
		"N is one":             "scrypt:1:8:1$salt$" + sum,
		"memory":               "scrypt:524288:8:1$salt$" + sum,
		"memory by p":          "scrypt:2:1:4194304$salt$" + sum,
		"work":                 "scrypt:131072:8:8$salt$" + sum,
		"no r":                 "scrypt:1024:0:1$salt$" + sum,
		"all at once":          "scrypt:4194304:4194304:4194304$salt$" + sum,
		"ln":                   "$scrypt$ln=64,r=8,p=1$k3LOmVNKKYWwNmaslRJCaA$kTv3vKGuTY2lBVZkiCc2bYinqDAL/qK3PF4LuG9ucr8",
		"plain":                "sha256$salt$" + sum,
		"bcrypt 31":            "bcrypt_sha256$$2b$31$u8KcMf5HnXQJ2ItQNpYDtezmy7KqzjWUcQIc3571QkjpJdi0ZClJG",
		"wrapped otherwise":    "bcrypt_sha256$argon2id$v=19$m=64,t=1,p=1$QjNxSzFFZ2dTWEV5WnpCOUFHUjhySA$iCNnpS1op9kGGX4Z2VEznvY8nrjCHs/tAhKl3O1Ztsg",
		"wrapped twice":        "bcrypt$bcrypt$$2b$04$wVxTwV1NSM3Cg.LWDwbdW.0P1cDygE9cShnNrh7aN2qbi10X/ODde",
	} {
		if err := CheckHash(encoded); !errors.Is(err, ErrBadHash) {
			t.Errorf("%s: %v, want ErrBadHash", name, err)
		}
	}
	for name, encoded := range map[string]string{
		"iterations": "pbkdf2:sha256:5000000$salt$" + sum,
		"by blocks":  "pbkdf2:sha1:2500000$salt$" + sum,
		"memory":     "scrypt:131072:8:1$salt$" + sum,
		"work":       "scrypt:131072:8:4$salt$" + sum,
		"argon2i":    "$argon2i$v=19$m=262144,t=4,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	} {
		if err := CheckHash(encoded); err != nil {
			t.Errorf("%s, at the bound: %v", name, err)
		}
	}
}

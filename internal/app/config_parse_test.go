package app

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-id/sallyport/internal/secret"
)

func TestDotenvLines(t *testing.T) {
	for _, tc := range []struct {
		line, name, text string
		skip, ok         bool
	}{
		{"A=b", "A", "b", false, true},
		{"export A = b # why", "A", "b", false, true},
		{`A="b # $c" # why`, "A", "b # $c", false, true},
		{"A='b=c'", "A", "b=c", false, true},
		{"A=b#c", "A", "b#c", false, true},
		{"A=", "A", "", false, true},
		{"\ufeffA=b\r", "A", "b", false, true},
		{"# A=b", "", "", true, true},
		{"  ", "", "", true, true},
		{"A", "", "", false, false},
		{"=b", "", "", false, false},
		{"A B=c", "", "", false, false},
		{`A="b`, "A", "b", false, false},
		{`A="b"c`, "A", "b", false, false},
	} {
		name, text, skip, ok := dotenvLine(tc.line)
		if ok != tc.ok || (ok && (name != tc.name || text != tc.text || skip != tc.skip)) {
			t.Errorf("%q: got %q %q %v %v, want %q %q %v %v", tc.line, name, text, skip, ok, tc.name, tc.text, tc.skip, tc.ok)
		}
	}
}

func TestBadValuesAreRefused(t *testing.T) {
	for _, tc := range []struct{ key, text string }{
		{"ISSUER", "http://localhost:5000/"},
		{"ISSUER", "http://localhost:5000/auth"},
		{"ISSUER", "http://localhost:5000?a"},
		{"ISSUER", "http://localhost:5000?"},
		{"ISSUER", "http://localhost:5000#"},
		{"ISSUER", "http://LOCALHOST:5000"},
		{"ISSUER", "HTTP://localhost:5000"},
		{"ISSUER", "http://me@localhost:5000"},
		{"ISSUER", "http://localhost:80"},
		{"ISSUER", "http://localhost:"},
		{"ISSUER", "ftp://localhost"},
		{"ISSUER", "localhost:5000"},
		{"LISTEN", "127.0.0.1"},
		{"LISTEN", "127.0.0.1:65536"},
		{"ADMIN_LISTEN", "5002"},
		{"TLS_KEY", "/no/such/file"},
		{"DATABASE_URL", "mysql://localhost/x"},
		{"DATABASE_URL", "postgres://localhost"},
		{"DATABASE_URL", "postgres://u:p:[@localhost/x"},
		{"DATABASE_URL", "sqlite://"},
		{"DATABASE_URL", "host=localhost dbname=x"},
		{"REDIS_URL", "http://localhost"},
		{"REDIS_URL", "redis://"},
		{"SECRET_KEY", "short"},
		{"SECRET_KEY", goodKey + ",short"},
		{"SECRET_KEY", strings.Repeat("abc", 20)},
		{"ENCRYPTION_KEY", "please-change-this-key-before-you-go-live"},
		{"ENCRYPTION_KEY", base64.StdEncoding.EncodeToString(make([]byte, 32))},
		{"PASSWORD_HASHER", "md5"},
		{"BCRYPT_LOG_ROUNDS", "32"},
		{"PASSWORD_MIN_LENGTH", "7"},
		{"REGISTRATION", "maybe"},
		{"SESSION_LIFETIME", "24h"},
		{"SESSION_LIFETIME", "-1"},
		{"SESSION_IDLE", "100000"},
		{"SESSION_PROTECTION", "medium"},
		{"RECOVERY_CODES", "0"},
		{"TRUSTED_PROXIES", "10.0.0.0/33"},
		{"TRUSTED_PROXIES", "proxy.example.com"},
		{"CORS_ORIGINS", "https://console.example.com/"},
		{"BRAND_COLOR", "green"},
		{"SUPPORT_EMAIL", "nobody"},
		{"MAIL_PROVIDER", "pigeon"},
		{"MAIL_PORT", "0"},
		{"MAILGUN_BASE_URL", "api.mailgun.net"},
		{"GOOGLE_AUTH_ENABLED", "si"},
		{"LOG_LEVEL", "loud"},
		{"LOG_FORMAT", "xml"},
		{"MIGRATE", "later"},
		{"ENV", "prod"},
	} {
		t.Run(tc.key+"="+tc.text, func(t *testing.T) {
			got := faultKeys(t, LoadOptions{Environ: []string{envPrefix + tc.key + "=" + tc.text}})
			if len(got) == 0 || got[0] != tc.key {
				t.Errorf("faults: got %v, want %s first", got, tc.key)
			}
		})
	}
}

func TestKeysAreReadInEveryUsualForm(t *testing.T) {
	raw := []byte("0123456789abcdefABCDEF-+/=_,!?xyz")[:32]
	for i := range raw {
		raw[i] ^= byte(i * 7)
	}
	for _, text := range []string{
		hex.EncodeToString(raw),
		base64.StdEncoding.EncodeToString(raw),
		base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw),
		base64.RawURLEncoding.EncodeToString(raw),
	} {
		keys, err := parseKeys(text)
		if err != nil || len(keys) != 1 || !bytes.Equal(keys[0], raw) {
			t.Errorf("%q: got %x, %v, want %x", text, keys, err, raw)
		}
	}
	const plain = "correct horse battery staple, eleven"
	keys, err := parseKeys(strings.ReplaceAll(plain, ",", "") + " , " + goodKey)
	if err != nil || len(keys) != 2 || string(keys[0]) != strings.ReplaceAll(plain, ",", "") {
		t.Errorf("a list: got %q, %v", keys, err)
	}
}

// A key that a person types, or a pattern makes, can be guessed although it is long. Every
// key of a list counts, for each of them verifies or opens.
func TestAKeyThatWasMadeUpIsRefused(t *testing.T) {
	sequence := make([]byte, 32)
	for i := range sequence {
		sequence[i] = byte(i)
	}
	encode := base64.StdEncoding.EncodeToString
	for name, key := range map[string]string{
		"one character":                 strings.Repeat("a", 32),
		"the alphabet":                  "abcdefghijklmnopqrstuvwxyz012345",
		"eight characters, four times":  "abcdefghabcdefghabcdefghabcdefgh",
		"digits in order":               "12345678901234567890123456789012",
		"each character twice":          "aabbccddeeffgghhiijjkkllmmnnoopp",
		"the keyboard":                  "qwertyuiopasdfghjklzxcvbnm123456",
		"a name, again and again":       "sallyportsallyportsallyportsally",
		"hex digits in order":           "0123456789abcdef0123456789abcdef",
		"hex digits in order, longer":   strings.Repeat("0123456789abcdef", 4),
		"bytes in order, as hex":        hex.EncodeToString(sequence),
		"bytes in order, as base64":     encode(sequence),
		"typed text, as base64":         encode([]byte("sallyport sallyport sallyport sallyport")),
		"the alphabet, as base64":       encode([]byte("abcdefghijklmnopqrstuvwxyz012345")),
		"eight bytes, again and again":  encode(bytes.Repeat([]byte{7, 99, 201, 14, 250, 33, 178, 91}, 4)),
		"letters that look like base64": strings.Repeat("abcdefghijklmnopqrstuvwxyz", 2),
	} {
		for _, setting := range []string{"SECRET_KEY", "ENCRYPTION_KEY", "CA_ENCRYPTION_KEY"} {
			for _, list := range []string{key, goodKey + "," + key, key + ", " + goodKey} {
				_, err := Load(LoadOptions{Environ: []string{"SALLYPORT_" + setting + "=" + list}, Dir: t.TempDir()})
				if err == nil || !strings.Contains(err.Error(), setting) || strings.Contains(err.Error(), key) {
					t.Errorf("%s in %s: got %v, want a fault that names the setting and not the key", name, setting, err)
				}
			}
		}
	}
	for range 50 {
		drawn := secret.Random(48)
		for form, key := range map[string]string{"base64": encode(drawn[:32]), "base64url": base64.RawURLEncoding.EncodeToString(drawn), "hex": hex.EncodeToString(drawn[:32]),
			"32 hex digits": hex.EncodeToString(drawn[:16]), "32 characters": encode(drawn)[:32]} {
			if _, err := parseKey(key); err != nil {
				t.Errorf("a drawn key, %s: %v", form, err)
			}
		}
	}
}

func TestPostgresURLAlwaysSaysHowItIsEncrypted(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"postgres://u:p@127.0.0.1:5432/db", "postgres://u:p@127.0.0.1:5432/db?sslmode=disable"},
		{"postgres://u@[::1]:5432/db", "postgres://u@[::1]:5432/db?sslmode=disable"},
		{"postgres:///db?host=/run/postgresql", "postgres:///db?host=%2Frun%2Fpostgresql&sslmode=disable"},
		{"postgres://u@db/db", "postgres://u@db/db?sslmode=verify-full"},
		{"postgres://u@localhost,db2/db", "postgres://u@localhost,db2/db?sslmode=verify-full"},
		{"postgres://u@localhost/db?host=db2", "postgres://u@localhost/db?host=db2&sslmode=verify-full"},
		{"postgres://u@localhost/db?hostaddr=10.0.0.7", "postgres://u@localhost/db?hostaddr=10.0.0.7&sslmode=verify-full"},
		{"postgres://u@db1:5432,db2:5433/db", "postgres://u@db1,db2/db?port=5432%2C5433&sslmode=verify-full"},
		{"postgres://u@db1,db2:5433/db?target_session_attrs=read-write", "postgres://u@db1,db2/db?port=5432%2C5433&sslmode=verify-full&target_session_attrs=read-write"},
		{"postgresql://u@db/db?sslmode=verify-full", "postgres://u@db/db?sslmode=verify-full"},
	} {
		got, err := parseDatabaseURL(tc.text)
		if err != nil || got != tc.want {
			t.Errorf("%s: got %q, %v, want %q", tc.text, got, err, tc.want)
		}
	}
}

// An attacker on the network can take the place of a database server that is not verified.
func TestAnUnverifiedDatabaseBeyondThisMachineDrawsAWarning(t *testing.T) {
	for text, want := range map[string]string{
		"postgres://u:canary@db/db?sslmode=disable":                    "sslmode=disable",
		"postgres://u:canary@db/db?sslmode=allow":                      "sslmode=allow",
		"postgres://u:canary@db/db?sslmode=prefer":                     "sslmode=prefer",
		"postgres://u:canary@db:5433/db?sslmode=require":               "sslmode=require",
		"postgres://u:canary@db/db?sslmode=verify-ca":                  "sslmode=verify-ca",
		"postgresql+psycopg2://u:canary@10.0.0.7/db?sslmode=require":   "sslmode=require",
		"postgres://u:canary@127.0.0.1,db2/db?sslmode=disable":         "sslmode=disable",
		"postgres://u:canary@127.0.0.1/db?sslmode=disable&host=db2":    "sslmode=disable",
		"postgres:///db?host=/run/postgresql,db2&sslmode=require":      "sslmode=require",
		"postgres://u:canary@[fd00::7]/db?sslmode=disable":             "sslmode=disable",
		"postgres://u:canary@localhost.example.com/db?sslmode=disable": "sslmode=disable",
		"postgres://u:canary@db/db":                                    "",
		"postgres://u:canary@db/db?sslmode=verify-full":                "",
		"postgres://u:canary@127.0.0.1:5433/db?sslmode=disable":        "",
		"postgres://u:canary@[::1]/db?sslmode=prefer":                  "",
		"postgres:///db?host=/run/postgresql&sslmode=disable":          "",
		"sqlite://db.sqlite?sslmode=disable":                           "",
	} {
		parsed, err := parseDatabaseURL(text)
		if err != nil {
			t.Fatal(text, err)
		}
		got := unverifiedDatabase(parsed)
		if (got == "") != (want == "") || !strings.Contains(got, want) || strings.Contains(got, "canary") {
			t.Errorf("%s: got %q, want %q in it", text, got, want)
		}
	}
}

func TestDevelopmentKeysAreMadeOnce(t *testing.T) {
	dir := t.TempDir()
	var wait sync.WaitGroup
	got := make([]*Config, 16)
	for i := range got {
		c, err := Load(LoadOptions{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		got[i] = c
		wait.Go(func() {
			if err := c.EnsureDevelopmentKeys(); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, c := range got {
		if !bytes.Equal(c.SecretKeys[0], got[0].SecretKeys[0]) || !bytes.Equal(c.EncryptionKeys[0], got[0].EncryptionKeys[0]) {
			t.Fatal("two processes have different keys")
		}
	}
	if bytes.Equal(got[0].SecretKeys[0], got[0].EncryptionKeys[0]) {
		t.Error("SECRET_KEY and ENCRYPTION_KEY are the same")
	}
	entries, err := os.ReadDir(got[0].DataDir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("data folder: got %v, want the two keys and nothing left over", entries)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := info.Mode().Perm(), os.FileMode(0o600); got != want {
			t.Errorf("%s: got mode %v, want %v", e.Name(), got, want)
		}
	}
}

func TestDevelopmentKeyThatOthersCanReadIsRefused(t *testing.T) {
	dir := t.TempDir()
	c, err := Load(LoadOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := write(t, c.DataDir, "secret_key", goodKey)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := c.EnsureDevelopmentKeys(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("got %v, want an error that says chmod 600", err)
	}
}

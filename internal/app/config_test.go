package app

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A key that is random enough for every rule.
const goodKey = "x1NYSPboxXLY7MeEE4Jxr74haZa5SLcXvUqN3ulKIFE="

// inProduction is the least that production accepts.
func inProduction(more ...string) []string {
	return append([]string{
		"SALLYPORT_ISSUER=https://id.example.com",
		"SALLYPORT_SECRET_KEY=" + goodKey,
		"SALLYPORT_ENCRYPTION_KEY=" + goodKey,
		"SALLYPORT_CA_ENCRYPTION_KEY=" + goodKey,
		"SALLYPORT_REGISTRATION=false",
		"SALLYPORT_RECOVERY=false",
		"SALLYPORT_CONFIRM_EMAIL=false",
	}, more...)
}

func load(t *testing.T, environ ...string) (*Config, error) {
	t.Helper()
	return Load(LoadOptions{Environ: environ, Dir: t.TempDir()})
}

func mustLoad(t *testing.T, environ ...string) *Config {
	t.Helper()
	c, err := load(t, environ...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// faultKeys runs Load and returns the keys it found fault with, in order.
func faultKeys(t *testing.T, opts LoadOptions) []string {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	_, err := Load(opts)
	if err == nil {
		return nil
	}
	var bad *ConfigError
	if !errors.As(err, &bad) {
		t.Fatalf("Load: got %T, want *ConfigError", err)
	}
	var keys []string
	for _, f := range bad.Faults {
		keys = append(keys, f.Key)
	}
	return keys
}

// One machine with nothing installed and nothing configured must be enough.
func TestNothingConfiguredIsDevelopmentOnLocalhost(t *testing.T) {
	c := mustLoad(t)
	if got, want := c.Env, Development; got != want {
		t.Errorf("Env: got %q, want %q", got, want)
	}
	for _, f := range []struct{ what, got, want string }{
		{"Issuer", c.Issuer, "http://localhost:5000"},
		{"Listen", c.Listen, "127.0.0.1:5000"},
		{"AdminListen", c.AdminListen, "127.0.0.1:5002"},
		{"DatabaseURL", c.DatabaseURL, "sqlite://./data/sallyport.db"},
		{"RedisURL", c.RedisURL, ""},
		{"PasswordHasher", c.PasswordHasher, "argon2id"},
		{"SessionProtection", c.SessionProtection, "strong"},
		{"BrandName", c.BrandName, "Sallyport"},
		{"OutboundAllow", fmt.Sprint(c.OutboundAllow), "[127.0.0.0/8 ::1/128]"},
		{"TrustedProxies", fmt.Sprint(c.TrustedProxies), "[]"},
	} {
		if f.got != f.want {
			t.Errorf("%s: got %q, want %q", f.what, f.got, f.want)
		}
	}
	if got, want := c.SessionLifetime, 24*time.Hour; got != want {
		t.Errorf("SessionLifetime: got %v, want %v", got, want)
	}
	if got, want := c.SessionIdle, 2*time.Hour; got != want {
		t.Errorf("SessionIdle: got %v, want %v", got, want)
	}
	if !c.Migrate || c.BcryptCost != 12 || c.PasswordMinLength != 8 {
		t.Errorf("Migrate, BcryptCost, PasswordMinLength: got %v, %d, %d", c.Migrate, c.BcryptCost, c.PasswordMinLength)
	}
}

// Development has generated keys and no https: it is for loopback alone.
func TestOnlyLoopbackIsDevelopment(t *testing.T) {
	for _, tc := range []struct {
		name    string
		environ []string
		want    Environment
	}{
		{"nothing", nil, Development},
		{"loopback addresses", []string{"SALLYPORT_ISSUER=http://[::1]:5000", "SALLYPORT_LISTEN=[::1]:5000"}, Development},
		{"a name below localhost", []string{"SALLYPORT_ISSUER=http://id.localhost:5000"}, Development},
		{"testing", []string{"SALLYPORT_ENV=testing"}, Testing},
		{"the alias", []string{"FLASK_ENV=testing"}, Testing},
		{"public issuer", inProduction(), Production},
		{"said so", append(inProduction("SALLYPORT_ENV=production"), "SALLYPORT_LISTEN=127.0.0.1:1"), Production},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := mustLoad(t, tc.environ...).Env; got != tc.want {
				t.Errorf("Env: got %q, want %q", got, tc.want)
			}
		})
	}
	for _, environ := range [][]string{
		{"SALLYPORT_ENV=development", "SALLYPORT_LISTEN=0.0.0.0:5000"},
		{"SALLYPORT_ENV=development", "SALLYPORT_LISTEN=:5000"},
		{"SALLYPORT_ENV=testing", "SALLYPORT_ISSUER=https://id.example.com"},
	} {
		if diff := cmp.Diff([]string{"ENV"}, faultKeys(t, LoadOptions{Environ: environ})); diff != "" {
			t.Errorf("%v: faults (-want +got):\n%s", environ, diff)
		}
	}
}

// An operator mends everything in one go: every fault is in the first answer.
func TestProductionNamesEverythingItLacks(t *testing.T) {
	got := faultKeys(t, LoadOptions{Environ: []string{"SALLYPORT_LISTEN=0.0.0.0:5000", "SALLYPORT_PASSWORD_HASHER=bcrypt", "SALLYPORT_BCRYPT_LOG_ROUNDS=10", "SALLYPORT_SESSION_LIFETIME=1d"}})
	want := []string{"SESSION_LIFETIME", "SECRET_KEY", "ENCRYPTION_KEY", "CA_ENCRYPTION_KEY", "ISSUER", "BCRYPT_LOG_ROUNDS", "MAIL_PROVIDER"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestProductionStartsWithAllItNeeds(t *testing.T) {
	c := mustLoad(t, inProduction()...)
	if len(c.SecretKeys) != 1 || len(c.EncryptionKeys) != 1 || len(c.CAEncryptionKeys) != 1 {
		t.Errorf("keys: got %d, %d, %d, want one each", len(c.SecretKeys), len(c.EncryptionKeys), len(c.CAEncryptionKeys))
	}
	if len(c.OutboundAllow) != 0 {
		t.Errorf("OutboundAllow: got %v, want none: loopback is reachable in development only", c.OutboundAllow)
	}
	if err := c.EnsureDevelopmentKeys(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.DataDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("data folder in production: got %v, want none made", err)
	}
}

// Mail is a must only while something has to be sent.
func TestProductionWantsARealMailProvider(t *testing.T) {
	for _, tc := range []struct {
		more []string
		want []string
	}{
		{[]string{"SALLYPORT_RECOVERY=true"}, []string{"MAIL_PROVIDER"}},
		{[]string{"SALLYPORT_CONFIRM_EMAIL=true", "MAIL_PROVIDER=outbox"}, []string{"MAIL_PROVIDER"}},
		{[]string{"SALLYPORT_REGISTRATION=invite", "MAIL_PROVIDER=smtp"}, []string{"MAIL_SERVER", "MAIL_DEFAULT_SENDER"}},
		{[]string{"SALLYPORT_REGISTRATION=true", "MAIL_PROVIDER=smtp", "MAIL_SERVER=smtp.example.com", "MAIL_DEFAULT_SENDER=id@example.com"}, nil},
	} {
		if diff := cmp.Diff(tc.want, faultKeys(t, LoadOptions{Environ: inProduction(tc.more...)})); diff != "" {
			t.Errorf("%v: faults (-want +got):\n%s", tc.more, diff)
		}
	}
}

func TestFlagWinsOverEnvironmentOverFileOverDefault(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "sallyport.yaml", "brand_name: from the file\nlog_level: error\nsession_lifetime: 3600\nmigrate: off\n")
	write(t, dir, ".env", "SALLYPORT_LOG_LEVEL=warn\nSALLYPORT_PASSWORD_MIN_LENGTH=9\n")
	c, err := Load(LoadOptions{
		Dir:     dir,
		Environ: []string{"SALLYPORT_LOG_LEVEL=debug", "SALLYPORT_LISTEN=127.0.0.1:5050"},
		Flags:   map[string]string{"LISTEN": "127.0.0.1:6060"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range c.Redacted() {
		got[s.Key] = s.Value + " from " + s.Origin
	}
	for key, want := range map[string]string{
		"LISTEN":              "127.0.0.1:6060 from flag --listen",
		"LOG_LEVEL":           "debug from environment SALLYPORT_LOG_LEVEL",
		"PASSWORD_MIN_LENGTH": "9 from .env",
		"BRAND_NAME":          "from the file from sallyport.yaml",
		"SESSION_LIFETIME":    "3600 from sallyport.yaml",
		"MIGRATE":             "off from sallyport.yaml",
		"PASSWORD_HASHER":     "argon2id from default",
		"ISSUER":              "http://localhost:6060 from default",
	} {
		if got[key] != want {
			t.Errorf("%s: got %q, want %q", key, got[key], want)
		}
	}
	if c.SessionIdle != time.Hour {
		t.Errorf("SessionIdle: got %v, want it no longer than the session", c.SessionIdle)
	}
}

// A file that changes what the server is must not be one that happens to lie
// in the folder it was started from.
func TestDotenvCannotTurnDevelopmentIntoProduction(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, ".env", "SALLYPORT_LOG_LEVEL=debug\n"+strings.Join(inProduction(), "\n"))
	if diff := cmp.Diff([]string{".env"}, faultKeys(t, LoadOptions{Dir: dir})); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	c, err := Load(LoadOptions{Dir: dir, Environ: inProduction()})
	if err != nil {
		t.Fatal(err)
	}
	if c.LogLevel != slog.LevelInfo {
		t.Errorf("LogLevel: got %v: production read .env", c.LogLevel)
	}
}

// A typo stops the start and says what was meant.
func TestUnknownNamesAreFaults(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "sallyport.yaml", "isuer: http://localhost:5000\nredis_url: {a: b}\nListen: 127.0.0.1:1\n")
	_, err := Load(LoadOptions{
		Dir:     dir,
		Environ: []string{"SALLYPORT_SESION_IDLE=1", "SALLYPORT_TEST_POSTGRES_URL=x", "UNRELATED=1"},
		Flags:   map[string]string{"NOSUCH": "1"},
	})
	if err == nil {
		t.Fatal("Load: got no error")
	}
	for _, want := range []string{
		"isuer (in sallyport.yaml) is not a configuration key; did you mean ISSUER?",
		"SALLYPORT_SESION_IDLE is not a configuration key; did you mean SESSION_IDLE?",
		"REDIS_URL in sallyport.yaml must be one value or a list",
		"Listen in sallyport.yaml is written in lower case there",
		"NOSUCH is not a key that a flag can set",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "TEST_POSTGRES") || strings.Contains(err.Error(), "UNRELATED") {
		t.Errorf("error speaks of names that are not ours:\n%v", err)
	}
}

// The .env of a system this replaces keeps working.
func TestAliasesAreRead(t *testing.T) {
	c := mustLoad(t,
		"OIDC_ISSUER_URL=http://localhost:7000", "PORT=7000", "REDIS_SESSION=redis://cache:6379/1",
		"DATABASE_URL=postgresql+psycopg2://db.example.com/app", "POSTGRES_USER=app", "POSTGRES_PASSWORD=p@ss/word",
		"BCRYPT_LOG_ROUNDS=13", "LOG_LEVEL=WARNING", "PERMANENT_SESSION_LIFETIME=7200", "SECRET_KEY="+goodKey,
		"SECURITY_PASSWORD_LENGTH_MIN=10", "SECURITY_PASSWORD_SALT=pepper", "SECURITY_REGISTERABLE=False",
		"MAIL_SERVER=localhost", "MAIL_DEFAULT_SENDER=id@example.com", "GOOGLE_AUTH_ENABLED=true", "GOOGLE_OAUTH_CLIENT_ID=id", "GOOGLE_OAUTH_CLIENT_SECRET=canary",
		"SALLYPORT_REDIS_URL=")
	for _, f := range []struct{ what, got, want string }{
		{"Issuer", c.Issuer, "http://localhost:7000"},
		{"Listen", c.Listen, "127.0.0.1:7000"},
		{"RedisURL", c.RedisURL, "redis://cache:6379/1"},
		{"DatabaseURL", c.DatabaseURL, "postgres://app:p%40ss%2Fword@db.example.com/app?sslmode=verify-full"},
		{"LogLevel", c.LogLevel.String(), "WARN"},
		{"PasswordPepper", c.PasswordPepper, "pepper"},
	} {
		if f.got != f.want {
			t.Errorf("%s: got %q, want %q", f.what, f.got, f.want)
		}
	}
	if c.BcryptCost != 13 || c.PasswordMinLength != 10 || c.SessionLifetime != 2*time.Hour || len(c.SecretKeys) != 1 {
		t.Errorf("got cost %d, length %d, lifetime %v, %d secret keys", c.BcryptCost, c.PasswordMinLength, c.SessionLifetime, len(c.SecretKeys))
	}
}

func TestTwoNamesOfOneKeyMustAgree(t *testing.T) {
	for _, tc := range []struct {
		name    string
		environ []string
		want    []string
	}{
		{"differ", []string{"SALLYPORT_ISSUER=http://localhost:1", "OIDC_ISSUER_URL=http://localhost:2"}, []string{"ISSUER"}},
		{"agree", []string{"SALLYPORT_ISSUER=http://localhost:1", "OIDC_ISSUER_URL=http://localhost:1"}, nil},
		{"one empty", []string{"SALLYPORT_ISSUER=http://localhost:1", "OIDC_ISSUER_URL="}, nil},
		{"port agrees", []string{"SALLYPORT_LISTEN=[::1]:81", "PORT=81"}, nil},
		{"port differs", []string{"SALLYPORT_LISTEN=[::1]:81", "PORT=82"}, []string{"LISTEN"}},
	} {
		if diff := cmp.Diff(tc.want, faultKeys(t, LoadOptions{Environ: tc.environ})); diff != "" {
			t.Errorf("%s: faults (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestSecretsComeFromFiles(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "key", goodKey+"\r\n")
	c := mustLoad(t, "SALLYPORT_SECRET_KEY_FILE="+path, "ENCRYPTION_KEY_FILE="+path)
	if len(c.SecretKeys) != 1 || len(c.EncryptionKeys) != 1 {
		t.Fatalf("keys: got %d and %d, want 1 and 1", len(c.SecretKeys), len(c.EncryptionKeys))
	}
	for _, tc := range []struct {
		name    string
		environ []string
	}{
		{"both", []string{"SALLYPORT_SECRET_KEY_FILE=" + path, "SALLYPORT_SECRET_KEY=" + goodKey}},
		{"no such file", []string{"SALLYPORT_SECRET_KEY_FILE=" + path + "x"}},
		{"empty", []string{"SALLYPORT_SECRET_KEY_FILE=" + write(t, dir, "empty", "\n")}},
		{"too large", []string{"SALLYPORT_SECRET_KEY_FILE=" + write(t, dir, "large", strings.Repeat("x", maxSecretFile+1))}},
	} {
		if diff := cmp.Diff([]string{"SECRET_KEY"}, faultKeys(t, LoadOptions{Environ: tc.environ})); diff != "" {
			t.Errorf("%s: faults (-want +got):\n%s", tc.name, diff)
		}
	}
}

// UP-05: each of these would come to light much later, at somebody's sign-in.
func TestTLSFilesGoTogetherWithHTTPS(t *testing.T) {
	path := write(t, t.TempDir(), "pem", "x")
	got := faultKeys(t, LoadOptions{Environ: []string{"SALLYPORT_TLS_CERT=" + path}})
	if diff := cmp.Diff([]string{"TLS_CERT", "ISSUER"}, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

// Two processes that start together in an empty folder must sign with the
// same key, or each would refuse what the other issued.
// Nothing that prints a configuration or a fault may print a secret.
func TestSecretsAreNeverPrinted(t *testing.T) {
	const canary = "Canary7"
	key := canary + "/uGLfh2nQx0Wq93kdjTtPz5sYvBnMaEr"
	environ := inProduction("SALLYPORT_DATABASE_URL=postgres://u:"+canary+"@db/x?password="+canary, "REDIS_URL=redis://:"+canary+"@cache/0",
		"SALLYPORT_PASSWORD_PEPPER="+canary, "MAIL_PASSWORD="+canary, "SENDGRID_API_KEY="+canary, "SALLYPORT_SENDGRID_API_KEY="+canary,
		"MICROSOFT_OAUTH_CLIENT_SECRET="+canary, "POSTGRES_PASSWORD="+canary)
	for i := range environ {
		environ[i] = strings.Replace(environ[i], goodKey, key, 1)
	}
	c := mustLoad(t, environ...)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("loaded", "config", c, "value", *c)
	printed := fmt.Sprint(c) + fmt.Sprintf("%v %+v %#v %s %d", c, c, *c, *c, c) + log.String() + fmt.Sprint(c.Redacted())
	if strings.Contains(printed, canary) {
		t.Errorf("a secret is printed: %s", printed)
	}
	for _, bad := range []string{
		"SALLYPORT_SECRET_KEY=" + canary, "SALLYPORT_DATABASE_URL=postgres://u:" + canary + ":[@db/x", "SALLYPORT_DATABASE_URL=x://" + canary,
		"SALLYPORT_REDIS_URL=http://:" + canary + "@cache", "SALLYPORT_ISSUER=https://u:" + canary + "@host",
		"SALLYPORT_SECRET_KEY=" + strings.Repeat(canary, 6),
	} {
		_, err := load(t, bad)
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: got %v, want an error without the value", bad, err)
		}
	}
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

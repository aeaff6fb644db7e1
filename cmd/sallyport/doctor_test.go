package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/app"
)

// findings are what `doctor --json` prints, by check.
func (f terminalless) findings(code int, args ...string) map[string]app.Finding {
	f.t.Helper()
	out, _ := f.want(code, "", append(args, "doctor", "--json")...)
	var all []app.Finding
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		f.t.Fatalf("%v: not JSON: %v in %q", args, err, out)
	}
	found := map[string]app.Finding{}
	for _, one := range all {
		if before := found[one.Check].Problem; before != "" {
			one.Problem = before + "; " + one.Problem
		}
		found[one.Check] = one
	}
	return found
}

// folder is every file below the working directory, with a hash of what is in it.
func folder(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			fmt.Fprintln(&b, path)
			return err
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", path, sha256.Sum256(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Operators run doctor on machines that serve, and before there is anything, because it says that it changes nothing.
func TestDoctorChangesNothing(t *testing.T) {
	f := emptyFolder(t)
	unchanged := func(when string, args ...string) {
		t.Helper()
		before := folder(t)
		f.run("", args...)
		if after := folder(t); after != before {
			t.Errorf("%s, sallyport %v: the folder was\n%s\nand is\n%s", when, args, before, after)
		}
	}
	for _, args := range [][]string{{"doctor"}, {"doctor", "--json"}, {"migrate", "status"}, {"doctor", "--set", "DATABASE_URL=sqlite://new/folder/x.db"}} {
		unchanged("in an empty folder", args...)
	}
	if found := f.findings(0); found["database"].Problem != "" || found["schema"].Skipped == "" {
		t.Errorf("an empty folder: got %+v", found)
	}
	f.want(0, "", "seed")
	unchanged("after a command", "doctor")
	unchanged("after a command", "migrate", "status")
	if found := f.findings(0); found["schema"].Detail != "up to date" || found["signing keys"].Skipped != "" {
		t.Errorf("after a command: got %+v", found)
	}
	write(t, "bad.db", "this is no database, and long enough to be taken for one by whoever looks at its size alone")
	unchanged("on another file", "doctor", "--set", "DATABASE_URL=sqlite://bad.db")
	if found := f.findings(1, "--set", "DATABASE_URL=sqlite://bad.db"); !strings.Contains(found["database"].Problem, "not a SQLite database") {
		t.Errorf("another file: got %+v", found["database"])
	}
}

// A setting without effect is worth a line and no failure: the installation works without it.
func TestDoctorWarnsOfSettingsWithoutEffect(t *testing.T) {
	f := emptyFolder(t)
	write(t, ".env", "SECURITY_PASSWORD_SAL=canary\nSALLYPORT_SENDGRID_API_KEY=canary\n")
	out, _ := f.want(0, "", "doctor")
	for _, want := range []string{"WARN", "SECURITY_PASSWORD_SAL (did you mean SECURITY_PASSWORD_SALT?)", "SENDGRID_API_KEY has no effect"} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "canary") {
		t.Errorf("doctor shows the value:\n%s", out)
	}
	out, _ = f.want(1, "", "doctor", "--set", "DATABASE_URL=postgres://sallyport:canary@db.invalid/x?sslmode=require")
	if !strings.Contains(out, "sslmode=require in DATABASE_URL does not verify the server") || strings.Contains(out, "canary") {
		t.Errorf("doctor does not warn of a database that is not verified:\n%s", out)
	}
}

// One look tells everything: a fault hides no other one, each has its cause, and no password is shown.
func TestDoctorChecksEverythingAndNamesCauses(t *testing.T) {
	f := emptyFolder(t)
	redis := strings.TrimPrefix(variable(t, "SALLYPORT_TEST_REDIS_URL"), "redis://")
	postgres := variable(t, "SALLYPORT_TEST_POSTGRES_URL")
	noDatabase := strings.Replace(postgres, "/postgres?", "/no_such_database?", 1)
	for name, tc := range map[string]struct {
		set          []string
		check, cause string
	}{
		"a wrong Redis password":  {[]string{"REDIS_URL=redis://nobody:canary@" + redis}, "redis", "refuses the user or the password"},
		"no Redis":                {[]string{"REDIS_URL=redis://:canary@127.0.0.1:1"}, "redis", "no connection"},
		"a Redis without a name":  {[]string{"REDIS_URL=redis://:canary@redis.invalid:6379"}, "redis", "does not resolve"},
		"no PostgreSQL":           {[]string{"DATABASE_URL=postgres://sallyport:canary@127.0.0.1:1/x"}, "database", "no connection"},
		"a wrong password":        {[]string{"DATABASE_URL=postgres://sallyport:canary@" + refusingPostgres(t) + "/x"}, "database", "the password is refused"},
		"no such database":        {[]string{"DATABASE_URL=" + noDatabase}, "database", "does not exist"},
		"no TLS":                  {[]string{"DATABASE_URL=" + strings.Replace(postgres, "sslmode=disable", "sslmode=require", 1)}, "database", "does not speak TLS"},
		"a host that is not":      {[]string{"DATABASE_URL=postgres://sallyport:canary@db.invalid/x"}, "database", "does not resolve"},
		"an empty database":       {[]string{"DATABASE_URL=" + postgres}, "schema", ""},
		"a configuration fault":   {[]string{"SESSION_IDLE=soon"}, "configuration", "SESSION_IDLE"},
		"no file of a client key": {[]string{"TLS_CERT=missing.crt"}, "configuration", "TLS_CERT"},
	} {
		args := []string{"--set", "RECOVERY_CODES=99", "--set", "REDIS_URL=redis://127.0.0.1:2"} // two other faults
		for _, set := range tc.set {
			args = append(args, "--set", set)
		}
		found := f.findings(1, args...)
		if got := found[tc.check]; tc.cause != "" && (!strings.Contains(got.Problem, tc.cause) || got.Remedy == "") {
			t.Errorf("%s: got %+v, want a problem that says %q and its remedy", name, got, tc.cause)
		}
		if found["configuration"].Problem == "" || found["redis"].Problem == "" {
			t.Errorf("%s: the other faults are not told: %+v", name, found)
		}
		for _, check := range []string{"database", "clock", "schema", "signing keys", "authenticator apps", "redis", "mail", "issuer"} {
			if _, ok := found[check]; !ok {
				t.Errorf("%s: nothing is said of %s", name, check)
			}
		}
		out, stderr := f.want(1, "", append(args, "doctor")...)
		if strings.Contains(out+stderr, "canary") || strings.Contains(fmt.Sprint(found), "canary") {
			t.Errorf("%s: the password is shown: %s%s", name, out, stderr)
		}
		if !strings.HasPrefix(out, "       CHECK") || !strings.Contains(stderr, "checks failed") {
			t.Errorf("%s: the format is another: %s%s", name, out, stderr)
		}
	}
}

func variable(t *testing.T, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set: run `make test`, which starts what tests need, or set it yourself", name)
	}
	return v
}

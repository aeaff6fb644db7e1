package main

import (
	"encoding/json"
	"strings"
	"testing"
)

const people = `{"email":"ada@example.com","password_hash":"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}
{"email":"bob@example.com","name":"Bob"}
`

func TestPeopleAreImportedFromAFileOrStandardInput(t *testing.T) {
	f := emptyFolder(t)
	write(t, "people.jsonl", people)
	if out, _ := f.want(0, "", "users", "import", "people.jsonl", "--dry-run"); !strings.Contains(out, "2 of 2 people would be imported; 0 are there already") {
		t.Errorf("dry run: got %q", out)
	}
	f.want(1, "", "users", "list") // the dry run has made no installation
	if out, _ := f.want(0, "", "users", "import", "people.jsonl"); out != "Imported 2 of 2 people; 0 were there already.\n" {
		t.Errorf("got %q", out)
	}
	out, _ := f.want(0, people+`{"email":"carol@example.com"}`, "users", "import", "-", "--json")
	var result struct {
		DryRun                   bool `json:"dry_run"`
		People, Created, Skipped int
		Exists                   []struct {
			Line  int
			Email string
		}
	}
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if result.DryRun || result.People != 3 || result.Created != 1 || result.Skipped != 2 || len(result.Exists) != 2 || result.Exists[1].Line != 2 {
		t.Errorf("got %+v", result)
	}
	if out, _ := f.want(0, people, "users", "import", "-"); !strings.Contains(out, "line 1: ada@example.com is there already\n") {
		t.Errorf("got %q, want who was left alone", out)
	}
	if out, _ := f.want(0, "", "users", "list"); !strings.Contains(out, "carol@example.com") {
		t.Errorf("carol is missing: %s", out)
	}
}

func TestFaultsOfAnImport(t *testing.T) {
	f := emptyFolder(t)
	_, stderr := f.want(1, people+`{"email":"x"}`+"\n"+`{"email":"y@example.com","password_hash":"$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}`, "users", "import", "-")
	for _, want := range []string{"the file has 2 faults; nothing was imported", "line 3: email: ", "line 4: password_hash: "} {
		if !strings.Contains(stderr, want) {
			t.Errorf("got %q, want %q in it", stderr, want)
		}
	}
	if strings.Contains(stderr, "E5YPO9") {
		t.Errorf("a hash is printed: %s", stderr)
	}
	// Without the pepper of Flask-Security no password could ever be right.
	if _, stderr := f.want(1, people, "users", "import", "-", "--peppered"); !strings.Contains(stderr, "the file has a fault; nothing was imported\nline 1: password_hash: no pepper is configured") {
		t.Errorf("got %q", stderr)
	}
	f.want(1, "", "users", "import", "missing.jsonl")
	f.want(2, "", "users", "import")
	if out, _ := f.want(0, "", "users", "list"); strings.Contains(out, "ada@") {
		t.Errorf("somebody was imported: %s", out)
	}
}

// SECURITY_TOTP_SECRETS reaches the import under its old name, and a wrong form of it is told at once.
func TestTOTPSecretsOfFlaskSecurityAreImported(t *testing.T) {
	f := emptyFolder(t)
	const line = `{"email":"ada@example.com","totp_secret":{"enckey":{"c":4,"k":"OAJBBMQHCCVFC7NJ","s":"4YOKG5BOAXADQB5AKRVA","t":"2020-01","v":1},"type":"totp","v":1}}`
	if _, stderr := f.want(1, line, "users", "import", "-"); !strings.Contains(stderr, `under the key "2020-01"`) {
		t.Errorf("without the key: got %q", stderr)
	}
	write(t, ".env", "SECURITY_TOTP_SECRETS=[7]\n")
	if _, stderr := f.want(1, line, "users", "import", "-"); !strings.Contains(stderr, "SECURITY_TOTP_SECRETS must be a JSON object") {
		t.Errorf("a wrong form: got %q", stderr)
	}
	write(t, ".env", `SECURITY_TOTP_SECRETS='{"2020-01": "old"}'`+"\n")
	if out, stderr := f.want(0, line, "users", "import", "-"); !strings.Contains(out, "Imported 1 of 1") || strings.Contains(stderr, "ignored") {
		t.Errorf("got %q, %q", out, stderr)
	}
}

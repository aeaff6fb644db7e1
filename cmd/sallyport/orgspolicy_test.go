package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func withOrganization(t *testing.T) terminalless {
	t.Helper()
	f := emptyFolder(t)
	f.want(0, passphrase, "users", "create", "-e", "alice@example.com", "-p", "-")
	f.want(0, "", "orgs", "create", "acme-corp", "--owner", "alice@example.com")
	return f
}

func TestInvitingFromTheCommandLine(t *testing.T) {
	f := withOrganization(t)
	out, _ := f.want(0, "", "orgs", "invite", "acme-corp", "-e", "carol@example.com", "--role", "admin")
	if !strings.Contains(out, "carol@example.com") || !strings.Contains(out, "/dev/mail") || strings.Contains(out, "token=") {
		t.Errorf("got %q, want where the mail is, and no link", out)
	}
	f.want(0, "", "orgs", "invite", "acme-corp", "-e", "carol@example.com")
	f.want(1, "", "orgs", "invite", "acme-corp", "-e", "alice@example.com")
	f.want(1, "", "orgs", "invite", "acme-corp", "-e", "dave@example.com", "--role", "king")
	f.want(1, "", "orgs", "invite", "nope", "-e", "dave@example.com")
	f.want(2, "", "orgs", "invite", "-e", "dave@example.com")
	f.want(2, "", "orgs", "invite", "acme-corp")
	out, _ = f.want(0, "", "orgs", "invitations", "acme-corp", "--json")
	var listed []struct {
		Email, Role string
		By          string `json:"invited_by"`
	}
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed) != 1 || listed[0].Role != "member" || listed[0].By != "operator" {
		t.Errorf("got %s, %v, want the second invitation alone", out, err)
	}
	if out, _ := f.want(0, "", "orgs", "invitations", "acme-corp"); !strings.Contains(out, "carol@example.com") {
		t.Errorf("got %s", out)
	}
}

func TestPoliciesFromTheCommandLine(t *testing.T) {
	f := withOrganization(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"acme-corp"}, "acme-corp asks for no second step."},
		{[]string{"acme-corp", "--require", "passkey"}, "acme-corp asks for a passkey or security key. People have 14 days"},
		{[]string{"acme-corp", "--grace-days", "30"}, "acme-corp asks for a passkey or security key. People have 30 days"},
		{[]string{"acme-corp", "--require", "any"}, "acme-corp asks for a second step. People have 30 days"},
		{[]string{"acme-corp", "--grace-days", "0"}, "acme-corp asks for a second step, at once."},
		{[]string{"acme-corp"}, "acme-corp asks for a second step, at once."},
		{[]string{"acme-corp", "--require", "passkey", "--grace-days", "30"}, "acme-corp asks for a passkey or security key. People have 30 days"},
		{[]string{"--platform"}, "The installation asks for no second step."},
		{[]string{"--platform", "--require", "totp", "--grace-days", "7"}, "The installation asks for an authenticator app. People have 7 days"},
		{[]string{"--platform", "--require", "none"}, "The installation asks for no second step."},
	} {
		if out, _ := f.want(0, "", append([]string{"orgs", "mfa-policy"}, c.args...)...); !strings.HasPrefix(out, c.want) {
			t.Errorf("%v: got %q, want %q", c.args, out, c.want)
		}
	}
	if out, _ := f.want(0, "", "orgs", "mfa-policy", "acme-corp"); !strings.HasSuffix(out, "Until then it goes on asking for a second step.\n") {
		t.Errorf("what stays in force meanwhile is not told: %q", out)
	}
	f.want(1, "", "orgs", "mfa-policy", "acme-corp", "--require", "sms")
	f.want(1, "", "orgs", "mfa-policy", "acme-corp", "--grace-days", "91")
	f.want(1, "", "orgs", "mfa-policy", "nope")
	f.want(2, "", "orgs", "mfa-policy")
	f.want(2, "", "orgs", "mfa-policy", "acme-corp", "--platform")

	out, _ := f.want(0, "", "orgs", "compliance", "acme-corp", "--json")
	var listed []struct {
		Email          string
		Factors        []string
		Meets, Overdue bool
	}
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed) != 1 || listed[0].Meets || !listed[0].Overdue || listed[0].Factors == nil {
		t.Errorf("got %s, %v", out, err)
	}
	if out, _ := f.want(0, "", "orgs", "compliance", "acme-corp"); !strings.Contains(out, "overdue") {
		t.Errorf("got %s", out)
	}
}

package samples

import (
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/templates"
)

// peoplePages are the pages of registration, verification and recovery, for Pages.
func peoplePages() []Page {
	flow, token, csrf := "bQ3v0yqkU5r1x2m8n4p6s7t9w0z1a2b3c4d5e6f7g8h", "q1W2e3R4t5Y6u7I8o9P0a1S2d3F4g5H6j7K8l9Z0x1C", "ZmFrZS1jc3JmLXRva2Vu"
	signIn, bob := "/login?flow="+flow, templates.Account{Name: "Bob Builder", Email: "bob@acme-corp.com"}
	until := time.Date(2027, 5, 21, 12, 0, 0, 0, time.UTC)
	common := templates.NewPassword{Error: "This password is too easy to guess. Choose one that does not build on a common word, a name or a year."}
	wrong := "There is something wrong with the address."
	return []Page{
		{"register", templates.Register{Flow: flow, CSRF: csrf, AppName: "Acme Portal", SignInURL: signIn, CancelURL: "/", PolicyURI: "https://portal.acme.example/privacy", TosURI: "https://portal.acme.example/terms"}},
		{"register-plain", templates.Register{CSRF: csrf, SignInURL: "/login"}},
		{"register-errors", templates.Register{CSRF: csrf, Name: "Bob", Email: "bob@acme", EmailError: "Write the address like name@example.com.", Password: common, SignInURL: "/login"}},
		{"register-taken", templates.Register{CSRF: csrf, Name: "Bob", Email: bob.Email, EmailError: "This address has an account already. Sign in, or choose another address.", SignInURL: "/login"}},
		{"register-long", templates.Register{Flow: flow, CSRF: csrf, AppName: longName, Name: longName, Email: longEmail, Error: "There were too many attempts. Try again in 10 minutes.", NameError: wrong, EmailError: wrong, Password: common, SignInURL: signIn, CancelURL: "/"}},
		{"register-empty", templates.Register{}},
		{"checkmail", templates.CheckMail{Email: bob.Email, AgainURL: "/register", SignInURL: "/login"}},
		{"checkmail-reset", templates.CheckMail{Email: bob.Email, Reset: true, AgainURL: "/recover", SignInURL: "/login", OutboxURL: "/dev/mail"}},
		{"checkmail-long", templates.CheckMail{Email: longEmail, AgainURL: "/register", SignInURL: signIn, OutboxURL: "/dev/mail"}},
		{"checkmail-empty", templates.CheckMail{}},
		{"verify", templates.Verify{Token: token, CSRF: csrf, Account: bob, Registration: true}},
		{"verify-account", templates.Verify{Token: token, CSRF: csrf, Account: templates.Account{Email: bob.Email}}},
		{"verify-long", templates.Verify{Token: token, CSRF: csrf, Account: templates.Account{Name: longName, Email: longEmail}, Registration: true}},
		{"verify-choose", templates.Verify{Token: token, CSRF: csrf, Account: bob, Registration: true, Choose: true, Password: common}},
		{"verify-choose-account", templates.Verify{Token: token, CSRF: csrf, Account: templates.Account{Email: bob.Email}, Choose: true, Password: templates.NewPassword{MinLength: 12}}},
		{"verify-empty", templates.Verify{}},
		{"recover", templates.Recover{CSRF: csrf, SignInURL: "/login"}},
		{"recover-error", templates.Recover{Flow: flow, CSRF: csrf, Email: "bob@acme", EmailError: "Write the address like name@example.com.", SignInURL: signIn}},
		{"recover-long", templates.Recover{Flow: flow, CSRF: csrf, Email: longEmail, Error: "There were too many attempts. Try again in 10 minutes.", EmailError: wrong, SignInURL: signIn}},
		{"recover-empty", templates.Recover{}},
		{"reset", templates.Reset{Token: token, CSRF: csrf, Email: bob.Email, SecondStep: true}},
		{"reset-confirmed", templates.Reset{Token: token, CSRF: csrf, Email: bob.Email, Confirmed: true, Password: templates.NewPassword{MinLength: 12}}},
		{"reset-long", templates.Reset{Token: token, CSRF: csrf, Email: longEmail, Confirmed: true, SecondStep: true, Password: common}},
		{"reset-empty", templates.Reset{}},
		{"invite", templates.Invite{Token: token, CSRF: csrf, Organization: "Acme Corp", Role: "a member", Inviter: "Alice Adams", Email: bob.Email, Until: until, Account: bob, Mine: true}},
		{"invite-stranger", templates.Invite{Token: token, CSRF: csrf, Organization: "Acme Corp", Role: "an admin", Inviter: "Alice Adams", Email: bob.Email, Until: until, SignInURL: "/login", Register: true}},
		{"invite-closed", templates.Invite{Token: token, CSRF: csrf, Organization: "Acme Corp", Role: "a member", Email: bob.Email, Until: until, SignInURL: "/login"}},
		{"invite-other", templates.Invite{Token: token, CSRF: csrf, Organization: "Acme Corp", Role: "a guest", Inviter: "Alice Adams", Email: bob.Email, Until: until, Account: templates.Account{Email: "carol@example.com"}, SignInURL: "/login"}},
		{"invite-long", templates.Invite{Token: token, CSRF: csrf, Organization: longName, Role: "an owner", Inviter: longName, Email: longEmail, Until: until, SignInURL: "/login", Register: true, Name: longName, Error: "There were too many attempts. Try again in 10 minutes.", NameError: wrong, Password: common}},
		{"invite-long-other", templates.Invite{Token: token, CSRF: csrf, Organization: longName, Role: "an owner", Inviter: longName, Email: longEmail, Until: until, Account: templates.Account{Name: longName, Email: longEmail}, SignInURL: "/login"}},
		{"invite-empty", templates.Invite{}},
	}
}

// devMailPages are /dev/mail with usual, longest and no mails.
func devMailPages() []Page {
	at := time.Date(2026, 6, 12, 14, 3, 0, 0, time.UTC)
	text := "Reset your password\n===================\n\nHello Bob Builder,\n\nPress the button to choose a new password.\n\nChoose a new password:\nhttp://localhost:5000/recover/reset?token=bQ3v0yqkU5r1x2m8n4p6s7t9w0z1a2b3c4d5e6f7g8h\n\nThe link works for 30 minutes, and once.\n"
	return []Page{
		{"devmail", templates.DevMail{Now: at.Add(time.Minute), Letters: []templates.DevLetter{
			{ID: "0197652c-0000-7000-8000-000000000002", To: "bob@acme-corp.com", Name: "Bob Builder", Subject: "Reset your Sallyport password", Text: text, At: at, Waiting: true},
			{ID: "0197652c-0000-7000-8000-000000000001", To: "alice@acme-corp.com", Subject: "New sign-in to your Sallyport account", Text: "New sign-in to your account\n===========================\n\nHello,\n", At: at.Add(-time.Hour)}}}},
		{"devmail-long", templates.DevMail{Now: at, Letters: []templates.DevLetter{{ID: "0197652c-0000-7000-8000-000000000003", To: longEmail, Name: longName, Subject: longName + " invites you to " + longName, Text: strings.Repeat(text, 3), At: at}}}},
		{"devmail-empty", templates.DevMail{}},
	}
}

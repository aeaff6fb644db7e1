package samples

import (
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/templates"
)

// accountPages are the pages of a person's own account, for Pages.
func accountPages() []Page {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	part := templates.AccountPart{CSRF: "ZmFrZS1jc3JmLXRva2Vu", Now: now}
	saysDone, saysError := part, part
	saysDone.Done = "Saved."
	saysError.Error = "That did not work. Nothing was changed. Try again."
	bob := templates.Account{Name: "Bob Builder", Email: "bob@acme-corp.com"}
	due := templates.AccountDue{Organization: "Acme Corp", Wants: "a passkey", Deadline: now.Add(12 * 24 * time.Hour), Link: "/account/security"}
	longDue := templates.AccountDue{Organization: longName, Wants: "an authenticator app", Deadline: now.Add(time.Hour), Link: "/account/security"}
	factors := accountFactors(now)
	return append([]Page{
		{"account", templates.AccountHome{AccountPart: part, Account: bob, SignOutCSRF: part.CSRF, HasPassword: true, Authenticator: 1, Passkeys: 2, Sessions: 3, Apps: 2, Organizations: []string{"Acme Corp", "Globex"}}},
		{"account-due", templates.AccountHome{AccountPart: saysDone, Account: bob, SignOutCSRF: part.CSRF, HasPassword: true, Due: due, Sessions: 1, Organizations: []string{"Acme Corp"}}},
		{"account-long", templates.AccountHome{AccountPart: saysError, Account: templates.Account{Name: longName, Email: longEmail}, SignOutCSRF: part.CSRF, Unproven: true, Due: longDue, Authenticator: 20, Passkeys: 20, Sessions: 120, Apps: 240, Organizations: []string{longName, "Acme"}}},
		{"account-empty", templates.AccountHome{}},
		{"account-profile", templates.AccountProfile{AccountPart: saysDone, Email: bob.Email, Name: bob.Name, GivenName: "Bob", FamilyName: "Builder", Nickname: "Bobby", PhoneNumber: "+44 20 7946 0000", Locale: "en-GB", Zoneinfo: "Europe/London"}},
		{"account-profile-errors", templates.AccountProfile{AccountPart: saysError, Email: longEmail, Unproven: true, Name: longName, Errors: map[string]string{"name": "This has more than 100 characters. Choose a shorter one.", "phone_number": "This is not a phone number. Write it with the country’s code, such as +44 20 7946 0000."}}},
		{"account-profile-empty", templates.AccountProfile{}},
		{"account-email", templates.AccountEmail{AccountPart: saysDone, Email: bob.Email, Unproven: true}},
		{"account-email-confirmed", templates.AccountEmail{AccountPart: part, Email: longEmail}},
		{"account-email-empty", templates.AccountEmail{}},
		{"account-password", templates.AccountPassword{AccountPart: part, Email: bob.Email, HasPassword: true}},
		{"account-password-errors", templates.AccountPassword{AccountPart: part, Email: bob.Email, HasPassword: true, CurrentError: "This is not your current password.", Password: templates.NewPassword{Error: "This is too easy to guess. Choose one that does not build on a common word, a name or a year."}}},
		{"account-password-first", templates.AccountPassword{AccountPart: part, Email: longEmail, Password: templates.NewPassword{MinLength: 12}}},
		{"account-password-empty", templates.AccountPassword{}},
		{"account-security", templates.AccountSecurity{AccountPart: saysDone, Factors: factors, CodesLeft: 2, Passkeys: true}},
		{"account-security-none", templates.AccountSecurity{AccountPart: part, Due: due, Passkeys: true}},
		{"account-security-unproven", templates.AccountSecurity{AccountPart: part, Unproven: true, Passkeys: true}},
		{"account-security-empty", templates.AccountSecurity{}},
		{"account-factor", templates.AccountFactorPage{AccountPart: part, Factor: factors[0]}},
		{"account-factor-long", templates.AccountFactorPage{AccountPart: part, Factor: factors[2], Errors: map[string]string{"name": "This has more than 60 characters. Choose a shorter one."}}},
		{"account-factor-empty", templates.AccountFactorPage{}},
	}, accountMorePages(part, saysDone, saysError, bob, factors)...)
}

func accountFactors(now time.Time) []templates.AccountFactor {
	return []templates.AccountFactor{
		{ID: "019a0000-0000-7000-8000-000000000001", Kind: templates.AccountFactorPasskey, Name: "Laptop", Added: now.Add(-90 * 24 * time.Hour), LastUsed: now.Add(-2 * time.Hour)},
		{ID: "019a0000-0000-7000-8000-000000000002", Kind: templates.AccountFactorApp, Name: "Phone", Added: now.Add(-30 * 24 * time.Hour), LastUsed: now.Add(-25 * time.Hour)},
		{ID: "019a0000-0000-7000-8000-000000000003", Kind: templates.AccountFactorKey, Name: longName, Added: now.Add(-time.Minute)},
	}
}

// accountMorePages are those of adding a second step and of what ends something.
func accountMorePages(part, saysDone, saysError templates.AccountPart, bob templates.Account, factors []templates.AccountFactor) []Page {
	now := part.Now
	const key = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	return []Page{
		{"account-app", templates.AccountTOTP{AccountPart: part, QR: QR, Secret: key}},
		{"account-app-wrong", templates.AccountTOTP{AccountPart: part, Name: "Phone", Errors: map[string]string{"code": "This code is not right. Enter the one that your app shows now."}}},
		{"account-app-empty", templates.AccountTOTP{}},
		{"account-passkey", templates.AccountPasskey{AccountPart: part, Name: "Firefox on Linux"}},
		{"account-passkey-error", templates.AccountPasskey{AccountPart: saysError, Name: longName}},
		{"account-passkey-empty", templates.AccountPasskey{}},
		{"account-sessions", templates.AccountSessions{AccountPart: part, Sessions: []templates.AccountSession{
			{ID: "019a0000-0000-7000-8000-000000000011", Device: "Firefox on Linux", Network: "192.0.2.0/24", SignedIn: now.Add(-time.Hour), LastSeen: now, Current: true},
			{ID: "019a0000-0000-7000-8000-000000000012", Device: "Safari on iOS", Network: "2001:db8:1234:5600::/56",
				AnyNetwork: true, SignedIn: now.Add(-20 * time.Hour), LastSeen: now.Add(-40 * time.Minute)},
			{ID: "019a0000-0000-7000-8000-000000000013", Device: "Unknown browser on unknown system", SignedIn: now.Add(-30 * time.Hour), LastSeen: now.Add(-26 * time.Hour), ForProgram: true},
			{ID: "019a0000-0000-7000-8000-000000000014", Device: strings.Repeat("Browser", 5) + " on " + strings.Repeat("System", 6), Network: "198.51.100.0/24", SignedIn: now.Add(-30 * time.Hour), LastSeen: now.Add(-3 * 24 * time.Hour)},
		}}},
		{"account-sessions-one", templates.AccountSessions{AccountPart: saysDone, Sessions: []templates.AccountSession{{ID: "x", Device: "Firefox on Linux", Network: "192.0.2.0/24", SignedIn: now, LastSeen: now, Current: true}}}},
		{"account-sessions-empty", templates.AccountSessions{}},
		{"account-apps", templates.AccountApps{AccountPart: part, Apps: []templates.AccountApp{
			{ClientID: "acme-portal-001", Name: "Acme Portal", Host: "portal.acme.example", Organizations: []string{"Acme Corp", "Globex"}, Scopes: []templates.Scope{{Name: "openid"}, {Name: "profile"}, {Name: "offline_access"}}, Allowed: now.Add(-40 * 24 * time.Hour), LastUsed: now.Add(-3 * time.Minute)},
			{ClientID: "x", Name: longName, Logo: "/logos/0123456789abcdef0123456789abcdef.png", Host: longHost,
				Organizations: []string{longName}, Scopes: []templates.Scope{{Name: "api:write",
					Sentence: "Change your reports"}}, Allowed: now.Add(-24 * time.Hour)},
		}}},
		{"account-apps-empty", templates.AccountApps{}},
		{"account-organizations", templates.AccountOrganizations{AccountPart: part, Organizations: []templates.AccountOrganization{
			{Name: "Acme Corp", Role: "Owner", Since: now.Add(-400 * 24 * time.Hour)},
			{Name: longName, Role: "Member", Since: now, AsksSince: "3 May 2027"}}}},
		{"account-organizations-empty", templates.AccountOrganizations{}},
		{"account-data", templates.AccountData{AccountPart: part}},
		{"account-delete", templates.AccountDelete{AccountPart: saysError, Account: bob, Ending: []string{"Bob’s workshop", longName}}},
		{"account-delete-blocked", templates.AccountDelete{AccountPart: part, Account: templates.Account{Name: longName, Email: longEmail}, Blocking: []string{"Acme Corp", longName}}},
		{"account-delete-empty", templates.AccountDelete{}},
		{"account-deleted", templates.AccountDeleted{}},
		{"account-confirm", templates.AccountConfirm{AccountPart: part, Title: "Remove this passkey?", What: factors[0].Name, Detail: "Passkey", Lead: "You can no longer sign in with it.", Losses: []string{"It is your last second step: your recovery codes go with it.", "You are signed out on every other device."}, Action: "/account/security/x/remove", Button: "Remove", Busy: "Removing…", Back: "/account/security"}},
		{"account-confirm-long", templates.AccountConfirm{AccountPart: saysError, Title: "Disconnect " + longName + "?", What: longName, Detail: longHost, Lead: "It can no longer act for you.", Action: "/account/apps/disconnect", Hidden: map[string]string{"client": "x"}, Button: "Disconnect", Back: "/account/apps"}},
		{"account-confirm-empty", templates.AccountConfirm{}},
	}
}

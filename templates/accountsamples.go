package templates

import (
	"strings"
	"time"
)

// accountSamples are the pages of a person's own account, for Samples.
func accountSamples() []Sample {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	part := AccountPart{CSRF: "ZmFrZS1jc3JmLXRva2Vu", Now: now}
	saysDone, saysError := part, part
	saysDone.Done = "Saved."
	saysError.Error = "That did not work. Nothing was changed. Try again."
	bob := Account{Name: "Bob Builder", Email: "bob@acme-corp.com"}
	due := AccountDue{Organization: "Acme Corp", Wants: "a passkey", Deadline: now.Add(12 * 24 * time.Hour), Link: "/account/security"}
	longDue := AccountDue{Organization: longName, Wants: "an authenticator app", Deadline: now.Add(time.Hour), Link: "/account/security"}
	factors := accountFactors(now)
	return append([]Sample{
		{"account", AccountHome{AccountPart: part, Account: bob, SignOutCSRF: part.CSRF, HasPassword: true, Authenticator: 1, Passkeys: 2, Sessions: 3, Apps: 2, Organizations: []string{"Acme Corp", "Globex"}}},
		{"account-due", AccountHome{AccountPart: saysDone, Account: bob, SignOutCSRF: part.CSRF, HasPassword: true, Due: due, Sessions: 1, Organizations: []string{"Acme Corp"}}},
		{"account-long", AccountHome{AccountPart: saysError, Account: Account{longName, longEmail}, SignOutCSRF: part.CSRF, Unproven: true, Due: longDue, Authenticator: 20, Passkeys: 20, Sessions: 120, Apps: 240, Organizations: []string{longName, "Acme"}}},
		{"account-empty", AccountHome{}},
		{"account-profile", AccountProfile{AccountPart: saysDone, Email: bob.Email, Name: bob.Name, GivenName: "Bob", FamilyName: "Builder", Nickname: "Bobby", PhoneNumber: "+44 20 7946 0000", Locale: "en-GB", Zoneinfo: "Europe/London"}},
		{"account-profile-errors", AccountProfile{AccountPart: saysError, Email: longEmail, Unproven: true, Name: longName, Errors: map[string]string{"name": "This has more than 100 characters. Choose a shorter one.", "phone_number": "This is not a phone number. Write it with the country’s code, such as +44 20 7946 0000."}}},
		{"account-profile-empty", AccountProfile{}},
		{"account-email", AccountEmail{AccountPart: saysDone, Email: bob.Email, Unproven: true}},
		{"account-email-confirmed", AccountEmail{AccountPart: part, Email: longEmail}},
		{"account-email-empty", AccountEmail{}},
		{"account-password", AccountPassword{AccountPart: part, Email: bob.Email, HasPassword: true}},
		{"account-password-errors", AccountPassword{AccountPart: part, Email: bob.Email, HasPassword: true, CurrentError: "This is not your current password.", Password: NewPassword{Error: "This is one of the first that an attacker tries. Choose one that does not build on a common word, a name or a year."}}},
		{"account-password-first", AccountPassword{AccountPart: part, Email: longEmail, Password: NewPassword{MinLength: 12}}},
		{"account-password-empty", AccountPassword{}},
		{"account-security", AccountSecurity{AccountPart: saysDone, Factors: factors, CodesLeft: 2, Passkeys: true}},
		{"account-security-none", AccountSecurity{AccountPart: part, Due: due, Passkeys: true}},
		{"account-security-unproven", AccountSecurity{AccountPart: part, Unproven: true, Passkeys: true}},
		{"account-security-empty", AccountSecurity{}},
		{"account-factor", AccountFactorPage{AccountPart: part, Factor: factors[0]}},
		{"account-factor-long", AccountFactorPage{AccountPart: part, Factor: factors[2], Errors: map[string]string{"name": "This has more than 60 characters. Choose a shorter one."}}},
		{"account-factor-empty", AccountFactorPage{}},
	}, accountMoreSamples(part, saysDone, saysError, bob, factors)...)
}

func accountFactors(now time.Time) []AccountFactor {
	return []AccountFactor{
		{ID: "019a0000-0000-7000-8000-000000000001", Kind: AccountFactorPasskey, Name: "Laptop", Added: now.Add(-90 * 24 * time.Hour), LastUsed: now.Add(-2 * time.Hour)},
		{ID: "019a0000-0000-7000-8000-000000000002", Kind: AccountFactorApp, Name: "Phone", Added: now.Add(-30 * 24 * time.Hour), LastUsed: now.Add(-25 * time.Hour)},
		{ID: "019a0000-0000-7000-8000-000000000003", Kind: AccountFactorKey, Name: longName, Added: now.Add(-time.Minute)},
	}
}

// accountMoreSamples are those of adding a second step and of what ends something.
func accountMoreSamples(part, saysDone, saysError AccountPart, bob Account, factors []AccountFactor) []Sample {
	now := part.Now
	const key = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	return []Sample{
		{"account-app", AccountTOTP{AccountPart: part, QR: sampleQR, Secret: key}},
		{"account-app-wrong", AccountTOTP{AccountPart: part, Name: "Phone", Errors: map[string]string{"code": "This code is not right. Enter the one that your app shows now."}}},
		{"account-app-empty", AccountTOTP{}},
		{"account-passkey", AccountPasskey{AccountPart: part, Name: "Firefox on Linux"}},
		{"account-passkey-error", AccountPasskey{AccountPart: saysError, Name: longName}},
		{"account-passkey-empty", AccountPasskey{}},
		{"account-sessions", AccountSessions{AccountPart: part, Sessions: []AccountSession{
			{ID: "019a0000-0000-7000-8000-000000000011", Device: "Firefox on Linux", Network: "192.0.2.0/24", SignedIn: now.Add(-time.Hour), LastSeen: now, Current: true},
			{ID: "019a0000-0000-7000-8000-000000000012", Device: "Safari on iOS", Network: "2001:db8:1234:5600::/56",
				AnyNetwork: true, SignedIn: now.Add(-20 * time.Hour), LastSeen: now.Add(-40 * time.Minute)},
			{ID: "019a0000-0000-7000-8000-000000000013", Device: "Unknown browser on unknown system", SignedIn: now.Add(-30 * time.Hour), LastSeen: now.Add(-26 * time.Hour), ForProgram: true},
			{ID: "019a0000-0000-7000-8000-000000000014", Device: strings.Repeat("Browser", 5) + " on " + strings.Repeat("System", 6), Network: "198.51.100.0/24", SignedIn: now.Add(-30 * time.Hour), LastSeen: now.Add(-3 * 24 * time.Hour)},
		}}},
		{"account-sessions-one", AccountSessions{AccountPart: saysDone, Sessions: []AccountSession{{ID: "x", Device: "Firefox on Linux", Network: "192.0.2.0/24", SignedIn: now, LastSeen: now, Current: true}}}},
		{"account-sessions-empty", AccountSessions{}},
		{"account-apps", AccountApps{AccountPart: part, Apps: []AccountApp{
			{ClientID: "acme-portal-001", Name: "Acme Portal", Host: "portal.acme.example", Organizations: []string{"Acme Corp", "Globex"}, Scopes: []Scope{{Name: "openid"}, {Name: "profile"}, {Name: "offline_access"}}, Allowed: now.Add(-40 * 24 * time.Hour), LastUsed: now.Add(-3 * time.Minute)},
			{ClientID: "x", Name: longName, Logo: "/logos/0123456789abcdef0123456789abcdef.png", Host: longHost,
				Organizations: []string{longName}, Scopes: []Scope{{Name: "api:write",
					Sentence: "Change your reports"}}, Allowed: now.Add(-24 * time.Hour)},
		}}},
		{"account-apps-empty", AccountApps{}},
		{"account-organizations", AccountOrganizations{AccountPart: part, Organizations: []AccountOrganization{
			{"Acme Corp", "Owner", now.Add(-400 * 24 * time.Hour), ""}, {longName, "Member", now, "3 May 2027"}}}},
		{"account-organizations-empty", AccountOrganizations{}},
		{"account-data", AccountData{part}},
		{"account-delete", AccountDelete{AccountPart: saysError, Account: bob, Ending: []string{"Bob’s workshop", longName}}},
		{"account-delete-blocked", AccountDelete{AccountPart: part, Account: Account{longName, longEmail}, Blocking: []string{"Acme Corp", longName}}},
		{"account-delete-empty", AccountDelete{}},
		{"account-deleted", AccountDeleted{}},
		{"account-confirm", AccountConfirm{AccountPart: part, Title: "Remove this passkey?", What: factors[0].Name, Detail: "Passkey", Lead: "You can no longer sign in with it.", Losses: []string{"It is your last second step: your recovery codes go with it.", "You are signed out on every other device."}, Action: "/account/security/x/remove", Button: "Remove", Busy: "Removing…", Back: "/account/security"}},
		{"account-confirm-long", AccountConfirm{AccountPart: saysError, Title: "Disconnect " + longName + "?", What: longName, Detail: longHost, Lead: "It can no longer act for you.", Action: "/account/apps/disconnect", Hidden: map[string]string{"client": "x"}, Button: "Disconnect", Back: "/account/apps"}},
		{"account-confirm-empty", AccountConfirm{}},
	}
}

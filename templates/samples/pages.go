// Package samples has every page and every mail with usual, longest, emptiest and hostile data. Tests and the gallery of
// screenshots use it. It is no part of the program: internal/archtest keeps it out.
package samples

import (
	"fmt"
	"slices"

	"github.com/sallyport-id/sallyport/templates"
)

// Page is a page with data, to test and to look at.
type Page struct {
	Name string
	Page templates.Page
}

// Pages returns every page with usual, longest and emptiest data.
func Pages() []Page {
	return slices.Concat(journeyPages(), peoplePages(), factorPages(), accountPages(), upstreamPages(), setupPages(), devMailPages())
}

// journeyPages are the pages on the way to a code.
func journeyPages() []Page {
	bob := templates.Account{Name: "Bob Builder", Email: "bob@acme-corp.com"}
	flow, csrf := "bQ3v0yqkU5r1x2m8n4p6s7t9w0z1a2b3c4d5e6f7g8h", "ZmFrZS1jc3JmLXRva2Vu"
	policy, tos := "https://portal.acme.example/privacy", "https://portal.acme.example/terms"
	request := "5b1f9b3e-6c1d-4a54-9f0e-2f7f3f1f9b11"
	return []Page{
		{"login", templates.Login{Flow: flow, CSRF: csrf, PasskeyCSRF: csrf, AppName: "Acme Portal", ForgotURL: "/recover?flow=" + flow, RegisterURL: "/register?flow=" + flow, CancelURL: "/login/cancel?flow=" + flow, PolicyURI: policy, TosURI: tos}},
		{"login-error", templates.Login{Flow: flow, CSRF: csrf, PasskeyCSRF: csrf, AppName: "Acme Portal", Email: "bob@acme-corp.com", Error: "This email and password do not belong together, or the account is not confirmed yet. Check both, or open the link in the mail you got.", ForgotURL: "/recover", RegisterURL: "/register", CancelURL: "/"}},
		{"login-notice", templates.Login{Flow: flow, CSRF: csrf, PasskeyCSRF: csrf, AppName: "Acme Portal", Email: "bob@acme-corp.com", Notice: "Acme Portal asks you to sign in again.", ForgotURL: "/recover", RegisterURL: "/register", CancelURL: "/"}},
		{"login-done", templates.Login{CSRF: csrf, PasskeyCSRF: csrf, Email: "bob@acme-corp.com", Done: "Your address is confirmed. Sign in to go on.", ForgotURL: "/recover", RegisterURL: "/register"}},
		{"login-plain", templates.Login{CSRF: csrf}},
		{"login-long", templates.Login{Flow: flow, CSRF: csrf, PasskeyCSRF: csrf, AppName: longName, Email: longEmail, Error: "Too many attempts for this account. Wait 10 minutes, then try again.", Notice: "Your session ended because it was used from another network. Sign in again to go on.", Done: "Your password is set. Sign in with it.", ForgotURL: "/recover", RegisterURL: "/register", CancelURL: "/", PolicyURI: policy, TosURI: tos}},
		{"login-empty", templates.Login{}},
		{"org", templates.ChooseOrganization{Flow: flow, CSRF: csrf, AppName: "Acme Portal", Organizations: []templates.Organization{
			{Slug: "acme-corp", Name: "Acme Corp", Role: "Owner"}, {Slug: "tech-startup", Name: "Tech Startup", Role: "Admin"},
			{Slug: "globex", Name: "Globex", Role: "Member"},
		}, LastUsed: true, CancelURL: "/"}},
		{"org-many", templates.ChooseOrganization{Flow: flow, CSRF: csrf, AppName: longName, Organizations: manyOrganizations(), LastUsed: true, CancelURL: "/"}},
		{"org-search", templates.ChooseOrganization{Flow: flow, CSRF: csrf, AppName: "Acme Portal", Organizations: manyOrganizations(), Query: "zebra", CancelURL: "/"}},
		{"org-empty", templates.ChooseOrganization{}},
		{"consent", templates.Consent{Flow: flow, CSRF: csrf, AppName: "Acme Portal", RedirectHost: "portal.acme.example", OrganizationName: "Acme Corp", Account: bob, SwitchAction: "/login/switch?flow=" + flow,
			SignsIn: true, Scopes: []templates.Scope{{Name: "openid"}, {Name: "profile"}, {Name: "email"}, {Name: "org"},
				{Name: "offline_access"}}, RememberUntil: "21 May 2027", PolicyURI: policy, TosURI: tos}},
		{"consent-more", templates.Consent{Flow: flow, CSRF: csrf, AppName: "Acme Reports", RedirectHost: "reports.acme.example", Account: templates.Account{Email: "bob@acme-corp.com"}, SwitchAction: "/login/switch",
			Scopes: []templates.Scope{{Name: "api:write", Sentence: "Change your reports"}}, GrantedCount: 4, RememberUntil: "21 May 2027", FirstParty: true}},
		{"consent-long", templates.Consent{Flow: flow, CSRF: csrf, AppName: longName, RedirectHost: longHost, OrganizationName: longName, Account: templates.Account{Name: longName, Email: longEmail}, SwitchAction: "/login/switch",
			SignsIn: true, Scopes: []templates.Scope{{Name: "openid"}, {Name: "profile"}, {Name: "email"}, {Name: "phone"},
				{Name: "address"}, {Name: "offline_access"}, {Name: "org:acme-corp"}, {Name: "orgs"}, {Name: "groups"},
				{Name: "roles"},
				{Name: "https://api.acme-corp.example/very/long/scope/identifier/that/has/no/sentence.readwrite.all"}},
			GrantedCount: 1, RememberUntil: "30 September 2027", PolicyURI: policy, TosURI: tos}},
		{"consent-empty", templates.Consent{}},
		{"error", templates.Error{Code: "invalid_redirect_uri", RequestID: request, Developer: "redirect_uri https://portal.acme.example/callback2 is not one of the client's.\nclient_id acme-portal-001"}},
		{"error-back", templates.Error{Code: "flow_elsewhere", RequestID: request, BackURL: "https://portal.acme.example", BackLabel: "Back to Acme Portal"}},
		{"error-long", templates.Error{Code: "not_a_member", RequestID: request, Developer: longHost + longHost, BackURL: "/", BackLabel: "Back to " + longName}},
		{"error-finished", templates.Error{Code: "flow_finished", RequestID: request, BackURL: "https://portal.acme.example",
			BackLabel: "Go to Acme Portal"}},
		{"error-account", templates.Error{Code: "not_a_member", RequestID: request, Account: bob,
			BackURL: "/oauth2/authorize?flow=" + flow + "&cancel=1", BackLabel: "Back to Acme Portal",
			Action: &templates.ErrorAction{ID: "switch", Label: "Use another account",
				URL: "/oauth2/authorize?flow=" + flow + "&switch=1"}}},
		{"error-logout", templates.Error{Code: "invalid_post_logout_redirect_uri", RequestID: request,
			Account: templates.Account{Name: longName, Email: longEmail}, BackURL: "https://portal.acme.example", BackLabel: "Back to " + longName,
			Advice: "You are still signed in here. Sign out, or go back to the app.", Action: &templates.ErrorAction{ID: "logout-yes",
				Label: "Sign out", URL: "/oauth2/logout", Form: map[string]string{"csrf": csrf, "answer": "yes"}}}},
		{"error-empty", templates.Error{}},
		{"logout", templates.Logout{CSRF: csrf, Hidden: map[string]string{"state": "af0ifjsldkj", "client_id": "acme-portal-001"}, AppName: "Acme Portal", Account: bob}},
		{"logout-long", templates.Logout{CSRF: csrf, AppName: longName, Account: templates.Account{Name: longName, Email: longEmail}}},
		{"logout-empty", templates.Logout{}},
		{"signedout", templates.SignedOut{AppName: "Acme Portal", BackURL: "https://portal.acme.example"}},
		{"signedout-empty", templates.SignedOut{}},
		{"formpost", templates.FormPost{Action: "https://portal.acme.example/callback", Params: map[string]string{"code": "sp_ac_example", "state": "af0ifjsldkj", "iss": "https://id.acme.example"}, AppName: "Acme Portal"}},
		{"formpost-empty", templates.FormPost{}},
		{"home", templates.Home{Issuer: "https://id.acme.example"}},
		{"home-account", templates.Home{Issuer: "https://id.acme.example", Account: bob, CSRF: csrf}},
		{"home-empty", templates.Home{}},
		{"home-superadmin", templates.Home{Issuer: "https://id.acme.example", Account: bob, CSRF: csrf, Setup: true}},
		{"home-ended", templates.Home{Issuer: "https://id.acme.example", Notice: templates.SessionEndText("network_changed")}},
	}
}

// The longest data that is still believable.
const (
	longName  = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz & Sons International Holdings (Europe) Limited"
	longEmail = "maximiliana.konstantinopolitanischer.dudelsackpfeifenmachergeselle+newsletter@mail.department.acme-corporation.example"
	longHost  = "accounts.google.com.sign-in.customer-portal-with-a-very-long-name.eu-central-1.acme-corporation.example"
)

func manyOrganizations() []templates.Organization {
	roles := []string{"Owner", "Admin", "Member", "Guest"}
	many := []templates.Organization{{Slug: "long", Name: longName, Role: "Member"}, {Slug: "shalom", Name: "חברת שלום בע״מ", Role: "Admin"}}
	for i := range 12 {
		many = append(many, templates.Organization{Slug: fmt.Sprintf("org-%d", i), Name: fmt.Sprintf("Organization %d", i+1), Role: roles[i%len(roles)]})
	}
	return many
}

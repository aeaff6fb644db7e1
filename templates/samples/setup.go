package samples

import (
	"github.com/sallyport-id/sallyport/templates"
)

// setupPages are the pages of the first run, for Pages.
func setupPages() []Page {
	csrf := "ZmFrZS1jc3JmLXRva2Vu"
	step := func(n int) templates.SetupStep { return templates.SetupStep{CSRF: csrf, Number: n} }
	failed := func(n int) templates.SetupStep {
		return templates.SetupStep{CSRF: csrf, Number: n, Error: "That took too long, or the page was opened twice. Nothing was added. Try again."}
	}
	bob := templates.Account{Name: "Bob Builder", Email: "bob@acme-corp.com"}
	portal := templates.SetupCredentials{Name: "Acme Portal", Kind: "web", Issuer: "https://id.acme.example", ID: "0198c2f0-6a52-4c0e-9d0b-1f1f5f3b9a77", Secret: "Jc5QkYw0TqS8dM2vR7nXb1LfZ3hAeP9uQ0aB4cD6eF8",
		RedirectURI: "https://portal.acme.example/callback", Scope: "openid profile email"}
	machine := portal
	machine.Kind, machine.Name, machine.RedirectURI, machine.Scope = "machine", "Nightly import", "", ""
	native := portal
	native.Kind, native.Name, native.Secret, native.Issuer, native.RedirectURI = "native", longName, "", "http://localhost:5000", "http://127.0.0.1/callback"
	items := []templates.SetupItem{{Title: "Administrator", Note: bob.Email, Link: "/account", Done: true},
		{Title: "Passkey", Note: "Signs you in without a password", Link: "/setup/passkey", Done: true},
		{Title: "Name, colour and logo", Note: "Sallyport", Link: "/setup/brand"},
		{Title: "First app", Link: "/setup/client"}, {Title: "Test sign-in", Link: "/setup/client"}}
	checks := []templates.SetupItem{{Title: "The code was exchanged for tokens", Done: true}, {Title: "The ID token is for this app and this sign-in", Done: true}, {Title: "Userinfo tells about the same person", Done: true}}
	claims := []templates.SetupClaim{{Name: "iss", Value: "https://id.acme.example"}, {Name: "sub", Value: "5b1f9b3e-6c1d-4a54-9f0e-2f7f3f1f9b11"},
		{Name: "email", Value: "bob@acme-corp.com"}, {Name: "email_verified", Value: "true"}, {Name: "name", Value: "Bob Builder"}}
	return []Page{
		{"setup-token", templates.SetupToken{CSRF: csrf}},
		{"setup-token-error", templates.SetupToken{CSRF: csrf, Error: "This token does not count: it was used, is more than an hour old, or a newer one was printed since."}},
		{"setup-token-empty", templates.SetupToken{}},
		{"setup-administrator", templates.SetupAdministrator{CSRF: csrf, Token: "bQ3v0yqkU5r1x2m8n4p6s7t9w0z1a2b3c4d5e6f7g8h"}},
		{"setup-administrator-errors", templates.SetupAdministrator{CSRF: csrf, Name: longName, Email: longEmail, Error: "Too many passwords are being checked right now. Try again.", NameError: "This name has more than 200 characters. Choose a shorter one.",
			EmailError: "This address has an account already. Choose another one.", Password: templates.NewPassword{MinLength: 12, Error: "This password has fewer than 12 characters. A few unrelated words are long and easy to remember."}}},
		{"setup-administrator-empty", templates.SetupAdministrator{}},
		{"setup", templates.Setup{Account: bob, Steps: items}},
		{"setup-empty", templates.Setup{}},
		{"setup-passkey", templates.SetupPasskey{SetupStep: step(2), Name: "Firefox on Linux", Available: true}},
		{"setup-passkey-error", templates.SetupPasskey{SetupStep: failed(2), Available: true}},
		{"setup-passkey-address", templates.SetupPasskey{SetupStep: step(2)}},
		{"setup-passkey-enrolled", templates.SetupPasskey{SetupStep: step(2), Available: true, Enrolled: true}},
		{"setup-passkey-empty", templates.SetupPasskey{}},
		{"setup-brand", templates.SetupBrand{SetupStep: step(3), Name: "Acme ID", Color: "#0b6b5d", NextURL: "/setup/client"}},
		{"setup-brand-saved", templates.SetupBrand{SetupStep: step(3), Name: "Acme ID", Color: "#7a1f5c", HasLogo: true, Saved: true, NextURL: "/setup/client"}},
		{"setup-brand-fixed", templates.SetupBrand{SetupStep: step(3), Name: longName, Color: "#ffcc00", NameFixed: true, ColorFixed: true, LogoFixed: true, NextURL: "/setup/client"}},
		{"setup-brand-errors", templates.SetupBrand{SetupStep: failed(3), Name: longName, NextURL: "/setup/client", Errors: map[string]string{"name": "This has more than 60 characters. Choose a shorter one.", "color": "This is not a colour.", "logo": "This is larger than 32 KiB. Save it smaller, or as SVG."}}},
		{"setup-brand-empty", templates.SetupBrand{}},
		{"setup-client", templates.SetupClient{SetupStep: step(4), RedirectURIs: "http://localhost:3000/callback",
			Example: "https://app.example.com/callback", LogoutExample: "https://app.example.com/",
			Scopes: []templates.SetupScope{{Name: "profile", Personal: true, Chosen: true}, {Name: "org", Personal: true},
				{Name: "api:read", Sentence: "Read your data"}}}},
		{"setup-client-errors", templates.SetupClient{SetupStep: failed(4), Name: longName, Kind: "spa",
			RedirectURIs: "http://" + longHost, PostLogoutURIs: "http://" + longHost, Clients: []templates.SetupApp{{ID: "a", Name: "Acme Portal"},
				{ID: "b", Name: longName}},
			Errors: map[string]string{"name": "This has more than 100 characters. Choose a shorter one.",
				"kind": "Choose one of these.", "redirect_uris": "Line 1: it is plain http; use https.",
				"post_logout_redirect_uris": "Line 1: it is plain http; use https.", "scope": "It names “api:read”, which nothing defines."}, Scopes: []templates.SetupScope{{Name: longHost, Sentence: longName, Chosen: true}}}},
		{"setup-client-empty", templates.SetupClient{}},
		{"setup-ready", templates.SetupReady{SetupStep: step(4), Client: portal}},
		{"setup-ready-native", templates.SetupReady{SetupStep: step(4), Client: native}},
		{"setup-ready-machine", templates.SetupReady{SetupStep: step(4), Client: machine}},
		{"setup-ready-empty", templates.SetupReady{}},
		{"setup-tested", templates.SetupTested{SetupStep: step(5), AppName: "Acme Portal", ClientID: portal.ID, Passed: true, Account: bob, Checks: checks, Claims: claims}},
		{"setup-tested-machine", templates.SetupTested{SetupStep: step(5), AppName: "Nightly import", ClientID: portal.ID, Passed: true, Machine: true, Checks: []templates.SetupItem{{Title: "The app authenticated and got an access token", Done: true}}}},
		{"setup-tested-failed", templates.SetupTested{SetupStep: step(5), AppName: longName, ClientID: portal.ID, Problem: "You did not allow the app to sign you in.", Advice: "Nothing is wrong with the app. Try again, and choose Allow.", Detail: "access_denied: " + longHost}},
		{"setup-tested-empty", templates.SetupTested{}},
		{"setup-done", templates.SetupDone{Issuer: "https://id.acme.example", Registers: true, Open: items[2:]}},
		{"setup-done-empty", templates.SetupDone{}},
	}
}

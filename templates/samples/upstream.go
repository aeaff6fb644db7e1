package samples

import (
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/templates"
)

// upstreamPages are the pages about other providers.
func upstreamPages() []Page {
	flow, csrf := "bQ3v0yqkU5r1x2m8n4p6s7t9w0z1a2b3c4d5e6f7g8h", "ZmFrZS1jc3JmLXRva2Vu"
	button := func(name, label, kind string) templates.ConnectionButton {
		return templates.ConnectionButton{Name: name, Label: label, Kind: kind, URL: "/login/" + name + "?flow=" + flow}
	}
	three := []templates.ConnectionButton{button("google", "Google", "google"), button("github", "GitHub", "github"),
		button("microsoft", "Microsoft", "microsoft")}
	eight := three
	for n := range 5 {
		eight = append(eight[:len(eight):len(eight)], button(fmt.Sprintf("partner-%d", n), longName, "oidc"))
	}
	login := templates.Login{Flow: flow, CSRF: csrf, PasskeyCSRF: csrf, AppName: "Acme Portal", ForgotURL: "/recover",
		RegisterURL: "/register", CancelURL: "/"}
	with := func(c templates.LoginConnections) templates.Login {
		page := login
		page.Connections = c
		return page
	}
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	at := func(days int) templates.Moment { return templates.Moment{At: now.AddDate(0, 0, -days), Now: now} }
	part := templates.AccountPart{CSRF: csrf, Now: now}
	return []Page{
		{"login-one-connection", with(templates.LoginConnections{Buttons: three[:1]})},
		{"login-three-connections", with(templates.LoginConnections{Buttons: three, UsePasswordURL: "/login?password=1"})},
		{"login-eight-connections", with(templates.LoginConnections{Buttons: eight})},
		{"login-use-password", with(templates.LoginConnections{Buttons: three, UsesPassword: true})},
		{"linkaccount", templates.LinkAccount{Label: "Google", Email: "bob@acme-corp.com", SignInURL: "/login", CancelURL: "/login"}},
		{"linkaccount-long", templates.LinkAccount{Label: longName, Email: longEmail, SignInURL: "/login", CancelURL: "/login"}},
		{"linkaccount-empty", templates.LinkAccount{}},
		{"account-linked", templates.AccountLinked{AccountPart: part, Add: three[1:], Identities: []templates.LinkedIdentity{
			{Connection: three[0], Email: "bob@acme-corp.com", Since: at(40), LastUsed: at(1)}}}},
		{"account-linked-long", templates.AccountLinked{AccountPart: part, Identities: []templates.LinkedIdentity{
			{Connection: eight[3], Email: longEmail, Since: at(400), Off: true}, {Connection: three[1], Since: at(3)}}}},
		{"account-linked-empty", templates.AccountLinked{}},
	}
}

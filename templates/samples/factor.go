package samples

import (
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/templates"
)

// QR is a picture that nobody can use.
const QR = "data:image/png;base64," +
	"iVBORw0KGgoAAAANSUhEUgAAAPYAAAD2AQAAAADNaUdlAAABj0lEQVR42u2ZXYrDMAyEBT5AjpSr+0g5gEErzchuKGGfPbsxpU30+WWwfl3zX9ewl7/8j3PLdY6jx7d7b2G60tREOAxnuyw+sQsPJ+" +
	"0aHAbKio2O19AqxuNMju5JJDkc7XQ8uBaHISOjTul88r99+YrvYTYo8Tn+N+VcRn7EY3/Kv/vyzKwBkzNKcgs2qvAyhD54WW6J1ybC8ZveVDGdha4iXoLXQk4KZWaocvAyCb6yEWwdJ9Nv8bE7Z3Bn" +
	"Wa5dPqNEg1uehtO/Bkr06jgkOMMazoUoR64yM1fh0JdZCscCoVZGBR7mkghZeUpmfstPm3PoyLbUShNmnU987M87+zuDeblbE+FoiDrFVaBko6HDmVmvT62ml+nwzEwhCF524pQ6B30JPuZwwJmgVX" +
	"PaXYTPydJmWets94Q4V4710d/NEqHCV01oc9bhfKnCOdOT82aFw40MrwstY2c9ZqPUtDg8i7kWGetb3/Z8TfnGjqmp8FkiBsf6i/2dDGd8o7OwdVfqt/lnc/7+v/Py/8p/AIbo7cxjgoLRAAAAAElF" +
	"TkSuQmCC"

// factorPages are the pages of the second step, for Pages.
func factorPages() []Page {
	csrf := "ZmFrZS1jc3JmLXRva2Vu"
	at := "/login/factor?flow=bQ3v0yqkU5r1x2m8n4p6s7t9w0z1a2b3c4d5e6f7g8h"
	begin := "/login/factor/begin?flow=bQ3v0yqkU5r1x2m8n4p6s7t9w0z1a2b3c4d5e6f7g8h"
	usual := templates.Step{Action: at, CSRF: csrf, AppName: "Acme Portal", Account: templates.Account{Name: "Bob Builder", Email: "bob@acme-corp.com"},
		SwitchAction: "/login/switch", SwitchCSRF: csrf, CancelURL: "/", PolicyURI: "https://portal.acme.example/privacy", TosURI: "https://portal.acme.example/terms"}
	long := usual
	long.AppName, long.Account, long.SwitchLabel = longName, templates.Account{Name: longName, Email: longEmail}, "Sign out"
	long.Error = "There were too many wrong codes for this account. Nothing is lost: try again in 10 minutes."
	own := templates.Step{CSRF: csrf, Account: templates.Account{Email: "bob@acme-corp.com"}, SwitchAction: "/logout", SwitchCSRF: csrf, SwitchLabel: "Sign out"}
	wrong := usual
	wrong.Error = "That code is not right. Check it, or wait for the next one, and try again."
	key := "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	codes := []string{"k7mp-2xq4-9rtd-hv3c", "p3wz-8nf6-tq2m-j5xd", "c9rh-4vk7-m2pz-x6tw"}
	return []Page{
		{"factor", templates.Factor{Step: usual, Begin: begin, Kind: "totp", Passkey: true, RecoveryURL: at + "&method=recovery"}},
		{"factor-error", templates.Factor{Step: wrong, Kind: "totp", RecoveryURL: at + "&method=recovery"}},
		{"factor-recovery", templates.Factor{Step: usual, Kind: "recovery", CodeURL: at}},
		{"factor-passkey", templates.Factor{Step: own, Begin: begin, Passkey: true, RecoveryURL: "/login/factor?method=recovery"}},
		{"factor-why", templates.Factor{Step: usual, Begin: begin, Passkey: true, Why: "Acme Corp asks for more than the way you have signed in.", KeyOnly: "Acme Corp"}},
		{"factor-long", templates.Factor{Step: long, Begin: begin, Kind: "totp", Passkey: true, RecoveryURL: at, Why: longName + " asks for it, to be sure that it is you."}},
		{"factor-only", templates.Factor{Step: long, Begin: begin, Passkey: true, KeyOnly: longName}},
		{"factor-empty", templates.Factor{}},
		{"factorenrol", templates.FactorEnrol{Step: usual, Begin: begin, Requirer: "Acme Corp", TOTP: true, Passkey: true}},
		{"factorenrol-passkey", templates.FactorEnrol{Step: own, Begin: begin, Passkey: true}},
		{"factorenrol-long", templates.FactorEnrol{Step: long, Begin: begin, Requirer: longName, TOTP: true, Passkey: true}},
		{"factorenrol-empty", templates.FactorEnrol{}},
		{"factortotp", templates.FactorTOTP{Step: usual, QR: QR, Secret: key, Back: at}},
		{"factortotp-error", templates.FactorTOTP{Step: wrong, Back: at}},
		{"factortotp-long", templates.FactorTOTP{Step: long, QR: QR, Secret: strings.Repeat(key, 2), Back: at}},
		{"factortotp-empty", templates.FactorTOTP{}},
		{"factoragain", templates.FactorAgain{Step: usual, Requirer: "Acme Corp"}},
		{"factoragain-own", templates.FactorAgain{Step: own, SignInURL: "/login?to=/account"}},
		{"factoragain-empty", templates.FactorAgain{}},
		{"factorunproven", templates.FactorUnproven{Step: usual, Requirer: "Acme Corp"}},
		{"factorunproven-sent", templates.FactorUnproven{Step: own, Sent: true}},
		{"factorunproven-empty", templates.FactorUnproven{}},
		{"factorcodes", templates.FactorCodes{Codes: codes, Email: "bob@acme-corp.com", NextURL: "/oauth2/authorize?flow=x", AppName: "Acme Portal", Added: "Your authenticator app"}},
		{"factorcodes-long", templates.FactorCodes{Codes: slices.Concat(codes, codes, codes), Email: longEmail, NextURL: "/account", AppName: longName}},
		{"factorcodes-renewed", templates.FactorCodes{Codes: codes, NextURL: "/account/security", Email: "bob@acme-corp.com", Renewed: true}},
		{"factorcodes-last", templates.FactorCodes{Codes: codes, NextURL: "/oauth2/authorize?flow=x", AppName: "Acme Portal", Email: "bob@acme-corp.com", Last: true, Keys: true}},
		{"factorcodes-empty", templates.FactorCodes{}},
		{"factorrecovered", templates.FactorRecovered{Left: 2, NextURL: "/oauth2/authorize?flow=x", AppName: "Acme Portal"}},
		{"factorrecovered-one", templates.FactorRecovered{Left: 1, NextURL: "/"}},
		{"factorrecovered-long", templates.FactorRecovered{Left: 19, NextURL: "/", AppName: longName}},
		{"factorrecovered-empty", templates.FactorRecovered{}},
	}
}

package samples

import (
	"reflect"
	"time"

	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/templates"
)

// Mail is a mail with data, to test and to look at.
type Mail struct {
	Name string
	Mail templates.Mail
}

// Mails returns every mail with usual, longest, emptiest and hostile data.
func Mails() []Mail {
	const issuer, token = "https://id.acme.example", "bQ3v0yqkU5r1x2m8n4p6s7t9w0z1a2b3c4d5e6f7g8h"
	bob, link, account := "Bob Builder", issuer+"/verify?token="+token, issuer+"/account"
	from := request.Info{At: time.Date(2026, 6, 12, 14, 3, 0, 0, time.UTC), Device: "Firefox on Linux", Network: "203.0.113.0/24"}
	far := request.Info{At: from.At, Device: longName, Network: "2001:db8:1234:5600::/56"}
	evil := "\u202eBob\r\nBcc: all@evil.example\x00 <script>alert(1)</script> {{.Link}} www.evil.example https://evil.example/x"
	samples := []Mail{
		{"mail-verifyemail", templates.VerifyEmail{Name: bob, Link: link, ValidFor: 24 * time.Hour, From: from}},
		{"mail-verifyemail-long", templates.VerifyEmail{Name: longName, Link: link, ValidFor: 24 * time.Hour, From: far}},
		{"mail-verifyemail-hostile", templates.VerifyEmail{Name: evil, Link: "javascript:alert(1)", From: request.Info{Device: evil, Network: evil}}},
		{"mail-completeregistration", templates.CompleteRegistration{Name: bob, Link: link, ValidFor: 24 * time.Hour, From: from}},
		{"mail-completeregistration-hostile", templates.CompleteRegistration{Name: evil, Link: link + "\r\nBcc: all@evil.example", ValidFor: time.Hour, From: from}},
		{"mail-alreadyregistered", templates.AlreadyRegistered{Name: bob, SignInLink: issuer + "/login", RecoverLink: issuer + "/recover", From: from}},
		{"mail-passwordreset", templates.PasswordReset{Name: bob, Link: issuer + "/recover/reset?token=" + token, ValidFor: 30 * time.Minute, From: from}},
		{"mail-passwordchanged-closed", templates.PasswordChanged{Name: bob, From: from}},
		{"mail-alreadyregistered-closed", templates.AlreadyRegistered{Name: bob, SignInLink: issuer + "/login", From: from}},
		{"mail-passwordchanged", templates.PasswordChanged{Name: bob, RecoverLink: issuer + "/recover", From: from}},
		{"mail-factoradded", templates.FactorAdded{Name: bob, Factor: "a passkey “Laptop”", AccountLink: account, From: from}},
		{"mail-factoradded-hostile", templates.FactorAdded{Name: evil, Factor: "a passkey “" + evil + "”", AccountLink: "https://user@evil.example/", From: from}},
		{"mail-factorremoved", templates.FactorRemoved{Name: bob, Factor: "an authenticator app “Phone”", AccountLink: account, From: from}},
		{"mail-factorremoved-long", templates.FactorRemoved{Name: longName, Factor: "an authenticator app “" + longName + "”", AccountLink: account, From: far}},
		{"mail-recoverycodeused", templates.RecoveryCodeUsed{Name: bob, Left: 2, AccountLink: account, From: from}},
		{"mail-recoverycodeused-last", templates.RecoveryCodeUsed{Name: bob, AccountLink: account, From: from}},
		{"mail-newdevice", templates.NewDevice{Name: bob, AccountLink: account, From: from}},
		{"mail-secondstepmissed", templates.SecondStepMissed{Name: bob, PasswordLink: account + "/password", From: from}},
		{"mail-mfadeadline", templates.MFADeadline{Name: bob, Organization: "Acme Corp", Wants: "a passkey", Deadline: from.At.AddDate(0, 0, 14), Link: account}},
		{"mail-mfadeadline-service", templates.MFADeadline{Name: bob, Wants: "a second step", Deadline: from.At.AddDate(0, 0, 1), Link: account}},
		{"mail-invitation", templates.Invitation{Organization: "Acme Corp", Inviter: "Alice Example", Role: "a member", Link: issuer + "/invite?token=" + token, ValidFor: 7 * 24 * time.Hour}},
		{"mail-invitation-long", templates.Invitation{Organization: longName, Inviter: longName, Role: "an owner", Link: issuer + "/invite?token=" + token, ValidFor: 7 * 24 * time.Hour}},
		{"mail-invitation-hostile", templates.Invitation{Organization: evil, Inviter: evil, Role: evil, Link: "//evil.example/", ValidFor: 7 * 24 * time.Hour}},
		{"mail-accountdeleted", templates.AccountGone{Name: bob, From: from}},
		{"mail-emailchanged", templates.EmailChanged{Name: bob, NewEmail: "b•••@acme.example", From: from}},
	}
	seen := map[reflect.Type]bool{}
	for _, s := range samples {
		if kind := reflect.TypeOf(s.Mail); !seen[kind] {
			seen[kind] = true
			m := reflect.Zero(kind).Interface().(templates.Mail)
			samples = append(samples, Mail{"mail-" + templates.MailKind(m) + "-empty", m})
		}
	}
	return samples
}

package templates

import "time"

// MailSample is a mail with data, to test and to look at.
type MailSample struct {
	Name string
	Mail Mail
}

// MailSamples returns every mail with usual, longest, emptiest and hostile data.
// Tests and the gallery of screenshots use it; the server does not.
func MailSamples() []MailSample {
	const issuer, token = "https://id.acme.example", "bQ3v0yqkU5r1x2m8n4p6s7t9w0z1a2b3c4d5e6f7g8h"
	bob, link, account := "Bob Builder", issuer+"/verify?token="+token, issuer+"/account"
	from := Origin{At: time.Date(2026, 6, 12, 14, 3, 0, 0, time.UTC), Device: "Firefox on Linux", Network: "203.0.113.0/24"}
	far := Origin{At: from.At, Device: longName, Network: "2001:db8:1234:5600::/56"}
	evil := "\u202eBob\r\nBcc: all@evil.example\x00 <script>alert(1)</script> {{.Link}} www.evil.example https://evil.example/x"
	samples := []MailSample{
		{"mail-verifyemail", VerifyEmail{Name: bob, Link: link, ValidFor: 24 * time.Hour, From: from}},
		{"mail-verifyemail-long", VerifyEmail{Name: longName, Link: link, ValidFor: 24 * time.Hour, From: far}},
		{"mail-verifyemail-hostile", VerifyEmail{Name: evil, Link: "javascript:alert(1)", From: Origin{Device: evil, Network: evil}}},
		{"mail-completeregistration", CompleteRegistration{Name: bob, Link: link, ValidFor: 24 * time.Hour, From: from}},
		{"mail-completeregistration-hostile", CompleteRegistration{Name: evil, Link: link + "\r\nBcc: all@evil.example", ValidFor: time.Hour, From: from}},
		{"mail-alreadyregistered", AlreadyRegistered{Name: bob, SignInLink: issuer + "/login", RecoverLink: issuer + "/recover", From: from}},
		{"mail-passwordreset", PasswordReset{Name: bob, Link: issuer + "/recover/reset?token=" + token, ValidFor: 30 * time.Minute, From: from}},
		{"mail-passwordchanged-closed", PasswordChanged{Name: bob, From: from}},
		{"mail-alreadyregistered-closed", AlreadyRegistered{Name: bob, SignInLink: issuer + "/login", From: from}},
		{"mail-passwordchanged", PasswordChanged{Name: bob, RecoverLink: issuer + "/recover", From: from}},
		{"mail-factoradded", FactorAdded{Name: bob, Factor: "a passkey “Laptop”", AccountLink: account, From: from}},
		{"mail-factoradded-hostile", FactorAdded{Name: evil, Factor: "a passkey “" + evil + "”", AccountLink: "https://user@evil.example/", From: from}},
		{"mail-factorremoved", FactorRemoved{Name: bob, Factor: "an authenticator app “Phone”", AccountLink: account, From: from}},
		{"mail-factorremoved-long", FactorRemoved{Name: longName, Factor: "an authenticator app “" + longName + "”", AccountLink: account, From: far}},
		{"mail-recoverycodeused", RecoveryCodeUsed{Name: bob, Left: 2, AccountLink: account, From: from}},
		{"mail-recoverycodeused-last", RecoveryCodeUsed{Name: bob, AccountLink: account, From: from}},
		{"mail-newdevice", NewDevice{Name: bob, AccountLink: account, From: from}},
		{"mail-secondstepmissed", SecondStepMissed{Name: bob, PasswordLink: account + "/password", From: from}},
		{"mail-mfadeadline", MFADeadline{Name: bob, Organization: "Acme Corp", Wants: "a passkey", Deadline: from.At.AddDate(0, 0, 14), Link: account}},
		{"mail-mfadeadline-service", MFADeadline{Name: bob, Wants: "a second step", Deadline: from.At.AddDate(0, 0, 1), Link: account}},
		{"mail-invitation", Invitation{Organization: "Acme Corp", Inviter: "Alice Example", Role: "a member", Link: issuer + "/invite?token=" + token, ValidFor: 7 * 24 * time.Hour}},
		{"mail-invitation-long", Invitation{Organization: longName, Inviter: longName, Role: "an owner", Link: issuer + "/invite?token=" + token, ValidFor: 7 * 24 * time.Hour}},
		{"mail-invitation-hostile", Invitation{Organization: evil, Inviter: evil, Role: evil, Link: "//evil.example/", ValidFor: 7 * 24 * time.Hour}},
		{"mail-accountdeleted", AccountGone{Name: bob, From: from}},
		{"mail-emailchanged", EmailChanged{Name: bob, NewEmail: "b•••@acme.example", From: from}},
	}
	for _, m := range mails() {
		samples = append(samples, MailSample{"mail-" + MailKind(m) + "-empty", m})
	}
	return samples
}

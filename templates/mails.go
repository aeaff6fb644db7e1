package templates

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/sallyport-id/sallyport/internal/request"
)

// Mail is one of this package's mail structs: what it must know, and nothing
// else. It survives JSON (MailKind, DecodeMail), so that it can wait to be sent.
//
// Names and devices come from strangers. They are cleaned, shortened and kept
// from turning into links; what they say is never trusted.
type Mail interface {
	// mail names the files and gives what the layout says around the text.
	mail() (file string, f frame)
}

// frame is what every mail's layout may say.
type frame struct {
	name     string
	link     string // the button's; empty: no button
	validFor time.Duration
	from     request.Info
	more     []string // links besides the button's
}

// VerifyEmail asks an account's owner to prove the address.
type VerifyEmail struct {
	Name, Link string
	ValidFor   time.Duration
	From       request.Info
}

func (m VerifyEmail) mail() (string, frame) {
	return "verifyemail", frame{name: m.Name, link: m.Link, validFor: m.ValidFor, from: m.From}
}

// CompleteRegistration lets whoever has the address prove it and finish.
type CompleteRegistration struct {
	Name, Link string
	ValidFor   time.Duration
	From       request.Info
}

func (m CompleteRegistration) mail() (string, frame) {
	return "completeregistration", frame{name: m.Name, link: m.Link, validFor: m.ValidFor, from: m.From}
}

// AlreadyRegistered tells an owner that somebody tried to register the address.
type AlreadyRegistered struct {
	Name, SignInLink, RecoverLink string
	From                          request.Info
}

func (m AlreadyRegistered) mail() (string, frame) {
	return "alreadyregistered", frame{name: m.Name, link: m.SignInLink, from: m.From, more: []string{m.RecoverLink}}
}

// PasswordReset leads to the page for a new password. There is no such mail to
// an address without an account.
type PasswordReset struct {
	Name, Link string
	ValidFor   time.Duration
	From       request.Info
}

func (m PasswordReset) mail() (string, frame) {
	return "passwordreset", frame{name: m.Name, link: m.Link, validFor: m.ValidFor, from: m.From}
}

// PasswordChanged is the notice after a change or a reset.
type PasswordChanged struct {
	Name, RecoverLink string
	From              request.Info
}

func (m PasswordChanged) mail() (string, frame) {
	return "passwordchanged", frame{name: m.Name, link: m.RecoverLink, from: m.From}
}

// FactorAdded is the notice of a new second step. Factor is in words, to follow
// "now has": an authenticator app “Phone”; a passkey “Laptop”; recovery codes.
type FactorAdded struct {
	Name, Factor, AccountLink string
	From                      request.Info
}

func (m FactorAdded) mail() (string, frame) {
	return "factoradded", frame{name: m.Name, link: m.AccountLink, from: m.From}
}

// FactorRemoved is the notice of one that is gone.
type FactorRemoved struct {
	Name, Factor, AccountLink string
	From                      request.Info
}

func (m FactorRemoved) mail() (string, frame) {
	return "factorremoved", frame{name: m.Name, link: m.AccountLink, from: m.From}
}

// RecoveryCodeUsed says how many codes are left.
type RecoveryCodeUsed struct {
	Name        string
	Left        int
	AccountLink string
	From        request.Info
}

func (m RecoveryCodeUsed) mail() (string, frame) {
	return "recoverycodeused", frame{name: m.Name, link: m.AccountLink, from: m.From}
}

// LeftWords is the sentence about what is left.
func (m RecoveryCodeUsed) LeftWords() string {
	switch {
	case m.Left < 1:
		return "It was the last one, and new ones were shown in its place."
	case m.Left == 1:
		return "You have one left."
	}
	return "You have " + strconv.Itoa(m.Left) + " left."
}

// NewDevice is the notice of a sign-in from a device that was not used before.
type NewDevice struct {
	Name, AccountLink string
	From              request.Info
}

func (m NewDevice) mail() (string, frame) {
	return "newdevice", frame{name: m.Name, link: m.AccountLink, from: m.From}
}

// SecondStepMissed is the notice that the right password was entered on a device that
// was not used before, and the second step was not passed.
type SecondStepMissed struct {
	Name, PasswordLink string
	From               request.Info
}

func (m SecondStepMissed) mail() (string, frame) {
	return "secondstepmissed", frame{name: m.Name, link: m.PasswordLink, from: m.From}
}

// MFADeadline warns that a second step will be asked for. Wants is in words,
// "a passkey"; an empty Organization is the whole service.
type MFADeadline struct {
	Name, Organization, Wants string
	Deadline                  time.Time
	Link                      string
}

func (m MFADeadline) mail() (string, frame) { return "mfadeadline", frame{name: m.Name, link: m.Link} }

// Invitation invites an address, which may have an account or not. Role is in
// words, "a member".
type Invitation struct {
	Organization, Inviter, Role, Link string
	ValidFor                          time.Duration
}

func (m Invitation) mail() (string, frame) {
	return "invitation", frame{link: m.Link, validFor: m.ValidFor}
}

// AccountGone (the page of its name is AccountDeleted) is the last mail an account gets.
type AccountGone struct {
	Name string
	From request.Info
}

func (m AccountGone) mail() (string, frame) {
	return "accountdeleted", frame{name: m.Name, from: m.From}
}

// EmailChanged goes to the old address. NewEmail is masked, "b•••@acme.example".
type EmailChanged struct {
	Name, NewEmail string
	From           request.Info
}

func (m EmailChanged) mail() (string, frame) {
	return "emailchanged", frame{name: m.Name, from: m.From}
}

// mails is one of each kind.
func mails() []Mail {
	return []Mail{VerifyEmail{}, CompleteRegistration{}, AlreadyRegistered{}, PasswordReset{}, PasswordChanged{},
		FactorAdded{}, FactorRemoved{},
		RecoveryCodeUsed{}, NewDevice{}, SecondStepMissed{}, MFADeadline{}, Invitation{}, AccountGone{}, EmailChanged{}}
}

// MailKind is the word that a waiting mail is kept under, for DecodeMail.
func MailKind(m Mail) string {
	file, _ := m.mail()
	return file
}

// MailLinks are the links in a mail, for a check that all lead to this server.
func MailLinks(m Mail) []string {
	_, f := m.mail()
	var links []string
	for _, l := range append([]string{f.link}, f.more...) {
		if l != "" {
			links = append(links, l)
		}
	}
	return links
}

// DecodeMail is the inverse of json.Marshal for a mail of that kind.
func DecodeMail(kind string, data []byte) (Mail, error) {
	for _, m := range mails() {
		if MailKind(m) != kind {
			continue
		}
		v := reflect.New(reflect.TypeOf(m))
		if err := json.Unmarshal(data, v.Interface()); err != nil {
			return nil, fmt.Errorf("mail %s: %w", kind, err)
		}
		return v.Elem().Interface().(Mail), nil
	}
	return nil, fmt.Errorf("there is no mail %q", kind)
}

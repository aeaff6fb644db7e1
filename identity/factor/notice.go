package factor

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// notices writes mails about changes of second factors.
type notices struct {
	writer  *mail.Writer
	account string
}

// added is the mail about a factor, or what else was added.
func (n notices) added(w *Subject, what string) ([]*storage.Message, error) {
	return n.to(w.User, templates.FactorAdded{Name: w.User.Profile.Name, Factor: what, AccountLink: n.account,
		From: w.From})
}

// removed is the mail about a factor, or all of them, that were removed.
func (n notices) removed(u *storage.User, from request.Info, what string) ([]*storage.Message, error) {
	return n.to(u, templates.FactorRemoved{Name: u.Profile.Name, Factor: what, AccountLink: n.account, From: from})
}

// to writes a mail to a user.
func (n notices) to(u *storage.User, l templates.Mail) ([]*storage.Message, error) {
	m, err := n.writer.Message(mail.Address{Email: u.Email, Name: u.Profile.Name, User: u.ID}, l, "")
	return []*storage.Message{m}, err
}

// words names a factor in a sentence.
func words(f *storage.Factor) string {
	what := "an authenticator app"
	switch {
	case f.Kind == storage.FactorWebAuthn && f.Passkey:
		what = "a passkey"
	case f.Kind == storage.FactorWebAuthn:
		what = "a security key"
	}
	return fmt.Sprintf("%s “%s”", what, f.Name)
}

// maxName is in characters.
const maxName = 64

// clean is a name as it is stored: one line of printable characters, at most maxName.
func clean(name string) string {
	// This bounds the work. If it cuts a character, the rest of it is removed below.
	name = name[:min(len(name), 4*utf8.UTFMax*maxName)]
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, name)
	name = strings.Join(strings.Fields(name), " ")
	if all := []rune(name); len(all) > maxName {
		name = strings.TrimSpace(string(all[:maxName]))
	}
	return name
}

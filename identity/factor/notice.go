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

// notices writes the mails about changes of second factors.
type notices struct {
	writer  *mail.Writer
	account string
}

func (n notices) to(u *storage.User) mail.Address {
	return mail.Address{Email: u.Email, Name: u.Profile.Name, User: u.ID}
}

func (n notices) added(w *Subject, what string) ([]*storage.Message, error) {
	m, err := n.writer.Message(n.to(w.User), templates.FactorAdded{Name: w.User.Profile.Name, Factor: what, AccountLink: n.account, From: w.From}, "")
	return []*storage.Message{m}, err
}

func (n notices) removed(u *storage.User, from request.Info, what string) ([]*storage.Message, error) {
	m, err := n.writer.Message(n.to(u), templates.FactorRemoved{Name: u.Profile.Name, Factor: what, AccountLink: n.account, From: from}, "")
	return []*storage.Message{m}, err
}

func (n notices) codeUsed(w *Subject, left int) ([]*storage.Message, error) {
	m, err := n.writer.Message(n.to(w.User), templates.RecoveryCodeUsed{Name: w.User.Profile.Name, Left: left, AccountLink: n.account, From: w.From}, "")
	return []*storage.Message{m}, err
}

// words name a factor in a sentence.
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

// clean is a name as it is kept: one line that prints, cut to maxName.
func clean(name string) string {
	// The rest beyond so many bytes is not kept; a character that this divides goes with those that do not print.
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

package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/internal/sample"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/trustelem/zxcvbn"
	"golang.org/x/text/unicode/norm"
)

const (
	// Fewer guesses than this and a password is common: it is a word of the lists, a
	// pattern, or one of the person's own words with a year behind it.
	commonGuesses = 1e6
	// zxcvbn's time grows with more than the square of the length: it takes seconds for
	// 128 characters that all could stand for letters, and no slot bounds it as one does
	// the hashes. What is longer is judged by its beginning and its end.
	zxcvbnRunes = 32
)

// Check applies the rules for a new password of the person with that
// address: long enough, at most 256 characters, not the address, not common. No
// composition rules (NIST SP 800-63B-4, section 3.1.1.2). The error is FieldErrors.
func (i *Passwords) Check(password, email string, words ...string) error {
	var faults FieldErrors
	if len(password) > 16*secret.MaxPasswordChars { // before the work of normalizing it
		faults.Add("password", fmt.Sprintf("has more than %d characters", secret.MaxPasswordChars),
			"choose a shorter one")
		return faults.err()
	}
	// An address or a name that is too long is refused elsewhere, and must not cost the work here either.
	email, words = cut(email, maxTyped), slices.Clone(words)
	for n, w := range words {
		words[n] = cut(w, utf8.UTFMax*maxPersonName)
	}
	text := norm.NFC.String(password)
	local, domain, _ := strings.Cut(strings.ToLower(email), "@")
	switch n := utf8.RuneCountInString(text); {
	case !utf8.ValidString(password):
		faults.Add("password", "is not text", "")
	case n > secret.MaxPasswordChars:
		faults.Add("password", fmt.Sprintf("has more than %d characters", secret.MaxPasswordChars),
			"choose a shorter one")
	case n < i.minLength:
		faults.Add("password", fmt.Sprintf("has fewer than %d characters", i.minLength),
			"a few unrelated words are long and easy to remember")
	case email != "" && (strings.EqualFold(text, email) || strings.EqualFold(text, local)):
		faults.Add("password", "is the email address", "choose one that nobody can look up")
	case i.production && sample.IsCredential(text):
		faults.Add("password", "is the one of the sample data, which everybody knows", "choose another")
	case common(text, slices.Concat(i.words, wordsOf([]string{i.brand()}), words, wordsOf(words), pieces(local),
		pieces(domain))):
		faults.Add("password", "is one of the first that an attacker tries",
			"choose one that does not build on a common word, a name or a year")
	}
	return faults.err()
}

func common(text string, words []string) bool {
	for n, w := range words {
		words[n] = strings.ToLower(w)
	}
	return fewerGuesses(text, commonGuesses, words)
}

// madeUpGuesses is far below what 32 drawn characters take, and above what a person types.
const madeUpGuesses = 1e22

// IsMadeUp reports whether a key of 32 characters or more was typed by a person rather
// than drawn: words, rows of the keyboard, sequences, repetitions.
func IsMadeUp(key string) bool { return fewerGuesses(key, madeUpGuesses, nil) }

func fewerGuesses(text string, guesses float64, words []string) bool {
	fewer := func(r []rune) bool { return zxcvbn.PasswordStrength(string(r), words).Guesses < guesses }
	r := []rune(text)
	if len(r) <= zxcvbnRunes {
		return fewer(r)
	}
	return fewer(r[:zxcvbnRunes]) && fewer(r[len(r)-zxcvbnRunes:])
}

// pieces are the words that part of an address is made of: "acme-corp.com" is acme,
// corp, acmecorp and com.
func pieces(s string) []string {
	var all []string
	for label := range strings.SplitSeq(s, ".") {
		words := strings.FieldsFunc(label, func(r rune) bool { return strings.ContainsRune("-_+", r) })
		all = append(append(all, words...), strings.Join(words, ""))
	}
	return append(all, s)
}

// wordsOf takes names and addresses apart.
func wordsOf(texts []string) []string {
	var all []string
	for _, t := range texts {
		all = append(all, strings.FieldsFunc(t, func(r rune) bool {
			return !unicode.IsLetter(r) &&
				!unicode.IsDigit(r)
		})...)
	}
	return all
}

// confirm compares a password with the one of the registration.
func (i *Passwords) confirm(ctx context.Context, hash, password string) error {
	if hash == "" {
		return ErrWrongPassword
	}
	ok, _, err := i.Verify(ctx, hash, password)
	if err == nil && !ok || errors.Is(err, secret.ErrBadHash) {
		return ErrWrongPassword
	}
	return err
}

// checkPerson names everything that is wrong with what a person who wants an account has typed, and returns the key of
// the address. The name may be empty. words are others that the password must not build on.
func (i *Passwords) checkPerson(email, name, password string, words ...string) (emailKey string, err error) {
	var faults FieldErrors
	emailKey, err = EmailKey(email)
	faults.AddAll(err)
	if name != "" {
		checkName(&faults, "name", name, maxPersonName)
	}
	faults.AddAll(i.Check(password, emailKey, append(words, name)...))
	return emailKey, faults.err()
}

package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/internal/sample"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/trustelem/zxcvbn"
	"github.com/trustelem/zxcvbn/frequency"
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
func (pw *Passwords) Check(password, email string, words ...string) error {
	tooLong := FieldErrors{{Field: "password", Problem: fmt.Sprintf("has more than %d characters", secret.MaxPasswordChars),
		Remedy: "choose a shorter one"}}
	if len(password) > 16*secret.MaxPasswordChars { // before the work of normalizing it
		return tooLong
	}
	var faults FieldErrors
	// An address or a name that is too long is refused elsewhere, and must not cost the work here either.
	email, words = truncate(email, maxTyped), slices.Clone(words)
	for n, w := range words {
		words[n] = truncate(w, utf8.UTFMax*maxPersonName)
	}
	text := norm.NFC.String(password)
	local, domain, _ := strings.Cut(strings.ToLower(email), "@")
	switch n := utf8.RuneCountInString(text); {
	case !utf8.ValidString(password):
		faults.Add("password", "is not text", "")
	case n > secret.MaxPasswordChars:
		return tooLong
	case n < pw.minLength:
		faults.Add("password", fmt.Sprintf("has fewer than %d characters", pw.minLength),
			"a few unrelated words are long and easy to remember")
	case email != "" && (strings.EqualFold(text, email) || strings.EqualFold(text, local)):
		faults.Add("password", "is the email address", "choose one that nobody can look up")
	case pw.production && sample.IsCredential(text):
		faults.Add("password", "is the one of the sample data, which everybody knows", "choose another")
	case isCommon(text, slices.Concat(pw.words, splitWords([]string{pw.brand()}), words, splitWords(words), addressWords(local),
		addressWords(domain))):
		faults.Add("password", "is one of the first that an attacker tries",
			"choose one that does not build on a common word, a name or a year")
	}
	return faults.err()
}

func isCommon(text string, words []string) bool {
	for n, w := range words {
		words[n] = strings.ToLower(w)
	}
	return needsFewerGuesses(text, commonGuesses, words)
}

// drawnKeyGuesses is far below what 32 drawn characters take, and above what a person types.
const drawnKeyGuesses = 1e22

// IsMadeUp reports whether a key of 32 characters or more was typed by a person rather
// than drawn: words, rows of the keyboard, sequences, repetitions.
func IsMadeUp(key string) bool { return needsFewerGuesses(key, drawnKeyGuesses, nil) }

func needsFewerGuesses(text string, guesses float64, words []string) bool {
	fewer := func(r []rune) bool { return zxcvbn.PasswordStrength(string(r), words).Guesses < guesses }
	r := []rune(text)
	if len(r) <= zxcvbnRunes {
		return fewer(r)
	}
	return fewer(r[:zxcvbnRunes]) && fewer(r[len(r)-zxcvbnRunes:])
}

// pieces are the words that part of an address is made of: "acme-corp.com" is acme,
// corp, acmecorp and com.
func addressWords(s string) []string {
	var all []string
	for label := range strings.SplitSeq(s, ".") {
		words := strings.FieldsFunc(label, func(r rune) bool { return strings.ContainsRune("-_+", r) })
		all = append(append(all, words...), strings.Join(words, ""))
	}
	return append(all, s)
}

// splitWords takes names and addresses apart.
func splitWords(texts []string) []string {
	var all []string
	for _, t := range texts {
		all = append(all, strings.FieldsFunc(t, func(r rune) bool {
			return !unicode.IsLetter(r) &&
				!unicode.IsDigit(r)
		})...)
	}
	return all
}

// freeWordLists empties the global map in which zxcvbn keeps its word lists. zxcvbn reads them only once, at the start of
// the process, to build its dictionaries. The heap of a program that only loads zxcvbn is then 5.0 instead of 6.4 MiB.
var freeWordLists = sync.OnceFunc(func() { clear(frequency.FrequencyLists) })

// confirm compares a password with the one of the registration.
func (pw *Passwords) checkCurrent(ctx context.Context, hash, password string) error {
	if hash == "" {
		return ErrWrongPassword
	}
	ok, _, err := pw.Verify(ctx, hash, password)
	if err == nil && !ok || errors.Is(err, secret.ErrBadHash) {
		return ErrWrongPassword
	}
	return err
}

// hashNew checks a new password of the person with that address, and returns its hash.
func (pw *Passwords) hashNew(ctx context.Context, password, email, name string) (string, error) {
	if err := pw.Check(password, email, name); err != nil {
		return "", err
	}
	return pw.Hash(ctx, password)
}

// checkPerson names everything that is wrong with what a person who wants an account has typed, and returns the key of
// the address. The name may be empty. words are others that the password must not build on.
func (pw *Passwords) checkPerson(email, name, password string, words ...string) (emailKey string, err error) {
	var faults FieldErrors
	emailKey, err = EmailKey(email)
	faults.AddAll(err)
	if name != "" {
		checkName(&faults, "name", name, maxPersonName)
	}
	faults.AddAll(pw.Check(password, emailKey, append(words, name)...))
	return emailKey, faults.err()
}

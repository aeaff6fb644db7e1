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
	// A password that needs fewer guesses is common: a listed word, a pattern, or a word of the user's with a year.
	commonGuesses = 1e6
	// zxcvbn's time grows faster than the square of the length: it takes seconds for 128 characters that could replace
	// letters, and no slot limits it as for hashes. A longer password is judged by its beginning and its end.
	zxcvbnRunes = 32
)

// Check applies the rules for a new password of the user with that address: long enough, at most 256 characters, not
// the address, not common. There are no composition rules (NIST SP 800-63B-4, section 3.1.1.2). The error is
// FieldErrors.
func (pw *Passwords) Check(password, email string, words ...string) error {
	tooLong := FieldErrors{{Field: "password", Problem: fmt.Sprintf("has more than %d characters", secret.MaxPasswordChars),
		Remedy: "choose a shorter one"}}
	if len(password) > 16*secret.MaxPasswordChars { // before the work of normalizing it
		return tooLong
	}
	var faults FieldErrors
	// Too long an address or name is refused elsewhere; here it must not cost work.
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
		faults.Add("password", "is too easy to guess",
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

// drawnKeyGuesses is far less than 32 random characters need, and more than typed text needs.
const drawnKeyGuesses = 1e22

// IsMadeUp reports whether a key of 32 characters or more was typed by a person instead of drawn at random: words,
// rows of the keyboard, sequences, repetitions.
func IsMadeUp(key string) bool { return needsFewerGuesses(key, drawnKeyGuesses, nil) }

func needsFewerGuesses(text string, guesses float64, words []string) bool {
	fewer := func(r []rune) bool { return zxcvbn.PasswordStrength(string(r), words).Guesses < guesses }
	r := []rune(text)
	if len(r) <= zxcvbnRunes {
		return fewer(r)
	}
	return fewer(r[:zxcvbnRunes]) && fewer(r[len(r)-zxcvbnRunes:])
}

// addressWords are the words in a part of an address: "acme-corp.com" has acme, corp, acmecorp and com.
func addressWords(s string) []string {
	var all []string
	for label := range strings.SplitSeq(s, ".") {
		words := strings.FieldsFunc(label, func(r rune) bool { return strings.ContainsRune("-_+", r) })
		all = append(append(all, words...), strings.Join(words, ""))
	}
	return append(all, s)
}

// splitWords splits names and addresses into words.
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

// checkCurrent compares a typed password with the stored hash of the current one.
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

// checkPerson checks what a person has typed to get an account, and returns the key of the address. The name may be
// empty. The password must not be built on words either. The error is FieldErrors.
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

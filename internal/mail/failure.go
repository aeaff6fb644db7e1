package mail

import (
	"errors"
	"fmt"
	"regexp"
)

// failure says what an error means for the message it is about.
type failure struct {
	err        error
	hopeless   bool // no later try can mend it
	unanswered bool // the provider has all of it, and may have sent it
}

func (f *failure) Error() string { return f.err.Error() }

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.err }

// GiveUp marks err as one that no later try can mend.
func GiveUp(err error) error { return &failure{err: err, hopeless: true} }

// notYet marks err as the recipient's own trouble: try again, but the provider is
// well.
func notYet(err error) error { return &failure{err: err} }

// Permanent tells the error of a message that can never be delivered, such as to
// a mailbox that does not exist, from an outage.
func Permanent(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.hopeless
}

// noAnswer marks err as what came instead of an answer to all of a message: it may
// have been sent, and each other try may make another copy.
func noAnswer(err error) error {
	return &failure{err: fmt.Errorf("no answer to the whole message: %w", err), unanswered: true}
}

// unanswered tells the error of a message that may have been sent all the same.
func unanswered(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.unanswered
}

// outage reports whether err says that the provider does not work, rather than
// something about one recipient.
func outage(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return err != nil && (!ok || f.unanswered)
}

// maxReason bounds what is kept of a provider's words.
const maxReason = 300

// reason is err for the operator: one short line that does not name the recipient,
// neither as it was typed nor as servers have it, which may change its case.
func reason(err error, recipients ...string) string {
	text := err.Error()
	for _, r := range recipients {
		if r != "" {
			text = regexp.MustCompile(`(?i)`+regexp.QuoteMeta(r)).ReplaceAllLiteralString(text, "(the recipient)")
		}
	}
	return oneLine(text, maxReason)
}

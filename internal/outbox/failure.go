package outbox

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Failure is an error of a handler that concerns one message, while everything else may work.
type Failure struct {
	Err error
	// Permanent failures are given up at once: no later try can succeed.
	Permanent bool
	// MaybeSent says that the receiver got the whole message and did not answer. It may have delivered it, and each
	// further try may be another copy. The receiver counts as failing.
	MaybeSent bool
}

func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Permanent marks err as one that no later try can mend.
func Permanent(err error) error { return &Failure{Err: err, Permanent: true} }

// classify returns what err says about its message: the zero Failure for an outage.
func classify(err error) (f Failure, outage bool) {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return *failure, failure.MaybeSent
	}
	return Failure{Err: err}, err != nil
}

// MaxReason bounds what is kept of a receiver's words.
const MaxReason = 300

// OneLine drops what does not print, line ends and overrides of direction among it, and cuts s to limit characters.
func OneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		// The word joiner keeps a name from becoming a link.
		if !unicode.IsPrint(r) && r != 0x2060 || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit])
	}
	return s
}

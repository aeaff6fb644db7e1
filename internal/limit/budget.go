package limit

import "time"

// window is a number of failures, or of requests, that a stretch of time bears.
type window struct {
	name   string
	limit  int64
	length time.Duration
}

// subject is what a budget is counted for.
type subject int

const (
	ofAccount   subject = iota // on a known browser: that browser's share of it
	ofAddress                  // successes do not make up for failures: an attacker has an account too
	ofChallenge                // one half session
)

// rule is what a budget that is used up does.
type rule int

const (
	blocks     rule = iota
	counts          // never blocks by itself: it is the patience that blocksLate waits for
	blocksLate      // counts and blocks once patience has run out
)

type budget struct {
	window
	of   subject
	rule rule
	// later begins with the second failure in the kind's first window, and counts the
	// first then. Without it, guesses at a million made-up addresses would leave a
	// counter each for a month. A guess in every window is as slow as impatience asks.
	later bool
}

// kind is what somebody can attempt. It has at most five budgets, which is what
// storage reads and counts in one statement.
type kind struct {
	budgets []budget
	event   string // of the audit log
	// proof is what a browser shows with its device cookie after it got through. One
	// that a password earned gives no budget of its own for codes: whoever has stolen
	// a password could make as many as they like.
	proof proof
}

var (
	accountShort  = window{"account, 10 minutes", 10, 10 * time.Minute}
	accountLong   = window{"account, hour", 10, time.Hour}
	patience      = window{"account, consecutive", 100, 30 * 24 * time.Hour}
	addressMinute = window{"address, minute", 20, time.Minute}
	addressHour   = window{"address, hour", 100, time.Hour}
	clientMinute  = window{"client, minute", 600, time.Minute}

	challengeCodes = window{"challenge", 5, 24 * time.Hour} // longer than a half session lasts
	codesMinute    = window{"codes, minute", 20, time.Minute}
	codesLong      = window{"codes, hour", 10, time.Hour}
	codesPatience  = window{"codes, consecutive", 100, 30 * 24 * time.Hour}

	mailboxHour = window{"mailbox, hour", 5, time.Hour}
)

var passwords = kind{event: "sign_in.failed", proof: byPassword, budgets: []budget{
	{window: accountShort, of: ofAccount, rule: blocks}, {window: patience, of: ofAccount, rule: counts, later: true},
	{window: accountLong, of: ofAccount, rule: blocksLate}, {window: addressMinute, of: ofAddress, rule: blocks}, {window: addressHour, of: ofAddress, rule: blocks},
}}

var factors = kind{event: "factor.failed", proof: byFactor, budgets: []budget{
	{window: challengeCodes, of: ofChallenge, rule: blocks}, {window: codesMinute, of: ofAccount, rule: blocks}, {window: codesPatience, of: ofAccount, rule: counts},
	{window: codesLong, of: ofAccount, rule: blocksLate}, {window: addressMinute, of: ofAddress, rule: blocks},
}}

// Request is something that anybody may ask for, but not often.
type Request int

// The requests that are counted for the address they come from.
const (
	Registration Request = iota // 10 in a minute
	Recovery                    // 5 in a minute
)

func (r Request) window() window {
	if r == Registration {
		return window{"registrations, minute", 10, time.Minute}
	}
	return window{"recoveries, minute", 5, time.Minute}
}

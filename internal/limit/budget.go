package limit

import (
	"net/netip"
	"time"

	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/storage"
)

// window is a number of failures, or of requests, that a stretch of time bears.
type window struct {
	name   string
	limit  int64
	length time.Duration
}

// subject is what a budget is counted for.
type subject int

const (
	ofAccount   subject = iota // a known device has one of its own
	ofAddress                  // successes do not make up for failures: an attacker has an account too
	ofChallenge                // one half session
)

// rule is what a budget that is used up does.
type rule int

const (
	blocks     rule = iota
	counts          // never blocks by itself: reaching it is what blocksLate waits for
	blocksLate      // counts and blocks once a budget that counts is used up
)

type budget struct {
	window
	of   subject
	rule rule
	// skipsFirst leaves out a failure that is alone in the kind's first window. Otherwise,
	// guesses at a million made-up addresses would leave a counter each for a month.
	// A guess in every window is as slow as the budget of an hour allows.
	skipsFirst bool
}

// blocks reports whether a budget that is used up refuses an attempt.
func (b *budget) blocks(overLimit bool) bool {
	return b.rule == blocks || b.rule == blocksLate && overLimit
}

// kind is what somebody can attempt.
type kind struct {
	budgets []budget
	event   storage.EventType
	// proof is what a device cookie shows after it got through. One that a password
	// earned gives no budget of its own for codes: somebody who has stolen a password
	// could make as many as they like.
	proof device.Proof
}

var (
	passwords = kind{event: storage.EventSignInFailed, proof: device.ByPassword, budgets: []budget{
		{window: window{"account, 10 minutes", 10, 10 * time.Minute}, of: ofAccount, rule: blocks},
		{window: window{"account, consecutive", 100, 30 * 24 * time.Hour}, of: ofAccount, rule: counts, skipsFirst: true},
		{window: window{"account, hour", 10, time.Hour}, of: ofAccount, rule: blocksLate},
		{window: addressMinute, of: ofAddress, rule: blocks},
		{window: window{"address, hour", 100, time.Hour}, of: ofAddress, rule: blocks},
	}}
	codes = kind{event: storage.EventFactorFailed, proof: device.ByFactor, budgets: []budget{
		{window: window{"challenge", 5, 24 * time.Hour}, of: ofChallenge, rule: blocks}, // longer than a half session lasts
		{window: window{"codes, minute", 20, time.Minute}, of: ofAccount, rule: blocks},
		{window: window{"codes, consecutive", 100, 30 * 24 * time.Hour}, of: ofAccount, rule: counts},
		{window: window{"codes, hour", 10, time.Hour}, of: ofAccount, rule: blocksLate},
		{window: addressMinute, of: ofAddress, rule: blocks},
	}}

	addressMinute = window{"address, minute", 20, time.Minute}
	clientMinute  = window{"client, minute", 600, time.Minute}
	keysMinute    = window{"keys, minute", 60, time.Minute}
	mailboxHour   = window{"mailbox, hour", 5, time.Hour}
)

// Request is something that anybody may ask for, but not often.
type Request int

// The requests that are counted for the address they come from.
const (
	Registration Request = iota // 10 in a minute
	Recovery                    // 5 in a minute
	Upstream                    // 300 sign-ins with other providers begun in a minute
)

func (r Request) window() window {
	switch r {
	case Registration:
		return window{"registrations, minute", 10, time.Minute}
	case Upstream: // many people sign in from one network
		return window{"upstream sign-ins, minute", 300, time.Minute}
	}
	return window{"recoveries, minute", 5, time.Minute}
}

// prefix is what counts as one address: a customer's IPv6 line has a /64 at least.
func prefix(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		return netip.PrefixFrom(addr, 64).Masked().String()
	}
	return addr.String()
}

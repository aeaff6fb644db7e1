package assurance

import (
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// BeginGrace returns next as it replaces present at now: with the time from which it counts, and the policy that stays
// in force until then.
func BeginGrace(present, next storage.MFAPolicy, now time.Time) storage.MFAPolicy {
	next.Since = graceStart(present, next, now)
	next.Earlier = stillInForce(present, next, now)
	return next
}

// graceStart is when the grace of next begins. A passkey instead of a code is a different requirement, not a stricter
// one, so the grace begins again: a user with the other factor does not have this one. A shorter grace counts from
// now, but no user gets a later deadline than before.
func graceStart(present, next storage.MFAPolicy, now time.Time) time.Time {
	switch {
	case next.Require == "":
		return time.Time{}
	case present.Require == "", next.Require != present.Require && next.Require != storage.RequireAny:
		return now
	case next.GraceDays < present.GraceDays:
		if cut := present.Since.Add(Days(present.GraceDays - next.GraceDays)); cut.Before(now) {
			return cut
		}
		return now
	}
	return present.Since
}

// stillInForce is the policy that stays in force during the grace of next, so that a stricter policy does not switch
// off the current one. A policy that was not in force yet is dropped, so there is never more than one.
func stillInForce(present, next storage.MFAPolicy, now time.Time) *storage.MFAPolicy {
	switch {
	case next.Require == "", present.Require == "", !now.Before(next.Settled()):
		return nil
	case now.Before(present.Settled()):
		return present.Earlier
	case next.Require == present.Require, next.Require == storage.RequireAny:
		return nil // next only gives more time, or requires less
	}
	present.Earlier = nil
	return &present
}

// Days is a duration.
func Days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// RequirementText is what a policy requires, in a sentence of a page, a mail or a command.
func RequirementText(require string) string {
	return map[string]string{
		"":                     "no second step",
		storage.RequireAny:     "a second step",
		storage.RequireTOTP:    "an authenticator app",
		storage.RequirePasskey: "a passkey or security key",
	}[require]
}

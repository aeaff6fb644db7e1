package assurance

import (
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// BeginGrace returns next as it stands when it replaces present at now: from when it counts, and what goes on until then.
func BeginGrace(present, next storage.MFAPolicy, now time.Time) storage.MFAPolicy {
	next.Since = graceStart(present, next, now)
	next.Earlier = stillInForce(present, next, now)
	return next
}

// graceStart is when the grace of next begins. A passkey in place of a code is another
// requirement, not a stricter one, and begins anew too: nobody has it because they
// had the other. A shorter grace counts from now, but gives nobody a later deadline
// than they had.
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

// stillInForce is the policy that goes on while the grace of next runs. A stricter one must
// not switch off what is in force. What was itself not in force yet is forgotten, so
// there is never more than one.
func stillInForce(present, next storage.MFAPolicy, now time.Time) *storage.MFAPolicy {
	switch {
	case next.Require == "", present.Require == "", !now.Before(next.Settled()):
		return nil
	case now.Before(present.Settled()):
		return present.Earlier
	case next.Require == present.Require, next.Require == storage.RequireAny:
		return nil // more time, or less to have
	}
	present.Earlier = nil
	return &present
}

// Days is a duration.
func Days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// RequirementText is what a policy requires, as pages, mails and commands say it in a sentence.
func RequirementText(require string) string {
	switch require {
	case "":
		return "no second step"
	case storage.RequireTOTP:
		return "an authenticator app"
	case storage.RequirePasskey:
		return "a passkey or security key"
	}
	return "a second step"
}

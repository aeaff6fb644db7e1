package assurance

import (
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// condition is what a requirement asks for after its deadline: one of oneOf.
type condition struct {
	*storage.Requirement
	oneOf []string
}

// conditions are what requirements mean now. During the grace of a policy the previous one stays in force, but a user
// who already meets the new one need not meet it.
func conditions(all []storage.Requirement, now time.Time) []condition {
	var out []condition
	for n := range all {
		r := &all[n]
		if r.Policy.Require == "" {
			continue
		}
		if e := r.Policy.Earlier; e != nil && now.Before(r.Policy.Settled()) {
			before := &storage.Requirement{Policy: *e, Organization: r.Organization, From: r.From}
			out = append(out, condition{before, []string{e.Require, r.Policy.Require}})
		}
		out = append(out, condition{r, []string{r.Policy.Require}})
	}
	return out
}

func (c condition) over(now time.Time) bool { return !now.Before(c.Deadline()) }

// enrolled reports whether a user with these factors meets the condition.
func (c condition) enrolled(factors []string) bool {
	return slices.ContainsFunc(c.oneOf, func(r string) bool { return HasEnrolled(factors, r) })
}

// enrollable are the kinds of which one can be enrolled to meet the condition.
func (c condition) enrollable() []string {
	var kinds []string
	for _, require := range c.oneOf {
		kinds = append(kinds, accepted(require)...)
	}
	return slices.DeleteFunc(inOrder(kinds), func(k string) bool { return k == FactorRecovery })
}

// inOrder are these kinds, each once, in the order to offer them.
func inOrder(kinds []string) []string {
	return slices.DeleteFunc(accepted(storage.RequireAny), func(k string) bool { return !slices.Contains(kinds, k) })
}

// IsOverdue reports whether a user with these factors does not meet a requirement whose deadline is over.
func IsOverdue(factors []string, requirements []storage.Requirement, now time.Time) bool {
	return slices.ContainsFunc(conditions(requirements, now), func(c condition) bool {
		return c.over(now) &&
			!c.enrolled(factors)
	})
}

// RequiredKinds are sets of kinds; a user with these requirements must keep a factor of each set, even before the
// deadline.
func RequiredKinds(requirements []storage.Requirement, now time.Time) [][]string {
	var sets [][]string
	for _, c := range conditions(requirements, now) {
		sets = append(sets, c.enrollable())
	}
	return sets
}

// HasEnrolled reports whether a user with these factors has what a policy requires.
func HasEnrolled(factors []string, require string) bool {
	switch require {
	case "":
		return true
	case storage.RequireTOTP:
		return slices.Contains(factors, storage.FactorTOTP)
	case storage.RequirePasskey:
		return slices.Contains(factors, storage.FactorWebAuthn)
	}
	return len(factors) > 0
}

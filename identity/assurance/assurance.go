package assurance

import (
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// The authentication context classes, from less to more (OpenID Connect Core 1.0,
// section 2; phr is of OpenID Connect Extended Authentication Profile ACR Values).
const (
	ACRPassword          = "urn:sallyport:acr:pwd"
	ACRMFA               = "urn:sallyport:acr:mfa"
	ACRPhishingResistant = "phr"
)

// Authentication methods (RFC 8176, section 2).
const (
	AMRPassword = "pwd"
	AMROTP      = "otp"
	AMRMFA      = "mfa"
	// The key of a WebAuthn authenticator cannot leave it, or can be backed up.
	AMRHardwareKey = "hwk"
	AMRSoftwareKey = "swk"
)

// acrRank orders the contexts; a stronger one answers for a weaker one.
var acrRank = map[string]int{ACRPassword: 1, ACRMFA: 2, ACRPhishingResistant: 3}

// ACRs are the contexts that can be asked for, the weakest first.
func ACRs() []string { return []string{ACRPassword, ACRMFA, ACRPhishingResistant} }

// Satisfies reports whether a sign-in with acr have answers one of the contexts wanted.
func Satisfies(have string, wanted []string) bool {
	return slices.ContainsFunc(wanted, func(w string) bool { return acrRank[w] > 0 && acrRank[have] >= acrRank[w] })
}

// StrongestSatisfied is the strongest of the contexts wanted that a sign-in with acr have answers;
// "" if it answers none.
func StrongestSatisfied(have string, wanted []string) string {
	best := ""
	for _, w := range wanted {
		if Satisfies(have, []string{w}) && acrRank[w] > acrRank[best] {
			best = w
		}
	}
	return best
}

// FactorRecovery is a recovery code where kinds of second factors are named.
const FactorRecovery = "recovery"

// Input is all that decides what a sign-in still needs.
type Input struct {
	// Factors are the kinds that the person has enrolled: storage.User.Factors.
	Factors []string
	// ACR and AMR are what the session has proven.
	ACR string
	AMR []string
	// Requirements apply to the person for what they are about to do.
	Requirements []storage.Requirement
	// Wanted are contexts that would be better than what there is, in order of
	// preference: asked for if the person can reach one, else let be.
	Wanted []string
	Now    time.Time
}

// Decision is what a sign-in still needs. The zero value is a complete one.
type Decision struct {
	// Verify are the kinds of second factors of which one is to be shown, in the
	// order they should be offered.
	Verify []string
	// VerifyFor is the requirement that a kind of Verify is to meet, and nothing else does; nil
	// if it is the person's own factors, or a wanted context, that ask.
	VerifyFor *storage.Requirement
	// Enrol are the kinds of which one is to be enrolled before anything else: the
	// time for it is over. EnrolFor is the requirement that asks for it.
	Enrol    []string
	EnrolFor *storage.Requirement
	// Deadline is when the earliest requirement will be enforced that the person has
	// nothing for yet, and Upcoming that one. Zero if there is none.
	Deadline time.Time
	Upcoming *storage.Requirement
}

// Incomplete reports whether anything must happen before the person may go on.
func (a *Decision) Incomplete() bool { return len(a.Verify) > 0 || len(a.Enrol) > 0 }

// accepted are the kinds that meet a requirement, in the order to offer them. A
// recovery code stands in for an authenticator app that was lost, never where
// nothing that can be phished will do.
func accepted(require string) []string {
	switch require {
	case storage.RequireTOTP:
		return []string{storage.FactorTOTP, FactorRecovery}
	case storage.RequirePasskey:
		return []string{storage.FactorWebAuthn}
	}
	return []string{storage.FactorWebAuthn, storage.FactorTOTP, FactorRecovery}
}

// hasProven reports whether a session has proven what a requirement asks for. otp alone
// does not say of what: it is that of a recovery code too, which stands in only for
// an app that there is. The methods count beside the context, since a client that
// asked for a weaker one was told no more.
func (s *Input) hasProven(require string) bool {
	switch require {
	case storage.RequireTOTP:
		return slices.Contains(s.Factors, storage.FactorTOTP) && slices.Contains(s.AMR, AMROTP)
	case storage.RequirePasskey:
		return s.ACR == ACRPhishingResistant || slices.Contains(s.AMR, AMRHardwareKey) || slices.Contains(s.AMR,
			AMRSoftwareKey)
	}
	return acrRank[s.ACR] >= acrRank[ACRMFA] || slices.Contains(s.AMR, AMRMFA)
}

// NeedsSecondFactor reports whether a person with these factors has proven none of them: such
// a session carries no rights yet.
func NeedsSecondFactor(factors []string, acr string) bool {
	return len(factors) > 0 && acrRank[acr] < acrRank[ACRMFA]
}

// Evaluate decides what a sign-in still needs. A person who has a second factor proves one.
// Then each requirement whose deadline is over asks for a factor that it accepts; a person
// who has none enrols one. Before the deadline no person is asked, not even one who has
// such a factor, so that a lost one can be replaced. Proving comes before enrolling.
//
// Until the person's own factor is proven, what organizations require is left out:
// the answer would tell whoever has the password where the person is a member.
func Evaluate(s Input) Decision {
	var a Decision
	half := NeedsSecondFactor(s.Factors, s.ACR)
	if half {
		a.ask(s.available(accepted(storage.RequireAny)))
	}
	var enrol []string
	var overdue *storage.Requirement
	for _, d := range conditions(s.Requirements, s.Now) {
		if half && d.Organization != nil || slices.ContainsFunc(d.oneOf, s.hasProven) {
			continue
		}
		if deadline := d.Deadline(); s.Now.Before(deadline) {
			if !d.enrolled(s.Factors) && (a.Upcoming == nil || deadline.Before(a.Deadline)) {
				a.Deadline, a.Upcoming = deadline, d.Requirement
			}
			continue
		}
		if kinds := s.availableFor(d); len(kinds) > 0 {
			a.ask(kinds)
			a.VerifyFor = d.Requirement
			continue
		}
		if enrol == nil {
			enrol, overdue = d.enrollable(), d.Requirement
		}
	}
	if kinds := s.stepUpKinds(); len(s.Wanted) > 0 && !Satisfies(s.ACR, s.Wanted) && len(kinds) > 0 {
		a.ask(kinds)
	}
	if len(a.Verify) == 0 {
		a.Enrol, a.EnrolFor = enrol, overdue
	}
	return a
}

// CanSatisfy reports whether a person with these factors can satisfy one of the contexts wanted.
func CanSatisfy(factors, wanted []string) bool {
	s := Input{Factors: factors, Wanted: wanted}
	return Satisfies(ACRPassword, wanted) || len(s.stepUpKinds()) > 0
}

// OverdueSince returns the earliest deadline that is over of a requirement that is not
// met by what the person has, or not by what was proven; false if there is none.
func (s *Input) OverdueSince() (since time.Time, overdue bool) {
	for _, d := range conditions(s.Requirements, s.Now) {
		if !d.over(s.Now) || slices.ContainsFunc(d.oneOf, func(r string) bool {
			return HasEnrolled(s.Factors, r) &&
				s.hasProven(r)
		}) {
			continue
		}
		if deadline := d.Deadline(); !overdue || deadline.Before(since) {
			since, overdue = deadline, true
		}
	}
	return since, overdue
}

// ask narrows what is to be proven down to kinds. What has nothing in common with
// what was asked before is asked after it.
func (a *Decision) ask(kinds []string) {
	if len(a.Verify) == 0 {
		a.Verify = kinds
		return
	}
	both := slices.DeleteFunc(slices.Clone(a.Verify), func(k string) bool { return !slices.Contains(kinds, k) })
	if len(both) > 0 {
		a.Verify = both
	}
}

// available are those of kinds that the person can show: recovery codes come with the
// first other factor.
func (s *Input) available(kinds []string) []string {
	mine := slices.DeleteFunc(slices.Clone(kinds), func(k string) bool {
		return k != FactorRecovery &&
			!slices.Contains(s.Factors, k)
	})
	if len(s.Factors) == 0 || len(mine) == 1 && mine[0] == FactorRecovery && !slices.Contains(kinds,
		storage.FactorWebAuthn) {
		return nil
	}
	return mine
}

// availableFor are the kinds that the person can show to meet a condition.
func (s *Input) availableFor(d condition) []string {
	var mine []string
	for _, require := range d.oneOf {
		mine = append(mine, s.available(accepted(require))...)
	}
	return inOrder(mine)
}

// stepUpKinds are the kinds that reach the first of the wanted contexts that can be reached.
func (s *Input) stepUpKinds() []string {
	for _, w := range s.Wanted {
		require := ""
		switch w {
		case ACRMFA:
			require = storage.RequireAny
		case ACRPhishingResistant:
			require = storage.RequirePasskey
		default:
			continue
		}
		if kinds := s.available(accepted(require)); len(kinds) > 0 {
			return kinds
		}
	}
	return nil
}

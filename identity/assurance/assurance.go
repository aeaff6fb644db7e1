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
	// The key of a WebAuthn authenticator cannot leave it (hwk), or can be backed up (swk).
	AMRHardwareKey = "hwk"
	AMRSoftwareKey = "swk"
)

// acrRank orders the contexts; a stronger one satisfies a weaker one.
var acrRank = map[string]int{ACRPassword: 1, ACRMFA: 2, ACRPhishingResistant: 3}

// ACRs are the contexts that can be requested, the weakest first.
func ACRs() []string { return []string{ACRPassword, ACRMFA, ACRPhishingResistant} }

// Satisfies reports whether a sign-in with the acr have satisfies one of the wanted contexts.
func Satisfies(have string, wanted []string) bool {
	return slices.ContainsFunc(wanted, func(w string) bool { return acrRank[w] > 0 && acrRank[have] >= acrRank[w] })
}

// StrongestSatisfied is the strongest wanted context that a sign-in with the acr have satisfies; "" if there is none.
func StrongestSatisfied(have string, wanted []string) string {
	best := ""
	for _, w := range wanted {
		if Satisfies(have, []string{w}) && acrRank[w] > acrRank[best] {
			best = w
		}
	}
	return best
}

// FactorRecovery is the name of recovery codes among the kinds of factors.
const FactorRecovery = "recovery"

// Input is everything that decides what a sign-in still needs.
type Input struct {
	// Factors are the enrolled kinds: storage.User.Factors.
	Factors []string
	// ACR and AMR are what the session has proven.
	ACR string
	AMR []string
	// Requirements apply to the user for the intended action.
	Requirements []storage.Requirement
	// Wanted are preferred contexts in order of preference. They are asked for if the user can reach one, and ignored
	// otherwise.
	Wanted []string
	Now    time.Time
}

// Decision is what a sign-in still needs. The zero value means nothing.
type Decision struct {
	// Verify are the kinds of factors of which the user has to verify one, in the order to offer them.
	Verify []string
	// VerifyFor is the requirement that only a kind in Verify meets; nil if the reason is the user's own factor or a
	// wanted context.
	VerifyFor *storage.Requirement
	// Enrol are the kinds of which one has to be enrolled before anything else, because a deadline is over. EnrolFor
	// is the requirement with that deadline.
	Enrol    []string
	EnrolFor *storage.Requirement
	// Deadline is the earliest deadline of a requirement that the user has no factor for, and Upcoming is that
	// requirement. Zero if there is none.
	Deadline time.Time
	Upcoming *storage.Requirement
}

// Incomplete reports whether the user has to do something before going on.
func (a *Decision) Incomplete() bool { return len(a.Verify) > 0 || len(a.Enrol) > 0 }

// accepted are the kinds that meet a requirement, in the order to offer them. A recovery code replaces a lost
// authenticator app, but never a factor that resists phishing.
func accepted(require string) []string {
	switch require {
	case storage.RequireTOTP:
		return []string{storage.FactorTOTP, FactorRecovery}
	case storage.RequirePasskey:
		return []string{storage.FactorWebAuthn}
	}
	return []string{storage.FactorWebAuthn, storage.FactorTOTP, FactorRecovery}
}

// hasProven reports whether the session has proven what a requirement asks for. otp alone is ambiguous: a recovery
// code has it too, which counts only for a user with an authenticator app. The methods are checked beside the context,
// because a client that requested a weaker context was told that one.
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

// NeedsSecondFactor reports whether a user with these factors has verified none of them. Such a session has no rights
// yet.
func NeedsSecondFactor(factors []string, acr string) bool {
	return len(factors) > 0 && acrRank[acr] < acrRank[ACRMFA]
}

// Evaluate decides what a sign-in still needs. A user who has a second factor verifies one. Then each requirement whose
// deadline is over asks for a factor that it accepts; a user without one enrols one. Before the deadline no user is
// asked, not even one who has such a factor, so that a lost one can be replaced. Verifying comes before enrolling.
//
// Until the user's own factor is verified, the requirements of organizations are left out: the decision would reveal the
// user's memberships to an attacker who has only the password.
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

// CanSatisfy reports whether a user with these factors can satisfy one of the wanted contexts.
func CanSatisfy(factors, wanted []string) bool {
	s := Input{Factors: factors, Wanted: wanted}
	return Satisfies(ACRPassword, wanted) || len(s.stepUpKinds()) > 0
}

// OverdueSince returns the earliest deadline of an overdue requirement that the enrolled factors or the proven ones do
// not meet; false if there is none.
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

// ask reduces Verify to the kinds. If the two have nothing in common, the kinds are asked for in a later step.
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

// available are those of kinds that the user can show. Recovery codes exist if another factor does.
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

// availableFor are the kinds by which the user can meet a condition.
func (s *Input) availableFor(d condition) []string {
	var mine []string
	for _, require := range d.oneOf {
		mine = append(mine, s.available(accepted(require))...)
	}
	return inOrder(mine)
}

// stepUpKinds are the kinds for the first wanted context that can be reached.
func (s *Input) stepUpKinds() []string {
	for _, w := range s.Wanted {
		require, known := map[string]string{ACRMFA: storage.RequireAny, ACRPhishingResistant: storage.RequirePasskey}[w]
		if kinds := s.available(accepted(require)); known && len(kinds) > 0 {
			return kinds
		}
	}
	return nil
}

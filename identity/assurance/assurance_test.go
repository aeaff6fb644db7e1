package assurance

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/storage"
)

// A sign-in needs the same however it was made.
func TestWhatASignInNeeds(t *testing.T) {
	const totp, webauthn, recovery = storage.FactorTOTP, storage.FactorWebAuthn, FactorRecovery
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	policy := func(require string, days int) storage.Requirement {
		return storage.Requirement{Policy: storage.MFAPolicy{Require: require, GraceDays: days, Since: now.Add(-24 * time.Hour)}, From: now.Add(-30 * 24 * time.Hour)}
	}
	before := func(require, next string) []storage.Requirement {
		r := policy(next, 7)
		r.Policy.Earlier = &storage.MFAPolicy{Require: require, Since: now.Add(-90 * 24 * time.Hour)}
		return []storage.Requirement{r}
	}
	list := func(all ...string) []string { return all }
	pwd, otp := list("pwd"), list("pwd", "otp", "mfa")
	for name, tc := range map[string]struct {
		factors      []string
		acr          string
		amr          []string
		requirements []storage.Requirement
		wanted       []string
		prove, enrol []string
		deadline     bool
	}{
		"a password is enough for who has nothing else":     {acr: ACRPassword, amr: pwd},
		"who has a factor shows it":                         {factors: list(totp), acr: ACRPassword, amr: pwd, prove: list(totp, recovery)},
		"a passkey is offered first":                        {factors: list(totp, webauthn), acr: ACRPassword, amr: pwd, prove: list(webauthn, totp, recovery)},
		"who has shown it owes nothing":                     {factors: list(totp), acr: ACRMFA, amr: otp},
		"a passkey sign-in owes nothing":                    {factors: list(totp, webauthn), acr: ACRPhishingResistant, amr: list("hwk", "user", "mfa")},
		"any: within the grace":                             {acr: ACRPassword, amr: pwd, requirements: []storage.Requirement{policy(storage.RequireAny, 7)}, deadline: true},
		"any: after it":                                     {acr: ACRPassword, amr: pwd, requirements: []storage.Requirement{policy(storage.RequireAny, 1)}, enrol: list(webauthn, totp)},
		"passkey: within the grace any will do":             {factors: list(totp, webauthn), acr: ACRPassword, amr: pwd, requirements: []storage.Requirement{policy(storage.RequirePasskey, 7)}, prove: list(webauthn, totp, recovery)},
		"passkey: within the grace a code is enough":        {factors: list(totp, webauthn), acr: ACRMFA, amr: otp, requirements: []storage.Requirement{policy(storage.RequirePasskey, 7)}},
		"totp: within the grace a passkey is enough":        {factors: list(totp, webauthn), acr: ACRPhishingResistant, amr: list("swk", "user", "mfa"), requirements: []storage.Requirement{policy(storage.RequireTOTP, 7)}},
		"passkey: within the grace who has none is told":    {factors: list(totp), acr: ACRMFA, amr: otp, requirements: []storage.Requirement{policy(storage.RequirePasskey, 7)}, deadline: true},
		"any: no grace":                                     {acr: ACRPassword, amr: pwd, requirements: []storage.Requirement{policy(storage.RequireAny, 0)}, enrol: list(webauthn, totp)},
		"any: met by an app":                                {factors: list(totp), acr: ACRMFA, amr: otp, requirements: []storage.Requirement{policy(storage.RequireAny, 0)}},
		"passkey: an app does not do":                       {factors: list(totp), acr: ACRMFA, amr: otp, requirements: []storage.Requirement{policy(storage.RequirePasskey, 0)}, enrol: list(webauthn)},
		"passkey: prove first, then enrol":                  {factors: list(totp), acr: ACRPassword, amr: pwd, requirements: []storage.Requirement{policy(storage.RequirePasskey, 0)}, prove: list(totp, recovery)},
		"passkey: only it is offered to who has it":         {factors: list(totp, webauthn), acr: ACRPassword, amr: pwd, requirements: []storage.Requirement{policy(storage.RequirePasskey, 0)}, prove: list(webauthn)},
		"passkey: after a code, the passkey still":          {factors: list(totp, webauthn), acr: ACRMFA, amr: otp, requirements: []storage.Requirement{policy(storage.RequirePasskey, 0)}, prove: list(webauthn)},
		"totp: a passkey does not do":                       {factors: list(totp, webauthn), acr: ACRPhishingResistant, amr: list("swk", "user", "mfa"), requirements: []storage.Requirement{policy(storage.RequireTOTP, 0)}, prove: list(totp, recovery)},
		"totp: recovery codes of a passkey do not stand in": {factors: list(webauthn), acr: ACRPhishingResistant, amr: list("swk", "user", "mfa"), requirements: []storage.Requirement{policy(storage.RequireTOTP, 0)}, enrol: list(totp)},
		"totp: nor when one was shown":                      {factors: list(webauthn), acr: ACRMFA, amr: otp, requirements: []storage.Requirement{policy(storage.RequireTOTP, 0)}, enrol: list(totp)},
		"totp and passkey, one after the other":             {factors: list(totp, webauthn), acr: ACRPassword, amr: pwd, requirements: []storage.Requirement{policy(storage.RequireTOTP, 0), policy(storage.RequirePasskey, 0)}, prove: list(totp, recovery)},
		"the earliest deadline counts":                      {acr: ACRPassword, amr: pwd, requirements: []storage.Requirement{policy(storage.RequireAny, 9), policy(storage.RequireTOTP, 7)}, deadline: true},
		"the policy before goes on":                         {acr: ACRPassword, amr: pwd, requirements: before(storage.RequireAny, storage.RequirePasskey), enrol: list(webauthn, totp), deadline: true},
		"the policy before is met":                          {factors: list(totp), acr: ACRMFA, amr: otp, requirements: before(storage.RequireAny, storage.RequirePasskey), deadline: true},
		"the policy before or the new one":                  {factors: list(webauthn), acr: ACRPhishingResistant, amr: list("hwk", "user", "mfa"), requirements: before(storage.RequireTOTP, storage.RequirePasskey)},
		"the new one is there, a recovery code shown":       {factors: list(webauthn), acr: ACRMFA, amr: otp, requirements: before(storage.RequireTOTP, storage.RequirePasskey), prove: list(webauthn)},
		"nothing of either":                                 {acr: ACRPassword, amr: pwd, requirements: before(storage.RequireTOTP, storage.RequirePasskey), enrol: list(webauthn, totp), deadline: true},
		"wanted and reachable":                              {factors: list(webauthn), acr: ACRMFA, amr: otp, wanted: list(ACRPhishingResistant), prove: list(webauthn)},
		"wanted and out of reach":                           {factors: list(totp), acr: ACRMFA, amr: otp, wanted: list(ACRPhishingResistant)},
		"wanted, the second choice reachable":               {factors: list(totp), acr: ACRPassword, amr: pwd, wanted: list(ACRPhishingResistant, ACRMFA), prove: list(totp, recovery)},
		"wanted by nobody's factor":                         {acr: ACRPassword, amr: pwd, wanted: list(ACRMFA)},
		"wanted and there":                                  {factors: list(totp), acr: ACRMFA, amr: otp, wanted: list(ACRMFA)},
		"an unknown context is nothing":                     {acr: ACRPassword, amr: pwd, wanted: list("urn:other")},
	} {
		got := Evaluate(Input{Factors: tc.factors, ACR: tc.acr, AMR: tc.amr, Requirements: tc.requirements, Wanted: tc.wanted, Now: now})
		if diff := cmp.Diff([][]string{tc.prove, tc.enrol}, [][]string{got.Verify, got.Enrol}); diff != "" {
			t.Errorf("%s: prove, enrol (-want +got):\n%s", name, diff)
		}
		if tc.deadline != (!got.Deadline.IsZero() && got.Upcoming != nil && got.Deadline.Equal(now.Add(6*24*time.Hour))) {
			t.Errorf("%s: deadline %v for %v", name, got.Deadline, got.Upcoming)
		}
		if got.Incomplete() != (tc.prove != nil || tc.enrol != nil) {
			t.Errorf("%s: incomplete %v", name, got.Incomplete())
		}
	}
}

// A policy that came after the person counts from when it came, and the other way round.
func TestDeadlines(t *testing.T) {
	day := 24 * time.Hour
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	r := storage.Requirement{Policy: storage.MFAPolicy{GraceDays: 7, Since: now}, From: now.Add(-day)}
	if got := r.Deadline(); !got.Equal(now.Add(7 * day)) {
		t.Errorf("the policy is newer: %v", got)
	}
	r.From = now.Add(day)
	if got := r.Deadline(); !got.Equal(now.Add(8 * day)) {
		t.Errorf("the person is newer: %v", got)
	}
}

// An essential acr waits only for what can be reached.
func TestWhatCanBeReached(t *testing.T) {
	for _, tc := range []struct {
		factors []string
		wanted  []string
		want    bool
	}{
		{nil, []string{ACRPassword}, true},
		{nil, []string{ACRMFA}, false},
		{[]string{storage.FactorTOTP}, []string{ACRMFA}, true},
		{[]string{storage.FactorTOTP}, []string{ACRPhishingResistant}, false},
		{[]string{storage.FactorWebAuthn}, []string{ACRPhishingResistant}, true},
		{[]string{storage.FactorWebAuthn}, []string{"gold"}, false},
	} {
		if got := CanSatisfy(tc.factors, tc.wanted); got != tc.want {
			t.Errorf("%v reach %v: got %v", tc.factors, tc.wanted, got)
		}
	}
}

// Past its deadline a policy asks for what the person has and for what was
// shown, before it for neither.
func TestWhatAGrantMustHaveProven(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	app, key := []string{storage.FactorTOTP}, []string{storage.FactorWebAuthn}
	pwd, otp, hwk := []string{"pwd"}, []string{"pwd", "otp", "mfa"}, []string{"hwk", "user", "mfa"}
	for name, c := range map[string]struct {
		require string
		grace   int
		factors []string
		acr     string
		amr     []string
		want    bool
	}{
		"no policy":                       {"", 0, nil, ACRPassword, pwd, false},
		"within the grace":                {storage.RequireAny, 7, nil, ACRPassword, pwd, false},
		"nothing enrolled":                {storage.RequireAny, 0, nil, ACRPassword, pwd, true},
		"enrolled since":                  {storage.RequireAny, 0, app, ACRPassword, pwd, true},
		"shown":                           {storage.RequireAny, 0, app, ACRMFA, otp, false},
		"shown, and gone since":           {storage.RequireAny, 0, nil, ACRMFA, otp, true},
		"a key shown, a password told":    {storage.RequirePasskey, 0, key, ACRPassword, hwk, false},
		"a key enrolled, a code shown":    {storage.RequirePasskey, 0, key, ACRMFA, otp, true},
		"a code shown, a password told":   {storage.RequireAny, 0, app, ACRPassword, otp, false},
		"an app enrolled, the key shown":  {storage.RequireTOTP, 0, app, ACRPhishingResistant, hwk, true},
		"the recovery code of a key":      {storage.RequireTOTP, 0, key, ACRMFA, otp, true},
		"an app enrolled, its code shown": {storage.RequireTOTP, 0, app, ACRMFA, otp, false},
	} {
		s := Input{Factors: c.factors, ACR: c.acr, AMR: c.amr, Now: now, Requirements: []storage.Requirement{
			{Policy: storage.MFAPolicy{Require: c.require, GraceDays: c.grace, Since: now.Add(-24 * time.Hour)}, From: now.Add(-48 * time.Hour)}}}
		if _, got := s.OverdueSince(); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

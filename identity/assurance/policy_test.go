package assurance

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/storage"
)

// Tightening gives people their time anew, loosening takes none away, and nobody
// gains time by a shorter grace.
func TestWhenTheGraceBegins(t *testing.T) {
	set := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := set.Add(Days(10))
	policy := func(require string, grace int) storage.MFAPolicy {
		return storage.MFAPolicy{Require: require, GraceDays: grace, Since: set}
	}
	none := storage.MFAPolicy{}
	for name, c := range map[string]struct {
		present, next storage.MFAPolicy
		want          time.Time
	}{
		"the first one":                    {none, policy(storage.RequireAny, 14), now},
		"the same":                         {policy(storage.RequireAny, 14), policy(storage.RequireAny, 14), set},
		"any to passkey":                   {policy(storage.RequireAny, 14), policy(storage.RequirePasskey, 14), now},
		"any to totp":                      {policy(storage.RequireAny, 14), policy(storage.RequireTOTP, 14), now},
		"totp to passkey":                  {policy(storage.RequireTOTP, 14), policy(storage.RequirePasskey, 14), now},
		"passkey to totp":                  {policy(storage.RequirePasskey, 14), policy(storage.RequireTOTP, 14), now},
		"passkey to any":                   {policy(storage.RequirePasskey, 14), policy(storage.RequireAny, 14), set},
		"totp to any":                      {policy(storage.RequireTOTP, 14), policy(storage.RequireAny, 14), set},
		"away":                             {policy(storage.RequireAny, 14), none, time.Time{}},
		"longer":                           {policy(storage.RequireAny, 14), policy(storage.RequireAny, 30), set},
		"shorter, more than was left":      {policy(storage.RequireAny, 14), policy(storage.RequireAny, 7), set.Add(Days(7))}, // to day 14, as before
		"shorter, less than was left":      {policy(storage.RequireAny, 30), policy(storage.RequireAny, 7), now},              // to day 17 instead of 30
		"at once":                          {policy(storage.RequireAny, 30), policy(storage.RequireAny, 0), now},
		"shorter, when it was over anyway": {policy(storage.RequireAny, 5), policy(storage.RequireAny, 3), set.Add(Days(2))},
	} {
		if got := BeginGrace(c.present, c.next, now).Since; !got.Equal(c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// A stricter policy does not switch off the one in force while its grace runs, and
// one that was not in force yet does not come to be by being replaced.
func TestWhatGoesOnUnderAStricterPolicy(t *testing.T) {
	now := time.Date(2026, 1, 11, 0, 0, 0, 0, time.UTC)
	policy := func(require string, grace, age int) storage.MFAPolicy {
		return storage.MFAPolicy{Require: require, GraceDays: grace, Since: now.Add(-Days(age))}
	}
	over := func(p, before storage.MFAPolicy) storage.MFAPolicy { p.Earlier = &before; return p }
	before := policy(storage.RequireAny, 0, 90)
	for name, c := range map[string]struct {
		present storage.MFAPolicy
		require string
		grace   int
		want    *storage.MFAPolicy
	}{
		"the first one":                        {storage.MFAPolicy{}, storage.RequireAny, 30, nil},
		"one in force":                         {before, storage.RequirePasskey, 30, &before},
		"without a grace":                      {before, storage.RequirePasskey, 0, nil},
		"one that was not in force yet":        {policy(storage.RequireAny, 30, 5), storage.RequirePasskey, 30, nil},
		"two that follow each other at once":   {over(policy(storage.RequirePasskey, 30, 5), before), storage.RequireTOTP, 30, &before},
		"the same, with more time":             {over(policy(storage.RequirePasskey, 30, 5), before), storage.RequirePasskey, 60, &before},
		"the same, with none":                  {over(policy(storage.RequirePasskey, 30, 5), before), storage.RequirePasskey, 0, nil},
		"back to what was before":              {over(policy(storage.RequirePasskey, 30, 5), before), storage.RequireAny, 30, &before},
		"away":                                 {before, "", 0, nil},
		"what is over by now":                  {over(policy(storage.RequirePasskey, 3, 5), before), storage.RequirePasskey, 3, nil},
		"what is over by now, and a third one": {over(policy(storage.RequirePasskey, 3, 5), before), storage.RequireTOTP, 9, &storage.MFAPolicy{Require: storage.RequirePasskey, GraceDays: 3, Since: now.Add(-Days(5))}},
		"more time for the one in force":       {before, storage.RequireAny, 90 + 30, nil},
	} {
		next := storage.MFAPolicy{Require: c.require, GraceDays: c.grace}
		if diff := cmp.Diff(c.want, BeginGrace(c.present, next, now).Earlier); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

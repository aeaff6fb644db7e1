package identity

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// Tightening gives people their time anew, loosening takes none away, and nobody
// gains time by a shorter grace.
func TestWhenTheGraceBegins(t *testing.T) {
	set := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := set.Add(days(10))
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
		"shorter, more than was left":      {policy(storage.RequireAny, 14), policy(storage.RequireAny, 7), set.Add(days(7))}, // to day 14, as before
		"shorter, less than was left":      {policy(storage.RequireAny, 30), policy(storage.RequireAny, 7), now},              // to day 17 instead of 30
		"at once":                          {policy(storage.RequireAny, 30), policy(storage.RequireAny, 0), now},
		"shorter, when it was over anyway": {policy(storage.RequireAny, 5), policy(storage.RequireAny, 3), set.Add(days(2))},
	} {
		if got := begins(c.present, c.next, now); !got.Equal(c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// A stricter policy does not switch off the one in force while its grace runs, and
// one that was not in force yet does not come to be by being replaced.
func TestWhatGoesOnUnderAStricterPolicy(t *testing.T) {
	now := time.Date(2026, 1, 11, 0, 0, 0, 0, time.UTC)
	policy := func(require string, grace, age int) storage.MFAPolicy {
		return storage.MFAPolicy{Require: require, GraceDays: grace, Since: now.Add(-days(age))}
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
		"what is over by now, and a third one": {over(policy(storage.RequirePasskey, 3, 5), before), storage.RequireTOTP, 9, &storage.MFAPolicy{Require: storage.RequirePasskey, GraceDays: 3, Since: now.Add(-days(5))}},
		"more time for the one in force":       {before, storage.RequireAny, 90 + 30, nil},
	} {
		next := storage.MFAPolicy{Require: c.require, GraceDays: c.grace}
		next.Since = begins(c.present, next, now)
		if diff := cmp.Diff(c.want, earlier(c.present, next, now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhoSetsPolicies(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		acme, owner := in.organization(t, "acme")
		_, stranger := in.organization(t, "other")
		root := Actor{UserID: in.user(t, "root@sallyport.test", true).ID}
		for name, c := range map[string]struct {
			a                      Actor
			organization, platform error
		}{
			"owner":    {owner, nil, ErrForbidden},
			"admin":    {in.member(t, acme, "admin@acme.example", storage.RoleAdmin), nil, ErrForbidden},
			"member":   {in.member(t, acme, "member@acme.example", storage.RoleMember), ErrForbidden, ErrForbidden},
			"stranger": {stranger, storage.ErrNotFound, ErrForbidden},
			"root":     {root, nil, nil},
			"operator": {Operator(), nil, nil},
			"token":    {(&Bearer{User: storage.User{ID: root.UserID}, Token: storage.PersonalToken{Organization: *acme}}).Actor(""), storage.ErrNotFound, ErrForbidden},
		} {
			p := storage.MFAPolicy{Require: storage.RequirePasskey, GraceDays: 14, Since: in.now.Add(-time.Hour)}
			got, err := in.SetMFAPolicy(t.Context(), c.a, acme.ID, p)
			if !errors.Is(err, c.organization) {
				t.Errorf("%s, organization: got %v, want %v", name, err, c.organization)
			} else if err == nil && !got.Since.Equal(in.now) {
				t.Errorf("%s: the grace began at %v, as the caller said", name, got.Since)
			}
			if read, err := in.MFAPolicy(t.Context(), c.a, acme.ID); !errors.Is(err, c.organization) || err == nil && read != got {
				t.Errorf("%s, organization: read %+v, %v", name, read, err)
			}
			got, err = in.SetPlatformMFAPolicy(t.Context(), c.a, p)
			if !errors.Is(err, c.platform) {
				t.Errorf("%s, platform: got %v, want %v", name, err, c.platform)
			}
			if read, err := in.PlatformMFAPolicy(t.Context(), c.a); !errors.Is(err, c.platform) || err == nil && read != got {
				t.Errorf("%s, platform: read %+v, %v", name, read, err)
			}
		}
		for _, p := range []storage.MFAPolicy{{Require: "sms"}, {Require: storage.RequireAny, GraceDays: -1}, {Require: storage.RequireAny, GraceDays: MaxGraceDays + 1}} {
			var faults Faults
			if _, err := in.SetMFAPolicy(t.Context(), owner, acme.ID, p); !errors.As(err, &faults) {
				t.Errorf("%+v: got %v, want a fault", p, err)
			}
			if _, err := in.SetPlatformMFAPolicy(t.Context(), root, p); !errors.As(err, &faults) {
				t.Errorf("%+v: got %v, want a fault", p, err)
			}
		}
		if _, err := in.SetMFAPolicy(t.Context(), Operator(), uuid.New(), storage.MFAPolicy{}); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("no organization: got %v, want ErrNotFound", err)
		}
	})
}

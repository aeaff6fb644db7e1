package identity

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
)

// enrol gives a person a confirmed authenticator app.
func (in *installation) enrol(t *testing.T, a Actor) {
	t.Helper()
	f := storage.Factor{ID: uuid.Must(uuid.NewV7()), UserID: a.UserID, Kind: storage.FactorTOTP, Name: "Phone", CreatedAt: in.now}
	if err := in.store.Factors.Begin(t.Context(), &f); err != nil {
		t.Fatal(err)
	}
	if _, err := in.store.Factors.Confirm(t.Context(), &storage.NewFactor{Factor: f, Event: &storage.Event{Type: "factor.added", User: a.UserID}}); err != nil {
		t.Fatal(err)
	}
}

func TestHowMembersStandToThePolicy(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		acme, owner := in.organization(t, "acme")
		in.enrol(t, in.member(t, acme, "app@acme.example", storage.RoleMember))
		standing := func() map[string]MemberCompliance {
			t.Helper()
			all := map[string]MemberCompliance{}
			for after := uuid.Nil; ; {
				page, err := in.Policies.Compliance(t.Context(), owner, acme.ID, after, 2)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range page {
					after = m.User.ID
					name, _, _ := strings.Cut(m.User.Email, "@")
					m.User = storage.User{}
					all[name] = m
				}
				if len(page) < 2 {
					return all
				}
			}
		}
		want := map[string]MemberCompliance{"owner": {Role: storage.RoleOwner, Compliant: true}, "app": {Role: storage.RoleMember, Compliant: true}}
		if diff := cmp.Diff(want, standing()); diff != "" {
			t.Errorf("without a policy: %s", diff)
		}
		set := in.now
		if _, err := in.Policies.SetMFA(t.Context(), owner, acme.ID, storage.MFAPolicy{Require: storage.RequireAny, GraceDays: 14}); err != nil {
			t.Fatal(err)
		}
		in.now = set.Add(assurance.Days(10))
		late := in.member(t, acme, "late@acme.example", storage.RoleGuest) // has their time from when they came
		in.now = set.Add(assurance.Days(14))
		want = map[string]MemberCompliance{"app": {Role: storage.RoleMember, Compliant: true},
			"owner": {Role: storage.RoleOwner, Deadline: set.Add(assurance.Days(14)), Overdue: true}, "late": {Role: storage.RoleGuest, Deadline: set.Add(assurance.Days(24))}}
		if diff := cmp.Diff(want, standing()); diff != "" {
			t.Errorf("an app will do: %s", diff)
		}
		if _, err := in.Policies.SetMFA(t.Context(), owner, acme.ID, storage.MFAPolicy{Require: storage.RequirePasskey, GraceDays: 0}); err != nil {
			t.Fatal(err)
		}
		if got := standing()["app"]; got.Compliant || !got.Overdue {
			t.Errorf("an app where a passkey is required: got %+v", got)
		}
		if _, err := in.Policies.Compliance(t.Context(), late, acme.ID, uuid.Nil, 2); !errors.Is(err, ErrForbidden) {
			t.Errorf("a guest looks: got %v, want ErrForbidden", err)
		}
		_, stranger := in.organization(t, "other")
		if _, err := in.Policies.Compliance(t.Context(), stranger, acme.ID, uuid.Nil, 2); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("a stranger looks: got %v, want ErrNotFound", err)
		}
	})
}

// notices runs a day's work every eight hours and says who was written to, day by
// day, while delivered rows are swept.
func (in *installation) notices(t *testing.T, until time.Time) map[string][]int {
	t.Helper()
	begun, told := in.now, map[string][]int{}
	for ; !in.now.After(until); in.now = in.now.Add(8 * time.Hour) {
		for range 2 {
			if _, err := in.Policies.DeadlineNotices(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, l := range in.letters(t) {
			name, _, _ := strings.Cut(l.To, "@")
			told[name] = append(told[name], int(in.now.Sub(begun)/assurance.Days(1)))
			if l.Kind != "mfadeadline" || l.Link != issuer+"/account" {
				t.Errorf("got %+v", l)
			}
		}
		if err := (&storage.Sweeper{Store: in.store, Pace: storage.Pace{Rest: storage.Hurry}}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return told
}

// Seven days before and one day before, once each, though the rows that remember
// it are swept meanwhile; and only to those whom it concerns.
func TestNoticesOfADeadline(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		acme, owner := in.organization(t, "acme")
		in.organization(t, "other") // asks for nothing
		in.enrol(t, in.member(t, acme, "app@acme.example", storage.RoleMember))
		if _, err := in.People.Disable(t.Context(), Operator(), in.member(t, acme, "disabled@acme.example", storage.RoleMember).UserID); err != nil {
			t.Fatal(err)
		}
		in.now = in.now.Add(assurance.Days(30)) // who has long been there has the whole grace too
		set := in.now
		if _, err := in.Policies.SetMFA(t.Context(), owner, acme.ID, storage.MFAPolicy{Require: storage.RequireAny, GraceDays: 14}); err != nil {
			t.Fatal(err)
		}
		told := in.notices(t, set.Add(assurance.Days(4)))
		in.now = set.Add(assurance.Days(4))
		in.member(t, acme, "late@acme.example", storage.RoleMember)
		in.now = set
		if len(told) != 0 {
			t.Errorf("told too early: %v", told)
		}
		told = in.notices(t, set.Add(assurance.Days(30)))
		if diff := cmp.Diff(map[string][]int{"owner": {7, 13}, "late": {11, 17}}, told); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNoticesOfTheInstallationsDeadline(t *testing.T) {
	in := onSQLite(t)
	in.user(t, "bob@acme.example", false)
	set := in.now
	if _, err := in.Policies.SetPlatformMFA(t.Context(), Operator(), storage.MFAPolicy{Require: storage.RequirePasskey, GraceDays: 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Policies.DeadlineNotices(t.Context()); err != nil {
		t.Fatal(err)
	}
	letters := in.letters(t)
	if len(letters) != 1 {
		t.Fatalf("a grace shorter than a week: got %+v, want a notice at once", letters)
	}
	var said struct {
		Organization, Wants string
		Deadline            time.Time
	}
	if err := json.Unmarshal([]byte(letters[0].Text), &said); err != nil || said.Organization != "" || said.Wants != "a passkey or security key" || !said.Deadline.Equal(set.Add(assurance.Days(3))) {
		t.Errorf("got %+v, %v", said, err)
	}
	// Another deadline is another matter.
	if _, err := in.Policies.SetPlatformMFA(t.Context(), Operator(), storage.MFAPolicy{Require: storage.RequirePasskey, GraceDays: 6}); err != nil {
		t.Fatal(err)
	}
	if told := in.notices(t, set.Add(assurance.Days(7))); len(told["bob"]) != 2 {
		t.Errorf("after the deadline has moved: got %v, want two more", told)
	}
	if _, err := in.Policies.SetPlatformMFA(t.Context(), Operator(), storage.MFAPolicy{}); err != nil {
		t.Fatal(err)
	}
	if told := in.notices(t, in.now.Add(assurance.Days(1))); len(told) != 0 {
		t.Errorf("after the policy is gone: got %v", told)
	}
}

// A second notice is kept away by the row of the first, which is swept a week after
// its delivery: no stretch may be as long.
func TestStretchesAreShorterThanTheOutboxRemembers(t *testing.T) {
	for _, s := range reminderWindows() {
		if s.from-s.to >= assurance.Days(7) {
			t.Errorf("%s: %v is too long", s.name, s.from-s.to)
		}
	}
}

// Many members are read and written to batch by batch, each once.
func TestNoticesReachEveryMember(t *testing.T) {
	in := onSQLite(t)
	acme, owner := in.organization(t, "acme")
	var people []*storage.NewUser
	for range 2*noticesAtOnce + 1 {
		u := storage.User{ID: uuid.Must(uuid.NewV7()), Sub: uuid.New(), Email: uuid.NewString() + "@acme.example", EmailVerifiedAt: in.now, CreatedAt: in.now, UpdatedAt: in.now}
		u.EmailKey = u.Email
		people = append(people, &storage.NewUser{User: u, Roles: map[uuid.UUID]string{acme.ID: storage.RoleMember}})
	}
	if err := in.store.CreateUsers(t.Context(), people...); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Policies.SetMFA(t.Context(), owner, acme.ID, storage.MFAPolicy{Require: storage.RequireAny, GraceDays: 7}); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Policies.DeadlineNotices(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, _, err := in.store.Outbox.CountWaiting(t.Context()); err != nil || n != len(people)+1 {
		t.Errorf("notices: got %d, %v, want %d", n, err, len(people)+1)
	}
}

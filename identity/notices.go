package identity

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// stretch is a time before a deadline in which people are told of it. An
// outbox row that keeps a second one from being sent stays for 7 days after the
// first was delivered: a stretch must be shorter.
type reminderWindow struct {
	name     string
	from, to time.Duration // before the deadline
}

func reminderWindows() []reminderWindow {
	return []reminderWindow{{"7d", assurance.Days(7), assurance.Days(1)}, {"1d", assurance.Days(1), 0}}
}

const (
	// noticesAtOnce bounds the transaction in which notices are written.
	noticesAtOnce = 500
	// noticesPerRun bounds the rows that a run reads. The next one goes on from there.
	noticesPerRun = 10_000
)

// noticePlace is how far the policies have been gone through: the installation's and then the organizations', by id.
type noticePlace struct {
	organization uuid.UUID // whose policy it is; nil is the installation's
	window       int       // of stretches, those before it are done
	after        storage.ArrivalKey
}

// noticeRun goes through the policies until all is read, or as much as one run may read.
type noticeRun struct {
	*Policies
	pace  storage.Pace
	place noticePlace
	left  int
}

// DeadlineNotices mails those who do not meet a policy 7 days and 1 day before
// their deadline, once each, however often and on how many nodes it is called.
// Where the grace is shorter than that, the first notice goes out at once. It reads
// at most noticesPerRun rows: more reports that the next call goes on where this one stopped.
//
// It goes by the clock, and one node at a time is to call it. The place where it stopped is this process's alone: a
// node
// that takes the job over begins again, which costs reading but tells nobody twice.
func (po *Policies) DeadlineNotices(ctx context.Context) (more bool, err error) {
	po.reminders.Lock()
	defer po.reminders.Unlock()
	r := &noticeRun{Policies: po, pace: storage.Pace{Smallest: 100, Largest: noticesAtOnce},
		place: po.reminders.place, left: noticesPerRun}
	done, err := r.remindAllPolicies(ctx)
	if done {
		r.place = noticePlace{}
	}
	po.reminders.place = r.place
	return err == nil && !done, err
}

func (r *noticeRun) remindAllPolicies(ctx context.Context) (done bool, err error) {
	if r.place.organization == uuid.Nil {
		settings, err := r.store.PlatformSettings(ctx)
		if err != nil {
			return false, err
		}
		if done, err := r.remindPolicy(ctx, &storage.Organization{}, settings.MFA); err != nil || !done {
			return false, err
		}
	}
	for {
		// The page begins with the organization that was the last; of what is done with it nothing is read again.
		all, err := r.store.OrganizationPolicies(ctx, r.place.organization, noticesAtOnce)
		if err != nil {
			return false, err
		}
		r.left -= len(all)
		for _, o := range all {
			if done, err := r.remindPolicy(ctx, &o.Organization, o.Settings.MFA); err != nil || !done {
				return false, err
			}
		}
		if len(all) < noticesAtOnce {
			return true, nil
		}
	}
}

// remind writes the notices of one policy: an organization's, or with nil the
// installation's.
func (r *noticeRun) remindPolicy(ctx context.Context, o *storage.Organization, p storage.MFAPolicy) (done bool, err error) {
	if r.place.organization != o.ID {
		r.place = noticePlace{organization: o.ID}
	}
	all, now := reminderWindows(), r.currentTime()
	for ; r.place.window < len(all); r.place = (noticePlace{organization: o.ID, window: r.place.window + 1}) {
		s := all[r.place.window]
		// A deadline is the later of Since and when the person came, and the grace after it.
		since, until := now.Add(s.to-assurance.Days(p.GraceDays)), now.Add(s.from-assurance.Days(p.GraceDays))
		if p.Require == "" || p.Since.After(until) {
			continue
		}
		if p.Since.After(since) {
			since = time.Time{} // it counts for everybody who was there already
		}
		if done, err := r.remindWindow(ctx, o, p, s, since, until); err != nil || !done {
			return false, err
		}
	}
	return true, nil
}

// stretch writes the notices to those who came after since, and at the latest at until.
func (r *noticeRun) remindWindow(ctx context.Context, o *storage.Organization, p storage.MFAPolicy, s reminderWindow,
	since, until time.Time) (done bool, err error) {
	err = r.pace.Run(ctx, func(size int) (int, error) {
		if r.left <= 0 {
			return 0, nil
		}
		people, err := r.nextMembers(ctx, o, since, until, size)
		if err != nil {
			return 0, err
		}
		lacking := slices.DeleteFunc(slices.Clone(people), func(m storage.Member) bool {
			came := m.CreatedAt.After(since) && !m.CreatedAt.After(until)
			return !came || !m.User.Active() || !m.User.EmailVerified() || assurance.HasEnrolled(m.User.Factors,
				p.Require)
		})
		if err := r.enqueueReminders(ctx, o, p, s, lacking); err != nil {
			return 0, err
		}
		r.left -= max(1, len(people))
		if n := len(people); n > 0 {
			r.place.after = storage.ArrivalKey{At: people[n-1].CreatedAt, UserID: people[n-1].User.ID}
		}
		done = len(people) < size
		return len(people), nil
	})
	return done && err == nil, err
}

// people are those of the next batch, with when they came: members by id, for there is no index by when they joined, or
// everybody in the order in which they came.
func (r *noticeRun) nextMembers(ctx context.Context, o *storage.Organization, since, until time.Time,
	size int) ([]storage.Member, error) {
	after := r.place.after
	if o.ID != uuid.Nil {
		return r.store.Members(ctx, o.ID, after.UserID, size)
	}
	if after.At.Before(since) {
		after = storage.ArrivalKey{At: since, UserID: uuid.Max}
	}
	users, err := r.store.Arrivals(ctx, after, until, size)
	members := make([]storage.Member, len(users))
	for n, u := range users {
		members[n] = storage.Member{User: u, CreatedAt: u.CreatedAt}
	}
	return members, err
}

func (po *Policies) enqueueReminders(ctx context.Context, o *storage.Organization, p storage.MFAPolicy, s reminderWindow,
	people []storage.Member) error {
	letters := make([]*storage.Message, 0, len(people))
	for _, who := range people {
		r := storage.Requirement{Policy: p, From: who.CreatedAt}
		l := templates.MFADeadline{Name: who.User.Profile.Name, Wants: assurance.RequirementText(p.Require),
			Deadline: r.Deadline(), Organization: o.Name, Link: po.issuer + "/account"}
		of := "platform"
		if o.ID != uuid.Nil {
			of = o.ID.String()
		}
		m, err := po.mailTo(&who.User, l, fmt.Sprintf("mfa-deadline %s %s %s %d", of, who.User.ID, s.name,
			l.Deadline.UnixMicro()))
		if err != nil {
			return err
		}
		letters = append(letters, m)
	}
	if len(letters) == 0 {
		return nil
	}
	defer po.wake()
	return po.store.Outbox.Add(ctx, letters...)
}

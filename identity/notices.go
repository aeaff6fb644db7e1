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

// reminderWindow is a time before a deadline in which users are reminded once. It must be shorter than the 7 days for
// which the outbox keeps the row that prevents a second mail.
type reminderWindow struct {
	name     string
	from, to time.Duration // before the deadline
}

func reminderWindows() []reminderWindow {
	return []reminderWindow{{"7d", assurance.Days(7), assurance.Days(1)}, {"1d", assurance.Days(1), 0}}
}

const (
	// noticesAtOnce bounds the reminders written in one transaction.
	noticesAtOnce = 500
	// noticesPerRun bounds the rows that one run reads; the next run continues.
	noticesPerRun = 10_000
)

// noticePlace is a position in the policies: the installation's first, then the organizations', by id.
type noticePlace struct {
	organization uuid.UUID // the owner of the policy; nil is the installation
	window       int       // index in reminderWindows
	after        storage.ArrivalKey
}

// noticeRun goes through the policies until all are read, or as many rows as one run may read.
type noticeRun struct {
	*Policies
	pace  storage.Pace
	place noticePlace
	left  int
}

// DeadlineNotices mails users who do not meet a policy 7 days and 1 day before their deadline, once each, however
// often and on how many nodes it is called. If the grace is shorter, the first mail is sent at once. It reads at most
// noticesPerRun rows: more reports that the next call continues there.
//
// Call it on one node at a time. The position is kept in this process only: another node starts again, which costs
// reading but sends no mail twice.
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
		// The page begins with the last organization; windows that are done are skipped.
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

// remindPolicy writes the reminders of one policy. The zero organization is the installation.
func (r *noticeRun) remindPolicy(ctx context.Context, o *storage.Organization, p storage.MFAPolicy) (done bool, err error) {
	if r.place.organization != o.ID {
		r.place = noticePlace{organization: o.ID}
	}
	all, now := reminderWindows(), r.currentTime()
	for ; r.place.window < len(all); r.place = (noticePlace{organization: o.ID, window: r.place.window + 1}) {
		s := all[r.place.window]
		// The deadline is the grace after Since, or after the user came if that was later.
		since, until := now.Add(s.to-assurance.Days(p.GraceDays)), now.Add(s.from-assurance.Days(p.GraceDays))
		if p.Require == "" || p.Since.After(until) {
			continue
		}
		if p.Since.After(since) {
			since = time.Time{} // all earlier users have the same deadline
		}
		if done, err := r.remindWindow(ctx, o, p, s, since, until); err != nil || !done {
			return false, err
		}
	}
	return true, nil
}

// remindWindow writes the reminders to users who came after since and not after until.
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

// nextMembers are the next users with the time when they came: members of an organization by id, because there is no
// index by time, or all users in the order in which they came.
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

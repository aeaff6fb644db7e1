package identity

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/storage"
)

// stretch is a time before a deadline in which people are told of it. An
// outbox row that keeps a second one from being sent stays for 7 days after the
// first was delivered: a stretch must be shorter.
type stretch struct {
	name     string
	from, to time.Duration // before the deadline
}

func stretches() []stretch {
	return []stretch{{"7d", days(7), days(1)}, {"1d", days(1), 0}}
}

// noticesAtOnce bounds the transaction in which notices are written.
const noticesAtOnce = 500

// DeadlineNotices mails those who do not meet a policy 7 days and 1 day before
// their deadline, once each, however often and on how many nodes it is called.
// Where the grace is shorter than that, the first notice goes out at once.
func (i *Identity) DeadlineNotices(ctx context.Context) error {
	return i.deadlineNotices(ctx, func() (bool, error) { return true, nil })
}

// deadlineNotices asks again before each batch whether it may go on.
func (i *Identity) deadlineNotices(ctx context.Context, mine func() (bool, error)) error {
	settings, err := i.store.PlatformSettings(ctx)
	if err != nil {
		return err
	}
	if err := i.warn(ctx, nil, settings.MFA, mine); err != nil {
		return err
	}
	for after := uuid.Nil; ; {
		all, err := i.store.OrganizationPolicies(ctx, after, noticesAtOnce)
		if err != nil {
			return err
		}
		for _, o := range all {
			if err := i.warn(ctx, &o.Organization, o.Settings.MFA, mine); err != nil {
				return err
			}
			after = o.Organization.ID
		}
		if len(all) < noticesAtOnce {
			return nil
		}
	}
}

// warn writes the notices of one policy: an organization's, or with nil the
// installation's.
func (i *Identity) warn(ctx context.Context, o *storage.Organization, p storage.MFAPolicy, mine func() (bool, error)) error {
	if p.Require == "" {
		return nil
	}
	now := i.clock()
	for _, s := range stretches() {
		// A deadline is the later of Since and when the person came, and the grace after it.
		l := storage.Lacking{Require: p.Require, Since: now.Add(s.to - days(p.GraceDays)), Until: now.Add(s.from - days(p.GraceDays)), Limit: noticesAtOnce}
		if o != nil {
			l.Organization = o.ID
		}
		if p.Since.After(l.Until) {
			continue
		}
		if p.Since.After(l.Since) {
			l.Since = time.Time{} // it counts for everybody who was there already
		}
		for more := true; more; {
			ok, err := mine()
			if err != nil || !ok {
				return err
			}
			people, err := i.store.Lacking(ctx, l)
			if err != nil {
				return err
			}
			if err := i.warnAll(ctx, o, p, s, people); err != nil {
				return err
			}
			if more = len(people) == l.Limit; more {
				l.After = people[len(people)-1].User.ID
			}
		}
	}
	return nil
}

func (i *Identity) warnAll(ctx context.Context, o *storage.Organization, p storage.MFAPolicy, s stretch, people []storage.Lacks) error {
	letters := make([]*storage.Message, 0, len(people))
	for _, who := range people {
		r := storage.Requirement{Policy: p, Organization: o, From: who.From}
		l := mail.MFADeadline{Name: who.User.Profile.Name, Wants: wanted(p.Require), Deadline: r.Deadline(), Link: i.issuer + "/account"}
		of := "platform"
		if o != nil {
			l.Organization, of = o.Name, o.ID.String()
		}
		m, err := i.letter(&who.User, l, fmt.Sprintf("mfa-deadline %s %s %s %d", of, who.User.ID, s.name, l.Deadline.UnixMicro()))
		if err != nil {
			return err
		}
		letters = append(letters, m)
	}
	if len(letters) == 0 {
		return nil
	}
	if err := i.store.Enqueue(ctx, letters...); err != nil {
		return err
	}
	i.wake()
	return nil
}

// wanted is what a policy requires, in words.
func wanted(require string) string {
	switch require {
	case storage.RequireTOTP:
		return "a code from an authenticator app"
	case storage.RequirePasskey:
		return "a passkey"
	}
	return "a second step"
}

// RunNotices calls DeadlineNotices every hour until ctx ends. All nodes run it; at
// any time one of them works. A failure, even a panic, is logged and tried again
// later. While the node's clock is wrong nobody is told anything.
func (i *Identity) RunNotices(ctx context.Context, log *slog.Logger) {
	const every = time.Hour
	defer func() { _ = i.store.Release(context.WithoutCancel(ctx), "mfa-notices", i.holder) }()
	rounds := storage.Rounds{Log: log, Failed: "notices of deadlines cannot be written"}
	for {
		if err := i.noticesRound(ctx, every); ctx.Err() == nil {
			rounds.Ended(err)
		}
		// Jitter, so that nodes that started together do not stay together.
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(float64(every) * (0.8 + 0.4*rand.Float64()))):
		}
	}
}

func (i *Identity) noticesRound(ctx context.Context, every time.Duration) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return i.deadlineNotices(ctx, func() (bool, error) {
		return i.store.Turn(ctx, "mfa-notices", i.holder, every+time.Minute)
	})
}

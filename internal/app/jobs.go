package app

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/internal/jobs"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/storage"
)

// jobs is the table of everything that runs in the background.
func (s *Server) jobs() []jobs.Job {
	a := s.app
	more := make(chan struct{}, 1)
	all := []jobs.Job{
		// These jobs read what another node has changed. Together with the registry's time, a change of the brand shows
		// within a second.
		{Name: "registry", Every: storage.RegistryPoll, Run: a.Registry.Refresh, Failed: "the registry cannot see changes"},
		{Name: "keys", Every: keys.PollInterval, Run: a.Keys.Maintain,
			Failed: "signing keys cannot be kept up to date; the last known ones stay in use"},
		{Name: "brand", Every: 200 * time.Millisecond, Run: s.rebrand,
			Failed: "the brand that was set cannot be shown"},

		// These jobs write what requests left in memory, so that no request waits for that write.
		{Name: "uses", Every: 30 * time.Second, Run: finishing(s.provider.WriteUses), AtStop: s.provider.WriteUses,
			Failed: "last uses of clients and grants were not written"},
		{Name: "refusals", Every: 3 * time.Second,
			Run: finishing(s.provider.WriteRefusals), AtStop: s.provider.WriteRefusals,
			Failed: "refusals of clients were not written"},
		{Name: "failures", Every: time.Minute, Run: finishing(a.failures.Flush), AtStop: a.failures.Flush,
			Failed: "failed sign-ins wait to be written to the audit log"},

		// These jobs do the work that remains after a request was answered.
		{Name: "outbox", Every: time.Second, AtStart: true, Wake: a.wakeup, Run: s.outbox.Poll,
			Failed: "waiting messages cannot be read",
			AtStop: func(context.Context) error { s.outbox.Wait(); return nil }},
		{Name: "logos", Every: 2 * time.Second, AtStart: true, Run: a.Logos.FetchDue,
			Failed: "logos of clients cannot be looked through"},
		{Name: "client tests", Every: time.Minute, AtStart: true, Run: a.Identity.Clients.EndOverdueTests,
			Failed: "tests of clients cannot be ended"},
		// Every node does it: while nodes with and without CONFIRM_EMAIL run side by side, access comes back.
		{Name: "unverified access", Every: time.Minute, AtStart: true,
			Run:    counted(a.Identity.Registrations.RevokeUnverified),
			Failed: "the access of people with unverified addresses cannot be ended"},

		// These jobs go by the clock, and one node does them for all.
		{Name: "sweep", Every: 5 * time.Minute, Leased: true,
			Run:    (&storage.Sweeper{Store: a.Store, Swept: s.metrics.RowsSwept}).Run,
			Failed: "expired rows cannot be swept"},
		{Name: "lapse", Every: time.Hour, AtStart: true, Leased: true,
			Run:    counted(a.Identity.Registrations.DeleteUnverified),
			Failed: "accounts with unverified addresses cannot be deleted"},
		{Name: "mfa-notices", Every: time.Hour, AtStart: true, Leased: true, Wake: more,
			Run:    func(ctx context.Context) error { return s.writeNotices(ctx, more) },
			Failed: "notices of deadlines cannot be written"},

		{Name: "health", Every: 15 * time.Second, AtStart: true, Run: s.measureChecks,
			Failed: "health cannot be measured"},
	}
	if s.certificate != nil {
		all = append(all, jobs.Job{Name: "certificate", Every: certificatePoll,
			Run: func(context.Context) error { s.certificate.look(); return nil }})
	}
	return all
}

// counted is f without the number that it returns.
func counted(f func(ctx context.Context) (int, error)) func(ctx context.Context) error {
	return func(ctx context.Context) error { _, err := f(ctx); return err }
}

// finishing is f, which goes on for up to five seconds after a shutdown has begun: a write that was cut short may have
// happened, and AtStop would write the same again.
func finishing(f func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(ctx, func() { time.AfterFunc(5*time.Second, cancel) })()
		return f(longer)
	}
}

// writeNotices writes the notices of deadlines. One round is bounded; if there is more to read, the next comes a minute
// later.
func (s *Server) writeNotices(ctx context.Context, more chan<- struct{}) error {
	again, err := s.app.Identity.Policies.DeadlineNotices(ctx)
	if again {
		time.AfterFunc(time.Minute, func() {
			select {
			case more <- struct{}{}:
			default: // a round is about to begin
			}
		})
	}
	return err
}

// Package jobs runs what a server does in the background. internal/app has the table of all jobs; the packages that own
// them export a plain func(ctx) error that does one round and returns.
//
//	Run ── one goroutine for each Job ──▶ wait for Every or Wake ──▶ lease, if Leased ──▶ Job.Run ──▶ log and metric
//	ctx ends ──▶ a round that runs sees it and returns ──▶ Job.AtStop, for what is only in memory ──▶ Run returns
//
// A failure of a round, even a panic, ends that round alone. The log tells of a failing job at once, again every hour
// while it fails, and when it works again.
//
// Jobs that one node does for all have a lease. It is taken before each round, kept between them, and given back at the
// end. No leased job runs while this node's clock is off the database's: such jobs delete, or tell people, by the time.
package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// Job is one row of the table of jobs.
type Job struct {
	// Name is for log, metrics and the lease.
	Name string
	// Every is the longest pause between two rounds. The pause is shorter by up to a fifth, so that nodes that started
	// together do not stay together.
	Every time.Duration
	// AtStart has a first round before the first pause.
	AtStart bool
	// Leased lets one node at a time run the job: the one that holds the lease of that name.
	Leased bool
	// Wake, if set, starts a round before its time.
	Wake <-chan struct{}
	// Run does one round.
	Run func(ctx context.Context) error
	// AtStop, if set, runs once after the last round, for at most stopTime.
	AtStop func(ctx context.Context) error
	// Failed is the sentence that the log says of a round that failed.
	Failed string
}

// Outcomes of a round, as Config.Ran gets them.
const (
	OK       = "ok"
	Failed   = "failed"
	Panicked = "panicked"
	Skipped  = "skipped" // another node has the lease
)

const (
	// roundTime is how much longer than Every a lease is: if rounds take less, the node that has it keeps it.
	roundTime = 6 * time.Minute
	// stopTime is what AtStop may take. The server's drain time has room for it.
	stopTime = 5 * time.Second
	// logAgain is how often the log repeats that a job fails.
	logAgain = time.Hour
)

// Config is what Run needs.
type Config struct {
	Store *storage.Store // for leases
	Log   *slog.Logger
	// Ran, if set, is told how each round ended.
	Ran func(job, outcome string)
}

// Run runs all jobs until ctx ends, and returns when all have stopped.
func Run(ctx context.Context, c Config, all []Job) {
	holder := uuid.NewString()
	var running sync.WaitGroup
	for _, job := range all {
		running.Go(func() { (&runner{Config: c, job: job, holder: holder}).loop(ctx) })
	}
	running.Wait()
}

// runner runs one job.
type runner struct {
	Config
	job    Job
	holder string // of the lease
	// failing and loggedAt are about the last round and the last line in the log that says that the job fails.
	failing  bool
	loggedAt time.Time
}

func (r *runner) loop(ctx context.Context) {
	for next := r.job.AtStart; ; next = true {
		if next {
			outcome, err := r.round(ctx)
			r.note(ctx, outcome, err)
		}
		pause := time.NewTimer(time.Duration(float64(r.job.Every) * (1 - rand.Float64()/5)))
		select {
		case <-ctx.Done():
			pause.Stop()
			r.stop(context.WithoutCancel(ctx))
			return
		case <-r.job.Wake:
			pause.Stop()
		case <-pause.C:
		}
	}
}

// stop ends the job.
func (r *runner) stop(ctx context.Context) {
	limited, cancel := context.WithTimeout(storage.WithoutPauses(ctx), stopTime)
	defer cancel()
	if r.job.AtStop != nil {
		outcome, err := r.protect(limited, r.job.AtStop)
		r.note(ctx, outcome, err) // also that the time was over: what was in memory is lost
	}
	if r.job.Leased {
		_ = r.Store.Release(limited, r.job.Name, r.holder) // a lease that is not given back ends by itself
	}
}

// round runs the job once, if this node may. Its result is as that of protect, or Skipped.
func (r *runner) round(ctx context.Context) (outcome string, err error) {
	if r.job.Leased {
		mine, err := r.Store.AcquireJob(ctx, r.job.Name, r.holder, r.job.Every+roundTime)
		if err != nil {
			return Failed, err
		}
		if !mine {
			return Skipped, nil
		}
	}
	return r.protect(ctx, r.job.Run)
}

// protect runs f and makes an error of a panic.
func (r *runner) protect(ctx context.Context, f func(ctx context.Context) error) (outcome string, err error) {
	defer func() {
		if v := recover(); v != nil {
			outcome, err = Panicked, fmt.Errorf("panic: %v", v)
			r.Log.Error("a background job panicked", "job", r.job.Name, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	if err := f(ctx); err != nil {
		return Failed, err
	}
	return OK, nil
}

// note logs and counts how a round ended. Errors of a round that ctx has ended say nothing.
func (r *runner) note(ctx context.Context, outcome string, err error) {
	if ctx.Err() != nil && err != nil {
		return
	}
	if r.Ran != nil {
		r.Ran(r.job.Name, outcome)
	}
	switch {
	case err == nil && r.failing:
		r.Log.Info("a background job works again", "job", r.job.Name)
	case err != nil && (!r.failing || time.Since(r.loggedAt) >= logAgain):
		r.Log.Error(r.job.Failed, "job", r.job.Name, "error", err)
		r.loggedAt = time.Now()
	}
	r.failing = err != nil
}

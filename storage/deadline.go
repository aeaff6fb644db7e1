package storage

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// The times that bound what waits for the database. They add up: a request that
// waits is answered within five seconds, and the server gives a statement up
// before we do, so that what was answered 503 did not happen
// (docs/decisions/0018-database-deadlines.md).
const (
	// requestLimit is what all database calls of one request may take together.
	requestLimit = 4500 * time.Millisecond
	// callLimit is what one call may take: waiting for a connection, opening one, statements, commit.
	callLimit = 4 * time.Second
	// connectLimit is what opening a connection to one host may take.
	connectLimit = 1250 * time.Millisecond
	// answerLimit is how long we wait for the answer to a statement that was sent.
	answerLimit = 2500 * time.Millisecond
	// statementLimit and lockLimit are the server's own, and shorter.
	statementLimit = 2 * time.Second
	lockLimit      = 1500 * time.Millisecond
	// commitLimit is kept free at the end of a transaction for the answer to COMMIT.
	commitLimit = time.Second
	// idleLimit is when the server ends a transaction of which it hears nothing more.
	idleLimit = 5 * time.Second
	// busyWait is how long SQLite waits for a lock of another process before retry looks at the time.
	busyWait = 200 * time.Millisecond
)

// errNoTime: a write was not sent, because its answer could come too late to be believed.
var errNoTime = fmt.Errorf("%w: no connection was free in time", ErrUnavailable)

// call is the context of one database call. The connection reads from it what the
// deadline alone does not tell.
type call struct {
	context.Context
	// long is a call that may take as long as its deadline lets it.
	long bool
	// write is a statement that stands alone and commits with its answer.
	write bool
}

type callKey struct{}

func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// callOf returns the call that ctx belongs to, or one that promises nothing.
func callOf(ctx context.Context) call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return *c
	}
	return call{}
}

type longKey struct{}

// WithLongCalls lets each database call made with the returned context take as
// long as each: for migrations, sweeps, imports, exports and what else nobody waits for
// with a browser. The server's statement timeout follows.
func WithLongCalls(ctx context.Context, each time.Duration) context.Context {
	return context.WithValue(ctx, longKey{}, each)
}

// budget is what is left of the time that one request may spend on the database.
type budget struct{ left atomic.Int64 }

type budgetKey struct{}

// WithRequestLimit returns the context of one request, whose database calls together
// take at most 4.5 seconds. What else the request waits for does not count.
func WithRequestLimit(ctx context.Context) context.Context {
	b := &budget{}
	b.left.Store(int64(requestLimit))
	return context.WithValue(ctx, budgetKey{}, b)
}

// limit returns the context for one database call. The returned function ends it.
func limit(ctx context.Context, write bool) (context.Context, func()) {
	c, limit := &call{write: write}, callLimit
	b, _ := ctx.Value(budgetKey{}).(*budget)
	if each, ok := ctx.Value(longKey{}).(time.Duration); ok {
		c.long, limit, b = true, each, nil
	}
	if b != nil {
		limit = min(limit, time.Duration(b.left.Load()))
	}
	var cancel context.CancelFunc
	c.Context, cancel = context.WithTimeout(ctx, limit)
	if b == nil {
		return c, cancel
	}
	start := time.Now()
	return c, func() {
		cancel()
		b.left.Add(-int64(time.Since(start)))
	}
}

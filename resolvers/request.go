package resolvers

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/hookql/hookql/internal/webhook"
)

// request is what one HTTP request remembers.
type request struct {
	id         string
	began      time.Time
	operation  atomic.Value // string, "none" until the document is parsed
	statements atomic.Int64
	loaders    atomic.Pointer[loaders]
	bodies     atomic.Int64 // bytes of bodies, schemas and examples in the answer
	deadline   *time.Timer
	cancel     context.CancelCauseFunc
	// ended says why a subscription came to its end, once it has; nil: it is
	// none. The operation's own goroutine sets and reads it.
	ended func() error
}

type requestKey struct{}

// begin makes the request that ctx is for; after limit the context ends. The
// caller ends it.
func begin(ctx context.Context, limit time.Duration) (context.Context, *request) {
	r := &request{id: uuid.NewString(), began: time.Now()}
	r.operation.Store("none")
	ctx, r.cancel = context.WithCancelCause(ctx)
	r.allow(limit)
	return context.WithValue(ctx, requestKey{}, r), r
}

// allow lets the request take up to limit, counted from its beginning.
func (r *request) allow(limit time.Duration) {
	if r.deadline != nil {
		r.deadline.Stop()
	}
	r.deadline = time.AfterFunc(time.Until(r.began.Add(limit)), func() { r.cancel(overtime(limit)) })
}

// allowForever lets the request go on until its client goes.
func (r *request) allowForever() {
	if r.deadline != nil {
		r.deadline.Stop()
	}
}

// maxBodies is how many bytes of bodies, schemas and examples one answer
// holds, and how many bytes of bodies one statement reads.
const maxBodies = 16 << 20

// spend counts bytes of a body, schema or example that the answer shows.
func (r *request) spend(bytes int) error {
	if r.bodies.Add(int64(bytes)) > maxBodies {
		return errTooManyBodies()
	}
	return nil
}

func errTooManyBodies() error {
	return webhook.NewError(webhook.Invalid, "One answer holds at most 16 MiB of bodies, schemas and examples. Ask for fewer at a time.")
}

func (r *request) end() {
	r.deadline.Stop()
	r.cancel(nil)
}

// overtime is the cause of a request's end that took longer than it may.
type overtime time.Duration

func (o overtime) Error() string {
	return fmt.Sprintf("the request took longer than %s", time.Duration(o))
}

func requestOf(ctx context.Context) *request {
	r, ok := ctx.Value(requestKey{}).(*request)
	if !ok {
		return &request{}
	}
	return r
}

func requestID(ctx context.Context) string { return requestOf(ctx).id }

func loadersOf(ctx context.Context) *loaders { return requestOf(ctx).loaders.Load() }

// CountStatement counts a statement for the request's log line; it fits
// db.DB.OnStatement.
func CountStatement(ctx context.Context, _ string) { requestOf(ctx).statements.Add(1) }

package db_test

import (
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// TestQueueDepth counts what waits, and what a process has in hand not.
func TestQueueDepth(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	if got, err := a.QueueDepth(t.Context()); err != nil || got != (webhook.QueueDepth{}) {
		t.Errorf("of an empty queue got %+v, %v", got, err)
	}
	for n, set := range []string{
		`state = 'READY', next_at = now() - interval '90 seconds'`,
		`state = 'READY', next_at = now() - interval '30 seconds', lease = 1`, // which has ended
		`state = 'READY', next_at = now() + interval '30 seconds', lease = 1`,
		`state = 'READY', next_at = now() + interval '1 hour'`,
		`state = 'PARKED', next_at = now() - interval '1 hour'`,
		`state = 'PARKED'`,
		`state = 'PARKED'`,
	} {
		event := a.delivered(a.workspaceID, time.Now(), n)
		a.sql.MustExec(`UPDATE deliveries SET finished_at = NULL, `+set+` WHERE event_id = $1`, event)
	}
	a.delivered(a.workspaceID, time.Now(), 8)
	got, err := a.QueueDepth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.OldestDue < 90*time.Second || got.OldestDue > 10*time.Minute {
		t.Errorf("the oldest has been due for %s", got.OldestDue)
	}
	got.OldestDue = 0
	if want := (webhook.QueueDepth{Due: 2, Later: 1, Parked: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

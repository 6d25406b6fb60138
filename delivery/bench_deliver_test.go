package delivery

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// BenchmarkDeliver publishes events from 64 callers, each by itself, to one
// webhook, and waits until all are recorded as delivered.
func BenchmarkDeliver(b *testing.B) {
	const events, callers = 10_000, 64
	r := newRig(b, nil)
	r.webhook(nil)
	r.publish(1)
	r.eventually(0, open)
	for b.Loop() {
		began := time.Now()
		var publishing sync.WaitGroup
		for range callers {
			publishing.Go(func() {
				for i := range events / callers {
					if err := r.Publish(context.Background(), webhook.Publication{r.event(i)}); err != nil {
						b.Error(err)
					}
				}
			})
		}
		publishing.Wait()
		accepted := time.Since(began)
		r.eventually(0, open)
		total := time.Since(began)
		const n = events / callers * callers
		b.ReportMetric(n/accepted.Seconds(), "accepted/s")
		b.ReportMetric(n/total.Seconds(), "delivered/s")
	}
}

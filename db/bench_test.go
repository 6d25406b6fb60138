package db_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

// BenchmarkWebhookPages reads pages of 25 from a workspace with a million
// webhooks, in every order: the first, one in the middle and one near the end.
// It reports the median time of each, and how much longer than the first page
// of its order the worst takes.
func BenchmarkWebhookPages(b *testing.B) {
	const many = 1_000_000
	d := pgtest.New(b)
	workspaceID := db.FillWebhooks(b, d, 1, many)[0]
	type place struct {
		order webhook.Order
		name  string
		page  webhook.Page
	}
	middle := webhook.Webhook{ID: fmt.Sprintf("wh_%026d", many/2), UpdatedAt: time.Now().Add(-many / 2 * time.Second), Name: "Name 18999"}
	end := webhook.Webhook{ID: fmt.Sprintf("wh_%026d", 100), UpdatedAt: time.Now().Add(-(many - 100) * time.Second), Name: "Name 10"}
	var places []place
	for _, by := range []webhook.OrderBy{webhook.OrderByCreatedAt, webhook.OrderByUpdatedAt, webhook.OrderByName} {
		order := webhook.Order{By: by}
		places = append(places,
			place{order, "first", webhook.Page{Limit: 25}},
			place{order, "middle", webhook.Page{Limit: 25, After: middle.ID, AfterKey: by.Key(&middle)}},
			place{order, "end", webhook.Page{Limit: 25, After: end.ID, AfterKey: by.Key(&end)}})
	}
	took := make([][]float64, len(places)) // microseconds
	for b.Loop() {
		for i, p := range places {
			began := time.Now()
			slice, err := d.Webhooks(b.Context(), workspaceID, webhook.Filter{}, p.order, p.page)
			took[i] = append(took[i], float64(time.Since(began).Nanoseconds())/1000)
			if err != nil || len(slice.Items) != 25 {
				b.Fatalf("%+v: %d, %v", p, len(slice.Items), err)
			}
		}
	}
	var first, worst float64
	for i, p := range places {
		slices.Sort(took[i])
		median := took[i][len(took[i])/2]
		if p.name == "first" {
			first = median
		}
		worst = max(worst, median/first)
		b.ReportMetric(median, fmt.Sprintf("%s-%s-µs", p.order.By, p.name))
	}
	b.ReportMetric(worst, "worst-ratio")
}

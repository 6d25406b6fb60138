package db_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// TestListen hears what is sent, and goes on after its connection was lost.
func TestListen(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	ctx, stop := context.WithCancel(t.Context())
	heard, lost, done := make(chan string, 10), make(chan bool, 10), make(chan error, 1)
	go func() {
		done <- h.Listen(ctx, func(text string) { heard <- text }, func() { lost <- true })
	}()
	wait := func(c <-chan string) string {
		t.Helper()
		select {
		case text := <-c:
			return text
		case <-time.After(20 * time.Second):
			t.Fatal("nothing is heard")
			return ""
		}
	}
	<-lost
	long := strings.Repeat("x", 7900)
	if err := h.Notify(t.Context(), []string{"a b", long, "ü"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a b", long, "ü"} {
		if got := wait(heard); got != want {
			t.Errorf("%.20q, want %.20q", got, want)
		}
	}
	if _, err := h.own.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()`); err != nil {
		t.Fatal(err)
	}
	<-lost
	if err := h.Notify(t.Context(), []string{"again"}); err != nil {
		t.Fatal(err)
	}
	if got := wait(heard); got != "again" {
		t.Errorf("%q", got)
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestAmong finds those of some ids that the filter keeps, of the own workspace.
func TestAmong(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	now := webhook.Now()
	var events, deliveries []string
	for n, name := range []string{"job.status", "order.status"} {
		event, delivery := webhook.NewID(webhook.EventPrefix), webhook.NewID(webhook.DeliveryPrefix)
		events, deliveries = append(events, event), append(deliveries, delivery)
		for _, statement := range []struct {
			text string
			args []any
		}{
			{`INSERT INTO events (id, workspace_id, uid, name, data, occurred_at, published_at) VALUES ($1, $2, $3, $4, '{}', $5, $5)`, []any{event, h.workspace, name, name, now}},
			{`INSERT INTO event_uids (workspace_id, uid, event_id, content_hash) VALUES ($1, $2, $3, sha256(''))`, []any{h.workspace, name, event}},
			{`INSERT INTO deliveries (id, workspace_id, event_id, webhook_id, state, next_at, trigger, created_at) VALUES ($1, $2, $3, $4, 'READY', $5, 'PUBLISH', $5)`, []any{delivery, h.workspace, event, h.webhooks[n], now}},
		} {
			if _, err := h.own.ExecContext(t.Context(), statement.text, statement.args...); err != nil {
				t.Fatal(err)
			}
		}
	}
	both := append([]string{"evt_none", "dlv_none"}, slices.Concat(events, deliveries)...)
	uid, status := "order.status", []webhook.DeliveryStatus{webhook.DeliveryFailed}
	for name, test := range map[string]struct {
		workspace string
		ids       []string
		f         webhook.DeliveryFilter
		want      []string
	}{
		"all":       {h.workspace, both, webhook.DeliveryFilter{}, deliveries},
		"one":       {h.workspace, deliveries[1:], webhook.DeliveryFilter{}, deliveries[1:]},
		"webhook":   {h.workspace, both, webhook.DeliveryFilter{WebhookID: &h.webhooks[0]}, deliveries[:1]},
		"event":     {h.workspace, both, webhook.DeliveryFilter{EventID: &uid}, deliveries[1:]},
		"names":     {h.workspace, both, webhook.DeliveryFilter{EventNames: []string{"job.status"}}, deliveries[:1]},
		"status":    {h.workspace, both, webhook.DeliveryFilter{Statuses: status}, nil},
		"elsewhere": {"ws_other", both, webhook.DeliveryFilter{}, nil},
		"none":      {h.workspace, nil, webhook.DeliveryFilter{}, nil},
	} {
		found, err := h.DeliveriesAmong(t.Context(), test.workspace, test.ids, test.f)
		var got []string
		for _, d := range found {
			got = append(got, d.ID)
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("deliveries, %s: %v, %v, want %v", name, got, err, test.want)
		}
	}
	soon := now.Add(time.Second)
	for name, test := range map[string]struct {
		workspace string
		f         webhook.EventFilter
		want      []string
	}{
		"all":       {h.workspace, webhook.EventFilter{}, events},
		"names":     {h.workspace, webhook.EventFilter{Names: []string{"order.status"}}, events[1:]},
		"later":     {h.workspace, webhook.EventFilter{PublishedAfter: &soon}, nil},
		"elsewhere": {"ws_other", webhook.EventFilter{}, nil},
	} {
		found, err := h.EventsAmong(t.Context(), test.workspace, both, test.f)
		var got []string
		for _, e := range found {
			got = append(got, e.ID)
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("events, %s: %v, %v, want %v", name, got, err, test.want)
		}
	}
}

package db_test

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

func TestDeliveriesUseTheirIndexes(t *testing.T) {
	t.Parallel()
	db.ExplainDeliveries(t, pgtest.URL(t))
}

func TestAttemptExchangeReadsBackAsWritten(t *testing.T) {
	t.Parallel()
	db.ReadBackExchanges(t)
}

// history is a database with events of some days and the deliveries of each.
type history struct {
	*db.DB
	own       *sql.DB // the same database
	workspace string
	webhooks  []string // two
	events    []string // oldest first, a day apart
	// deliveries are those of the events, to either webhook in turn.
	deliveries []string
}

func newHistory(t *testing.T) *history {
	t.Helper()
	url := pgtest.URL(t)
	d, err := db.Open(t.Context(), url, pgtest.MasterKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	h := &history{DB: d}
	if h.own, err = sql.Open("postgres", url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.own.Close() })
	if h.workspace, err = d.EnsureWorkspace(t.Context(), "default"); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		w := newWebhook(fmt.Sprint("w", i))
		w.Active = true
		h.webhooks = append(h.webhooks, insert(t, d, h.workspace, w).ID)
	}
	return h
}

// exec runs a statement of the test's own.
func (h *history) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := h.own.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// number is what a statement of the test's own counts.
func (h *history) number(t *testing.T, statement string, args ...any) (n int) {
	t.Helper()
	if err := h.own.QueryRowContext(t.Context(), statement, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// idOf is an id of a time.
func idOf(prefix string, at time.Time) string {
	first, random := webhook.FirstID(prefix, at), webhook.NewID(prefix)
	return first[:len(first)-16] + random[len(random)-16:]
}

// event adds an event of a time.
func (h *history) event(t *testing.T, name string, at time.Time) string {
	t.Helper()
	id := idOf(webhook.EventPrefix, at)
	h.exec(t, `INSERT INTO events (id, workspace_id, uid, name, data, occurred_at, published_at) VALUES ($1, $2, $3, $4, '{}', $5, $5)`,
		id, h.workspace, "uid-"+id, name, at)
	h.exec(t, `INSERT INTO event_uids (workspace_id, uid, event_id, content_hash) VALUES ($1, $2, $3, sha256(''))`, h.workspace, "uid-"+id, id)
	return id
}

// delivery adds a delivery of a time.
func (h *history) delivery(t *testing.T, eventID, webhookID, state string, at time.Time) string {
	t.Helper()
	id := idOf(webhook.DeliveryPrefix, at)
	h.exec(t, `INSERT INTO deliveries (id, workspace_id, event_id, webhook_id, state, next_at, trigger, created_at, finished_at)
		VALUES ($1, $2, $3, $4, $5, $6, 'PUBLISH', $6, CASE WHEN $5 NOT IN ('READY', 'PARKED') THEN $6::timestamptz END)`,
		id, h.workspace, eventID, webhookID, state, at)
	return id
}

// fill adds seven events, one a day until today, with two deliveries each.
func (h *history) fill(t *testing.T) (first time.Time) {
	t.Helper()
	first = webhook.Now().Add(-6 * 24 * time.Hour)
	for i := range 7 {
		at := first.Add(time.Duration(i) * 24 * time.Hour)
		h.events = append(h.events, h.event(t, []string{"job.status", "order.status"}[i%2], at))
		for n, state := range []string{"SUCCEEDED", []string{"FAILED", "READY"}[i%2]} {
			h.deliveries = append(h.deliveries, h.delivery(t, h.events[i], h.webhooks[n], state, at.Add(time.Duration(n)*time.Millisecond)))
		}
	}
	return first
}

// walk goes through a list by pages of two, forwards or backwards.
func walk[T any](t *testing.T, fromEnd bool, id func(T) string, read func(webhook.Page) (webhook.Slice[T], error)) (all []string) {
	t.Helper()
	for p := (webhook.Page{Limit: 2, FromEnd: fromEnd}); ; {
		slice, err := read(p)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, item := range slice.Items {
			ids = append(ids, id(item))
		}
		if fromEnd {
			all = append(ids, all...)
		} else {
			all = append(all, ids...)
		}
		switch {
		case fromEnd && slice.HasPrevious:
			p.Before = ids[0]
		case !fromEnd && slice.HasNext:
			p.After = ids[len(ids)-1]
		default:
			return all
		}
	}
}

// reversed is a list from its end.
func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// TestDeliveryPages walks through each list from either end, over the days'
// partitions: each walk finds all, newest first.
func TestDeliveryPages(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.fill(t)
	ctx := t.Context()
	of := func(d *webhook.Delivery) string { return d.ID }
	var second []string
	for i, id := range h.deliveries {
		if i%2 == 1 {
			second = append(second, id)
		}
	}
	for _, fromEnd := range []bool{false, true} {
		for name, got := range map[string][2][]string{
			"events": {reversed(h.events), walk(t, fromEnd, func(e *webhook.Event) string { return e.ID }, func(p webhook.Page) (webhook.Slice[*webhook.Event], error) {
				return h.Events(ctx, h.workspace, webhook.EventFilter{}, p)
			})},
			"deliveries": {reversed(h.deliveries), walk(t, fromEnd, of, func(p webhook.Page) (webhook.Slice[*webhook.Delivery], error) {
				return h.Deliveries(ctx, h.workspace, webhook.DeliveryFilter{}, p)
			})},
			"to one webhook": {reversed(second), walk(t, fromEnd, of, func(p webhook.Page) (webhook.Slice[*webhook.Delivery], error) {
				return h.Deliveries(ctx, h.workspace, webhook.DeliveryFilter{WebhookID: new("w1")}, p)
			})},
			"of one event": {reversed(h.deliveries[4:6]), walk(t, fromEnd, of, func(p webhook.Page) (webhook.Slice[*webhook.Delivery], error) {
				return h.Deliveries(ctx, h.workspace, webhook.DeliveryFilter{EventID: new("uid-" + h.events[2])}, p)
			})},
			"of webhooks": {reversed(second), walk(t, fromEnd, of, func(p webhook.Page) (webhook.Slice[*webhook.Delivery], error) {
				pages, err := h.WebhookDeliveries(ctx, h.workspace, h.webhooks, webhook.DeliveryFilter{}, p)
				return pages[h.webhooks[1]], err
			})},
			"of events": {reversed(h.deliveries[:2]), walk(t, fromEnd, of, func(p webhook.Page) (webhook.Slice[*webhook.Delivery], error) {
				pages, err := h.EventDeliveries(ctx, h.workspace, h.events, webhook.DeliveryFilter{}, p)
				return pages[h.events[0]], err
			})},
		} {
			if diff := cmp.Diff(got[0], got[1]); diff != "" {
				t.Errorf("%s, from the end: %t (-want +got):\n%s", name, fromEnd, diff)
			}
		}
	}
}

func TestAttemptPages(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.fill(t)
	var want []string // oldest first
	for i := range 5 {
		id := idOf(webhook.AttemptPrefix, webhook.Now().Add(time.Duration(i-5)*24*time.Hour))
		want = append(want, id)
		h.exec(t, `INSERT INTO attempts (id, workspace_id, delivery_id, number, trigger, outcome, message, late, started_at, total_us, exchange, payload_format)
			VALUES ($1, $2, $3, $4, 'RETRY', 'RESET', '', false, now(), 1, '{}', 'DATA')`, id, h.workspace, h.deliveries[0], i+1)
	}
	ids := h.deliveries[:3]
	for _, fromEnd := range []bool{false, true} {
		got := walk(t, fromEnd, func(a *webhook.Attempt) string { return a.ID }, func(p webhook.Page) (webhook.Slice[*webhook.Attempt], error) {
			pages, err := h.Attempts(t.Context(), h.workspace, ids, p)
			return pages[ids[0]], err
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("from the end: %t (-want +got):\n%s", fromEnd, diff)
		}
	}
	if n, err := h.CountAttempts(t.Context(), h.workspace, ids); err != nil || !cmp.Equal(n, map[string]int{ids[0]: 5}) {
		t.Errorf("counted %v, %v", n, err)
	}
}

func TestDeliveryFilter(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	first := h.fill(t)
	third, eternity := first.Add(2*24*time.Hour), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	end := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	id := func(n int) string { return h.deliveries[n] }
	for name, test := range map[string]struct {
		filter webhook.DeliveryFilter
		want   []string // oldest first
	}{
		"failed":                    {webhook.DeliveryFilter{Statuses: []webhook.DeliveryStatus{webhook.DeliveryFailed}}, []string{id(1), id(5), id(9), id(13)}},
		"none":                      {webhook.DeliveryFilter{Statuses: []webhook.DeliveryStatus{}}, nil},
		"name":                      {webhook.DeliveryFilter{EventNames: []string{"order.status", "x"}}, []string{id(2), id(3), id(6), id(7), id(10), id(11)}},
		"event":                     {webhook.DeliveryFilter{EventID: &h.events[3]}, []string{id(6), id(7)}},
		"event and webhook":         {webhook.DeliveryFilter{EventID: new("uid-" + h.events[3]), WebhookID: new("w1")}, []string{id(7)}},
		"webhook and name":          {webhook.DeliveryFilter{WebhookID: &h.webhooks[0], EventNames: []string{"order.status"}}, []string{id(2), id(6), id(10)}},
		"unknown":                   {webhook.DeliveryFilter{WebhookID: new("\x00"), EventID: new("\xff")}, nil},
		"after, to the microsecond": {webhook.DeliveryFilter{CreatedAfter: new(third.Add(time.Microsecond)), WebhookID: new("w0")}, []string{id(6), id(8), id(10), id(12)}},
		"at":                        {webhook.DeliveryFilter{CreatedAfter: &third, CreatedBefore: new(third.Add(time.Microsecond))}, []string{id(4)}},
		"before":                    {webhook.DeliveryFilter{CreatedBefore: &third}, []string{id(0), id(1), id(2), id(3)}},
		"all times":                 {webhook.DeliveryFilter{CreatedAfter: &eternity, CreatedBefore: &end}, h.deliveries},
		"no time":                   {webhook.DeliveryFilter{CreatedAfter: &end, CreatedBefore: &eternity}, nil},
	} {
		slice, err := h.Deliveries(t.Context(), h.workspace, test.filter, webhook.Page{Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range slice.Items {
			got = append(got, d.ID)
		}
		if diff := cmp.Diff(test.want, reversed(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if n, err := h.CountDeliveries(t.Context(), h.workspace, test.filter); err != nil || n != len(test.want) {
			t.Errorf("%s: %d counted, %v, want %d", name, n, err, len(test.want))
		}
		n := 0
		for _, count := range []func() (map[string]int, error){
			func() (map[string]int, error) {
				return h.CountWebhookDeliveries(t.Context(), h.workspace, h.webhooks, test.filter)
			},
			func() (map[string]int, error) {
				return h.CountEventDeliveries(t.Context(), h.workspace, h.events, test.filter)
			},
		} {
			counts, err := count()
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range counts {
				n += c
			}
		}
		if n != 2*len(test.want) {
			t.Errorf("%s: %d counted by webhook and by event, want %d", name, n, 2*len(test.want))
		}
	}
}

func TestEventFilter(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	first := h.fill(t)
	h.exec(t, `UPDATE events SET resource_id = 'dc-1' WHERE id = $1`, h.events[4])
	third := first.Add(2 * 24 * time.Hour)
	for name, test := range map[string]struct {
		filter webhook.EventFilter
		want   []string // oldest first
	}{
		"name":     {webhook.EventFilter{Names: []string{"order.status"}}, []string{h.events[1], h.events[3], h.events[5]}},
		"no name":  {webhook.EventFilter{Names: []string{}}, nil},
		"resource": {webhook.EventFilter{ResourceID: new("dc-1")}, h.events[4:5]},
		"after":    {webhook.EventFilter{PublishedAfter: &third}, h.events[2:]},
		"before":   {webhook.EventFilter{PublishedBefore: &third}, h.events[:2]},
	} {
		slice, err := h.Events(t.Context(), h.workspace, test.filter, webhook.Page{Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range slice.Items {
			got = append(got, e.ID)
		}
		if diff := cmp.Diff(test.want, reversed(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if n, err := h.CountEvents(t.Context(), h.workspace, test.filter); err != nil || n != len(test.want) {
			t.Errorf("%s: %d counted, %v, want %d", name, n, err, len(test.want))
		}
	}
}

// Nothing of a workspace is found from another, by any of the ways.
func TestEventsOfAnotherWorkspaceAreNotFound(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.fill(t)
	attempt := webhook.NewID(webhook.AttemptPrefix)
	h.exec(t, `INSERT INTO attempts (id, workspace_id, delivery_id, number, trigger, outcome, message, late, started_at, total_us, exchange, payload_format)
		VALUES ($1, $2, $3, 1, 'PUBLISH', 'RESET', '', false, now(), 1, '{}', 'DATA')`, attempt, h.workspace, h.deliveries[0])
	h.exec(t, `INSERT INTO delivery_stats VALUES ($1, now(), 'FAILED', $2, 1)`, h.webhooks[0], h.workspace)
	ctx, page := t.Context(), webhook.Page{Limit: 50}
	found := func(theirs string) (n int) {
		count := func(m int, err error) {
			if err != nil && !errors.Is(err, webhook.NotFound) {
				t.Fatal(err)
			}
			n += m
		}
		one := func(_ any, err error) {
			if err == nil {
				n++
			}
			count(0, err)
		}
		one(h.Event(ctx, theirs, h.events[0]))
		one(h.Event(ctx, theirs, "uid-"+h.events[0]))
		one(h.Delivery(ctx, theirs, h.deliveries[0]))
		one(h.Attempt(ctx, theirs, attempt))
		events, err := h.Events(ctx, theirs, webhook.EventFilter{}, page)
		count(len(events.Items), err)
		byID, err := h.EventsByID(ctx, theirs, h.events)
		count(len(byID), err)
		whole, err := h.EventsWithData(ctx, theirs, h.events, 1<<20)
		count(len(whole), err)
		for _, f := range []webhook.DeliveryFilter{{}, {WebhookID: &h.webhooks[0]}, {EventID: &h.events[0]}, {EventID: new("uid-" + h.events[0])}} {
			deliveries, err := h.Deliveries(ctx, theirs, f, page)
			count(len(deliveries.Items), err)
			count(h.CountDeliveries(ctx, theirs, f))
		}
		count(h.CountEvents(ctx, theirs, webhook.EventFilter{}))
		counts, err := h.DeliveryCounts(ctx, theirs, h.events)
		count(len(counts), err)
		attempts, err := h.Attempts(ctx, theirs, h.deliveries, page)
		count(len(attempts[h.deliveries[0]].Items), err)
		bodies, err := h.AttemptBodies(ctx, theirs, []string{attempt}, 1<<20)
		count(len(bodies), err)
		stats, err := h.WebhookStats(ctx, theirs, h.webhooks, time.Now().Add(-time.Hour))
		count(stats[h.webhooks[0]].Counts.Total()+stats[h.webhooks[1]].Counts.Total(), err)
		total, err := h.WorkspaceStats(ctx, theirs, time.Now().Add(-time.Hour))
		count(total.Counts.Total(), err)
		return n
	}
	theirs, err := h.EnsureWorkspace(ctx, "another")
	if err != nil {
		t.Fatal(err)
	}
	if ours := found(h.workspace); ours < 80 {
		t.Errorf("from its own workspace only %d things are found", ours)
	}
	if n := found(theirs); n > 0 {
		t.Errorf("%d things are found from another workspace", n)
	}
}

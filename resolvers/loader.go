package resolvers

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/internal/webhook"
)

// loaders read what the items of a list lead to with one statement for the
// whole list. Whoever reads objects together says so (together); the first of
// them that is asked where it leads asks for all, since GraphQL selects the
// same fields of each. So there is no timer, and the number of statements
// depends on the document alone.
//
// They remember what they read, so they live for one query, or for one field
// of a mutation, whose next field must see what this one changed.
type loaders struct {
	*Resolver
	workspaceID string
	catalogue   func() ([]*webhook.EventType, error)

	mu     sync.Mutex
	groups map[string]*group // by the id of each member
}

// group is a set of objects that were read together.
type group struct {
	ids []string

	mu   sync.Mutex
	read map[any]func() (any, error) // by what was read of the members
}

func (r *Resolver) newLoaders(ctx context.Context, workspaceID string) *loaders {
	l := &loaders{Resolver: r, workspaceID: workspaceID, groups: make(map[string]*group)}
	l.catalogue = sync.OnceValues(func() ([]*webhook.EventType, error) {
		all, err := r.DB.EventTypes(ctx)
		ids := make([]string, len(all))
		for i, t := range all {
			ids[i] = t.ID
		}
		l.together(ids)
		return all, err
	})
	return l
}

// together makes a group of the objects with the given ids. One that is in a
// group already stays there.
func (l *loaders) together(ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := &group{read: make(map[any]func() (any, error))}
	for _, id := range ids {
		if l.groups[id] == nil {
			l.groups[id] = g
			g.ids = append(g.ids, id)
		}
	}
}

// groupOf is the group of an object; one that was read alone is its own.
func (l *loaders) groupOf(id string) *group {
	l.together([]string{id})
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.groups[id]
}

// load answers for one object from what is read for its whole group at once,
// under a key that tells what. The zero value means that nothing was found.
func load[V any](l *loaders, id string, what any, read func(ids []string) (map[string]V, error)) (V, error) {
	g := l.groupOf(id)
	g.mu.Lock()
	once := g.read[what]
	if once == nil {
		once = sync.OnceValues(func() (any, error) { return read(g.ids) })
		g.read[what] = once
	}
	g.mu.Unlock()
	found, err := once()
	if err != nil {
		var none V
		return none, err
	}
	return found.(map[string]V)[id], nil
}

// What is read of a group.
type (
	eventSchema    struct{}
	webhookItself  struct{}
	eventItself    struct{}
	eventWhole     struct{}
	eventCounts    struct{}
	deliveryItself struct{}
	deliveryPage   struct {
		page   webhook.Page
		filter string
	}
	deliveryCount struct{ filter string }
	attemptPage   struct{ page webhook.Page }
	attemptCount  struct{}
	attemptBodies struct{}
	webhookStats  struct{ since time.Time }
	testRunPage   struct{ page webhook.Page }
	testRunCount  struct{}
	testResults   struct{}
	testPage      struct {
		page     webhook.Page
		verdicts string
	}
	testExchanges struct{}
	testBodies    struct{}
)

// byID are objects by their ids.
func byID[T any](found []T, id func(T) string) map[string]T {
	objects := make(map[string]T, len(found))
	for _, o := range found {
		objects[id(o)] = o
	}
	return objects
}

// schema is the JSON Schema of an event type, nil where it has none.
func (l *loaders) schema(ctx context.Context, eventTypeID string) (json.RawMessage, error) {
	return load(l, eventTypeID, eventSchema{}, func(ids []string) (map[string]json.RawMessage, error) {
		return l.DB.EventTypeSchemas(ctx, ids)
	})
}

func (l *loaders) webhook(ctx context.Context, id string) (*webhook.Webhook, error) {
	return load(l, id, webhookItself{}, func(ids []string) (map[string]*webhook.Webhook, error) {
		found, err := l.DB.WebhooksByID(ctx, l.workspaceID, ids)
		return byID(found, func(w *webhook.Webhook) string { return w.ID }), err
	})
}

func (l *loaders) event(ctx context.Context, id string) (*webhook.Event, error) {
	return load(l, id, eventItself{}, func(ids []string) (map[string]*webhook.Event, error) {
		found, err := l.DB.EventsByID(ctx, l.workspaceID, ids)
		return byID(found, func(e *webhook.Event) string { return e.ID }), err
	})
}

// eventWithData is an event with its data; nil where it is gone.
func (l *loaders) eventWithData(ctx context.Context, id string) (*webhook.Event, error) {
	e, err := load(l, id, eventWhole{}, func(ids []string) (map[string]*webhook.Event, error) {
		return l.DB.EventsWithData(ctx, l.workspaceID, ids, maxBodies)
	})
	if err != nil || e != nil {
		return e, err
	}
	if e, err = l.event(ctx, id); err != nil || e == nil {
		return nil, err
	}
	return nil, errTooManyBodies()
}

func (l *loaders) deliveryCounts(ctx context.Context, eventID string) (*webhook.DeliveryCounts, error) {
	return load(l, eventID, eventCounts{}, func(ids []string) (map[string]*webhook.DeliveryCounts, error) {
		return l.DB.DeliveryCounts(ctx, l.workspaceID, ids)
	})
}

func (l *loaders) delivery(ctx context.Context, id string) (*webhook.Delivery, error) {
	return load(l, id, deliveryItself{}, func(ids []string) (map[string]*webhook.Delivery, error) {
		found, err := l.DB.DeliveriesAmong(ctx, l.workspaceID, ids, webhook.DeliveryFilter{})
		l.leadOn(webhook.Slice[*webhook.Delivery]{Items: found})
		return byID(found, func(d *webhook.Delivery) string { return d.ID }), err
	})
}

// deliveries is the same page of the deliveries to each webhook, or of each
// event, as the function reads it.
func (l *loaders) deliveries(ctx context.Context, id string, f webhook.DeliveryFilter, p webhook.Page,
	read func(ctx context.Context, workspaceID string, ids []string, f webhook.DeliveryFilter, p webhook.Page) (map[string]webhook.Slice[*webhook.Delivery], error),
) (webhook.Slice[*webhook.Delivery], error) {
	return load(l, id, deliveryPage{p, filterKey(f)}, func(ids []string) (map[string]webhook.Slice[*webhook.Delivery], error) {
		pages, err := read(ctx, l.workspaceID, ids, f, p)
		l.leadOn(slices.Collect(maps.Values(pages))...)
		return pages, err
	})
}

func (l *loaders) deliveryCount(ctx context.Context, id string, f webhook.DeliveryFilter,
	count func(ctx context.Context, workspaceID string, ids []string, f webhook.DeliveryFilter) (map[string]int, error),
) (int, error) {
	return load(l, id, deliveryCount{filterKey(f)}, func(ids []string) (map[string]int, error) {
		return count(ctx, l.workspaceID, ids, f)
	})
}

// filterKey tells filters apart.
func filterKey(f webhook.DeliveryFilter) string {
	key, _ := json.Marshal(f) // texts and times always can be
	return string(key)
}

// leadOn makes a group of the deliveries of some pages, and one each of the
// events and webhooks that they lead to.
func (l *loaders) leadOn(pages ...webhook.Slice[*webhook.Delivery]) {
	var ids, events, webhooks []string
	for _, page := range pages {
		for _, d := range page.Items {
			ids, events, webhooks = append(ids, d.ID), append(events, d.EventID), append(webhooks, d.WebhookID)
		}
	}
	l.together(ids)
	l.together(events)
	l.together(webhooks)
}

func (l *loaders) attempts(ctx context.Context, deliveryID string, p webhook.Page) (webhook.Slice[*webhook.Attempt], error) {
	return load(l, deliveryID, attemptPage{p}, func(ids []string) (map[string]webhook.Slice[*webhook.Attempt], error) {
		pages, err := l.DB.Attempts(ctx, l.workspaceID, ids, p)
		var attempts []string
		for _, page := range pages {
			for _, a := range page.Items {
				attempts = append(attempts, a.ID)
			}
		}
		l.together(attempts)
		return pages, err
	})
}

func (l *loaders) attemptCount(ctx context.Context, deliveryID string) (int, error) {
	return load(l, deliveryID, attemptCount{}, func(ids []string) (map[string]int, error) {
		return l.DB.CountAttempts(ctx, l.workspaceID, ids)
	})
}

// attemptBodies are the bodies of an attempt. That of the request is made again
// of the event; it is nil once the event's data is gone.
func (l *loaders) attemptBodies(ctx context.Context, a *webhook.Attempt) (both webhook.Bodies, err error) {
	body, err := load(l, a.ID, attemptBodies{}, func(ids []string) (map[string]db.AttemptBody, error) {
		bodies, err := l.DB.AttemptBodies(ctx, l.workspaceID, ids, maxBodies)
		var events []string
		for _, b := range bodies {
			events = append(events, b.EventID)
		}
		l.together(events)
		return bodies, err
	})
	if err != nil {
		return both, err
	}
	if body.ID == "" {
		return both, errTooManyBodies()
	}
	both.Response = body.Response
	if a.Exchange.Request.BodySize == 0 {
		return both, nil
	}
	e, err := l.eventWithData(ctx, body.EventID)
	if err != nil || e == nil || e.Data == nil {
		return both, err
	}
	both.Request = delivery.Body(a.PayloadFormat, e)
	return both, nil
}

func (l *loaders) webhookStats(ctx context.Context, webhookID string, since time.Time) (*webhook.DeliveryStats, error) {
	return load(l, webhookID, webhookStats{since}, func(ids []string) (map[string]*webhook.DeliveryStats, error) {
		return l.DB.WebhookStats(ctx, l.workspaceID, ids, since)
	})
}

func (l *loaders) testRuns(ctx context.Context, webhookID string, p webhook.Page) (webhook.Slice[*webhook.TestRun], error) {
	return load(l, webhookID, testRunPage{p}, func(ids []string) (map[string]webhook.Slice[*webhook.TestRun], error) {
		pages, err := l.DB.TestRuns(ctx, l.workspaceID, ids, p)
		var runs []string
		for _, page := range pages {
			for _, run := range page.Items {
				runs = append(runs, run.ID)
			}
		}
		l.together(runs)
		return pages, err
	})
}

func (l *loaders) testRunCount(ctx context.Context, webhookID string) (int, error) {
	return load(l, webhookID, testRunCount{}, func(ids []string) (map[string]int, error) {
		return l.DB.CountTestRuns(ctx, l.workspaceID, ids)
	})
}

func (l *loaders) testResults(ctx context.Context, runID string) ([]*webhook.TestResult, error) {
	return load(l, runID, testResults{}, func(ids []string) (map[string][]*webhook.TestResult, error) {
		return l.DB.TestResults(ctx, l.workspaceID, ids)
	})
}

// leadOnTests makes a group of some results, and one of the deliveries that they
// lead to.
func (l *loaders) leadOnTests(results []*webhook.TestResult) {
	var ids, deliveries []string
	for _, r := range results {
		ids = append(ids, r.ID)
		if r.DeliveryID != nil {
			deliveries = append(deliveries, *r.DeliveryID)
		}
	}
	l.together(ids)
	l.together(deliveries)
}

// testPage is the same page of the results of each run. What is read of the
// results is read for those of the pages alone.
func (l *loaders) testPage(ctx context.Context, runID string, what testPage, verdicts []webhook.Verdict) (testSlice, error) {
	return load(l, runID, what, func(ids []string) (map[string]testSlice, error) {
		pages := make(map[string]testSlice, len(ids))
		var results []*webhook.TestResult
		for _, id := range ids {
			all, err := l.testResults(ctx, id)
			if err != nil {
				return nil, err
			}
			pages[id] = cutTests(all, what.page, verdicts)
			results = append(results, pages[id].Items...)
		}
		l.leadOnTests(results)
		return pages, nil
	})
}

func (l *loaders) exchanges(ctx context.Context, resultID string) ([]webhook.Exchange, error) {
	return load(l, resultID, testExchanges{}, func(ids []string) (map[string][]webhook.Exchange, error) {
		return l.DB.TestExchanges(ctx, l.workspaceID, ids)
	})
}

// bodies are those of one exchange of a result.
func (l *loaders) bodies(ctx context.Context, resultID string, exchange int) (webhook.Bodies, error) {
	all, err := load(l, resultID, testBodies{}, func(ids []string) (map[string][]webhook.Bodies, error) {
		return l.DB.TestBodies(ctx, l.workspaceID, ids, maxBodies)
	})
	if err != nil {
		return webhook.Bodies{}, err
	}
	if exchange >= len(all) {
		return webhook.Bodies{}, errTooManyBodies()
	}
	return all[exchange], nil
}

// remember keeps a test run that was just made, so that nothing of it is read
// from the database for the answer.
func (l *loaders) remember(runID string, tests []webhook.Test) {
	var (
		ids       []string
		results   []*webhook.TestResult
		exchanges = make(map[string][]webhook.Exchange, len(tests))
		bodies    = make(map[string][]webhook.Bodies, len(tests))
	)
	for i := range tests {
		id := tests[i].ID
		ids = append(ids, id)
		results = append(results, &tests[i].TestResult)
		exchanges[id] = tests[i].Exchanges
		for _, x := range tests[i].Exchanges {
			both := webhook.Bodies{Request: x.Request.Body}
			if x.Response != nil {
				both.Response = x.Response.Body
			}
			bodies[id] = append(bodies[id], both)
		}
	}
	know(l, []string{runID}, testResults{}, map[string][]*webhook.TestResult{runID: results})
	know(l, ids, testExchanges{}, exchanges)
	know(l, ids, testBodies{}, bodies)
}

// know makes a group of which something need not be read.
func know[V any](l *loaders, ids []string, what any, found map[string]V) {
	l.together(ids)
	for _, id := range ids {
		g := l.groupOf(id)
		g.mu.Lock()
		g.read[what] = func() (any, error) { return found, nil }
		g.mu.Unlock()
	}
}

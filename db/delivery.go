package db

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/webhook"
)

// deliveryRow is a row of deliveries.
type deliveryRow struct {
	ID          string
	WorkspaceID string `db:"workspace_id"`
	EventID     string `db:"event_id"`
	WebhookID   string `db:"webhook_id"`
	Status      webhook.DeliveryStatus
	Attempts    int
	NextAt      *time.Time `db:"next_at"`
	CreatedAt   time.Time  `db:"created_at"`
	FinishedAt  *time.Time `db:"finished_at"`
}

func (r deliveryRow) delivery() *webhook.Delivery {
	return &webhook.Delivery{
		ID:            r.ID,
		WorkspaceID:   r.WorkspaceID,
		EventID:       r.EventID,
		WebhookID:     r.WebhookID,
		Status:        r.Status,
		AttemptCount:  r.Attempts,
		NextAttemptAt: utc(r.NextAt),
		CreatedAt:     r.CreatedAt.UTC(),
		FinishedAt:    utc(r.FinishedAt),
	}
}

// webhookDeleted says that a row's webhook was deleted, and upkeep may not have
// come to the row yet: if it is open, it counts as canceled.
const webhookDeleted = `EXISTS (SELECT FROM deleted_webhooks WHERE deleted_webhooks.id = webhook_id)`

// deliveryStatus is a row's status as the API says it: one whose retry policy
// began anew counts no attempt from before.
const deliveryStatus = `CASE
		WHEN state NOT IN ('READY', 'PARKED') THEN state
		WHEN ` + webhookDeleted + ` THEN 'CANCELED'
		WHEN attempts > ladder THEN 'RETRYING'
		ELSE 'PENDING'
	END`

// While a delivery is leased, next_at is when the lease ends.
const deliveryColumns = `
	id,
	workspace_id,
	event_id,
	webhook_id,
	` + deliveryStatus + ` AS status,
	attempts,
	CASE WHEN state IN ('READY', 'PARKED') AND lease = 0 AND NOT ` + webhookDeleted + ` THEN next_at END AS next_at,
	created_at,
	coalesce(finished_at, (SELECT deleted_at FROM deleted_webhooks WHERE deleted_webhooks.id = webhook_id)) AS finished_at`

var findDelivery = newStatement("deliveries.find", `
SELECT`+deliveryColumns+`
FROM deliveries
WHERE workspace_id = $1
	AND id = $2`)

// Delivery finds a delivery, else webhook.NotFound.
func (d *DB) Delivery(ctx context.Context, workspaceID, id string) (*webhook.Delivery, error) {
	var row deliveryRow
	if err := d.get(ctx, d.pool, findDelivery, &row, workspaceID, text(id)); err != nil {
		return nil, err
	}
	return row.delivery(), nil
}

// deliveryFilter are conditions of every list, as deliveryFilterArgs fills them
// in behind the workspace and the bounds of the page. Through coalesce PostgreSQL guesses that half of the rows fit, not next to
// none, for which it would rather read all and sort them.
const deliveryFilter = `
	AND ($4::text IS NULL OR webhook_id = $4)
	AND ($5::text IS NULL OR event_id = $5)
	AND ($7::text[] IS NULL OR coalesce(` + deliveryStatus + ` = ANY($7), false))
	AND ($8::timestamptz IS NULL OR created_at >= $8)
	AND ($9::timestamptz IS NULL OR created_at < $9)`

func deliveryFilterArgs(workspaceID string, f webhook.DeliveryFilter, p webhook.Page) []any {
	below, above := between(webhook.DeliveryPrefix, p, f.CreatedAfter, f.CreatedBefore)
	return []any{
		workspaceID, below, above, optionalText(f.WebhookID), optionalText(f.EventID),
		texts(f.EventNames), texts(f.Statuses), f.CreatedAfter, f.CreatedBefore,
	}
}

// deliveryStatements read lists of deliveries with one filter.
type deliveryStatements struct {
	newest, oldest, count                            statement
	newestByWebhook, oldestByWebhook, countByWebhook statement
	newestByEvent, oldestByEvent, countByEvent       statement
	among                                            statement
}

var (
	deliveryLists = newDeliveryStatements("", `
	AND ($6::text[] IS NULL OR true)`)
	// The name of an event is looked up row by row. Each partition of deliveries
	// then has a plan for each partition of events, which costs ten times the
	// reading of a page even where it is never run; so it stands alone.
	deliveryListsOfNames = newDeliveryStatements("_of_names", `
	AND coalesce((SELECT name FROM events WHERE events.id = event_id) = ANY($6), false)`)
)

// listsFor are the statements for a filter.
func listsFor(f webhook.DeliveryFilter) deliveryStatements {
	if f.EventNames != nil {
		return deliveryListsOfNames
	}
	return deliveryLists
}

// newDeliveryStatements names the statements with deliveryFilter and a condition
// on the names of events; for package variables only.
func newDeliveryStatements(suffix, names string) deliveryStatements {
	filter := deliveryFilter + names

	// A workspace may have few deliveries among many of others, or the other way
	// round. Bounds and order are those of the index by workspace alone, and the id
	// comes from a subquery, about which PostgreSQL guesses nothing: so it always
	// reads along that index, up to the limit, and never sorts what it read by
	// another. It looks into each day's partition, and turns away at once where the
	// bounds leave it nothing.
	ofWorkspace := `
FROM deliveries
WHERE (workspace_id, id) < ((SELECT $1::text), $2)
	AND (workspace_id, id) > ((SELECT $1::text), $3)` + filter

	// The same for a webhook, with its index.
	ofWebhook := `
	FROM deliveries
	WHERE workspace_id = $1
		AND (webhook_id, id) < (one.id, $2)
		AND (webhook_id, id) > (one.id, $3)` + filter

	// An event has a delivery for each webhook that it matched: few enough to be
	// sorted. OFFSET 0 keeps PostgreSQL from looking for them by anything else than
	// the event.
	ofEvent := `
	FROM (
		SELECT *
		FROM deliveries
		WHERE event_id = one.id
			AND id > $3
		OFFSET 0
	) AS deliveries
	WHERE workspace_id = $1
		AND id < $2` + filter

	return deliveryStatements{
		newest: newStatement("deliveries.list_newest"+suffix, `
SELECT`+deliveryColumns+ofWorkspace+`
ORDER BY workspace_id DESC, id DESC
LIMIT $10`),
		oldest: newStatement("deliveries.list_oldest"+suffix, `
SELECT`+deliveryColumns+ofWorkspace+`
ORDER BY workspace_id, id
LIMIT $10`),
		count: newStatement("deliveries.count"+suffix, `
SELECT count(*)
FROM (
	SELECT`+ofWorkspace+`
	ORDER BY workspace_id, id
	LIMIT $10
) AS counted`),
		newestByWebhook: newStatement("deliveries.list_newest_by_webhook"+suffix, `
SELECT listed.*
FROM unnest($11::text[]) AS one (id)
CROSS JOIN LATERAL (
	SELECT`+deliveryColumns+ofWebhook+`
	ORDER BY webhook_id DESC, id DESC
	LIMIT $10
) AS listed
ORDER BY listed.id DESC`),
		oldestByWebhook: newStatement("deliveries.list_oldest_by_webhook"+suffix, `
SELECT listed.*
FROM unnest($11::text[]) AS one (id)
CROSS JOIN LATERAL (
	SELECT`+deliveryColumns+ofWebhook+`
	ORDER BY webhook_id, id
	LIMIT $10
) AS listed
ORDER BY listed.id`),
		countByWebhook: newStatement("deliveries.count_by_webhook"+suffix, `
SELECT
	one.id,
	(SELECT count(*) FROM (
		SELECT`+ofWebhook+`
		ORDER BY webhook_id, id
		LIMIT $10
	) AS counted) AS count
FROM unnest($11::text[]) AS one (id)`),
		newestByEvent: newStatement("deliveries.list_newest_by_event"+suffix, `
SELECT listed.*
FROM unnest($11::text[]) AS one (id)
CROSS JOIN LATERAL (
	SELECT`+deliveryColumns+ofEvent+`
	ORDER BY id DESC
	LIMIT $10
) AS listed
ORDER BY listed.id DESC`),
		oldestByEvent: newStatement("deliveries.list_oldest_by_event"+suffix, `
SELECT listed.*
FROM unnest($11::text[]) AS one (id)
CROSS JOIN LATERAL (
	SELECT`+deliveryColumns+ofEvent+`
	ORDER BY id
	LIMIT $10
) AS listed
ORDER BY listed.id`),
		among: newStatement("deliveries.list_among"+suffix, `
SELECT`+deliveryColumns+`
FROM deliveries
WHERE workspace_id = $1
	AND id = ANY($10)
	AND id < $2
	AND id > $3`+filter+`
ORDER BY id`),
		countByEvent: newStatement("deliveries.count_by_event"+suffix, `
SELECT
	one.id,
	(SELECT count(*) FROM (
		SELECT`+ofEvent+`
		LIMIT $10
	) AS counted) AS count
FROM unnest($11::text[]) AS one (id)`),
	}
}

// DeliveriesAmong returns those of the deliveries, oldest first, that exist and
// that the filter keeps.
func (d *DB) DeliveriesAmong(ctx context.Context, workspaceID string, ids []string, f webhook.DeliveryFilter) ([]*webhook.Delivery, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	f, err := d.withIDs(ctx, workspaceID, f)
	if err != nil {
		return nil, err
	}
	var rows []deliveryRow
	if err := d.list(ctx, d.pool, listsFor(f).among, &rows, append(deliveryFilterArgs(workspaceID, f, among(ids)), texts(ids))...); err != nil {
		return nil, err
	}
	deliveries := make([]*webhook.Delivery, len(rows))
	for i, r := range rows {
		deliveries[i] = r.delivery()
	}
	return deliveries, nil
}

// deliveryList is how the deliveries of some objects are read: by which
// statements, to which object each belongs, and before which id there is none.
type deliveryList struct {
	newest, oldest, count statement
	ids                   []string
	of                    func(*webhook.Delivery) string
	first                 string
}

func deliveriesByWebhook(f webhook.DeliveryFilter, ids ...string) deliveryList {
	lists := listsFor(f)
	return deliveryList{
		newest: lists.newestByWebhook, oldest: lists.oldestByWebhook, count: lists.countByWebhook,
		ids: ids, of: func(d *webhook.Delivery) string { return d.WebhookID },
	}
}

// deliveriesByEvent looks no further back than the events were published.
func deliveriesByEvent(f webhook.DeliveryFilter, ids ...string) deliveryList {
	lists := listsFor(f)
	return deliveryList{
		newest: lists.newestByEvent, oldest: lists.oldestByEvent, count: lists.countByEvent,
		ids: ids, of: func(d *webhook.Delivery) string { return d.EventID }, first: firstAfter(webhook.DeliveryPrefix, ids),
	}
}

// firstAfter is an id, with a prefix, before those of all that came of the
// objects with the given ids. It tells in which days to look.
func firstAfter(prefix string, ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return webhook.FirstID(prefix, webhook.TimeOf(slices.Min(ids)).Add(-slack))
}

// ofOne is the list for a filter that names an object: it has an index. The
// filter has ids, no uids.
func ofOne(f webhook.DeliveryFilter) (list deliveryList, ok bool) {
	switch {
	case f.EventID != nil:
		return deliveriesByEvent(f, *f.EventID), true
	case f.WebhookID != nil:
		return deliveriesByWebhook(f, *f.WebhookID), true
	}
	return deliveryList{}, false
}

// page chooses the statement for a page of each object's deliveries, with its
// arguments.
func (l deliveryList) page(workspaceID string, f webhook.DeliveryFilter, p webhook.Page) (statement, []any) {
	s := l.newest
	if p.FromEnd {
		s = l.oldest
	}
	p.Before = max(p.Before, l.first)
	return s, append(deliveryFilterArgs(workspaceID, f, p), p.Limit+1, texts(l.ids))
}

// Deliveries returns a page of those of the workspace's deliveries that the
// filter keeps, newest first.
func (d *DB) Deliveries(ctx context.Context, workspaceID string, f webhook.DeliveryFilter, p webhook.Page) (webhook.Slice[*webhook.Delivery], error) {
	f, err := d.withIDs(ctx, workspaceID, f)
	if err != nil {
		return webhook.Slice[*webhook.Delivery]{}, err
	}
	if one, ok := ofOne(f); ok {
		pages, err := d.deliveriesBy(ctx, one, workspaceID, f, p)
		return pages[one.ids[0]], err
	}
	s, args := selectDeliveries(workspaceID, f, p)
	var rows []deliveryRow
	if err := d.list(ctx, d.pool, s, &rows, args...); err != nil {
		return webhook.Slice[*webhook.Delivery]{}, err
	}
	deliveries := make([]*webhook.Delivery, len(rows))
	for i, r := range rows {
		deliveries[i] = r.delivery()
	}
	return cut(p, deliveries), nil
}

// selectDeliveries chooses the statement for a page of a workspace's
// deliveries, with its arguments.
func selectDeliveries(workspaceID string, f webhook.DeliveryFilter, p webhook.Page) (statement, []any) {
	s := listsFor(f).newest
	if p.FromEnd {
		s = listsFor(f).oldest
	}
	return s, append(deliveryFilterArgs(workspaceID, f, p), p.Limit+1)
}

// CountDeliveries says how many of the workspace's deliveries the filter keeps,
// up to MaxCount.
func (d *DB) CountDeliveries(ctx context.Context, workspaceID string, f webhook.DeliveryFilter) (n int, err error) {
	f, err = d.withIDs(ctx, workspaceID, f)
	if err != nil {
		return 0, err
	}
	if one, ok := ofOne(f); ok {
		counts, err := d.countDeliveriesBy(ctx, one, workspaceID, f)
		return counts[one.ids[0]], err
	}
	err = d.get(ctx, d.pool, listsFor(f).count, &n, append(deliveryFilterArgs(workspaceID, f, webhook.Page{}), MaxCount)...)
	return n, err
}

// WebhookDeliveries returns the same page of the deliveries to each webhook,
// newest first, by the webhook's id.
func (d *DB) WebhookDeliveries(ctx context.Context, workspaceID string, webhookIDs []string, f webhook.DeliveryFilter, p webhook.Page) (map[string]webhook.Slice[*webhook.Delivery], error) {
	f, err := d.withIDs(ctx, workspaceID, f)
	if err != nil {
		return nil, err
	}
	return d.deliveriesBy(ctx, deliveriesByWebhook(f, webhookIDs...), workspaceID, f, p)
}

// CountWebhookDeliveries says how many of the deliveries to each webhook the
// filter keeps, up to MaxCount.
func (d *DB) CountWebhookDeliveries(ctx context.Context, workspaceID string, webhookIDs []string, f webhook.DeliveryFilter) (map[string]int, error) {
	f, err := d.withIDs(ctx, workspaceID, f)
	if err != nil {
		return nil, err
	}
	return d.countDeliveriesBy(ctx, deliveriesByWebhook(f, webhookIDs...), workspaceID, f)
}

// EventDeliveries returns the same page of the deliveries of each event, newest
// first, by the event's id.
func (d *DB) EventDeliveries(ctx context.Context, workspaceID string, eventIDs []string, f webhook.DeliveryFilter, p webhook.Page) (map[string]webhook.Slice[*webhook.Delivery], error) {
	f, err := d.withIDs(ctx, workspaceID, f)
	if err != nil {
		return nil, err
	}
	return d.deliveriesBy(ctx, deliveriesByEvent(f, eventIDs...), workspaceID, f, p)
}

// CountEventDeliveries says how many of the deliveries of each event the filter
// keeps.
func (d *DB) CountEventDeliveries(ctx context.Context, workspaceID string, eventIDs []string, f webhook.DeliveryFilter) (map[string]int, error) {
	f, err := d.withIDs(ctx, workspaceID, f)
	if err != nil {
		return nil, err
	}
	return d.countDeliveriesBy(ctx, deliveriesByEvent(f, eventIDs...), workspaceID, f)
}

// countArgs are the arguments of the list's count.
func (l deliveryList) countArgs(workspaceID string, f webhook.DeliveryFilter) []any {
	return append(deliveryFilterArgs(workspaceID, f, webhook.Page{Before: l.first}), MaxCount, texts(l.ids))
}

// deliveriesBy reads a page of each object's deliveries, by the object's id.
func (d *DB) deliveriesBy(ctx context.Context, l deliveryList, workspaceID string, f webhook.DeliveryFilter, p webhook.Page) (map[string]webhook.Slice[*webhook.Delivery], error) {
	s, args := l.page(workspaceID, f, p)
	var rows []deliveryRow
	if err := d.list(ctx, d.pool, s, &rows, args...); err != nil {
		return nil, err
	}
	byID := make(map[string][]*webhook.Delivery)
	for _, r := range rows {
		delivery := r.delivery()
		byID[l.of(delivery)] = append(byID[l.of(delivery)], delivery)
	}
	pages := make(map[string]webhook.Slice[*webhook.Delivery], len(l.ids))
	for _, id := range l.ids {
		pages[id] = cut(p, byID[id])
	}
	return pages, nil
}

// countDeliveriesBy counts each object's deliveries, by the object's id.
func (d *DB) countDeliveriesBy(ctx context.Context, l deliveryList, workspaceID string, f webhook.DeliveryFilter) (map[string]int, error) {
	return d.countsByID(ctx, l.count, l.countArgs(workspaceID, f)...)
}

var findWebhookID = newStatement("webhooks.find_id", `
SELECT id
FROM webhooks
WHERE workspace_id = $1
	AND uid = $2`)

var findEventID = newStatement("event_uids.find", `
SELECT event_id
FROM event_uids
WHERE workspace_id = $1
	AND uid = $2`)

// withIDs puts ids in the place of a filter's uids. What is not known stays: it
// may be the id of a webhook that was deleted, or nothing has it.
func (d *DB) withIDs(ctx context.Context, workspaceID string, f webhook.DeliveryFilter) (webhook.DeliveryFilter, error) {
	for _, one := range []struct {
		id     **string
		prefix string
		find   statement
	}{
		{&f.WebhookID, webhook.WebhookPrefix, findWebhookID},
		{&f.EventID, webhook.EventPrefix, findEventID},
	} {
		if *one.id == nil || strings.HasPrefix(**one.id, one.prefix+"_") {
			continue // no uid begins so
		}
		var id string
		switch err := d.get(ctx, d.pool, one.find, &id, workspaceID, text(**one.id)); {
		case err == nil:
			*one.id = &id
		case !errors.Is(err, webhook.NotFound):
			return f, err
		}
	}
	return f, nil
}

var countDeliveriesOfEvents = newStatement("deliveries.count_of_events", `
SELECT
	event_id AS id,
	`+deliveryStatus+` AS status,
	count(*) AS count
FROM deliveries
WHERE workspace_id = $1
	AND event_id = ANY($2)
	AND id > $3
GROUP BY 1, 2`)

// DeliveryCounts says how the deliveries of each event stand; an event without
// any is missing.
func (d *DB) DeliveryCounts(ctx context.Context, workspaceID string, eventIDs []string) (map[string]*webhook.DeliveryCounts, error) {
	var rows []struct {
		ID     string
		Status webhook.DeliveryStatus
		Count  int
	}
	first := firstAfter(webhook.DeliveryPrefix, eventIDs)
	if err := d.list(ctx, d.pool, countDeliveriesOfEvents, &rows, workspaceID, pq.Array(eventIDs), first); err != nil {
		return nil, err
	}
	counts := make(map[string]*webhook.DeliveryCounts, len(eventIDs))
	for _, r := range rows {
		if counts[r.ID] == nil {
			counts[r.ID] = &webhook.DeliveryCounts{}
		}
		*counts[r.ID].Of(r.Status) += r.Count
	}
	return counts, nil
}

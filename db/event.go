package db

import (
	"context"
	"slices"
	"time"

	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/webhook"
)

// eventRow is a row of events, but for its data, which can be large: it is read
// when it is asked for (see EventsWithData).
type eventRow struct {
	ID          string
	WorkspaceID string `db:"workspace_id"`
	UID         *string
	Name        string
	ResourceID  *string   `db:"resource_id"`
	OccurredAt  time.Time `db:"occurred_at"`
	PublishedAt time.Time `db:"published_at"`
}

func (r eventRow) event() *webhook.Event {
	return &webhook.Event{
		ID:          r.ID,
		WorkspaceID: r.WorkspaceID,
		UID:         r.UID,
		Name:        r.Name,
		ResourceID:  r.ResourceID,
		OccurredAt:  r.OccurredAt.UTC(),
		PublishedAt: r.PublishedAt.UTC(),
	}
}

func eventsOf(rows []eventRow) []*webhook.Event {
	events := make([]*webhook.Event, len(rows))
	for i, r := range rows {
		events[i] = r.event()
	}
	return events
}

// eventReadColumns are all but the data.
const eventReadColumns = `
	id,
	workspace_id,
	uid,
	name,
	resource_id,
	occurred_at,
	published_at`

var findEvent = newStatement("events.find", `
SELECT`+eventReadColumns+`
FROM events
WHERE workspace_id = $1
	AND id = coalesce((SELECT event_id FROM event_uids WHERE workspace_id = $1 AND uid = $2), $2)`)

// Event finds an event by its id or uid, without its data, else
// webhook.NotFound.
func (d *DB) Event(ctx context.Context, workspaceID, idOrUID string) (*webhook.Event, error) {
	var row eventRow
	if err := d.get(ctx, d.pool, findEvent, &row, workspaceID, text(idOrUID)); err != nil {
		return nil, err
	}
	return row.event(), nil
}

// The ids' own bounds tell which days they lie in.
var listEventsByID = newStatement("events.list_by_id", `
SELECT`+eventReadColumns+`
FROM events
WHERE workspace_id = $1
	AND id = ANY($2)
	AND id BETWEEN $3 AND $4`)

// EventsByID returns those of the events that exist, in no order, without their
// data.
func (d *DB) EventsByID(ctx context.Context, workspaceID string, ids []string) ([]*webhook.Event, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var rows []eventRow
	err := d.list(ctx, d.pool, listEventsByID, &rows, workspaceID, pq.Array(ids), slices.Min(ids), slices.Max(ids))
	return eventsOf(rows), err
}

var listEventsAmong = newStatement("events.list_among", `
SELECT`+eventReadColumns+`
FROM events`+eventFilter+`
	AND id = ANY($8)
ORDER BY id`)

// EventsAmong returns those of the events, oldest first, that exist and that
// the filter keeps, without their data.
func (d *DB) EventsAmong(ctx context.Context, workspaceID string, ids []string, f webhook.EventFilter) ([]*webhook.Event, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var rows []eventRow
	err := d.list(ctx, d.pool, listEventsAmong, &rows, append(eventFilterArgs(workspaceID, f, among(ids)), texts(ids))...)
	return eventsOf(rows), err
}

// among is a page that ids lie in: it tells which days they are of.
func among(ids []string) webhook.Page {
	return webhook.Page{After: slices.Max(ids) + "~", Before: slices.Min(ids)[:len(slices.Min(ids))-1]}
}

var listEventsWithData = newStatement("events.list_with_data", `
SELECT`+eventReadColumns+`,
	data
FROM (
	SELECT
		*,
		coalesce(sum(octet_length(data)) OVER (ORDER BY id), 0) AS size
	FROM events
	WHERE workspace_id = $1
		AND id = ANY($2)
		AND id BETWEEN $3 AND $4
) AS sized
WHERE size <= $5`)

// EventsWithData returns events with their data, by the event's id. Once that
// is larger than limit bytes, further events are missing.
func (d *DB) EventsWithData(ctx context.Context, workspaceID string, ids []string, limit int) (map[string]*webhook.Event, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var rows []struct {
		eventRow
		Data []byte
	}
	if err := d.list(ctx, d.pool, listEventsWithData, &rows, workspaceID, pq.Array(ids), slices.Min(ids), slices.Max(ids), limit); err != nil {
		return nil, err
	}
	byID := make(map[string]*webhook.Event, len(rows))
	for _, r := range rows {
		byID[r.ID] = r.event()
		byID[r.ID].Data = r.Data
	}
	return byID, nil
}

// slack is how far the time of a row may be from that of its id, which another
// clock may have told, and a while before.
const slack = time.Minute

// between narrows a page to the ids that were made in a time, give or take
// slack, and returns the bounds, both exclusive. The rows' own times say the
// rest.
func between(prefix string, p webhook.Page, from, until *time.Time) (below, above string) {
	below, above = bounds(p)
	if from != nil {
		above = max(above, webhook.FirstID(prefix, from.Add(-slack)))
	}
	if until != nil {
		below = min(below, webhook.FirstID(prefix, until.Add(slack)))
	}
	return below, above
}

// eventFilter are the conditions of a list, as eventFilterArgs fills them in.
// Its bounds are those of the index by workspace (see
// newDeliveryStatements).
const eventFilter = `
WHERE (workspace_id, id) < ((SELECT $1::text), $2)
	AND (workspace_id, id) > ((SELECT $1::text), $3)
	AND ($4::text[] IS NULL OR name = ANY($4))
	AND ($5::text IS NULL OR resource_id = $5)
	AND ($6::timestamptz IS NULL OR published_at >= $6)
	AND ($7::timestamptz IS NULL OR published_at < $7)`

func eventFilterArgs(workspaceID string, f webhook.EventFilter, p webhook.Page) []any {
	below, above := between(webhook.EventPrefix, p, f.PublishedAfter, f.PublishedBefore)
	return []any{workspaceID, below, above, texts(f.Names), optionalText(f.ResourceID), f.PublishedAfter, f.PublishedBefore}
}

// texts is a list for a parameter of the type text[], NULL for nil.
func texts[T ~string](list []T) any {
	if list == nil {
		return pq.Array([]string(nil))
	}
	fit := make([]string, len(list))
	for i, s := range list {
		fit[i] = text(string(s))
	}
	return pq.Array(fit)
}

var listNewestEvents = newStatement("events.list_newest", `
SELECT`+eventReadColumns+`
FROM events`+eventFilter+`
ORDER BY workspace_id DESC, id DESC
LIMIT $8`)

var listOldestEvents = newStatement("events.list_oldest", `
SELECT`+eventReadColumns+`
FROM events`+eventFilter+`
ORDER BY workspace_id, id
LIMIT $8`)

// Events returns a page of those of the workspace's events that the filter
// keeps, newest first, without their data.
func (d *DB) Events(ctx context.Context, workspaceID string, f webhook.EventFilter, p webhook.Page) (webhook.Slice[*webhook.Event], error) {
	s, args := selectEvents(workspaceID, f, p)
	var rows []eventRow
	if err := d.list(ctx, d.pool, s, &rows, args...); err != nil {
		return webhook.Slice[*webhook.Event]{}, err
	}
	return cut(p, eventsOf(rows)), nil
}

// selectEvents chooses the statement for a page, with its arguments.
func selectEvents(workspaceID string, f webhook.EventFilter, p webhook.Page) (statement, []any) {
	s := listNewestEvents
	if p.FromEnd {
		s = listOldestEvents
	}
	return s, append(eventFilterArgs(workspaceID, f, p), p.Limit+1)
}

// MaxCount is up to where events and deliveries are counted.
const MaxCount = 10_000

var countEvents = newStatement("events.count", `
SELECT count(*)
FROM (
	SELECT
	FROM events`+eventFilter+`
	ORDER BY workspace_id, id
	LIMIT $8
) AS counted`)

// CountEvents says how many of the workspace's events the filter keeps, up to
// MaxCount.
func (d *DB) CountEvents(ctx context.Context, workspaceID string, f webhook.EventFilter) (n int, err error) {
	err = d.get(ctx, d.pool, countEvents, &n, append(eventFilterArgs(workspaceID, f, webhook.Page{}), MaxCount)...)
	return n, err
}

var findPublishedResources = newStatement("events.find_resources", `
SELECT resource.id
FROM unnest($2::text[]) AS resource (id)
WHERE EXISTS (
	SELECT
	FROM events
	WHERE workspace_id = $1
		AND resource_id = resource.id
)`)

// PublishedResources are those of some resources that an event of the workspace
// is about.
func (d *DB) PublishedResources(ctx context.Context, workspaceID string, ids []string) (known []string, err error) {
	err = d.list(ctx, d.pool, findPublishedResources, &known, workspaceID, texts(ids))
	return known, err
}

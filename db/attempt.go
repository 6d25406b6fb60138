package db

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/webhook"
)

// attemptExchange is what attempts.exchange holds of an exchange: all but what
// has columns of its own, and the bodies.
type attemptExchange struct {
	Detail   string           `json:"detail"`
	Request  attemptRequest   `json:"request"`
	Timing   attemptTiming    `json:"timing"`
	Response *attemptResponse `json:"response"` // null where nothing came back
}

type attemptRequest struct {
	Method   string  `json:"method"`
	URL      string  `json:"url"`
	Headers  headers `json:"headers"`
	BodySize int     `json:"bodySize"`
}

type attemptTiming struct {
	DNS              int64 `json:"dnsUs"`
	Connect          int64 `json:"connectUs"`
	TLS              int64 `json:"tlsUs"`
	FirstByte        int64 `json:"firstByteUs"`
	ConnectionReused bool  `json:"connectionReused"`
}

type attemptResponse struct {
	Status    int     `json:"status"`
	Text      string  `json:"text"`
	Headers   headers `json:"headers"`
	Truncated bool    `json:"truncated"`
}

// attemptRecord writes what attempts.exchange holds of an exchange;
// attemptRow.attempt reads it.
func attemptRecord(x *webhook.Exchange) ([]byte, error) {
	record := attemptExchange{
		Detail: text(x.Detail),
		Request: attemptRequest{
			Method:   x.Request.Method,
			URL:      text(x.Request.URL),
			Headers:  headers(x.Request.Headers),
			BodySize: x.Request.BodySize,
		},
		Timing: attemptTiming{
			DNS:              x.Timing.DNS.Microseconds(),
			Connect:          x.Timing.Connect.Microseconds(),
			TLS:              x.Timing.TLS.Microseconds(),
			FirstByte:        x.Timing.FirstByte.Microseconds(),
			ConnectionReused: x.Timing.ConnectionReused,
		},
	}
	if r := x.Response; r != nil {
		record.Response = &attemptResponse{Status: r.StatusCode, Text: text(r.StatusText), Headers: headers(r.Headers), Truncated: r.BodyTruncated}
	}
	return json.Marshal(record)
}

// attemptRow is a row of attempts, but for the answer's body.
type attemptRow struct {
	ID            string
	WorkspaceID   string `db:"workspace_id"`
	DeliveryID    string `db:"delivery_id"`
	Number        int
	Trigger       webhook.Trigger
	Outcome       webhook.Outcome
	Message       string
	Late          bool
	StartedAt     time.Time `db:"started_at"`
	Total         int64     `db:"total_us"`
	Exchange      []byte
	PayloadFormat webhook.PayloadFormat `db:"payload_format"`
}

func (r attemptRow) attempt() (*webhook.Attempt, error) {
	var record attemptExchange
	if err := json.Unmarshal(r.Exchange, &record); err != nil {
		return nil, fmt.Errorf("read the exchange of %s: %w", r.ID, err)
	}
	return &webhook.Attempt{
		ID:            r.ID,
		WorkspaceID:   r.WorkspaceID,
		DeliveryID:    r.DeliveryID,
		Number:        r.Number,
		Trigger:       r.Trigger,
		Message:       r.Message,
		Late:          r.Late,
		Exchange:      record.exchange(r),
		PayloadFormat: r.PayloadFormat,
	}, nil
}

func (e *attemptExchange) exchange(r attemptRow) webhook.Exchange {
	x := webhook.Exchange{
		Outcome:   r.Outcome,
		Detail:    e.Detail,
		StartedAt: r.StartedAt.UTC(),
		Timing: webhook.Timing{
			DNS:              time.Duration(e.Timing.DNS) * time.Microsecond,
			Connect:          time.Duration(e.Timing.Connect) * time.Microsecond,
			TLS:              time.Duration(e.Timing.TLS) * time.Microsecond,
			FirstByte:        time.Duration(e.Timing.FirstByte) * time.Microsecond,
			Total:            time.Duration(r.Total) * time.Microsecond,
			ConnectionReused: e.Timing.ConnectionReused,
		},
		Request: webhook.Request{Method: e.Request.Method, URL: e.Request.URL, Headers: e.Request.Headers, BodySize: e.Request.BodySize},
	}
	if e.Response != nil {
		x.Response = &webhook.Response{
			StatusCode:    e.Response.Status,
			StatusText:    e.Response.Text,
			Headers:       e.Response.Headers,
			BodyTruncated: e.Response.Truncated,
		}
	}
	return x
}

func attemptsOf(rows []attemptRow) ([]*webhook.Attempt, error) {
	attempts := make([]*webhook.Attempt, len(rows))
	for i, r := range rows {
		var err error
		if attempts[i], err = r.attempt(); err != nil {
			return nil, err
		}
	}
	return attempts, nil
}

const attemptColumns = `
	id,
	workspace_id,
	delivery_id,
	number,
	trigger,
	outcome,
	message,
	late,
	started_at,
	total_us,
	exchange,
	payload_format`

var findAttempt = newStatement("attempts.find", `
SELECT`+attemptColumns+`
FROM attempts
WHERE workspace_id = $1
	AND id = $2`)

// Attempt finds an attempt, else webhook.NotFound.
func (d *DB) Attempt(ctx context.Context, workspaceID, id string) (*webhook.Attempt, error) {
	var row attemptRow
	if err := d.get(ctx, d.pool, findAttempt, &row, workspaceID, text(id)); err != nil {
		return nil, err
	}
	return row.attempt()
}

var listOldestAttempts = newStatement("attempts.list_oldest", `
SELECT listed.*
FROM unnest($2::text[]) AS one (id)
CROSS JOIN LATERAL (
	SELECT`+attemptColumns+`
	FROM attempts
	WHERE workspace_id = $1
		AND delivery_id = one.id
		AND id > $3
		AND id < $4
	ORDER BY id
	LIMIT $5
) AS listed
ORDER BY listed.id`)

var listNewestAttempts = newStatement("attempts.list_newest", `
SELECT listed.*
FROM unnest($2::text[]) AS one (id)
CROSS JOIN LATERAL (
	SELECT`+attemptColumns+`
	FROM attempts
	WHERE workspace_id = $1
		AND delivery_id = one.id
		AND id > $3
		AND id < $4
	ORDER BY id DESC
	LIMIT $5
) AS listed
ORDER BY listed.id DESC`)

// Attempts returns the same page of each delivery's attempts, oldest first, by
// the delivery's id.
func (d *DB) Attempts(ctx context.Context, workspaceID string, deliveryIDs []string, p webhook.Page) (map[string]webhook.Slice[*webhook.Attempt], error) {
	s, args := selectAttempts(workspaceID, deliveryIDs, p)
	var rows []attemptRow
	if err := d.list(ctx, d.pool, s, &rows, args...); err != nil {
		return nil, err
	}
	attempts, err := attemptsOf(rows)
	if err != nil {
		return nil, err
	}
	byID := make(map[string][]*webhook.Attempt)
	for _, a := range attempts {
		byID[a.DeliveryID] = append(byID[a.DeliveryID], a)
	}
	pages := make(map[string]webhook.Slice[*webhook.Attempt], len(deliveryIDs))
	for _, id := range deliveryIDs {
		pages[id] = cut(p, byID[id])
	}
	return pages, nil
}

// selectAttempts chooses the statement for a page, with its arguments.
func selectAttempts(workspaceID string, deliveryIDs []string, p webhook.Page) (statement, []any) {
	s, above, below := listOldestAttempts, p.After, p.Before
	if p.FromEnd {
		s = listNewestAttempts
	}
	if below == "" {
		below = beyond
	}
	return s, []any{workspaceID, pq.Array(deliveryIDs), max(above, firstAfter(webhook.AttemptPrefix, deliveryIDs)), below, p.Limit + 1}
}

var countAttempts = newStatement("attempts.count", `
SELECT
	delivery_id AS id,
	count(*) AS count
FROM attempts
WHERE workspace_id = $1
	AND delivery_id = ANY($2)
	AND id > $3
GROUP BY delivery_id`)

// CountAttempts says how many attempts of each delivery are recorded; one
// without any is missing.
func (d *DB) CountAttempts(ctx context.Context, workspaceID string, deliveryIDs []string) (map[string]int, error) {
	return d.countsByID(ctx, countAttempts, workspaceID, pq.Array(deliveryIDs), firstAfter(webhook.AttemptPrefix, deliveryIDs))
}

// The event's id comes from the delivery, which retention may have removed.
var listAttemptBodies = newStatement("attempts.list_bodies", `
SELECT
	id,
	event_id,
	response_body
FROM (
	SELECT
		attempts.id,
		coalesce(deliveries.event_id, '') AS event_id,
		attempts.response_body,
		sum(coalesce(octet_length(attempts.response_body), 0)) OVER (ORDER BY attempts.id) AS size
	FROM attempts
	LEFT JOIN deliveries ON deliveries.id = attempts.delivery_id
	WHERE attempts.workspace_id = $1
		AND attempts.id = ANY($2)
		AND attempts.id BETWEEN $3 AND $4
) AS sized
WHERE size <= $5`)

// AttemptBody is the body of the answer to an attempt, and the event that the
// body of its request is made of.
type AttemptBody struct {
	ID       string
	EventID  string `db:"event_id"`
	Response []byte `db:"response_body"`
}

// AttemptBodies returns the bodies of attempts, by the attempt's id. Once they
// are larger than limit bytes, those of further attempts are missing.
func (d *DB) AttemptBodies(ctx context.Context, workspaceID string, attemptIDs []string, limit int) (map[string]AttemptBody, error) {
	if len(attemptIDs) == 0 {
		return nil, nil
	}
	var rows []AttemptBody
	if err := d.list(ctx, d.pool, listAttemptBodies, &rows, workspaceID, pq.Array(attemptIDs),
		slices.Min(attemptIDs), slices.Max(attemptIDs), limit); err != nil {
		return nil, err
	}
	byID := make(map[string]AttemptBody, len(rows))
	for _, r := range rows {
		byID[r.ID] = r
	}
	return byID, nil
}

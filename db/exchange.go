package db

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/webhook"
)

// exchangeRow is a row of test_exchanges.
type exchangeRow struct {
	ResultID          string `db:"result_id"`
	Outcome           webhook.Outcome
	Detail            string
	StartedAt         time.Time `db:"started_at"`
	DNS               int64     `db:"dns_us"`
	Connect           int64     `db:"connect_us"`
	TLS               int64     `db:"tls_us"`
	FirstByte         int64     `db:"first_byte_us"`
	Total             int64     `db:"total_us"`
	ConnectionReused  bool      `db:"connection_reused"`
	RequestMethod     string    `db:"request_method"`
	RequestURL        string    `db:"request_url"`
	RequestHeaders    headers   `db:"request_headers"`
	RequestBodySize   int       `db:"request_body_size"`
	ResponseStatus    *int      `db:"response_status"`
	ResponseText      *string   `db:"response_text"`
	ResponseHeaders   *headers  `db:"response_headers"`
	ResponseTruncated *bool     `db:"response_truncated"`
}

func (r exchangeRow) exchange() webhook.Exchange {
	e := webhook.Exchange{
		Outcome:   r.Outcome,
		Detail:    r.Detail,
		StartedAt: r.StartedAt.UTC(),
		Timing: webhook.Timing{
			DNS:              time.Duration(r.DNS) * time.Microsecond,
			Connect:          time.Duration(r.Connect) * time.Microsecond,
			TLS:              time.Duration(r.TLS) * time.Microsecond,
			FirstByte:        time.Duration(r.FirstByte) * time.Microsecond,
			Total:            time.Duration(r.Total) * time.Microsecond,
			ConnectionReused: r.ConnectionReused,
		},
		Request: webhook.Request{
			Method:   r.RequestMethod,
			URL:      r.RequestURL,
			Headers:  r.RequestHeaders,
			BodySize: r.RequestBodySize,
		},
	}
	if r.ResponseStatus != nil {
		e.Response = &webhook.Response{
			StatusCode:    *r.ResponseStatus,
			StatusText:    *r.ResponseText,
			Headers:       *r.ResponseHeaders,
			BodyTruncated: *r.ResponseTruncated,
		}
	}
	return e
}

var insertExchange = newStatement("test_exchanges.insert", `
INSERT INTO test_exchanges (
	result_id,
	number,
	workspace_id,
	outcome,
	detail,
	started_at,
	dns_us,
	connect_us,
	tls_us,
	first_byte_us,
	total_us,
	connection_reused,
	request_method,
	request_url,
	request_headers,
	request_body,
	response_status,
	response_text,
	response_headers,
	response_body,
	response_truncated
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
ON CONFLICT (result_id, number) DO NOTHING`)

func (d *DB) insertExchanges(ctx context.Context, tx *sqlx.Tx, workspaceID, resultID string, exchanges []webhook.Exchange) error {
	for i, e := range exchanges {
		args := []any{
			resultID,
			i + 1,
			workspaceID,
			e.Outcome,
			text(e.Detail),
			e.StartedAt,
			e.Timing.DNS.Microseconds(),
			e.Timing.Connect.Microseconds(),
			e.Timing.TLS.Microseconds(),
			e.Timing.FirstByte.Microseconds(),
			e.Timing.Total.Microseconds(),
			e.Timing.ConnectionReused,
			e.Request.Method,
			text(e.Request.URL),
			headers(e.Request.Headers),
			notNil(e.Request.Body),
		}
		if _, err := d.exec(ctx, tx, insertExchange, append(args, responseArgs(e.Response)...)...); err != nil {
			return err
		}
	}
	return nil
}

func responseArgs(r *webhook.Response) []any {
	if r == nil {
		return []any{nil, nil, nil, nil, nil}
	}
	return []any{r.StatusCode, text(r.StatusText), headers(r.Headers), notNil(r.Body), r.BodyTruncated}
}

// notNil keeps an empty body apart from none: the driver takes nil for NULL.
func notNil(body []byte) []byte {
	if body == nil {
		return []byte{}
	}
	return body
}

var listExchanges = newStatement("test_exchanges.list", `
SELECT
	result_id,
	outcome,
	detail,
	started_at,
	dns_us,
	connect_us,
	tls_us,
	first_byte_us,
	total_us,
	connection_reused,
	request_method,
	request_url,
	request_headers,
	octet_length(request_body) AS request_body_size,
	response_status,
	response_text,
	response_headers,
	response_truncated
FROM test_exchanges
WHERE workspace_id = $1
	AND result_id = ANY($2)
ORDER BY result_id, number`)

// TestExchanges returns the exchanges of each test result in their order,
// without their bodies, by the result's id.
func (d *DB) TestExchanges(ctx context.Context, workspaceID string, resultIDs []string) (map[string][]webhook.Exchange, error) {
	var rows []exchangeRow
	if err := d.list(ctx, d.pool, listExchanges, &rows, workspaceID, pq.Array(resultIDs)); err != nil {
		return nil, err
	}
	byResult := make(map[string][]webhook.Exchange, len(resultIDs))
	for _, r := range rows {
		byResult[r.ResultID] = append(byResult[r.ResultID], r.exchange())
	}
	return byResult, nil
}

var listExchangeBodies = newStatement("test_exchanges.list_bodies", `
SELECT
	result_id,
	request_body,
	response_body
FROM (
	SELECT
		*,
		sum(octet_length(request_body) + coalesce(octet_length(response_body), 0)) OVER (ORDER BY result_id, number) AS size
	FROM test_exchanges
	WHERE workspace_id = $1
		AND result_id = ANY($2)
) AS sized
WHERE size <= $3
ORDER BY result_id, number`)

// TestBodies returns the bodies of each test result's exchanges in their order,
// by the result's id. Once they are larger than limit bytes, those of further
// exchanges are missing.
func (d *DB) TestBodies(ctx context.Context, workspaceID string, resultIDs []string, limit int) (map[string][]webhook.Bodies, error) {
	var rows []struct {
		ResultID     string `db:"result_id"`
		RequestBody  []byte `db:"request_body"`
		ResponseBody []byte `db:"response_body"`
	}
	if err := d.list(ctx, d.pool, listExchangeBodies, &rows, workspaceID, pq.Array(resultIDs), limit); err != nil {
		return nil, err
	}
	byResult := make(map[string][]webhook.Bodies, len(resultIDs))
	for _, r := range rows {
		byResult[r.ResultID] = append(byResult[r.ResultID], webhook.Bodies{Request: r.RequestBody, Response: r.ResponseBody})
	}
	return byResult, nil
}

package db

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookql/hookql/internal/webhook"
)

// eventTypeRow is a row of event_types.
type eventTypeRow struct {
	ID            string
	Name          string
	Title         string
	Category      string
	Description   string
	Documentation *string
	Example       json.RawMessage
	CreatedAt     time.Time `db:"created_at"`
	UpdatedAt     time.Time `db:"updated_at"`
}

func (r eventTypeRow) eventType() *webhook.EventType {
	t := webhook.EventType(r)
	return &t
}

var insertEventType = newStatement("event_types.insert", `
INSERT INTO event_types (
	id,
	name,
	title,
	category,
	description,
	documentation,
	example,
	created_at,
	updated_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (name) DO NOTHING`)

// EnsureEventTypes adds those event types that the catalogue lacks.
func (d *DB) EnsureEventTypes(ctx context.Context, types []webhook.EventType) error {
	return d.inTx(ctx, func(tx *sqlx.Tx) error {
		for _, t := range types {
			_, err := d.exec(ctx, tx, insertEventType, t.ID, t.Name, t.Title, t.Category,
				t.Description, t.Documentation, []byte(t.Example), t.CreatedAt, t.UpdatedAt)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

var listEventTypes = newStatement("event_types.list", `
SELECT
	id,
	name,
	title,
	category,
	description,
	documentation,
	example,
	created_at,
	updated_at
FROM event_types
ORDER BY category, name`)

// EventTypes returns the whole catalogue, by category, then name.
func (d *DB) EventTypes(ctx context.Context) ([]*webhook.EventType, error) {
	var rows []eventTypeRow
	if err := d.list(ctx, listEventTypes, &rows); err != nil {
		return nil, err
	}
	types := make([]*webhook.EventType, len(rows))
	for i, r := range rows {
		types[i] = r.eventType()
	}
	return types, nil
}

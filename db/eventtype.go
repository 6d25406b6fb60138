package db

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

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
	Schema        []byte
	EnforceSchema bool `db:"enforce_schema"`
	Example       json.RawMessage
	ExampleMade   bool       `db:"example_made"`
	ArchivedAt    *time.Time `db:"archived_at"`
	CreatedAt     time.Time  `db:"created_at"`
	UpdatedAt     time.Time  `db:"updated_at"`
}

func (r eventTypeRow) eventType() *webhook.EventType {
	return &webhook.EventType{
		ID:            r.ID,
		Name:          r.Name,
		Title:         r.Title,
		Category:      r.Category,
		Description:   r.Description,
		Documentation: r.Documentation,
		Schema:        r.Schema,
		EnforceSchema: r.EnforceSchema,
		Example:       r.Example,
		ExampleMade:   r.ExampleMade,
		ArchivedAt:    utc(r.ArchivedAt),
		CreatedAt:     r.CreatedAt.UTC(),
		UpdatedAt:     r.UpdatedAt.UTC(),
	}
}

func eventTypesOf(rows []eventTypeRow) []*webhook.EventType {
	types := make([]*webhook.EventType, len(rows))
	for i, r := range rows {
		types[i] = r.eventType()
	}
	return types
}

// eventTypeColumns are all but the schema, which can be large and which lists
// leave out.
const eventTypeColumns = `
	id,
	name,
	title,
	category,
	description,
	documentation,
	enforce_schema,
	example,
	example_made,
	archived_at,
	created_at,
	updated_at`

// Changes of the catalogue wait for one another, so that its limits hold; who
// reads it does not wait.
var lockEventTypes = newStatement("event_types.lock", `
LOCK TABLE event_types IN SHARE ROW EXCLUSIVE MODE`)

var sizeEventTypes = newStatement("event_types.size", `
SELECT
	count(*) AS types,
	coalesce(sum(octet_length(example::text) + coalesce(octet_length(schema::text), 0)), 0) AS bytes
FROM event_types
WHERE NOT starts_with(name, 'webhook.')`) // HookQL's own find room in a full catalogue, too

// inCatalogue runs fn in a transaction that no other change of the catalogue
// runs beside, and undoes it where the catalogue has grown too large.
func (d *DB) inCatalogue(ctx context.Context, fn func(*sqlx.Tx) error) error {
	return d.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := d.exec(ctx, tx, lockEventTypes); err != nil {
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		var size struct{ Types, Bytes int }
		if err := d.get(ctx, tx, sizeEventTypes, &size); err != nil {
			return err
		}
		if size.Types > webhook.MaxEventTypes {
			return webhook.NewError(webhook.TooLong, fmt.Sprintf("The catalogue holds at most 1,000 event types, archived ones too; with this change it would be %d.", size.Types))
		}
		if size.Bytes > webhook.MaxCatalogueJSON {
			return webhook.NewError(webhook.TooLong, fmt.Sprintf("The schemas and examples of the whole catalogue take at most 8 MiB; with this change it would be %d bytes.", size.Bytes))
		}
		return nil
	})
}

var insertEventType = newStatement("event_types.insert", `
INSERT INTO event_types (`+eventTypeColumns+`,
	schema
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (name) DO NOTHING`)

// insertEventType adds a type unless its name is taken, and says whether it did.
func (d *DB) insertEventType(ctx context.Context, tx *sqlx.Tx, t *webhook.EventType) (inserted bool, err error) {
	n, err := d.exec(ctx, tx, insertEventType,
		t.ID,
		t.Name,
		t.Title,
		t.Category,
		t.Description,
		t.Documentation,
		t.EnforceSchema,
		[]byte(t.Example),
		t.ExampleMade,
		t.ArchivedAt,
		t.CreatedAt,
		t.UpdatedAt,
		orNull(t.Schema),
	)
	return n == 1, err
}

// orNull is JSON as an argument: SQL's null where there is none.
func orNull(text json.RawMessage) any {
	if text == nil {
		return nil
	}
	return []byte(text)
}

// EnsureEventTypes adds those event types that the catalogue lacks.
func (d *DB) EnsureEventTypes(ctx context.Context, types []webhook.EventType) error {
	return d.inCatalogue(ctx, func(tx *sqlx.Tx) error {
		for _, t := range types {
			if _, err := d.insertEventType(ctx, tx, &t); err != nil {
				return err
			}
		}
		return nil
	})
}

// InsertEventType adds an event type. A name that is there already is a
// webhook.Taken error.
func (d *DB) InsertEventType(ctx context.Context, t *webhook.EventType) error {
	return d.inCatalogue(ctx, func(tx *sqlx.Tx) error {
		inserted, err := d.insertEventType(ctx, tx, t)
		if err == nil && !inserted {
			return webhook.NewError(webhook.Taken,
				fmt.Sprintf("There is an event type %q already, or an archived one. Change or restore that, or choose another name.", t.Name), "name")
		}
		return err
	})
}

var findEventType = newStatement("event_types.find", `
SELECT`+eventTypeColumns+`,
	schema
FROM event_types
WHERE name = $1`)

var updateEventType = newStatement("event_types.update", `
UPDATE event_types SET
	title = $2,
	category = $3,
	description = $4,
	documentation = $5,
	schema = $6,
	example = $7,
	example_made = $8,
	archived_at = $9,
	updated_at = $10,
	enforce_schema = $11
WHERE id = $1`)

func (d *DB) updateEventType(ctx context.Context, tx *sqlx.Tx, t *webhook.EventType) error {
	_, err := d.exec(ctx, tx, updateEventType,
		t.ID,
		t.Title,
		t.Category,
		t.Description,
		t.Documentation,
		orNull(t.Schema),
		[]byte(t.Example),
		t.ExampleMade,
		t.ArchivedAt,
		t.UpdatedAt,
		t.EnforceSchema,
	)
	return err
}

// ChangeEventType applies a change to the event type of a name, which must not
// change, and returns it as it is then. A name that is not there is
// webhook.NotFound. What change makes no different is not written.
func (d *DB) ChangeEventType(ctx context.Context, name string, change func(*webhook.EventType) error) (changed *webhook.EventType, err error) {
	err = d.inCatalogue(ctx, func(tx *sqlx.Tx) error {
		var row eventTypeRow
		if err := d.get(ctx, tx, findEventType, &row, text(name)); err != nil {
			return err
		}
		changed = row.eventType()
		if err := change(changed); err != nil || reflect.DeepEqual(changed, row.eventType()) {
			return err
		}
		changed.UpdatedAt = webhook.Now()
		return d.updateEventType(ctx, tx, changed)
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// ChangeEventTypes hands the whole catalogue, with schemas, to plan and writes
// the types that plan returns: the changed ones, and new ones.
func (d *DB) ChangeEventTypes(ctx context.Context, plan func(all []*webhook.EventType) ([]*webhook.EventType, error)) error {
	return d.inCatalogue(ctx, func(tx *sqlx.Tx) error {
		var rows []eventTypeRow
		if err := d.list(ctx, tx, listFullEventTypes, &rows); err != nil {
			return err
		}
		changed, err := plan(eventTypesOf(rows))
		if err != nil {
			return err
		}
		for _, t := range changed {
			inserted, err := d.insertEventType(ctx, tx, t)
			if err == nil && !inserted {
				err = d.updateEventType(ctx, tx, t)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

var listFullEventTypes = newStatement("event_types.list_full", `
SELECT`+eventTypeColumns+`,
	schema
FROM event_types
ORDER BY category, name`)

// FullEventTypes returns the whole catalogue with its schemas, by category,
// then name.
func (d *DB) FullEventTypes(ctx context.Context) ([]*webhook.EventType, error) {
	var rows []eventTypeRow
	err := d.list(ctx, d.pool, listFullEventTypes, &rows)
	return eventTypesOf(rows), err
}

var listEventTypes = newStatement("event_types.list", `
SELECT`+eventTypeColumns+`
FROM event_types
ORDER BY category, name`)

// EventTypes returns the whole catalogue without schemas, by category, then
// name.
func (d *DB) EventTypes(ctx context.Context) ([]*webhook.EventType, error) {
	var rows []eventTypeRow
	err := d.list(ctx, d.pool, listEventTypes, &rows)
	return eventTypesOf(rows), err
}

var listEventTypeSchemas = newStatement("event_types.schemas", `
SELECT
	id,
	schema
FROM event_types
WHERE id = ANY($1)
	AND schema IS NOT NULL`)

// EventTypeSchemas returns the schemas of those of the types that have one, by
// the type's id.
func (d *DB) EventTypeSchemas(ctx context.Context, ids []string) (map[string]json.RawMessage, error) {
	var rows []eventTypeRow
	if err := d.list(ctx, d.pool, listEventTypeSchemas, &rows, pq.Array(ids)); err != nil {
		return nil, err
	}
	byID := make(map[string]json.RawMessage, len(rows))
	for _, r := range rows {
		byID[r.ID] = r.Schema
	}
	return byID, nil
}

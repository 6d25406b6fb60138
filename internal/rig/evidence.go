package rig

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// evidence is all that the judge looks at.
type evidence struct {
	hooks     []hook
	published []published
	arrivals  []arrival
	faults    []fault
	// Out of the database.
	uids       map[string]string // of events, by their ids
	deliveries map[string]*delivery
}

// delivery is what the database says about one, with its attempts in the order
// in which they began.
type delivery struct {
	eventID, webhookID string
	state              string
	attempts           int
	log                []attempt
}

// attempt is what the log says about one.
type attempt struct {
	begin, end stamp
	outcome    string
	status     int // 0: no answer was read
	late       bool
}

// gather reads the journals and the database of a lab that has stopped.
func (l *lab) gather(ctx context.Context) (*evidence, error) {
	e := &evidence{hooks: l.hooks, uids: make(map[string]string), deliveries: make(map[string]*delivery)}
	var err error
	if e.published, err = readJournal[published](l.path("published")); err != nil {
		return nil, err
	}
	if e.arrivals, err = readJournal[arrival](l.path("arrivals")); err != nil {
		return nil, err
	}
	if e.faults, err = readJournal[fault](l.path("faults")); err != nil {
		return nil, err
	}
	db, err := sql.Open("postgres", l.database())
	if err != nil {
		return nil, err
	}
	defer db.Close() //nolint:errcheck // it was only read
	if err := e.readEvents(ctx, db); err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	if err := e.readDeliveries(ctx, db); err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	if err := e.readAttempts(ctx, db); err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	return e, nil
}

func (e *evidence) readEvents(ctx context.Context, db *sql.DB) error {
	return scan(ctx, db, `SELECT id, coalesce(uid, '') FROM events WHERE name = '`+eventName+`'`, func(row *sql.Rows) error {
		var id, uid string
		err := row.Scan(&id, &uid)
		e.uids[id] = uid
		return err
	})
}

func (e *evidence) readDeliveries(ctx context.Context, db *sql.DB) error {
	return scan(ctx, db, `SELECT id, event_id, webhook_id, state, attempts FROM deliveries`, func(row *sql.Rows) error {
		var id string
		d := &delivery{}
		err := row.Scan(&id, &d.eventID, &d.webhookID, &d.state, &d.attempts)
		e.deliveries[id] = d
		return err
	})
}

func (e *evidence) readAttempts(ctx context.Context, db *sql.DB) error {
	err := scan(ctx, db, `
		SELECT
			delivery_id,
			(extract(epoch FROM started_at) * 1000000)::bigint,
			total_us,
			outcome,
			coalesce((exchange #>> '{response,status}')::integer, 0),
			late
		FROM attempts`, func(row *sql.Rows) error {
		var id string
		var a attempt
		var took stamp
		if err := row.Scan(&id, &a.begin, &took, &a.outcome, &a.status, &a.late); err != nil {
			return err
		}
		a.end = a.begin + took
		d := e.deliveries[id]
		if d == nil { // an attempt of nothing: the judge finds that its arrival is not recorded
			return nil
		}
		d.log = append(d.log, a)
		return nil
	})
	for _, d := range e.deliveries {
		slices.SortFunc(d.log, func(a, b attempt) int { return int(a.begin - b.begin) })
	}
	return err
}

func scan(ctx context.Context, db *sql.DB, query string, each func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

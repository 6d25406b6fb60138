package db_test

import (
	"testing"
	"time"
)

// free waits until nobody holds upkeep's lock: a session ends a moment after it is
// closed.
func (a *attic) free() {
	a.t.Helper()
	for a.count(`SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = $1
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, 0x686b+1) > 0 {
		time.Sleep(time.Millisecond)
	}
}

// amiss are the counts of Check that are not 0, by what they count.
func (a *attic) amiss() map[string]int64 {
	a.t.Helper()
	all, err := a.Check(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	a.free()
	found := make(map[string]int64)
	for _, f := range all {
		if f.Count != 0 {
			found[f.What] = f.Count
		}
	}
	return found
}

// TestCheck breaks each invariant by itself.
func TestCheck(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   []string // statements
		want []string // what is found besides
	}{
		"nothing": {},
		"retention": {
			do: []string{`DROP TABLE events_OLD`, `DELETE FROM event_uids WHERE event_id < (SELECT min(id) FROM events)`},
		},
		"retention of attempts alone": {do: []string{`DROP TABLE attempts_OLD`}},
		"a body is gone":              {do: []string{`UPDATE events SET data = NULL`}},
		"a late attempt": {
			do: []string{`INSERT INTO attempts SELECT id || 'x', workspace_id, 'dlv_7', number, trigger, outcome, message, true, started_at, total_us, exchange, payload_format, NULL
				FROM attempts LIMIT 1`},
		},
		"no event": {
			do:   []string{`DELETE FROM events WHERE id = (SELECT max(id) FROM events)`},
			want: []string{"deliveries without their event", "uids without their event"},
		},
		"event elsewhere": {
			do:   []string{`UPDATE deliveries SET workspace_id = 'ws_other' WHERE id = (SELECT max(id) FROM deliveries)`},
			want: []string{"deliveries in another workspace than their event", "deliveries in another workspace than their webhook", "deliveries of workspaces that do not exist", "attempts in another workspace than their delivery"},
		},
		"closed": {do: []string{`DELETE FROM workspaces`}},
		"closed and forgotten": {
			do:   []string{`DELETE FROM workspaces`, `DELETE FROM closed_workspaces`},
			want: []string{"deliveries of workspaces that do not exist", "attempts of workspaces that do not exist", "events of workspaces that do not exist"},
		},
		"deleted": {
			do: []string{`UPDATE deliveries SET state = 'PARKED', finished_at = NULL`, `INSERT INTO deleted_webhooks SELECT id FROM webhooks`, `DELETE FROM webhooks`},
		},
		"deleted and forgotten": {
			do:   []string{`UPDATE deliveries SET state = 'PARKED', finished_at = NULL`, `DELETE FROM webhooks`},
			want: []string{"open deliveries to webhooks that do not exist"},
		},
		"no success": {
			do:   []string{`UPDATE attempts SET outcome = 'REJECTED' WHERE id = (SELECT max(id) FROM attempts)`},
			want: []string{"deliveries that succeeded without an attempt that did"},
		},
		"a late success": {
			do:   []string{`UPDATE attempts SET late = true WHERE id = (SELECT max(id) FROM attempts)`},
			want: []string{"deliveries that succeeded without an attempt that did", "deliveries with more or fewer attempts than they count"},
		},
		"too many attempts": {
			do:   []string{`UPDATE deliveries SET attempts = 2 WHERE id = (SELECT max(id) FROM deliveries)`},
			want: []string{"deliveries with more or fewer attempts than they count"},
		},
		"an attempt twice": {
			do: []string{`INSERT INTO attempts SELECT id || 'x', workspace_id, delivery_id, number, trigger, outcome, message, late, started_at, total_us, exchange, payload_format, NULL
					FROM attempts ORDER BY id DESC LIMIT 1`,
				`UPDATE deliveries SET attempts = 2 WHERE id = (SELECT max(id) FROM deliveries)`},
			want: []string{"attempts that counted twice"},
		},
		"no delivery": {
			do:   []string{`DELETE FROM deliveries WHERE id = (SELECT max(id) FROM deliveries)`},
			want: []string{"attempts without their delivery"},
		},
		"finished too early": {
			do:   []string{`UPDATE deliveries SET finished_at = created_at - interval '2 minutes' WHERE id = (SELECT max(id) FROM deliveries)`},
			want: []string{"deliveries that finished more than a minute before they were created"},
		},
		"due": {
			do:   []string{`UPDATE deliveries SET state = 'READY', finished_at = NULL, next_at = now() - interval '11 minutes' WHERE id = (SELECT max(id) FROM deliveries)`},
			want: []string{"deliveries that are due for ten minutes and in nobody's hands"},
		},
		"due and nobody delivers": {
			do: []string{`UPDATE deliveries SET state = 'READY', finished_at = NULL, next_at = now() - interval '11 minutes'`, `UPDATE nodes SET started_at = now()`},
		},
		"leased": {
			do: []string{`UPDATE deliveries SET state = 'READY', finished_at = NULL, lease = (SELECT max(id) << 32 FROM nodes) + 1, next_at = now() + interval '45 seconds'`},
		},
		"ended": {
			do: []string{`UPDATE deliveries SET state = 'READY', finished_at = NULL, lease = (SELECT max(id) << 32 FROM nodes) + 1, next_at = now() - interval '61 seconds'
				WHERE id = (SELECT max(id) FROM deliveries)`},
			want: []string{"leases that ended more than a minute ago"},
		},
		"leased for long": {
			do: []string{`UPDATE deliveries SET state = 'READY', finished_at = NULL, lease = (SELECT max(id) << 32 FROM nodes) + 1, next_at = now() + interval '1 hour'
				WHERE id = (SELECT max(id) FROM deliveries)`},
			want: []string{"leases that end later than any may"},
		},
		"leased by nobody": {
			do: []string{`UPDATE deliveries SET state = 'READY', finished_at = NULL, lease = 77::bigint << 32, next_at = now() + interval '10 seconds'
				WHERE id = (SELECT max(id) FROM deliveries)`},
			want: []string{"leases of processes that never were"},
		},
		"no uid":      {do: []string{`DELETE FROM event_uids WHERE event_id = (SELECT max(id) FROM events)`}, want: []string{"events whose uid is not kept as theirs"}},
		"another uid": {do: []string{`UPDATE events SET uid = 'other' WHERE id = (SELECT max(id) FROM events)`}, want: []string{"events whose uid is not kept as theirs"}},
		"test run": {
			do: []string{`INSERT INTO test_runs (id, workspace_id, url, status, started_at, leased_until, tests_total, tests_succeeded, tests_failed)
				SELECT 'run_1', id, 'https://example.com', 'RUNNING', now(), now() - interval '2 minutes', 1, 0, 0 FROM workspaces`},
			want: []string{"test runs that their process left a minute ago"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAttic(t)
			old := time.Now().Add(-12 * day)
			a.partitions(old)
			a.delivered(a.workspaceID, old, 1)
			a.delivered(a.workspaceID, old.Add(-20*day), 1) // before all that must be there
			a.delivered(a.workspaceID, time.Now(), 1)
			w := insert(t, a.DB, a.workspaceID, newWebhook("a"))
			a.sql.MustExec(`UPDATE deliveries SET webhook_id = $1`, w.ID)
			a.delivering()
			a.sql.MustExec(`ALTER TABLE events_` + old.UTC().Format("20060102") + ` RENAME TO events_OLD`)
			a.sql.MustExec(`ALTER TABLE attempts_` + old.UTC().Format("20060102") + ` RENAME TO attempts_OLD`)
			for _, s := range tt.do {
				a.sql.MustExec(s)
			}
			found := a.amiss()
			for _, what := range tt.want {
				if found[what] == 0 {
					t.Errorf("it does not find %s", what)
				}
				delete(found, what)
			}
			if len(found) > 0 {
				t.Errorf("it also finds %v", found)
			}
		})
	}
}

// delivering makes this process one that has been delivering for a while.
func (a *attic) delivering() {
	a.t.Helper()
	node, err := a.JoinNodes(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = node.Leave() })
	a.sql.MustExec(`UPDATE nodes SET started_at = now() - interval '11 minutes'`)
}

// TestCheckOfNothing finds nothing in an empty database.
func TestCheckOfNothing(t *testing.T) {
	t.Parallel()
	if found := newAttic(t).amiss(); len(found) > 0 {
		t.Errorf("an empty database has %v", found)
	}
}

// Package db keeps HookQL's data in PostgreSQL. It is the only place with SQL:
// one file per noun, each statement directly above the method that runs it.
//
// Every method that touches a customer's data takes the workspace's id right
// after the context and finds nothing outside it. One exported method is one
// transaction; no transaction leaves the package. What the caller can mend
// comes back as *webhook.Error, everything else is a fault.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	neturl "net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/seal"
	"github.com/hookql/hookql/internal/webhook"
)

// MaxConnections is how many connections one process holds at most: for
// requests, for the queue, for the sealing keys, for its node and for upkeep.
const MaxConnections = requestConnections + queueConnections + 3

// requestConnections are for what the API reads and writes.
const requestConnections = 20

// DB is the database. It is safe for concurrent use.
type DB struct {
	// OnStatement, where set, is called with the name of each statement before
	// it runs: for logs, metrics, and tests that count.
	OnStatement func(ctx context.Context, name string)

	// UniqueURLs lets a workspace have one webhook per URL. It holds against
	// the processes that have it set, too.
	UniqueURLs bool

	// LimitTestRuns lets a workspace begin at most MaxTestRuns within a minute.
	LimitTestRuns bool

	url    string
	sealer sealer
	pool   *sqlx.DB
	// keys has one connection, for the sealing keys alone: who needs one may
	// hold a connection of pool, and all others may be held as well.
	keys *sqlx.DB
	// queue is for what keeps events moving, which must not wait for requests.
	queue *sqlx.DB
}

// queueConnections are for ingest, settle, suspensions, claims, the look at
// nodes and webhooks and the depth, each of which one goroutine does.
const queueConnections = 7

// queueSettings let the statements of the queue have the one plan that is right
// for them, however the tables grow: few rows by an index, out of any number.
var queueSettings = map[string]string{
	"plan_cache_mode":  "force_generic_plan",
	"enable_seqscan":   "off",
	"enable_hashjoin":  "off",
	"enable_mergejoin": "off",
	"jit":              "off",
}

// statementTimeout ends what ending its context did not end: the driver asks
// PostgreSQL once to cancel a statement, which ignores it where the statement
// has not quite begun.
const statementTimeout = 10 * time.Second

// answerTime is how much longer than a statement may run its answer may take.
const answerTime = time.Second

// Open connects to the database at url. Of the master keys, at least one, the
// first seals secrets, and all open them. The caller closes it.
func Open(ctx context.Context, url string, masters ...seal.Key) (*DB, error) {
	if len(masters) == 0 {
		return nil, errors.New("open the database: secrets need a master key")
	}
	pool, err := connect(ctx, url, statementTimeout)
	if err != nil {
		return nil, err
	}
	keys, err := newPool(url, statementTimeout, nil)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	keys.SetMaxOpenConns(1)
	keys.SetMaxIdleConns(0)
	queue, err := newPool(url, statementTimeout, queueSettings)
	if err != nil {
		return nil, errors.Join(err, pool.Close(), keys.Close())
	}
	queue.SetMaxOpenConns(queueConnections)
	d := &DB{url: url, pool: pool, keys: keys, queue: queue}
	for _, master := range masters {
		d.sealer.masters = append(d.sealer.masters, master.Cipher())
	}
	return d, nil
}

// connect opens a pool and tries it.
func connect(ctx context.Context, url string, timeout time.Duration) (*sqlx.DB, error) {
	pool, err := newPool(url, timeout, nil)
	if err != nil {
		return nil, err
	}
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the database: %w", withoutParameters(url, err)), pool.Close())
	}
	return pool, nil
}

// withoutParameters leaves out of an error what stands in the query of the
// database's URL, where a password may be in the wrong place.
func withoutParameters(url string, err error) error {
	u, parseErr := neturl.Parse(url)
	if parseErr != nil {
		return err
	}
	said := err.Error()
	for _, values := range u.Query() {
		for _, value := range values {
			said = strings.ReplaceAll(said, strconv.Quote(value), "what is given")
		}
	}
	return plainError{said, err}
}

// plainError is an error in other words.
type plainError struct {
	said string
	error
}

func (e plainError) Error() string { return e.said }
func (e plainError) Unwrap() error { return e.error }

// newPool makes a pool whose statements end after a time, zero: never, and run
// with some settings of PostgreSQL.
func newPool(url string, timeout time.Duration, settings map[string]string) (*sqlx.DB, error) {
	config, err := pq.NewConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the database's URL: %w", withoutParameters(url, err))
	}
	if config.Runtime == nil {
		config.Runtime = make(map[string]string)
	}
	maps.Copy(config.Runtime, settings)
	config.BinaryParameters = true // bytes go as they are; see binaryArray
	config.Runtime["statement_timeout"] = strconv.FormatInt(timeout.Milliseconds(), 10)
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, fmt.Errorf("read the database's URL: %w", withoutParameters(url, err))
	}
	if timeout > 0 {
		connector.Dialer(dialer{patience: timeout + answerTime})
	}
	pool := sqlx.NewDb(sql.OpenDB(preparing{connector}), "postgres")
	pool.SetMaxOpenConns(requestConnections)
	pool.SetMaxIdleConns(requestConnections)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return pool, nil
}

// Close closes every connection.
func (d *DB) Close() error { return errors.Join(d.pool.Close(), d.keys.Close(), d.queue.Close()) }

// Ping says whether the database answers.
func (d *DB) Ping(ctx context.Context) error { return d.pool.PingContext(ctx) }

// inTx runs fn in a transaction, which is committed unless fn fails.
func (d *DB) inTx(ctx context.Context, fn func(*sqlx.Tx) error) error {
	return inTxOf(ctx, d.pool, fn)
}

func inTxOf(ctx context.Context, pool *sqlx.DB, fn func(*sqlx.Tx) error) error {
	tx, err := pool.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back, before it the first error counts
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// session is a connection, a transaction or a pool.
type session interface {
	sqlx.QueryerContext
	sqlx.ExecerContext
}

// get reads one row into dest; no row is webhook.NotFound.
func (d *DB) get(ctx context.Context, q sqlx.QueryerContext, s statement, dest any, args ...any) error {
	d.observe(ctx, s)
	err := sqlx.GetContext(ctx, q, dest, s.text, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return webhook.NotFound
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, orClosed(err))
	}
	return nil
}

// list reads all rows into the slice at dest.
func (d *DB) list(ctx context.Context, q sqlx.QueryerContext, s statement, dest any, args ...any) error {
	d.observe(ctx, s)
	rows, err := q.QueryxContext(ctx, s.text, args...)
	if err == nil {
		err = scanAll(rows, dest)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// countsByID reads rows of an id and a number.
func (d *DB) countsByID(ctx context.Context, s statement, args ...any) (map[string]int, error) {
	var rows []struct {
		ID    string
		Count int
	}
	if err := d.list(ctx, d.pool, s, &rows, args...); err != nil {
		return nil, err
	}
	counts := make(map[string]int, len(rows))
	for _, r := range rows {
		counts[r.ID] = r.Count
	}
	return counts, nil
}

// exec runs a statement and says how many rows it changed.
func (d *DB) exec(ctx context.Context, q sqlx.ExecerContext, s statement, args ...any) (int64, error) {
	d.observe(ctx, s)
	result, err := q.ExecContext(ctx, s.text, args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", s.name, orClosed(err))
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("%s: count rows: %w", s.name, err)
	}
	return changed, nil
}

func (d *DB) observe(ctx context.Context, s statement) {
	if d.OnStatement != nil {
		d.OnStatement(ctx, s.name)
	}
}

package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookql/hookql/internal/faults"
	"github.com/hookql/hookql/internal/webhook"
)

// nodeLock is the first of the two numbers of the session locks that processes
// hold; the second is the node's.
const nodeLock = 0x686b

// Node is this process among those that deliver. It holds a session lock on its
// number over a connection of its own, so that the others know at once when it
// is gone.
type Node struct {
	number int64
	pool   *sqlx.DB
	conn   *sqlx.Conn
}

// Number tells the node from all others, also of other times.
func (n *Node) Number() int64 { return n.number }

var insertNode = newStatement("nodes.insert", `
INSERT INTO nodes DEFAULT VALUES
RETURNING id`)

var lockNode = newStatement("nodes.lock", `
SELECT pg_try_advisory_lock($1::integer, $2::integer)`)

// JoinNodes makes this process one of those that deliver.
func (d *DB) JoinNodes(ctx context.Context) (_ *Node, err error) {
	pool, err := newPool(d.url, statementTimeout, nil)
	if err != nil {
		return nil, err
	}
	n := &Node{pool: pool}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("join the nodes: %w", err), n.close())
		}
	}()
	if n.conn, err = pool.Connx(ctx); err != nil {
		return nil, err
	}
	// In one transaction, so that nobody sees the row without the lock.
	tx, err := n.conn.BeginTxx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back, before it the first error counts
	if err := d.get(ctx, tx, insertNode, &n.number); err != nil {
		return nil, err
	}
	var locked bool
	if err := d.get(ctx, tx, lockNode, &locked, nodeLock, n.number); err != nil {
		return nil, err
	}
	return n, tx.Commit()
}

// Check says whether the node still holds its lock: its connection is gone where
// not, and others may have taken over what it had in hand.
func (n *Node) Check(ctx context.Context) error {
	var one int
	return n.conn.GetContext(ctx, &one, `SELECT 1`)
}

var deleteNode = newStatement("nodes.delete", `
DELETE FROM nodes
WHERE id = $1`)

// Leave ends the node. What it still had in hand is taken over at once.
func (n *Node) Leave() error { return n.close() }

func (n *Node) close() error {
	var err error
	if n.conn != nil {
		err = n.conn.Close()
	}
	return errors.Join(err, n.pool.Close())
}

var listNodes = newStatement("nodes.list", `
SELECT id
FROM nodes
ORDER BY id`)

// The lock is held until the transaction ends, so that one process alone frees
// what another has left.
var lockLeftNode = newStatement("nodes.lock_left", `
SELECT pg_try_advisory_xact_lock($1::integer, $2::integer)`)

// A lease ends within $3 milliseconds, so the index of what is due finds all.
var freeLeases = newStatement("deliveries.free_leases", `
UPDATE deliveries
SET
	lease = 0,
	next_at = now()
WHERE state = 'READY'
	AND next_at <= now() + $3 * interval '1 millisecond'
	AND lease >= $1
	AND lease < $2`)

// FreeLeft frees the deliveries that processes had in hand which are gone, none
// of whose leases is longer than longest. It returns the nodes that live, self
// among them, and how many deliveries were freed.
func (d *DB) FreeLeft(ctx context.Context, self int64, longest time.Duration) (alive int, freed int64, err error) {
	var ids []int64
	if err := d.list(ctx, d.queue, listNodes, &ids); err != nil {
		return 0, 0, err
	}
	for _, id := range ids {
		if id == self {
			alive++
			continue
		}
		gone, n, err := d.freeIfGone(ctx, id, longest)
		if err != nil {
			return 0, freed, err
		}
		freed += n
		if !gone {
			alive++
		}
	}
	return alive, freed, nil
}

func (d *DB) freeIfGone(ctx context.Context, id int64, longest time.Duration) (gone bool, freed int64, err error) {
	err = inTxOf(ctx, d.queue, func(tx *sqlx.Tx) error {
		if err := d.get(ctx, tx, lockLeftNode, &gone, nodeLock, id); err != nil || !gone {
			return err
		}
		if freed, err = d.exec(ctx, tx, freeLeases, webhook.Lease(id, 0), webhook.Lease(id+1, 0), longest.Milliseconds()); err != nil {
			return err
		}
		faults.At("nodes.freed")
		if freed > 0 {
			return nil // a last statement of it may still commit, which the next look finds
		}
		_, err = d.exec(ctx, tx, deleteNode, id)
		return err
	})
	return gone, freed, err
}

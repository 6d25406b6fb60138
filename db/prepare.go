package db

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/lib/pq"
)

// preparing makes connections that prepare every statement with parameters
// when it is first used and keep it: from then on PostgreSQL does not parse it
// again, nor plan it where one plan does for all parameters, and a statement
// takes one round trip instead of two. The texts are constants of this
// package, so a connection keeps no more than there are.
type preparing struct{ driver.Connector }

func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &preparingConn{conn.(pqConn), make(map[string]pqStatement)}, nil
}

// pqConn is what lib/pq's connections do.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// pqStatement is what lib/pq's prepared statements do.
type pqStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type preparingConn struct {
	pqConn
	statements map[string]pqStatement // by text; a connection has one user at a time
}

func (c *preparingConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	if len(args) == 0 {
		return c.pqConn.QueryContext(ctx, text, args)
	}
	s, err := c.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args)
	return rows, orOutdated(err)
}

func (c *preparingConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 0 { // maybe several statements, as in a migration
		return c.pqConn.ExecContext(ctx, text, args)
	}
	s, err := c.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	result, err := s.ExecContext(ctx, args)
	return result, orOutdated(err)
}

func (c *preparingConn) statement(ctx context.Context, text string) (pqStatement, error) {
	if s, ok := c.statements[text]; ok {
		return s, nil
	}
	prepared, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	s := prepared.(pqStatement)
	c.statements[text] = s
	return s, nil
}

// orOutdated gives the connection up where a migration changed what a prepared
// statement returns; outside a transaction, database/sql tries another.
// PostgreSQL finds it before it runs the statement.
func orOutdated(err error) error {
	var e *pq.Error
	if errors.As(err, &e) && e.Code == "0A000" && e.Routine == "RevalidateCachedQuery" {
		return driver.ErrBadConn
	}
	return err
}

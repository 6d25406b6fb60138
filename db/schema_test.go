package db_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/hookql/hookql/internal/golden"
	"github.com/hookql/hookql/internal/pgtest"
)

// schemaQuery writes the schema from PostgreSQL's own catalogue: pg_dump's
// output differs from version to version and from run to run.
const schemaQuery = `
WITH tables AS (
	SELECT c.oid, c.relname
	FROM pg_class c
	WHERE c.relnamespace = 'public'::regnamespace
		AND c.relkind IN ('r', 'p')
		AND c.relname <> 'goose_db_version'
		AND NOT c.relispartition
), lines AS (
	SELECT t.relname, 1 AS part, a.attnum AS place, '    ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
		|| CASE WHEN co.collname = 'default' OR co.collname IS NULL THEN '' ELSE ' COLLATE "' || co.collname || '"' END
		|| CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
		|| coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') AS line
	FROM tables t
	JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
	LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
	LEFT JOIN pg_collation co ON co.oid = a.attcollation
	UNION ALL
	SELECT t.relname, 2, row_number() OVER (PARTITION BY t.oid ORDER BY position(c.contype IN 'pufc'), c.conname COLLATE "C"),
		'    CONSTRAINT ' || c.conname || ' ' || pg_get_constraintdef(c.oid)
	FROM tables t
	JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype <> 'n'
), indexes AS (
	SELECT t.relname, string_agg(pg_get_indexdef(i.indexrelid) || ';', E'\n' ORDER BY x.relname COLLATE "C") AS text
	FROM tables t
	JOIN pg_index i ON i.indrelid = t.oid
	JOIN pg_class x ON x.oid = i.indexrelid
	WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u'))
	GROUP BY t.relname
)
SELECT 'CREATE TABLE ' || l.relname || E' (\n' || string_agg(l.line, E',\n' ORDER BY l.part, l.place) || E'\n);\n'
	|| coalesce(max(i.text) || E'\n', '')
FROM lines l
LEFT JOIN indexes i USING (relname)
GROUP BY l.relname
ORDER BY l.relname COLLATE "C"`

// TestSchema keeps schema.sql, which is there to be read and reviewed, equal to
// what the migrations make.
func TestSchema(t *testing.T) {
	t.Parallel()
	pool, err := sqlx.Open("postgres", pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close() //nolint:errcheck // only read from
	var tables []string
	if err := pool.SelectContext(context.Background(), &tables, schemaQuery); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "schema.sql", "-- What the migrations make. Written by `make generate`.\n\n"+strings.Join(tables, "\n"))
}

package db

import "strings"

// statement is one named SQL statement. Its name leads the text as a comment,
// so that pg_stat_activity shows it, and is the name that OnStatement gets.
type statement struct{ name, text string }

// statements lists every statement of the package; a test prepares each
// against the migrated schema.
var statements []statement

// newStatement names a statement; for package variables only.
func newStatement(name, text string) statement {
	s := statement{name, "/* " + name + " */ " + strings.TrimSpace(text)}
	statements = append(statements, s)
	return s
}

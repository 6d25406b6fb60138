package db

import (
	"errors"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// violates says whether err is a broken unique constraint of the given name.
func violates(err error, constraint string) bool {
	var e *pq.Error
	return errors.As(err, &e) && e.Code == pqerror.UniqueViolation && e.Constraint == constraint
}

// text makes s fit for a text column, which holds neither NUL nor bytes that
// are no UTF-8. Receivers send both.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

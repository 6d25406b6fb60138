package db

import (
	"errors"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/hookql/hookql/internal/webhook"
)

// violates says whether err is a broken unique constraint of the given name.
func violates(err error, constraint string) bool {
	var e *pq.Error
	return errors.As(err, &e) && e.Code == pqerror.UniqueViolation && e.Constraint == constraint
}

// isLocked says whether a statement did not get a lock within lockTimeout.
func isLocked(err error) bool {
	var e *pq.Error
	return errors.As(err, &e) && e.Code == pqerror.LockNotAvailable
}

// orClosed finds out that a write failed because its workspace was deleted
// since the request was let in.
func orClosed(err error) error {
	var e *pq.Error
	if errors.As(err, &e) && e.Code == pqerror.ForeignKeyViolation && strings.HasSuffix(e.Constraint, "_workspace_id_fkey") {
		return webhook.NewError(webhook.WrongState, "The workspace of this request was closed. Name another.")
	}
	return err
}

// text makes s fit for a text column, which holds neither NUL nor bytes that
// are no UTF-8. Receivers send both.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

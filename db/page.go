package db

import (
	"slices"

	"github.com/hookql/hookql/internal/webhook"
)

// beyond sorts after every id.
const beyond = "~"

// bounds are the ids between which a page lies, both exclusive, newest first.
func bounds(p webhook.Page) (below, above string) {
	if p.After == "" {
		return beyond, p.Before
	}
	return p.After, p.Before
}

// cut makes a page of rows, of which one more than the limit was asked for.
// Rows of a page from the end come oldest first.
func cut[T any](p webhook.Page, rows []T) webhook.Slice[T] {
	more := len(rows) > p.Limit
	rows = rows[:min(len(rows), p.Limit)]
	if p.FromEnd {
		slices.Reverse(rows)
		return webhook.Slice[T]{Items: rows, HasPrevious: more, HasNext: p.Before != ""}
	}
	return webhook.Slice[T]{Items: rows, HasNext: more, HasPrevious: p.After != ""}
}

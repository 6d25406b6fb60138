package resolvers

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// Items per page.
const (
	defaultPage = 25
	maxPage     = 100
)

// page turns Relay's arguments into a page of a list whose ids have the given
// prefix and which is sorted by them.
func page(prefix string, first *int, after *string, last *int, before *string) (webhook.Page, error) {
	p, err := pageSize(first, last)
	if err != nil {
		return p, err
	}
	if p.After, err = decodeCursor(prefix, after); err != nil {
		return p, err
	}
	p.Before, err = decodeCursor(prefix, before)
	return p, err
}

// pageSize is how many items to read, and from which end.
func pageSize(first, last *int) (webhook.Page, error) {
	p := webhook.Page{Limit: defaultPage, FromEnd: last != nil}
	if first != nil && last != nil {
		return p, webhook.NewError(webhook.Invalid, "Give `first` or `last`, not both.")
	}
	for _, limit := range []*int{first, last} {
		if limit == nil {
			continue
		}
		if *limit < 1 || *limit > maxPage {
			return p, webhook.NewError(webhook.Invalid, "A page holds 1 to 100 items: give `first` or `last` a number between.")
		}
		p.Limit = *limit
	}
	return p, nil
}

// encodeCursor makes the cursor of the item with the given id.
func encodeCursor(id string) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

// decodeCursor is the id in a cursor, "" where there is none.
func decodeCursor(prefix string, cursor *string) (string, error) {
	if cursor == nil || *cursor == "" {
		return "", nil
	}
	id, err := base64.RawURLEncoding.Strict().DecodeString(*cursor)
	if err != nil || !isID(prefix, string(id)) {
		return "", errCursor()
	}
	return string(id), nil
}

func errCursor() error {
	return webhook.NewError(webhook.Invalid, "This cursor is not one of this list. Take `pageInfo.endCursor` or an edge's `cursor` as they are, in the same order.")
}

func isID(prefix, s string) bool {
	digits, ok := strings.CutPrefix(s, prefix+"_")
	return ok && len(digits) == 26 && strings.Trim(digits, "0123456789abcdefghjkmnpqrstvwxyz") == ""
}

// edges are the items of a page with their cursors.
func edges[T, E any](s webhook.Slice[T], cursor func(T) string, edge func(cursor string, node T) *E) []*E {
	list := make([]*E, len(s.Items))
	for i, item := range s.Items {
		list[i] = edge(cursor(item), item)
	}
	return list
}

// pageInfo describes a page whose items have the given cursors.
func pageInfo[T any](s webhook.Slice[T], cursor func(T) string) *graph.PageInfo {
	info := &graph.PageInfo{HasNextPage: s.HasNext, HasPreviousPage: s.HasPrevious}
	if n := len(s.Items); n > 0 {
		start, end := cursor(s.Items[0]), cursor(s.Items[n-1])
		info.StartCursor, info.EndCursor = &start, &end
	}
	return info
}

// asked says whether the field being resolved has the given field selected, so
// that nothing is counted that nobody reads.
func asked(ctx context.Context, field string) bool {
	return slices.Contains(graphql.CollectAllFields(ctx), field)
}

package resolvers

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

const (
	// maxPageNumber keeps the number of items to pass over within reason.
	maxPageNumber = 1_000_000
	// maxSearch is how many characters may be searched for, and how many a
	// name has.
	maxSearch = 256
)

// Webhooks lists the workspace's webhooks.
func (r queryResolver) Webhooks(ctx context.Context, first *int, after *string, last *int, before *string, filter *graph.WebhookFilter, orderBy *graph.WebhookOrder) (*graph.WebhookConnection, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	o := webhookOrder(orderBy)
	f, err := webhookFilter(filter)
	if err != nil {
		return nil, err
	}
	p, err := webhookPlaces(o.By, first, after, last, before)
	if err != nil {
		return nil, err
	}
	slice, err := r.webhooks(ctx, workspaceID, f, o, p)
	if err != nil {
		return nil, err
	}
	cursor := func(w *webhook.Webhook) string { return encodeWebhookCursor(o.By, w) }
	connection := &graph.WebhookConnection{
		Edges: edges(slice, cursor, func(at string, w *webhook.Webhook) *graph.WebhookEdge {
			return &graph.WebhookEdge{Cursor: at, Node: w}
		}),
		Nodes:    slice.Items,
		PageInfo: pageInfo(slice, cursor),
	}
	if asked(ctx, "totalCount") {
		connection.TotalCount, err = r.DB.CountWebhooks(ctx, workspaceID, f)
	}
	return connection, err
}

// WebhookPage lists the workspace's webhooks by page numbers.
func (r queryResolver) WebhookPage(ctx context.Context, number, size *int, filter *graph.WebhookFilter, orderBy *graph.WebhookOrder) (*graph.WebhookPage, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	f, err := webhookFilter(filter)
	if err != nil {
		return nil, err
	}
	page := &graph.WebhookPage{Page: valueOr(number, 1), PageSize: valueOr(size, defaultPage)}
	if page.Page < 1 || page.Page > maxPageNumber || page.PageSize < 1 || page.PageSize > maxPage {
		return nil, webhook.NewError(webhook.Invalid, "Give `page` a number from 1 to 1,000,000 and `pageSize` one from 1 to 100.")
	}
	slice, err := r.webhooks(ctx, workspaceID, f, webhookOrder(orderBy), webhook.Page{Limit: page.PageSize, Skip: (page.Page - 1) * page.PageSize})
	if err != nil {
		return nil, err
	}
	page.Results = slice.Items
	if slice.HasNext {
		page.Next = new(page.Page + 1)
	}
	if page.Page > 1 {
		page.Previous = new(page.Page - 1)
	}
	if asked(ctx, "count") || asked(ctx, "pageCount") {
		page.Count, err = r.DB.CountWebhooks(ctx, workspaceID, f)
		page.PageCount = (page.Count + page.PageSize - 1) / page.PageSize
	}
	return page, err
}

// webhooks reads a page of a list, whose webhooks lead on together.
func (r *Resolver) webhooks(ctx context.Context, workspaceID string, f webhook.Filter, o webhook.Order, p webhook.Page) (webhook.Slice[*webhook.Webhook], error) {
	slice, err := r.DB.Webhooks(ctx, workspaceID, f, o, p)
	ids := make([]string, len(slice.Items))
	for i, w := range slice.Items {
		ids[i] = w.ID
	}
	loadersOf(ctx).together(ids)
	return slice, err
}

func valueOr(v *int, def int) int {
	if v == nil {
		return def
	}
	return *v
}

func webhookOrder(input *graph.WebhookOrder) webhook.Order {
	if input == nil {
		return webhook.Order{By: webhook.OrderByCreatedAt}
	}
	return webhook.Order{
		By:        or(input.Field, webhook.OrderByCreatedAt),
		Ascending: or(input.Direction, graph.OrderDirectionDesc) == graph.OrderDirectionAsc,
	}
}

func webhookFilter(input *graph.WebhookFilter) (webhook.Filter, error) {
	if input == nil {
		return webhook.Filter{}, nil
	}
	f := webhook.Filter{
		EventName:  input.EventName.Value(),
		Statuses:   input.Status.Value(),
		ResourceID: input.ResourceID.Value(),
		Search:     input.Search.Value(),
	}
	if f.EventName != nil {
		if mistake := webhook.ValidateEventName(*f.EventName); mistake != nil {
			return f, webhook.NewError(mistake.Code, "`filter.eventName`: "+mistake.Message)
		}
	}
	if f.Search != nil && utf8.RuneCountInString(*f.Search) > maxSearch {
		return f, webhook.NewError(webhook.TooLong, fmt.Sprintf("`filter.search` takes at most %d characters.", maxSearch))
	}
	return f, nil
}

// webhookPlaces turns Relay's arguments into a page of a list of webhooks in
// the given order.
func webhookPlaces(by webhook.OrderBy, first *int, after *string, last *int, before *string) (webhook.Page, error) {
	p, err := pageSize(first, last)
	if err != nil {
		return p, err
	}
	if p.After, p.AfterKey, err = decodeWebhookCursor(by, after); err != nil {
		return p, err
	}
	p.Before, p.BeforeKey, err = decodeWebhookCursor(by, before)
	return p, err
}

// encodeWebhookCursor makes the cursor of a webhook. Where the list is not
// sorted by the id alone, it holds the order and the key too: the webhook may
// be changed or deleted before the next page is asked for.
func encodeWebhookCursor(by webhook.OrderBy, w *webhook.Webhook) string {
	if by == webhook.OrderByCreatedAt {
		return encodeCursor(w.ID)
	}
	return encodeCursor(w.ID + " " + string(by) + " " + by.Key(w))
}

// decodeWebhookCursor is the id and the key in a cursor of a list in the given
// order, both empty where there is none.
func decodeWebhookCursor(by webhook.OrderBy, cursor *string) (id, key string, err error) {
	if by == webhook.OrderByCreatedAt || cursor == nil || *cursor == "" {
		id, err = decodeCursor(webhook.WebhookPrefix, cursor)
		return id, "", err
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(*cursor)
	parts := strings.SplitN(string(text), " ", 3)
	if err != nil || len(parts) < 3 || !isID(webhook.WebhookPrefix, parts[0]) || parts[1] != string(by) || !isKey(by, parts[2]) {
		return "", "", errCursor()
	}
	return parts[0], parts[2], nil
}

// isKey says whether the database can compare a webhook with a key.
func isKey(by webhook.OrderBy, key string) bool {
	if by == webhook.OrderByName {
		return utf8.ValidString(key) && utf8.RuneCountInString(key) <= maxSearch && !strings.Contains(key, "\x00")
	}
	at, err := time.Parse(time.RFC3339Nano, key)
	w := webhook.Webhook{UpdatedAt: at.UTC().Truncate(time.Microsecond)}
	return err == nil && at.Year() > 0 && by.Key(&w) == key
}

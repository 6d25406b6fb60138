package db

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/webhook"
)

// webhookFilter are the conditions of a list, as filterArgs fills them in. The
// status is worked out as webhook.Webhook.Status does. The collation "C" knows
// the case of A to Z alone, and is the same in every database. PostgreSQL plans
// a list without looking at the arguments, and guesses that each CASE keeps
// every other row. Of "$2 IS NULL OR …" it would guess that next to none are
// left, and sort these rather than read along an index.
const webhookFilter = `
WHERE workspace_id = $1
	AND CASE WHEN $2::text[] IS NULL THEN true ELSE events && $2 END
	AND CASE WHEN $3::text[] IS NULL THEN true ELSE CASE
		WHEN NOT active THEN 'INACTIVE'
		WHEN status_reason IN ('GONE', 'FAILING') THEN 'SUSPENDED'
		ELSE 'ACTIVE'
	END = ANY($3) END
	AND CASE WHEN $4::text IS NULL THEN true ELSE resource_ids = '{}' OR $4 = ANY(resource_ids) END
	AND CASE WHEN $5::text IS NULL THEN true ELSE
		strpos(lower(name COLLATE "C"), lower($5 COLLATE "C")) > 0
		OR strpos(lower(uid COLLATE "C"), lower($5 COLLATE "C")) > 0
		OR strpos(lower(url COLLATE "C"), lower($5 COLLATE "C")) > 0
	END`

// filterArgs are the arguments of webhookFilter.
func filterArgs(workspaceID string, f webhook.Filter) []any {
	var subscriptions, statuses []string
	if f.EventName != nil {
		subscriptions = webhook.Subscriptions(text(*f.EventName))
	}
	if f.Statuses != nil {
		statuses = make([]string, len(f.Statuses)) // none fits an empty list
		for i, s := range f.Statuses {
			statuses[i] = string(s)
		}
	}
	return []any{workspaceID, pq.Array(subscriptions), pq.Array(statuses), optionalText(f.ResourceID), optionalText(f.Search)}
}

func optionalText(s *string) *string {
	if s == nil {
		return nil
	}
	fit := text(*s)
	return &fit
}

// What follows webhookFilter in a list: the bounds of its page, which its index
// finds, and its order. The bounds are $6 and $7, and where more than the id
// orders the list, $8 and $9.
const (
	betweenIDs = `
	AND id > $6
	AND id < $7`
	betweenUpdates = `
	AND (updated_at, id) > ($6::timestamptz, $7)
	AND (updated_at, id) < ($8::timestamptz, $9)`
	betweenNames = `
	AND (lower(name COLLATE "C"), id) > (lower($6::text COLLATE "C"), $7)
	AND (lower(name COLLATE "C"), id) < (lower($8::text COLLATE "C"), $9)`
)

// webhookPages is how pages of a list are read. PostgreSQL takes an offset that
// it does not know for so many rows that it plans each page anew, which takes
// longer than to read it; so pages that pass over none have a statement without.
type webhookPages struct{ next, skipping statement }

func newWebhookPages(name, text, offset string) webhookPages {
	return webhookPages{newStatement(name, text), newStatement(name+"_skipping", text+offset)}
}

var listNewestWebhooks = newWebhookPages("webhooks.list_newest", `
SELECT`+webhookColumns+`
FROM webhooks`+webhookFilter+betweenIDs+`
ORDER BY id DESC
LIMIT $8`, `
OFFSET $9`)

var listOldestWebhooks = newWebhookPages("webhooks.list_oldest", `
SELECT`+webhookColumns+`
FROM webhooks`+webhookFilter+betweenIDs+`
ORDER BY id
LIMIT $8`, `
OFFSET $9`)

var listWebhooksByLastUpdate = newWebhookPages("webhooks.list_by_last_update", `
SELECT`+webhookColumns+`
FROM webhooks`+webhookFilter+betweenUpdates+`
ORDER BY updated_at DESC, id DESC
LIMIT $10`, `
OFFSET $11`)

var listWebhooksByFirstUpdate = newWebhookPages("webhooks.list_by_first_update", `
SELECT`+webhookColumns+`
FROM webhooks`+webhookFilter+betweenUpdates+`
ORDER BY updated_at, id
LIMIT $10`, `
OFFSET $11`)

var listWebhooksByLastName = newWebhookPages("webhooks.list_by_last_name", `
SELECT`+webhookColumns+`
FROM webhooks`+webhookFilter+betweenNames+`
ORDER BY lower(name COLLATE "C") DESC, id DESC
LIMIT $10`, `
OFFSET $11`)

var listWebhooksByFirstName = newWebhookPages("webhooks.list_by_first_name", `
SELECT`+webhookColumns+`
FROM webhooks`+webhookFilter+betweenNames+`
ORDER BY lower(name COLLATE "C"), id
LIMIT $10`, `
OFFSET $11`)

// webhookList is how a list in one order is read: by which statements from
// either end, and from where to where it reaches.
type webhookList struct {
	ascending, descending webhookPages
	first, last           place
}

// place is a place in a list: the id there and, where more than the id orders
// the list, the key before it.
type place struct{ key, id string }

func (p place) args(by webhook.OrderBy) []any {
	if by == webhook.OrderByCreatedAt {
		return []any{p.id}
	}
	return []any{p.key, p.id}
}

func webhookListBy(by webhook.OrderBy) webhookList {
	switch by {
	case webhook.OrderByUpdatedAt:
		return webhookList{listWebhooksByFirstUpdate, listWebhooksByLastUpdate, place{key: "-infinity"}, place{key: "infinity"}}
	case webhook.OrderByName:
		// A name has at most 256 characters.
		return webhookList{listWebhooksByFirstName, listWebhooksByLastName, place{}, place{key: strings.Repeat(string(utf8.MaxRune), 257)}}
	default:
		return webhookList{listOldestWebhooks, listNewestWebhooks, place{}, place{id: beyond}}
	}
}

// Webhooks returns a page of those of the workspace's webhooks that the filter
// keeps.
func (d *DB) Webhooks(ctx context.Context, workspaceID string, f webhook.Filter, o webhook.Order, p webhook.Page) (webhook.Slice[*webhook.Webhook], error) {
	s, args := selectWebhooks(workspaceID, f, o, p)
	rows := make([]webhookRow, 0, p.Limit+1)
	if err := d.list(ctx, d.pool, s, &rows, args...); err != nil {
		return webhook.Slice[*webhook.Webhook]{}, err
	}
	webhooks, err := d.webhooksOf(ctx, rows)
	if err != nil {
		return webhook.Slice[*webhook.Webhook]{}, err
	}
	return cut(p, webhooks), nil
}

// selectWebhooks chooses the statement for a page, with its arguments. A page
// from the end is read backwards; cut turns it round.
func selectWebhooks(workspaceID string, f webhook.Filter, o webhook.Order, p webhook.Page) (statement, []any) {
	list := webhookListBy(o.By)
	above, below := place{p.AfterKey, p.After}, place{p.BeforeKey, p.Before}
	if !o.Ascending {
		above, below = below, above
	}
	if above.id == "" {
		above = list.first
	}
	if below.id == "" {
		below = list.last
	}
	pages := list.descending
	if o.Ascending != p.FromEnd {
		pages = list.ascending
	}
	args := filterArgs(workspaceID, f)
	args = append(args, above.args(o.By)...)
	args = append(args, below.args(o.By)...)
	args = append(args, p.Limit+1)
	if p.Skip == 0 {
		return pages.next, args
	}
	return pages.skipping, append(args, p.Skip)
}

var countWebhooks = newStatement("webhooks.count", `
SELECT count(*)
FROM webhooks`+webhookFilter)

// CountWebhooks says how many of the workspace's webhooks the filter keeps.
func (d *DB) CountWebhooks(ctx context.Context, workspaceID string, f webhook.Filter) (n int, err error) {
	err = d.get(ctx, d.pool, countWebhooks, &n, filterArgs(workspaceID, f)...)
	return n, err
}

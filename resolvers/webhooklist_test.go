package resolvers

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/webhook"
)

// registerMany registers w0 to w(n-1), whose names sort the other way round.
func (b *bundle) registerMany(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		b.must(t, create, object{"input": object{"uid": fmt.Sprint("w", i), "name": fmt.Sprint("name ", n-i), "url": b.url, "events": []string{"job.status"}}}, nil)
	}
}

// listed is what a list of webhooks answers.
type listed struct {
	Webhooks struct {
		Nodes    []struct{ UID string }
		PageInfo struct {
			HasNextPage, HasPreviousPage bool
			StartCursor, EndCursor       string
		}
	}
}

func (l listed) uids() string {
	var uids []string
	for _, n := range l.Webhooks.Nodes {
		uids = append(uids, n.UID)
	}
	return strings.Join(uids, " ")
}

const list = `query($first: Int, $after: String, $last: Int, $before: String, $orderBy: WebhookOrder, $filter: WebhookFilter) {
	webhooks(first: $first, after: $after, last: $last, before: $before, orderBy: $orderBy, filter: $filter) {
		nodes { uid } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
	}
}`

// TestWebhookListOrders goes a page on and a page back in every order.
func TestWebhookListOrders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.registerMany(t, 4)
	b.must(t, update, object{"input": object{"id": "w1", "active": true}}, nil)
	for _, c := range []struct {
		order       object
		first, next string
	}{
		{nil, "w3 w2", "w1 w0"},
		{object{}, "w3 w2", "w1 w0"},
		{object{"field": nil, "direction": nil}, "w3 w2", "w1 w0"},
		{object{"direction": "ASC"}, "w0 w1", "w2 w3"},
		{object{"field": "UPDATED_AT"}, "w1 w3", "w2 w0"},
		{object{"field": "UPDATED_AT", "direction": "ASC"}, "w0 w2", "w3 w1"},
		{object{"field": "NAME"}, "w0 w1", "w2 w3"},
		{object{"field": "NAME", "direction": "ASC"}, "w3 w2", "w1 w0"},
	} {
		var first, next, back listed
		b.must(t, list, object{"first": 2, "orderBy": c.order}, &first)
		b.must(t, list, object{"first": 2, "orderBy": c.order, "after": first.Webhooks.PageInfo.EndCursor}, &next)
		b.must(t, list, object{"last": 2, "orderBy": c.order, "before": next.Webhooks.PageInfo.StartCursor}, &back)
		if first.uids() != c.first || next.uids() != c.next || back.uids() != c.first {
			t.Errorf("%v: %s, then %s, then back %s, want %s and %s", c.order, first.uids(), next.uids(), back.uids(), c.first, c.next)
		}
		if !first.Webhooks.PageInfo.HasNextPage || next.Webhooks.PageInfo.HasNextPage || back.Webhooks.PageInfo.HasPreviousPage {
			t.Errorf("%v: a page is missing or too many", c.order)
		}
	}
}

// TestListMistakes asks for pages that there cannot be.
func TestListMistakes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.registerMany(t, 2)
	var byName listed
	b.must(t, list, object{"first": 1, "orderBy": object{"field": "NAME"}}, &byName)
	cursor := byName.Webhooks.PageInfo.EndCursor
	const numbered = `query($page: Int, $pageSize: Int, $filter: WebhookFilter) { webhookPage(page: $page, pageSize: $pageSize, filter: $filter) { page } }`
	for _, c := range []struct {
		name, document string
		variables      object
	}{
		{"a cursor by name in the order of time", list, object{"after": cursor}},
		{"a cursor by name in the order of updates", list, object{"after": cursor, "orderBy": object{"field": "UPDATED_AT"}}},
		{"an event's name that is none", list, object{"filter": object{"eventName": strings.Repeat("a.", 100)}}},
		{"a long search", list, object{"filter": object{"search": strings.Repeat("x", 257)}}},
		{"page 0", numbered, object{"page": 0}},
		{"a page far out", numbered, object{"page": maxPageNumber + 1}},
		{"no size", numbered, object{"pageSize": 0}},
		{"a large size", numbered, object{"pageSize": 101}},
		{"an event's name that is none, by number", numbered, object{"filter": object{"eventName": "a b"}}},
	} {
		if a, _ := b.ask(t, c.document, c.variables); len(a.Errors) != 1 || a.Errors[0].Extensions.Code != graphqlhttp.BadUserInput {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
}

// TestWebhookPage asks for pages by number, and counts only when asked to.
func TestWebhookPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.registerMany(t, 5)
	type numbered struct {
		Count, PageCount, Page, PageSize int
		Next, Previous                   *int
		Results                          []struct{ UID string }
	}
	const fields = `{ count pageCount page pageSize next previous results { uid } }`
	for _, c := range []struct {
		args string
		want string
	}{
		{"", "5 in 1 of 25, page 1, next -, previous -: w4 w3 w2 w1 w0"},
		{"(page: null, pageSize: null, filter: null, orderBy: null)", "5 in 1 of 25, page 1, next -, previous -: w4 w3 w2 w1 w0"},
		{"(pageSize: 2)", "5 in 3 of 2, page 1, next 2, previous -: w4 w3"},
		{"(pageSize: 2, page: 2)", "5 in 3 of 2, page 2, next 3, previous 1: w2 w1"},
		{"(pageSize: 2, page: 3)", "5 in 3 of 2, page 3, next -, previous 2: w0"},
		{"(pageSize: 2, page: 9)", "5 in 3 of 2, page 9, next -, previous 8:"},
		{`(pageSize: 2, orderBy: {field: NAME, direction: DESC}, filter: {eventName: "job.status", search: "name"})`, "5 in 3 of 2, page 1, next 2, previous -: w0 w1"},
		{"(filter: {status: [ACTIVE]})", "0 in 0 of 25, page 1, next -, previous -:"},
	} {
		var got struct{ WebhookPage numbered }
		b.must(t, "{ webhookPage"+c.args+" "+fields+" }", nil, &got)
		p := got.WebhookPage
		said := fmt.Sprintf("%d in %d of %d, page %d, next %s, previous %s:", p.Count, p.PageCount, p.PageSize, p.Page, number(p.Next), number(p.Previous))
		for _, w := range p.Results {
			said += " " + w.UID
		}
		if said != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.args, said, c.want)
		}
	}
	for document, want := range map[string][]string{
		"{ webhookPage { results { id } next previous } }":                              {"webhooks.list_newest"},
		"{ webhookPage { pageCount results { id } } }":                                  {"webhooks.list_newest", "webhooks.count"},
		"{ webhookPage { results { eventTypes { name } testRuns { nodes { id } } } } }": {"webhooks.list_newest", "event_types.list", "test_runs.list_newest"},
	} {
		statements := b.must(t, document, nil, nil)
		if len(statements) != len(want) {
			t.Errorf("%s takes %v, want %v", document, statements, want)
		}
	}
}

func number(n *int) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

func FuzzWebhookCursor(f *testing.F) {
	w := &webhook.Webhook{ID: webhook.NewID(webhook.WebhookPrefix), Name: "a name", UpdatedAt: webhook.Now()}
	orders := []webhook.OrderBy{webhook.OrderByCreatedAt, webhook.OrderByUpdatedAt, webhook.OrderByName}
	for i, by := range orders {
		f.Add(i, encodeWebhookCursor(by, w))
	}
	f.Add(1, base64.RawURLEncoding.EncodeToString([]byte(w.ID+" UPDATED_AT 0000-01-01T00:00:00Z")))
	f.Add(2, base64.RawURLEncoding.EncodeToString([]byte(w.ID+" NAME \x00")))
	f.Fuzz(func(t *testing.T, i int, cursor string) {
		by := orders[uint(i)%3]
		id, key, err := decodeWebhookCursor(by, &cursor)
		if err != nil || id == "" {
			return
		}
		whole := id
		if by != webhook.OrderByCreatedAt {
			whole += " " + string(by) + " " + key
		}
		if diff := cmp.Diff(cursor, encodeCursor(whole)); diff != "" {
			t.Errorf("cursor (-given +its own):\n%s", diff)
		}
	})
}

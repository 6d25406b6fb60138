package db_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

func TestListsUseTheirIndexes(t *testing.T) {
	t.Parallel()
	db.ExplainWebhookLists(t, pgtest.URL(t))
}

// everyOrder are all ways to sort webhooks.
func everyOrder() (orders []webhook.Order) {
	for _, by := range []webhook.OrderBy{webhook.OrderByCreatedAt, webhook.OrderByUpdatedAt, webhook.OrderByName} {
		orders = append(orders, webhook.Order{By: by}, webhook.Order{By: by, Ascending: true})
	}
	return orders
}

// uids are those of a list.
func uids(webhooks []*webhook.Webhook) []string {
	list := []string{}
	for _, w := range webhooks {
		list = append(list, w.UID)
	}
	return list
}

// TestWebhookOrders walks through the webhooks in every order, from either end
// and by number, by pages of two: each walk finds all, in order.
func TestWebhookOrders(t *testing.T) {
	t.Parallel()
	d, workspaceID := open(t)
	now := webhook.Now()
	for _, w := range []struct {
		uid, name string
		updated   time.Time
	}{
		{"a", "beta", now},
		{"b", "Alpha", now.Add(time.Microsecond)},
		{"c", "BETA", now}, // the same name, at the same time
		{"d", strings.Repeat("\U0010FFFF", 256), now.Add(-time.Hour)},
		{"e", "\u00e9t\u00e9", now.Add(time.Hour)},
	} {
		fresh := newWebhook(w.uid)
		fresh.Name, fresh.UpdatedAt = w.name, w.updated
		insert(t, d, workspaceID, fresh)
	}
	want := map[webhook.OrderBy][]string{ // ascending
		webhook.OrderByCreatedAt: {"a", "b", "c", "d", "e"},
		webhook.OrderByUpdatedAt: {"d", "a", "c", "b", "e"},
		webhook.OrderByName:      {"b", "a", "c", "e", "d"},
	}
	for _, order := range everyOrder() {
		all := slices.Clone(want[order.By])
		if !order.Ascending {
			slices.Reverse(all)
		}
		for way, walk := range map[string]func(*testing.T, *db.DB, string, webhook.Order) []string{"forwards": forwards, "backwards": backwards, "by number": byNumber} {
			if diff := cmp.Diff(all, walk(t, d, workspaceID, order)); diff != "" {
				t.Errorf("%+v %s (-want +got):\n%s", order, way, diff)
			}
		}
	}
}

func listPage(t *testing.T, d *db.DB, workspaceID string, o webhook.Order, p webhook.Page) webhook.Slice[*webhook.Webhook] {
	t.Helper()
	slice, err := d.Webhooks(t.Context(), workspaceID, webhook.Filter{}, o, p)
	if err != nil {
		t.Fatal(err)
	}
	return slice
}

func forwards(t *testing.T, d *db.DB, workspaceID string, o webhook.Order) (all []string) {
	for p := (webhook.Page{Limit: 2}); ; {
		slice := listPage(t, d, workspaceID, o, p)
		all = append(all, uids(slice.Items)...)
		if !slice.HasNext {
			return all
		}
		last := slice.Items[len(slice.Items)-1]
		p.After, p.AfterKey = last.ID, o.By.Key(last)
	}
}

func backwards(t *testing.T, d *db.DB, workspaceID string, o webhook.Order) (all []string) {
	for p := (webhook.Page{Limit: 2, FromEnd: true}); ; {
		slice := listPage(t, d, workspaceID, o, p)
		all = append(uids(slice.Items), all...)
		if !slice.HasPrevious {
			return all
		}
		p.Before, p.BeforeKey = slice.Items[0].ID, o.By.Key(slice.Items[0])
	}
}

func byNumber(t *testing.T, d *db.DB, workspaceID string, o webhook.Order) (all []string) {
	for p := (webhook.Page{Limit: 2}); ; p.Skip += p.Limit {
		slice := listPage(t, d, workspaceID, o, p)
		all = append(all, uids(slice.Items)...)
		if !slice.HasNext {
			return all
		}
	}
}

func TestWebhookFilter(t *testing.T) {
	t.Parallel()
	d, workspaceID := open(t)
	add := func(uid string, set func(*webhook.Webhook)) {
		w := newWebhook(uid)
		w.Name, w.URL, w.Events, w.ResourceIDs = "Name "+uid, "https://example.com/"+uid, []string{"job.status"}, nil
		set(w)
		insert(t, d, workspaceID, w)
	}
	add("all", func(w *webhook.Webhook) { w.Events = []string{"*"} })
	add("jobs", func(w *webhook.Webhook) { w.Events = []string{"order.x", "job.*"}; w.Active = true })
	add("limited", func(w *webhook.Webhook) { w.ResourceIDs = []string{"dc-1", "dc-2"} })
	add("gone", func(w *webhook.Webhook) { w.Active, w.StatusReason = true, webhook.ReasonGone })
	add("failing", func(w *webhook.Webhook) { w.Active, w.StatusReason = true, webhook.ReasonFailing })
	add("off", func(w *webhook.Webhook) { w.StatusReason = webhook.ReasonGone; w.Name = "50% of A_B" })
	for _, test := range []struct {
		name   string
		filter webhook.Filter
		want   []string
	}{
		{"nothing", webhook.Filter{}, []string{"all", "jobs", "limited", "gone", "failing", "off"}},
		{"event", webhook.Filter{EventName: new("job.status")}, []string{"all", "jobs", "limited", "gone", "failing", "off"}},
		{"another event", webhook.Filter{EventName: new("job.else")}, []string{"all", "jobs"}},
		{"an event that is a prefix", webhook.Filter{EventName: new("job")}, []string{"all"}},
		{"active", webhook.Filter{Statuses: []webhook.Status{webhook.StatusActive}}, []string{"jobs"}},
		{"suspended or active", webhook.Filter{Statuses: []webhook.Status{webhook.StatusSuspended, webhook.StatusActive}}, []string{"jobs", "gone", "failing"}},
		{"inactive", webhook.Filter{Statuses: []webhook.Status{webhook.StatusInactive}}, []string{"all", "limited", "off"}},
		{"no status", webhook.Filter{Statuses: []webhook.Status{}}, []string{}},
		{"resource", webhook.Filter{ResourceID: new("dc-2")}, []string{"all", "jobs", "limited", "gone", "failing", "off"}},
		{"another resource", webhook.Filter{ResourceID: new("dc-3")}, []string{"all", "jobs", "gone", "failing", "off"}},
		{"search in the name", webhook.Filter{Search: new("% OF a_b")}, []string{"off"}},
		{"search in the uid", webhook.Filter{Search: new("LIMIT")}, []string{"limited"}},
		{"search in the URL", webhook.Filter{Search: new(".COM/g")}, []string{"gone"}},
		{"search of what text cannot be", webhook.Filter{Search: new("\x00"), EventName: new("\xff"), ResourceID: new("\x00")}, []string{}},
		{"all at once", webhook.Filter{EventName: new("job.x"), Statuses: []webhook.Status{webhook.StatusActive}, ResourceID: new("r"), Search: new("name")}, []string{"jobs"}},
	} {
		for _, order := range everyOrder() {
			slice, err := d.Webhooks(t.Context(), workspaceID, test.filter, order, webhook.Page{Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			got := uids(slice.Items)
			slices.Sort(got)
			want := slices.Sorted(slices.Values(test.want))
			if !slices.Equal(got, want) {
				t.Errorf("%s, %+v: %v, want %v", test.name, order, got, want)
			}
		}
		if n, err := d.CountWebhooks(t.Context(), workspaceID, test.filter); err != nil || n != len(test.want) {
			t.Errorf("%s: %d counted, %v, want %d", test.name, n, err, len(test.want))
		}
	}
	everything, err := d.Webhooks(t.Context(), workspaceID, webhook.Filter{}, webhook.Order{By: webhook.OrderByName}, webhook.Page{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range everything.Items {
		if err := onlyStatus(t, d, w); err != nil {
			t.Error(err)
		}
	}
}

// onlyStatus checks that SQL works out the same status of a webhook as Go.
func onlyStatus(t *testing.T, d *db.DB, w *webhook.Webhook) error {
	for _, status := range []webhook.Status{webhook.StatusActive, webhook.StatusInactive, webhook.StatusSuspended} {
		n, err := d.CountWebhooks(t.Context(), w.WorkspaceID, webhook.Filter{Search: &w.URL, Statuses: []webhook.Status{status}})
		if err != nil || (n == 1) != (status == w.Status()) {
			return errors.Join(err, fmt.Errorf("%s is %s, and SQL finds %d of it as %s", w.UID, w.Status(), n, status))
		}
	}
	return nil
}

package resolvers

import (
	"encoding/base64"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/webhook"
)

func TestPage(t *testing.T) {
	t.Parallel()
	id := webhook.NewID(webhook.WebhookPrefix)
	one, hundred, none, many, negative, huge := 1, 100, 0, 101, -1, 1_000_000_000
	cursor, foreign, empty := encodeCursor(id), encodeCursor(webhook.NewID(webhook.TestRunPrefix)), ""
	for _, test := range []struct {
		name          string
		first, last   *int
		after, before *string
		want          *webhook.Page // nil: an error
	}{
		{name: "nothing", want: &webhook.Page{Limit: 25}},
		{name: "first", first: &one, want: &webhook.Page{Limit: 1}},
		{name: "first after", first: &hundred, after: &cursor, want: &webhook.Page{Limit: 100, After: id}},
		{name: "last before", last: &one, before: &cursor, want: &webhook.Page{Limit: 1, Before: id, FromEnd: true}},
		{name: "empty cursor", after: &empty, want: &webhook.Page{Limit: 25}},
		{name: "none", first: &none},
		{name: "too many", first: &many},
		{name: "less than none", first: &negative},
		{name: "far too many", first: &huge},
		{name: "none from the end", last: &none},
		{name: "too many from the end", last: &many},
		{name: "less than none from the end", last: &negative},
		{name: "both", first: &one, last: &one},
		{name: "cursor of another list", after: &foreign},
		{name: "id for a cursor", before: &id},
	} {
		got, err := page(webhook.WebhookPrefix, test.first, test.after, test.last, test.before)
		if test.want == nil {
			if !errors.Is(err, webhook.Invalid) {
				t.Errorf("%s: %+v, %v, want INVALID", test.name, got, err)
			}
			continue
		}
		if diff := cmp.Diff(*test.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, err, diff)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(encodeCursor(webhook.NewID(webhook.WebhookPrefix)))
	f.Add("")
	f.Add("d2hf")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte("wh_0000000000000000000000000\x00")))
	f.Fuzz(func(t *testing.T, cursor string) {
		id, err := decodeCursor(webhook.WebhookPrefix, &cursor)
		if err == nil && id != "" && encodeCursor(id) != cursor {
			t.Errorf("cursor %q is taken for %q, whose cursor is %q", cursor, id, encodeCursor(id))
		}
	})
}

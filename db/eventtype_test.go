package db_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

// newEventType is a valid event type that is not in the catalogue yet.
func newEventType(name string) *webhook.EventType {
	now := webhook.Now()
	link := "https://example.com/" + name
	return &webhook.EventType{
		ID:            webhook.NewID(webhook.EventTypePrefix),
		Name:          name,
		Title:         "A title",
		Category:      "test",
		Description:   "when, \u20ac, and \"quotes\"",
		Documentation: &link,
		Schema:        json.RawMessage(`{"type":"object"}`),
		Example:       json.RawMessage(`{"price":1.10}`),
		CreatedAt:     now,
		UpdatedAt:     now,
	}
}

func insertEventType(t *testing.T, d *db.DB, et *webhook.EventType) *webhook.EventType {
	t.Helper()
	if err := d.InsertEventType(t.Context(), et); err != nil {
		t.Fatal(err)
	}
	return et
}

func TestEventTypeReadsBackAsWritten(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	with := insertEventType(t, d, newEventType("a.with"))
	without := newEventType("b.without")
	archived := webhook.Now()
	without.Documentation, without.Schema, without.ArchivedAt, without.ExampleMade = nil, nil, &archived, true
	insertEventType(t, d, without)

	full, err := d.FullEventTypes(t.Context())
	if diff := cmp.Diff([]*webhook.EventType{with, without}, full); err != nil || diff != "" {
		t.Errorf("FullEventTypes: %v (-written +read):\n%s", err, diff)
	}
	schemas, err := d.EventTypeSchemas(t.Context(), []string{with.ID, without.ID, "et_absent"})
	if diff := cmp.Diff(map[string]json.RawMessage{with.ID: with.Schema}, schemas); err != nil || diff != "" {
		t.Errorf("EventTypeSchemas: %v (-written +read):\n%s", err, diff)
	}
	listed, err := d.EventTypes(t.Context())
	with.Schema = nil
	if diff := cmp.Diff([]*webhook.EventType{with, without}, listed); err != nil || diff != "" {
		t.Errorf("EventTypes: %v (-written +read):\n%s", err, diff)
	}
}

func TestEventTypeNamesAreTaken(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	archived := newEventType("a")
	now := webhook.Now()
	archived.ArchivedAt = &now
	insertEventType(t, d, archived)
	if err := d.InsertEventType(t.Context(), newEventType("a")); !errors.Is(err, webhook.Taken) {
		t.Errorf("InsertEventType of a name that is there: %v, want TAKEN", err)
	}
	if err := d.EnsureEventTypes(t.Context(), []webhook.EventType{*newEventType("a"), *newEventType("b")}); err != nil {
		t.Error(err)
	}
	if all, err := d.EventTypes(t.Context()); err != nil || len(all) != 2 || all[0].ArchivedAt == nil {
		t.Errorf("after EnsureEventTypes of a known and a new type: %v, %v", all, err)
	}
}

func TestChangeEventType(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	before := insertEventType(t, d, newEventType("a"))
	now := webhook.Now()
	changed, err := d.ChangeEventType(t.Context(), "a", func(et *webhook.EventType) error {
		et.Title, et.Documentation, et.Schema, et.ExampleMade, et.ArchivedAt = "New", nil, nil, true, &now
		return nil
	})
	if err != nil || !changed.UpdatedAt.After(before.UpdatedAt) {
		t.Fatalf("ChangeEventType: %+v, %v", changed, err)
	}
	same, err := d.ChangeEventType(t.Context(), "a", func(*webhook.EventType) error { return nil })
	if diff := cmp.Diff(changed, same); err != nil || diff != "" {
		t.Errorf("a change that changes nothing: %v (-before +after):\n%s", err, diff)
	}
	if _, err := d.ChangeEventType(t.Context(), "absent", func(*webhook.EventType) error { return nil }); !errors.Is(err, webhook.NotFound) {
		t.Errorf("ChangeEventType of a name that is not there: %v, want NOT_FOUND", err)
	}
	if _, err := d.ChangeEventType(t.Context(), "a", func(et *webhook.EventType) error {
		et.Title = "refused"
		return webhook.Invalid
	}); !errors.Is(err, webhook.Invalid) {
		t.Errorf("a change that fails: %v, want its error", err)
	}
	if full, err := d.FullEventTypes(t.Context()); err != nil || cmp.Diff([]*webhook.EventType{changed}, full) != "" {
		t.Errorf("after all that the catalogue is %+v, %v", full, err)
	}
}

// The limits hold for every way into the catalogue, and nothing is left of
// what went over them.
func TestCatalogueIsLimited(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	all := make([]webhook.EventType, webhook.MaxEventTypes)
	for i := range all {
		all[i] = *newEventType(fmt.Sprint("a", i))
	}
	if err := d.EnsureEventTypes(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if err := d.InsertEventType(t.Context(), newEventType("one.more")); !errors.Is(err, webhook.TooLong) {
		t.Errorf("InsertEventType into a full catalogue: %v, want TOO_LONG", err)
	}
	large := json.RawMessage(`"` + strings.Repeat("x", 60<<10) + `"`)
	err := d.ChangeEventTypes(t.Context(), func(all []*webhook.EventType) ([]*webhook.EventType, error) {
		for _, et := range all {
			et.Example = large
		}
		return all, nil
	})
	if !errors.Is(err, webhook.TooLong) {
		t.Errorf("ChangeEventTypes to 60 MB of examples: %v, want TOO_LONG", err)
	}
	after, err := d.EventTypes(t.Context())
	if err != nil || len(after) != len(all) || string(after[0].Example) == string(large) {
		t.Errorf("after that there are %d types, %v", len(after), err)
	}
}

func TestChangeEventTypes(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	insertEventType(t, d, newEventType("a"))
	insertEventType(t, d, newEventType("b"))
	err := d.ChangeEventTypes(t.Context(), func(all []*webhook.EventType) ([]*webhook.EventType, error) {
		all[1].Title = "New"
		return []*webhook.EventType{all[1], newEventType("c")}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	after, err := d.EventTypes(t.Context())
	var titles []string
	for _, et := range after {
		titles = append(titles, et.Name+" "+et.Title)
	}
	if diff := cmp.Diff([]string{"a A title", "b New", "c A title"}, titles); err != nil || diff != "" {
		t.Errorf("after a change and an addition: %v (-want +got):\n%s", err, diff)
	}
}

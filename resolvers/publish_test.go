package resolvers

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/internal/webhook"
)

const publishOne = `mutation($input: PublishEventInput!) { publishEvent(input: $input) {
	event { id uid name resourceId data occurredAt publishedAt }
	duplicate
	userErrors { code message field retryAfterMs }
} }`

const publishMany = `mutation($input: PublishEventsInput!) { publishEvents(input: $input) {
	events { id uid name }
	duplicates
	userErrors { code message field }
} }`

type publishedEvent struct {
	PublishEvent struct {
		Event *struct {
			ID, Name, OccurredAt, PublishedAt string
			UID, ResourceID                   *string
			Data                              map[string]any
		}
		Duplicate *bool
	}
}

type publishedEvents struct {
	PublishEvents struct {
		Events     []struct{ ID, Name string }
		Duplicates []bool
	}
}

// publishEvent publishes one event and returns it.
func (b *bundle) publishEvent(t *testing.T, input object) publishedEvent {
	t.Helper()
	var got publishedEvent
	b.must(t, publishOne, map[string]any{"input": input}, &got)
	return got
}

func TestPublishAndDeliver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t)
	b.must(t, create, map[string]any{"input": object{"uid": "w", "url": b.url, "events": []string{"job.*"}, "active": true}}, nil)
	got := b.publishEvent(t, object{"eventName": "job.status", "data": object{"b": 1, "a": "é"}, "uid": "job-1", "resourceId": "dc-1", "occurredAt": "2026-01-02T03:04:05.000006Z"})
	e := got.PublishEvent.Event
	if e == nil || *e.UID != "job-1" || e.Name != "job.status" || *e.ResourceID != "dc-1" || e.OccurredAt != "2026-01-02T03:04:05.000006Z" || *got.PublishEvent.Duplicate {
		t.Fatalf("%+v", got)
	}
	var read struct {
		Event struct {
			Deliveries struct {
				Nodes []struct {
					Status, WebhookID string
					LastAttempt       struct {
						Success, Message string
						Request          struct{ Body string }
						Response         struct{ StatusCode int }
					}
				}
			}
		}
	}
	b.eventually(t, func() bool {
		b.must(t, `{ event(id: "job-1") { deliveries { nodes { status webhookId lastAttempt { message request { body } response { statusCode } } } } } }`, nil, &read)
		nodes := read.Event.Deliveries.Nodes
		return len(nodes) == 1 && nodes[0].Status == "SUCCEEDED"
	})
	received := b.receiver.Requests()
	if len(received) != 1 {
		t.Fatalf("received: %+v", received)
	}
	want := fmt.Sprintf(`{"event":"job.status","liveMode":true,"messageId":%q,"timestamp":"2026-01-02T03:04:05.000006Z","body":{"a":"é","b":1}}`, e.ID)
	attempt := read.Event.Deliveries.Nodes[0].LastAttempt
	if string(received[0].Body) != want || attempt.Request.Body != want || attempt.Response.StatusCode != http.StatusOK {
		t.Errorf("sent     %s\nrecorded %s\nwant     %s", received[0].Body, attempt.Request.Body, want)
	}
}

func TestPublishTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t)
	first := b.publishEvent(t, object{"eventName": "job.status", "data": object{"n": 1}, "uid": "u"})
	again := b.publishEvent(t, object{"eventName": "job.status", "data": object{"n": 1}, "uid": "u"})
	if !*again.PublishEvent.Duplicate || again.PublishEvent.Event.ID != first.PublishEvent.Event.ID ||
		again.PublishEvent.Event.PublishedAt != first.PublishEvent.Event.PublishedAt {
		t.Errorf("first %+v, again %+v", first.PublishEvent.Event, again.PublishEvent.Event)
	}
	if got := b.mistakes(t, publishOne, object{"eventName": "job.status", "data": object{"n": 2}, "uid": "u"}); !cmp.Equal(got, []string{"IDEMPOTENCY_CONFLICT input.uid"}) {
		t.Errorf("other content: %v", got)
	}
	var calls sync.WaitGroup
	var mu sync.Mutex
	ids := make(map[string]bool)
	for range 50 {
		calls.Go(func() {
			got := b.publishEvent(t, object{"eventName": "order.status", "data": object{}, "uid": "same"})
			mu.Lock()
			defer mu.Unlock()
			ids[got.PublishEvent.Event.ID] = true
		})
	}
	calls.Wait()
	if len(ids) != 1 {
		t.Errorf("%d events of one uid", len(ids))
	}
}

// What is published again is compared as it was accepted and is sent: neither the
// order of members nor spaces are in that, nor the way in which a text or a time
// is written, but every digit of a number is.
func TestWhatIsTheSameContent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t)
	publish := func(input string) object {
		return object{"eventName": "job.status", "uid": "u", "occurredAt": "2026-05-04T03:02:01Z", "data": json.RawMessage(input)}
	}
	first := b.publishEvent(t, publish(`{"a":1,"b":["é",{"c":null,"d":2.50}]}`))
	for _, data := range []string{`{"b": ["\u00e9", {"d": 2.50, "c": null}], "a": 1}`, "{\n\t\"b\":[\"\\u00E9\",{\"c\":null,\"d\":2.50}],\"a\":1}"} {
		input := publish(data)
		input["occurredAt"] = "2026-05-04T05:02:01.000+02:00"
		if again := b.publishEvent(t, input); !*again.PublishEvent.Duplicate || again.PublishEvent.Event.ID != first.PublishEvent.Event.ID {
			t.Errorf("%s is not the same content: %+v", data, again.PublishEvent)
		}
	}
	for _, data := range []string{`{"a":1.0,"b":["é",{"c":null,"d":2.50}]}`, `{"a":1,"b":["é",{"c":null,"d":2.5}]}`, `{"a":1,"b":[{"c":null,"d":2.50},"é"]}`, `{"a":1,"b":["é",{"d":2.50}]}`} {
		if got := b.mistakes(t, publishOne, publish(data)); !cmp.Equal(got, []string{"IDEMPOTENCY_CONFLICT input.uid"}) {
			t.Errorf("%s: %v", data, got)
		}
	}
}

func TestPublishManyAllOrNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t)
	event := func(n int) object {
		return object{"eventName": "job.status", "data": object{"n": n}, "uid": fmt.Sprint("e", n)}
	}
	var got publishedEvents
	b.must(t, publishMany, map[string]any{"input": object{"events": []object{event(1), event(2)}}}, &got)
	b.must(t, publishMany, map[string]any{"input": object{"events": []object{event(3), event(2), event(4)}}}, &got)
	if !cmp.Equal(got.PublishEvents.Duplicates, []bool{false, true, false}) || len(got.PublishEvents.Events) != 3 {
		t.Errorf("%+v", got)
	}
	conflict := object{"eventName": "job.status", "data": object{"n": 99}, "uid": "e1"}
	if got := b.mistakes(t, publishMany, object{"events": []object{event(5), conflict}}); !cmp.Equal(got, []string{"IDEMPOTENCY_CONFLICT input.events.1.uid"}) {
		t.Errorf("%v", got)
	}
	var none struct{ Event *struct{ ID string } }
	b.must(t, `{ event(id: "e5") { id } }`, nil, &none)
	if none.Event != nil {
		t.Error("half of a request was published")
	}
}

func TestPublishMistakes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t)
	large := strings.Repeat("x", 256<<10)
	for _, c := range []struct {
		input object
		want  string
	}{
		{object{"eventName": "job.statu", "data": object{}}, "UNKNOWN_EVENT_TYPE input.eventName"},
		{object{"eventName": "", "data": object{}}, "UNKNOWN_EVENT_TYPE input.eventName"},
		{object{"eventName": webhook.EventSuspended, "data": object{}}, "INVALID input.eventName"},
		{object{"eventName": "job.status", "data": []int{1}}, "INVALID input.data"},
		{object{"eventName": "job.status", "data": "text"}, "INVALID input.data"},
		{object{"eventName": "job.status", "data": object{"x": large}}, "TOO_LONG input.data"},
		{object{"eventName": "job.status", "data": object{}, "uid": "evt_1"}, "INVALID input.uid"},
		{object{"eventName": "job.status", "data": object{}, "uid": "a b"}, "INVALID input.uid"},
		{object{"eventName": "job.status", "data": object{}, "uid": ""}, "INVALID input.uid"},
		{object{"eventName": "job.status", "data": object{}, "resourceId": " x"}, "INVALID input.resourceId"},
		{object{"eventName": "job.status", "data": object{}, "resourceId": ""}, "INVALID input.resourceId"},
	} {
		if got := b.mistakes(t, publishOne, c.input); !cmp.Equal(got, []string{c.want}) {
			t.Errorf("%.100v: %v, want %s", c.input, got, c.want)
		}
	}
	good := object{"eventName": "job.status", "data": object{}, "uid": "u"}
	many := make([]object, 101)
	for n := range many {
		many[n] = object{"eventName": "job.status", "data": object{}}
	}
	heavy := object{"eventName": "job.status", "data": object{"x": strings.Repeat("x", 250<<10)}}
	for _, c := range []struct {
		events []object
		want   []string
	}{
		{nil, []string{"REQUIRED input.events"}},
		{many, []string{"TOO_LONG input.events"}},
		{[]object{good, good}, []string{"INVALID input.events.1.uid"}},
		{[]object{good, {"eventName": "x", "data": 1}}, []string{"INVALID input.events.1.data", "UNKNOWN_EVENT_TYPE input.events.1.eventName"}},
		{[]object{heavy, heavy, heavy, heavy, {"eventName": "job.status", "data": object{"x": strings.Repeat("x", 20<<10)}}}, nil},
	} {
		if got := b.mistakes(t, publishMany, object{"events": append([]object{}, c.events...)}); !cmp.Equal(got, c.want) && len(got)+len(c.want) > 0 {
			t.Errorf("%.100v: %v, want %v", c.events, got, c.want)
		}
	}
}

// What the loaders and the cache of types remember does not outlive a change.
func TestPublishANewType(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t)
	if got := b.mistakes(t, publishOne, object{"eventName": "ship.sailed", "data": object{}}); len(got) != 1 {
		t.Fatalf("an unknown type: %v", got)
	}
	b.must(t, `mutation { createEventType(input: {name: "ship.sailed"}) { userErrors { message } } }`, nil, nil)
	if got := b.publishEvent(t, object{"eventName": "ship.sailed", "data": object{}}); got.PublishEvent.Event == nil {
		t.Error("a type that was added just now is unknown")
	}
}

func TestPublishEnforcesSchemas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t)
	b.must(t, `mutation { createEventType(input: {name: "ship.sailed", schema: {type: "object", required: ["ship"]}}) { userErrors { message } } }`, nil, nil)
	if got := b.publishEvent(t, object{"eventName": "ship.sailed", "data": object{}}); got.PublishEvent.Event == nil {
		t.Error("a schema is enforced that nobody wanted enforced")
	}
	b.must(t, `mutation { updateEventType(input: {name: "ship.sailed", enforceSchema: true}) { userErrors { message } } }`, nil, nil)
	b.eventually(t, func() bool { // what is known of types is at most a second old
		return cmp.Equal(b.mistakes(t, publishOne, object{"eventName": "ship.sailed", "data": object{}}), []string{"PAYLOAD_MISMATCH input.data"})
	})
	if got := b.publishEvent(t, object{"eventName": "ship.sailed", "data": object{"ship": "Fram"}}); got.PublishEvent.Event == nil {
		t.Error("data that fit are refused")
	}
	if got := b.mistakes(t, `mutation($input: CreateEventTypeInput!) { createEventType(input: $input) { userErrors { code message field } } }`,
		object{"name": "x", "enforceSchema": true}); !cmp.Equal(got, []string{"INVALID input.enforceSchema"}) {
		t.Errorf("a schema that is not there: %v", got)
	}
}

// TestWhatBecameOfWhatWasPublished says that nobody knows only where nobody
// knows, and to try again only where that can help.
func TestWhatBecameOfWhatWasPublished(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		says string // "": it is a fault
	}{
		"the write failed":               {errors.New("connection reset"), "did not say whether this was kept"},
		"the webhooks cannot be read":    {fmt.Errorf("%w: connection reset", delivery.ErrNotKept), "nothing was published. Try again soon."},
		"the secrets cannot be unsealed": {fmt.Errorf("%w: %w", delivery.ErrNotKept, db.ErrMasterKey), ""},
		"there is too much to do":        {webhook.NewError(webhook.Overloaded, "too much"), "too much"},
	} {
		list, err := userErrors(orUnknown(t.Context(), c.err))
		if c.says == "" {
			if !errors.Is(err, c.err) {
				t.Errorf("%s: %v, %v, want the fault", name, list, err)
			}
			continue
		}
		if err != nil || len(list) != 1 || list[0].Code != webhook.Overloaded || !strings.Contains(list[0].Message, c.says) {
			t.Errorf("%s: %v, %v, want OVERLOADED and %q", name, list, err, c.says)
		}
	}
}

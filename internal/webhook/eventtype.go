package webhook

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// EventType is a kind of event that webhooks can subscribe to. The catalogue
// of event types is the installation's, the same for every workspace.
type EventType struct {
	ID string
	// Name is what events carry; it never changes.
	Name          string  `validate:"eventname"`
	Title         string  `validate:"required,max=256,text"`
	Category      string  `validate:"required,max=128,text"`
	Description   string  `validate:"max=4096,text"`
	Documentation *string `validate:"omitempty,link"`
	// Schema is the JSON Schema of the data, nil where there is none. Lists
	// are read without it: it can be large, and few ask for it.
	Schema json.RawMessage
	// EnforceSchema refuses published events whose data do not fit Schema.
	EnforceSchema bool
	// Example is the data that tests send.
	Example json.RawMessage
	// ExampleMade says that the example was made from the schema, and follows
	// it when it changes.
	ExampleMade bool
	// ArchivedAt is when the type was hidden from new subscriptions, nil while
	// it is not.
	ArchivedAt *time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Archive hides the type from new subscriptions; one that is hidden already
// keeps the time since when.
func (t *EventType) Archive(now time.Time) {
	if t.ArchivedAt == nil {
		t.ArchivedAt = &now
	}
}

// Limits of the catalogue. One answer of the API can hold it whole.
const (
	// MaxEventTypes is how many types there are at most, archived ones too.
	MaxEventTypes = 1000
	// MaxEventTypeJSON is the largest schema and the largest example, in bytes.
	MaxEventTypeJSON = 64 << 10
	// MaxCatalogueJSON is how large all schemas and examples are together.
	MaxCatalogueJSON = 8 << 20
)

// ReservedPrefix begins the names of the types that HookQL publishes itself.
const ReservedPrefix = "webhook."

// Reserved says whether an event type's name is one of HookQL's own, which
// nobody else adds, changes or publishes, and which webhooks get only where they
// name it whole.
func Reserved(name string) bool { return strings.HasPrefix(name, ReservedPrefix) }

// Validate finds every mistake in t, but for a name that is taken and for what
// its schema says.
func (t *EventType) Validate() Errors {
	errs := tagErrors(t)
	if Reserved(t.Name) {
		errs = append(errs, NewError(Invalid,
			fmt.Sprintf("Names that begin with `%s` are kept for HookQL's own events. Choose another.", ReservedPrefix), "name"))
	}
	if t.EnforceSchema && t.Schema == nil {
		errs = append(errs, NewError(Invalid, "There is no schema that could be enforced. Give a `schema`, or leave `enforceSchema` out.", "enforceSchema"))
	}
	errs = append(errs, sizeMistake(t.Schema, "schema")...)
	return append(errs, sizeMistake(t.Example, "example")...)
}

func sizeMistake(text json.RawMessage, field string) Errors {
	if len(text) <= MaxEventTypeJSON {
		return nil
	}
	return Errors{NewError(TooLong, fmt.Sprintf("`%s` takes at most 64 KiB of JSON, this is %d bytes.", field, len(text)), field)}
}

// DefaultTitle is the title of a type that was given none: its name in words.
func DefaultTitle(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("._-", r) })
	if len(words) == 0 {
		return name
	}
	title := strings.Join(words, " ")
	if strings.ToUpper(title) == title {
		title = strings.ToLower(title)
	}
	_, first := utf8.DecodeRuneInString(title)
	return strings.ToUpper(title[:first]) + title[first:]
}

// DefaultCategory is the category of a type that was given none: what stands
// before the first dot or underscore of its name.
func DefaultCategory(name string) string {
	first, _, _ := strings.Cut(strings.ReplaceAll(name, "_", "."), ".")
	if first == "" {
		first = name
	}
	return strings.ToLower(first)
}

//go:embed sample.json
var sample []byte

// SampleEventTypes is the catalogue that development mode begins with.
func SampleEventTypes() ([]EventType, error) {
	var entries []struct {
		Name, Title, Category, Description string
		Documentation                      *string
		Example                            json.RawMessage
	}
	if err := json.Unmarshal(sample, &entries); err != nil {
		return nil, fmt.Errorf("read the sample catalogue: %w", err)
	}
	now := Now()
	types := make([]EventType, len(entries))
	for i, e := range entries {
		example, err := CanonicalJSON(e.Example)
		if err != nil {
			return nil, fmt.Errorf("read the example of %s: %w", e.Name, err)
		}
		types[i] = EventType{
			ID:            NewID(EventTypePrefix),
			Name:          e.Name,
			Title:         e.Title,
			Category:      e.Category,
			Description:   e.Description,
			Documentation: e.Documentation,
			Example:       example,
			CreatedAt:     now,
			UpdatedAt:     now,
		}
	}
	return types, nil
}

// OwnEventTypes are those that HookQL itself publishes.
func OwnEventTypes() []EventType {
	now := Now()
	return []EventType{{
		ID:          NewID(EventTypePrefix),
		Name:        EventSuspended,
		Title:       "Webhook suspended",
		Category:    "webhook",
		Description: "HookQL suspended a webhook of the workspace: it answered 410 Gone (`GONE`), or every attempt failed for the whole suspension time (`FAILING`). Subscribe by the whole name; no pattern covers it.",
		Example: json.RawMessage(`{"message":"The receiver answered 410 Gone. Give the webhook another URL, or let the receiver take events again, and activate it.",` +
			`"reason":"GONE","suspendedAt":"2026-01-31T12:00:00.000001Z","url":"https://example.com/hook","webhookId":"wh_01jzx8g4v3f1q8m2s7r6t5w9ba","webhookUid":"orders"}`),
		CreatedAt: now,
		UpdatedAt: now,
	}}
}

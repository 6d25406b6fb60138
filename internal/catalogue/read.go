package catalogue

import (
	"errors"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/hookql/hookql/internal/payload"
	"github.com/hookql/hookql/internal/webhook"
)

// top is the one member of a file.
const top = "eventTypes"

// Read reads the event types of a catalogue's file, YAML or JSON, each made
// whole. Whatever is wrong is told as Mistakes, all at once.
func Read(text []byte) ([]*webhook.EventType, error) {
	r := &reader{}
	types, err := r.eventTypes(r.parse(text))
	if err != nil {
		return nil, err
	}
	if len(r.mistakes) > 0 {
		slices.SortStableFunc(r.mistakes, func(a, b Mistake) int { return a.Line - b.Line })
		return nil, r.mistakes
	}
	return types, nil
}

// eventTypes reads a document. The error is a fault, not a mistake.
func (r *reader) eventTypes(doc ast.Node) (types []*webhook.EventType, err error) {
	if doc == nil {
		if r.mistakes == nil {
			r.fail(1, "The file is empty. It needs `%s:` and a list; `hookql export` writes one.", top)
		}
		return nil, nil
	}
	members, _ := r.mapping(doc, "The file")
	lines := make(map[string]int)
	var schemas payload.Cache
	for _, m := range members {
		list, isList := m.value.(*ast.SequenceNode)
		switch {
		case m.name != top:
			r.fail(m.line, "There is no %q here, only `%s`.", m.name, top)
			continue
		case !isList:
			r.fail(m.line, "`%s` must be a list.", top)
			continue
		}
		for _, item := range list.Values {
			t, at, err := r.eventType(item, &schemas)
			if err != nil {
				return nil, err
			}
			if first := lines[t.Name]; first > 0 {
				r.fail(at, "The event type %q stands on line %d already.", t.Name, first)
			}
			lines[t.Name] = at
			types = append(types, t)
		}
	}
	return types, nil
}

// eventType reads one entry and says on which line its name stands.
func (r *reader) eventType(item ast.Node, schemas *payload.Cache) (t *webhook.EventType, at int, err error) {
	now := webhook.Now()
	t = &webhook.EventType{ID: webhook.NewID(webhook.EventTypePrefix), ExampleMade: true, CreatedAt: now, UpdatedAt: now}
	members, ok := r.mapping(item, "An event type")
	before := len(r.mistakes)
	lines := map[string]int{"name": line(item)}
	for _, m := range members {
		lines[m.name] = m.line
		r.field(t, m)
	}
	if t.Title == "" && lines["title"] == 0 {
		t.Title = webhook.DefaultTitle(t.Name)
	}
	if t.Category == "" && lines["category"] == 0 {
		t.Category = webhook.DefaultCategory(t.Name)
	}
	if !ok || len(r.mistakes) > before {
		return t, lines["name"], nil // more would follow from those
	}
	err = Complete(t, schemas)
	var errs webhook.Errors
	if !errors.As(err, &errs) {
		return t, lines["name"], err
	}
	for _, e := range errs {
		line := lines[e.Field[0]]
		if line == 0 {
			line = lines["name"]
		}
		r.fail(line, "%s: %s", e.Field[0], e.Message)
	}
	return t, lines["name"], nil
}

// fieldNames are the members of an entry, in the order they are written.
var fieldNames = []string{"name", "title", "category", "description", "documentation", "archived", "schema", "enforceSchema", "example"}

// field reads one member of an entry into t.
func (r *reader) field(t *webhook.EventType, m member) {
	value := r.json(m.value)
	text, right := value.(string)
	wants := "a text"
	switch m.name {
	case "name":
		t.Name = text
	case "title":
		t.Title = text
	case "category":
		t.Category = text
	case "description":
		t.Description = text
	case "documentation":
		t.Documentation = &text
	case "archived":
		archived, isBool := value.(bool)
		if archived {
			t.Archive(t.UpdatedAt)
		}
		right, wants = isBool, "`true` or `false`"
	case "enforceSchema":
		enforced, isBool := value.(bool)
		t.EnforceSchema = enforced
		right, wants = isBool, "`true` or `false`"
	case "schema", "example":
		encoded, err := webhook.EncodeJSON(value)
		right, wants = err == nil, "JSON"
		if m.name == "schema" {
			t.Schema = encoded
		} else {
			t.Example, t.ExampleMade = encoded, false
		}
	default:
		r.fail(m.line, "An event type has no %q. It has %s.", m.name, strings.Join(fieldNames, ", "))
		return
	}
	if !right {
		r.fail(m.line, "`%s` must be %s.", m.name, wants)
	}
}

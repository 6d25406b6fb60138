package catalogue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hookql/hookql/internal/webhook"
)

// Plan is what it takes to bring a catalogue to what a file says.
type Plan struct {
	Changes []Change
	// Missing are the types that are not archived and that the file does not
	// name. They stay as they are.
	Missing []string
}

// Change makes one event type what it is to be.
type Change struct {
	// Before is nil for a type that is added.
	Before, After *webhook.EventType
}

// NewPlan compares a whole catalogue with the types of a file. Those that the
// file does not name are archived where archiveMissing says so. HookQL's own
// types are left alone.
func NewPlan(current, wanted []*webhook.EventType, archiveMissing bool) *Plan {
	p := &Plan{}
	byName := make(map[string]*webhook.EventType, len(current))
	for _, t := range current {
		byName[t.Name] = t
	}
	named := make(map[string]bool, len(wanted))
	for _, t := range wanted {
		named[t.Name] = true
		p.add(byName[t.Name], t)
	}
	for _, t := range current {
		switch {
		case named[t.Name], t.ArchivedAt != nil, webhook.Reserved(t.Name):
		case archiveMissing:
			archived := *t
			archived.Archive(webhook.Now())
			p.add(t, &archived)
		default:
			p.Missing = append(p.Missing, t.Name)
		}
	}
	return p
}

// add adds the change from before to wanted, unless they are the same.
func (p *Plan) add(before, wanted *webhook.EventType) {
	if before == nil {
		p.Changes = append(p.Changes, Change{nil, wanted})
		return
	}
	after := *wanted
	after.ID, after.CreatedAt, after.UpdatedAt = before.ID, before.CreatedAt, before.UpdatedAt
	if after.ArchivedAt != nil && before.ArchivedAt != nil {
		after.ArchivedAt = before.ArchivedAt
	}
	if after.ExampleMade && before.ExampleMade && bytes.Equal(after.Schema, before.Schema) {
		after.Example = before.Example // a newer HookQL may make another of the same schema
	}
	if reflect.DeepEqual(*before, after) {
		return
	}
	after.UpdatedAt = webhook.Now()
	p.Changes = append(p.Changes, Change{before, &after})
}

// Changed are the types to write.
func (p *Plan) Changed() []*webhook.EventType {
	types := make([]*webhook.EventType, len(p.Changes))
	for i, c := range p.Changes {
		types[i] = c.After
	}
	return types
}

// String shows the plan to a person.
func (p *Plan) String() string {
	var b strings.Builder
	for _, c := range p.Changes {
		if c.Before == nil {
			fmt.Fprintf(&b, "+ %s\n", c.After.Name)
			continue
		}
		fmt.Fprintf(&b, "~ %s\n", c.After.Name)
		for _, line := range c.differences() {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	if len(p.Missing) > 0 {
		fmt.Fprintf(&b, "Not in the file, and left as they are (-archive-missing archives them): %s\n", strings.Join(p.Missing, ", "))
	}
	return b.String()
}

// differences are the members that a change changes, one on a line.
func (c Change) differences() (lines []string) {
	before, after := shown(c.Before), shown(c.After)
	for _, name := range fieldNames {
		lines = append(lines, differences(name, before[name], after[name])...)
	}
	if c.Before.ExampleMade != c.After.ExampleMade {
		lines = append(lines, fmt.Sprintf("example made from the schema: %t → %t", c.Before.ExampleMade, c.After.ExampleMade))
	}
	return lines
}

// absent stands for a member that is not there.
type absent struct{}

// shown are the members of a type that a change can change.
func shown(t *webhook.EventType) map[string]any {
	members := map[string]any{"title": t.Title, "category": t.Category, "description": t.Description, "archived": t.ArchivedAt != nil, "enforceSchema": t.EnforceSchema,
		"name": t.Name, "documentation": absent{}, "schema": decoded(t.Schema), "example": decoded(t.Example)}
	if t.Documentation != nil {
		members["documentation"] = *t.Documentation
	}
	return members
}

func decoded(text json.RawMessage) any {
	v, err := webhook.DecodeJSON(text)
	if err != nil {
		return absent{} // there is none
	}
	return v
}

// differences are the places at or below path where two values differ.
func differences(path string, before, after any) (lines []string) {
	if reflect.DeepEqual(before, after) {
		return nil
	}
	from, isObject := before.(map[string]any)
	to, both := after.(map[string]any)
	if !isObject || !both {
		return []string{path + ": " + brief(before) + " → " + brief(after)}
	}
	names := maps.Clone(from)
	maps.Copy(names, to)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		lines = append(lines, differences(path+"."+name, at(from, name), at(to, name))...)
	}
	return lines
}

func at(object map[string]any, name string) any {
	if v, ok := object[name]; ok {
		return v
	}
	return absent{}
}

// brief is a value on a part of a line.
func brief(v any) string {
	const most = 80
	if _, none := v.(absent); none {
		return "none"
	}
	text, err := webhook.EncodeJSON(v)
	if err != nil {
		return "?"
	}
	if utf8.RuneCount(text) > most {
		return string([]rune(string(text))[:most]) + "…"
	}
	return string(text)
}

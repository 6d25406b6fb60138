package payload

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hookql/hookql/internal/webhook"
)

// Data are reworked by edits: what a schema says at a place in them is only a
// hint at what may stand there, and whether an edit may be made is decided by
// the whole, which must still fit. So it holds for every schema.

// place is a value within data, and what it must fit.
type place struct {
	at    []string
	value any
	// schemas are what the value must fit because of where it is.
	schemas []*jsonschema.Schema
	// rules are those, what they refer to, and the alternatives that the value
	// fits.
	rules rules
}

// walk visits all places, each before those in it, as long as that does not
// take too much work.
func (m *maker) walk(v any, visit func(place)) {
	m.effort += m.efforts.of(m.root, v)
	m.visit(place{value: v, schemas: []*jsonschema.Schema{m.root}}, visit)
}

func (m *maker) visit(p place, visit func(place)) {
	if m.effort > maxEffort {
		return
	}
	defer m.enter(p.schemas)()
	p.rules = m.applied(p.schemas, p.value)
	visit(p)
	switch v := p.value.(type) {
	case map[string]any:
		for _, name := range sortedNames(v) {
			schemas, _ := p.rules.member(name)
			m.visit(place{at: p.below(name), value: v[name], schemas: schemas}, visit)
		}
	case []any:
		for i, item := range v {
			m.visit(place{at: p.below(strconv.Itoa(i)), value: item, schemas: p.rules.listed(i)}, visit)
		}
	}
}

func (p place) below(name string) []string { return append(slices.Clone(p.at), name) }

// applied are the schemas that are applied to v, or might as well be.
func (m *maker) applied(schemas []*jsonschema.Schema, v any) rules {
	r := together(nil, schemas)
	for i := 0; i < len(r); i++ {
		r = together(r, m.chosen(r[i], v))
	}
	return r
}

// together adds the schemas to r with all that they refer to, whatever the
// value is.
func together(r rules, schemas []*jsonschema.Schema) rules {
	for _, s := range schemas {
		if !slices.Contains(r, s) {
			r = together(append(r, s), inPlace(s))
		}
	}
	return r
}

// chosen are the alternatives within s that v fits.
func (m *maker) chosen(s *jsonschema.Schema, v any) (all []*jsonschema.Schema) {
	for _, alternative := range slices.Concat(s.AnyOf, s.OneOf) {
		if m.fit(rules{alternative}, v) {
			all = append(all, alternative)
		}
	}
	switch {
	case s.If == nil:
	case m.fit(rules{s.If}, v):
		all = append(all, present(s.If, s.Then)...)
	default:
		all = append(all, present(s.Else)...)
	}
	if members, isObject := v.(map[string]any); isObject {
		for _, name := range sortedNames(s.DependentSchemas) {
			if _, there := members[name]; there {
				all = append(all, s.DependentSchemas[name])
			}
		}
	}
	return all
}

// first is the first of the values that may stand in the place.
func (m *maker) first(p place, values ...any) (any, bool) {
	for _, v := range values {
		if m.fit(p.schemas, v) {
			return v, true
		}
	}
	return nil, false
}

// edit puts another value in a place, or a member into an object or out of it.
type edit struct {
	at   []string
	to   any
	gone bool
}

// edited is a copy of v with edits. One of a place that is not there, or no
// more, does nothing.
func edited(v any, edits ...edit) any {
	v = clone(v)
	for _, e := range edits {
		v = e.in(v, e.at)
	}
	return v
}

// in makes the edit in v, which is changed, as far below it as at says.
func (e edit) in(v any, at []string) any {
	if len(at) == 0 {
		return clone(e.to)
	}
	switch v := v.(type) {
	case map[string]any:
		old, there := v[at[0]]
		switch {
		case len(at) > 1 && !there:
		case len(at) == 1 && e.gone:
			delete(v, at[0])
		default:
			v[at[0]] = e.in(old, at[1:])
		}
	case []any:
		i, err := strconv.Atoi(at[0])
		if err == nil && 0 <= i && i < len(v) && (len(at) > 1 || !e.gone) {
			v[i] = e.in(v[i], at[1:])
		}
	}
	return v
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		v = maps.Clone(v)
		for name, member := range v {
			v[name] = clone(member)
		}
		return v
	case []any:
		v = slices.Clone(v)
		for i, item := range v {
			v[i] = clone(item)
		}
		return v
	}
	return v
}

// try makes edits, and says whether data may be so; once that took too much
// work, nothing may any more.
func (m *maker) try(v any, edits ...edit) (any, bool) {
	if m.effort > maxEffort {
		return nil, false
	}
	v = edited(v, edits...)
	text, err := webhook.EncodeJSON(v)
	m.effort += 1 + len(text)/bytesPerEffort
	effort := m.efforts.of(m.root, v)
	if err != nil || effort > maxEffort {
		return nil, false
	}
	m.effort += effort + m.efforts.reading(m.root, v, len(text))
	return v, len(text) <= maxVariant && m.fit(rules{m.root}, v)
}

// apply makes all edits at once where data may have them, else those of each
// half that they may.
func (m *maker) apply(v any, edits []edit) any {
	if len(edits) == 0 {
		return v
	}
	if all, ok := m.try(v, edits...); ok {
		return all
	}
	if len(edits) == 1 {
		return v
	}
	half := len(edits) / 2
	return m.apply(m.apply(v, edits[:half]), edits[half:])
}

// everywhere makes the edits of every place.
func (m *maker) everywhere(v any, edits func(place) []edit) any {
	var all []edit
	m.walk(v, func(p place) { all = append(all, edits(p)...) })
	return m.apply(v, all)
}

// throughout makes the edits of every place until there are none left: one may
// make room for another.
func (m *maker) throughout(v any, edits func(place) []edit) any {
	for range maxNesting {
		next := m.everywhere(v, edits)
		if reflect.DeepEqual(next, v) {
			break
		}
		v = next
	}
	return v
}

// shape is a path through v, as walk found it, without its indexes: the same
// member of another item has the same.
func shape(v any, at []string) string {
	var b strings.Builder
	for _, name := range at {
		switch in := v.(type) {
		case map[string]any:
			b.WriteString(jsonPointer([]string{name}))
			v = in[name]
		case []any:
			b.WriteString("/*")
			i, _ := strconv.Atoi(name) // walk wrote it
			v = in[i]
		}
	}
	return b.String()
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// jsonPointer writes a path as /tasks/0/id.
func jsonPointer(path []string) string {
	var b strings.Builder
	for _, name := range path {
		b.WriteByte('/')
		b.WriteString(pointerEscapes.Replace(name))
	}
	return b.String()
}

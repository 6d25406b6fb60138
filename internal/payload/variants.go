package payload

import (
	"encoding/json"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/hookql/hookql/internal/webhook"
)

// Variant is data that fits a schema in an unusual way.
type Variant struct {
	// Label says what is unusual, such as "without /driver/phone".
	Label string
	Data  json.RawMessage
}

// VariantKind is a way in which data can be unusual.
type VariantKind string

// The kinds of variants.
const (
	// VariantMinimal: nothing that is not required; texts and lists are as short
	// as they may be.
	VariantMinimal VariantKind = "MINIMAL"
	// VariantMaximal: every member that the schema names, and several items in
	// each list.
	VariantMaximal VariantKind = "MAXIMAL"
	// VariantMissing: without one member that is not required.
	VariantMissing VariantKind = "MISSING"
	// VariantNull: null in one place that may be null.
	VariantNull VariantKind = "NULL"
	// VariantLongStrings: texts without a format are as long as they may be, up
	// to 10,000 characters.
	VariantLongStrings VariantKind = "LONG_STRINGS"
	// VariantUnicode: texts without a format hold characters that programs
	// stumble over.
	VariantUnicode VariantKind = "UNICODE"
	// VariantNumbers: numbers are at the ends of what is allowed or of what
	// programs can hold, or have more digits than those keep.
	VariantNumbers VariantKind = "NUMBERS"
)

// Bounds of variants.
const (
	maxVariants = 20        // of one kind
	maxVariant  = 256 << 10 // bytes, as many as an event's data may have
	longest     = 10_000    // characters of a string
	several     = 3         // items
)

// Variants makes data of a kind that fits the schema, starting from data that
// does, the same each time; none where the schema has no room for it, or too
// much work would be needed. Minimal and maximal data are there even if they
// are what it started from.
func (s *Schema) Variants(kind VariantKind, like json.RawMessage) []Variant {
	v, err := webhook.DecodeJSON(like)
	if err != nil || s.check(v) != nil {
		return nil
	}
	var fitting []Variant
	for _, d := range s.drafts(kind, v) {
		data, err := webhook.EncodeJSON(d.value)
		if err == nil && len(data) <= maxVariant && s.check(d.value) == nil {
			fitting = append(fitting, Variant{d.label, data})
		}
	}
	return fitting[:min(len(fitting), maxVariants)]
}

// draft is a variant that is still to be checked.
type draft struct {
	label string
	value any
}

func (s *Schema) drafts(kind VariantKind, like any) []draft {
	switch m := s.newMaker(); kind {
	case VariantMinimal:
		return []draft{{"only what is required", m.minimal(like)}}
	case VariantMaximal:
		return []draft{{"all that the schema names", m.maximal(like)}}
	case VariantMissing:
		return m.oneByOne([]any{like, s.newMaker().maximal(like)}, m.prune)
	case VariantNull:
		return m.oneByOne([]any{like, s.newMaker().maximal(like)}, m.null)
	case VariantLongStrings:
		return m.changed(like, "long strings", m.lengthen(m.room(like)))
	case VariantUnicode:
		return m.changed(like, "unusual characters", m.disguise)
	case VariantNumbers:
		all := m.changed(like, "the highest numbers", m.raise)
		all = append(all, m.changed(like, "the lowest numbers", m.lower)...)
		return append(all, m.changed(like, "numbers with more digits than a double keeps", m.refine)...)
	}
	return nil
}

func (m *maker) minimal(like any) any {
	return m.throughout(m.throughout(like, m.prune), m.shorten)
}

func (m *maker) maximal(like any) any { return m.throughout(like, m.grow) }

// changed is data with the edits of every place, if there are any.
func (m *maker) changed(like any, label string, edits func(place) []edit) []draft {
	v := m.everywhere(like, edits)
	if reflect.DeepEqual(v, like) {
		return nil
	}
	return []draft{{label, v}}
}

// oneByOne makes a draft of each edit of a place in one of the bases, made in
// the first base that may have it. Of places of the same shape one is enough.
func (m *maker) oneByOne(bases []any, edits func(place) []edit) (drafts []draft) {
	done := make(map[string]bool)
	for _, base := range bases {
		var all []edit
		m.walk(base, func(p place) { all = append(all, edits(p)...) })
		// What is not deep tells more, should there be too many.
		slices.SortStableFunc(all, func(a, b edit) int { return len(a.at) - len(b.at) })
		for _, e := range all {
			where := shape(base, e.at)
			if done[where] {
				continue
			}
			for _, v := range bases {
				w, ok := m.try(v, e)
				if !ok || reflect.DeepEqual(w, v) {
					continue
				}
				done[where] = true
				if drafts = append(drafts, draft{e.label(), w}); len(drafts) == maxVariants {
					return drafts
				}
				break
			}
		}
	}
	return drafts
}

func (e edit) label() string {
	if e.gone {
		return "without " + jsonPointer(e.at)
	}
	return jsonPointer(e.at) + " is null"
}

// prune takes out each member that an object need not have.
func (m *maker) prune(p place) (edits []edit) {
	members, _ := p.value.(map[string]any)
	// An alternative requires members only as long as it is the one that fits.
	required := together(nil, p.schemas).required()
	for _, name := range sortedNames(members) {
		if !slices.Contains(required, name) {
			edits = append(edits, edit{at: p.below(name), gone: true})
		}
	}
	return edits
}

// null puts null where it may be, but not in the place of all: an event's data
// are never null.
func (m *maker) null(p place) []edit {
	if len(p.at) == 0 || p.value == nil || !m.fit(p.schemas, nil) {
		return nil
	}
	return []edit{{at: p.at}}
}

// shorten makes a list or a text as short as it may be.
func (m *maker) shorten(p place) []edit {
	var shorter []any
	switch v := p.value.(type) {
	case []any:
		if least := p.rules.least(); least < len(v) {
			shorter = append(shorter, v[:least], v[len(v)-least:])
		}
	case string:
		least, _ := p.rules.lengths()
		if p.rules.formatted() || utf8.RuneCountInString(v) <= least {
			return nil
		}
		shorter = append(shorter, string([]rune(v)[:least]))
		for _, s := range p.rules {
			if s.Pattern == nil {
				continue
			}
			m.effort += len(s.Pattern.String())
			if match := matching(s.Pattern.String(), least); len(match) < len(v) {
				shorter = append(shorter, match)
			}
		}
	}
	return m.replace(p, shorter)
}

// replace puts the first of the values that fits in the place.
func (m *maker) replace(p place, values []any) []edit {
	v, ok := m.first(p, values...)
	if !ok {
		return nil
	}
	return []edit{{at: p.at, to: v}}
}

// grow adds the members that an object lacks, or items to a list.
func (m *maker) grow(p place) []edit {
	switch v := p.value.(type) {
	case map[string]any:
		return m.addMembers(p, v)
	case []any:
		return m.addItems(p, v)
	}
	return nil
}

// addMembers leaves out what an example leaves out: what would lie in itself.
func (m *maker) addMembers(p place, members map[string]any) (edits []edit) {
	for _, name := range p.rules.members() {
		schemas, allowed := p.rules.member(name)
		if _, there := members[name]; there || !allowed || slices.ContainsFunc(schemas, m.within) {
			continue
		}
		if v, ok := m.make(schemas, 0); ok {
			edits = append(edits, edit{at: p.below(name), to: v})
		}
	}
	return edits
}

func (m *maker) addItems(p place, items []any) []edit {
	longer := slices.Clone(items)
	for len(longer) < several {
		v, ok := m.another(p.rules, longer)
		if !ok || !m.fit(p.schemas, append(longer, v)) {
			break
		}
		longer = append(longer, v)
	}
	if len(longer) == len(items) {
		return nil
	}
	return []edit{{at: p.at, to: longer}}
}

// another is one more item: the last one again where it may be, else a new
// one. There is none where the schemas tell of no item.
func (m *maker) another(r rules, items []any) (any, bool) {
	schemas := r.listed(len(items))
	if len(schemas) == 0 {
		return nil, false
	}
	_, unique := r.length()
	if n := len(items); n > 0 && !unique && m.fit(schemas, items[n-1]) {
		return items[n-1], true
	}
	if slices.ContainsFunc(schemas, m.within) {
		return nil, false
	}
	for nth := range several {
		v, ok := m.make(schemas, nth)
		if !ok || !unique || !contains(items, v) {
			return v, ok
		}
	}
	return nil, false
}

func contains(items []any, v any) bool {
	return slices.ContainsFunc(items, func(item any) bool { return reflect.DeepEqual(item, v) })
}

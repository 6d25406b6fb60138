package payload

import (
	"fmt"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// object makes an object with every member that the schemas name. One that is
// not required is left out where it cannot be made, or would lie in itself.
func (m *maker) object(r rules) (any, bool) {
	made := make(map[string]any)
	required := r.required()
	for _, name := range r.members() {
		schemas, allowed := r.member(name)
		must := slices.Contains(required, name)
		if !must && (!allowed || slices.ContainsFunc(schemas, m.within) || r.full(len(made)+len(required))) {
			continue
		}
		v, ok := m.make(schemas, 0)
		if !ok && must {
			return nil, false
		}
		if ok {
			made[name] = v
		}
	}
	return made, m.fill(made, r)
}

// within says whether a value of the schema is being made already.
func (m *maker) within(s *jsonschema.Schema) bool {
	return m.onPath[s] || s.Ref != nil && m.onPath[s.Ref]
}

// fill makes up members until there are as many as there must be.
func (m *maker) fill(made map[string]any, r rules) bool {
	least := 0
	for _, s := range r {
		if s.MinProperties != nil {
			least = max(least, *s.MinProperties)
		}
	}
	if least > maxMade {
		return false
	}
	for i := 1; len(made) < least && i <= maxMade; i++ {
		name := fmt.Sprint("member", i)
		schemas, allowed := r.member(name)
		if !allowed || made[name] != nil {
			continue
		}
		v, ok := m.make(schemas, 0)
		if !ok {
			return false
		}
		made[name] = v
	}
	return true
}

// full says whether no schema allows another member besides those.
func (r rules) full(members int) bool {
	return slices.ContainsFunc(r, func(s *jsonschema.Schema) bool {
		return s.MaxProperties != nil && members >= *s.MaxProperties
	})
}

func (r rules) required() (names []string) {
	for _, s := range r {
		names = append(names, s.Required...)
	}
	return names
}

// members are the names that the schemas know, in order.
func (r rules) members() []string {
	names := r.required()
	for _, s := range r {
		names = append(names, sortedNames(s.Properties)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// member is what the value of a member must fit, and whether the member may
// be there at all.
func (r rules) member(name string) (schemas []*jsonschema.Schema, allowed bool) {
	allowed = true
	for _, s := range r {
		known := false
		if p := s.Properties[name]; p != nil {
			schemas, known = append(schemas, p), true
		}
		for pattern, p := range s.PatternProperties {
			if pattern.MatchString(name) {
				schemas, known = append(schemas, p), true
			}
		}
		switch other := s.AdditionalProperties.(type) {
		case bool:
			allowed = allowed && (known || other)
		case *jsonschema.Schema:
			if !known {
				schemas = append(schemas, other)
			}
		}
	}
	// Patterns come from a map, whose order differs from run to run.
	slices.SortStableFunc(schemas, func(a, b *jsonschema.Schema) int {
		switch {
		case a.Location < b.Location:
			return -1
		case a.Location > b.Location:
			return 1
		}
		return 0
	})
	return schemas, allowed
}

// array makes an array that is as short as it may be, but holds an item where
// the schemas tell of items.
func (m *maker) array(r rules) (any, bool) {
	length, unique := r.length()
	if length > maxMade {
		return nil, false
	}
	made := make([]any, 0, length)
	for i := range length {
		v, ok := m.item(r, i, unique)
		if !ok && i >= r.least() {
			return made, true
		}
		if !ok {
			return nil, false
		}
		made = append(made, v)
	}
	return made, true
}

func (m *maker) item(r rules, i int, unique bool) (any, bool) {
	schemas := r.item(i)
	if i >= r.least() && slices.ContainsFunc(schemas, m.within) {
		return nil, false
	}
	if unique {
		return m.make(schemas, i)
	}
	return m.make(schemas, 0)
}

// least is how many items there must be.
func (r rules) least() (n int) {
	for _, s := range r {
		if s.MinItems != nil {
			n = max(n, *s.MinItems)
		}
		n = max(n, contained(s))
	}
	return n
}

// length is how many items to make, and whether they must differ.
func (r rules) length() (n int, unique bool) {
	n = r.least()
	for _, s := range r {
		n = max(n, len(s.PrefixItems))
		if s.Items2020 != nil && (s.Items2020.Bool == nil || *s.Items2020.Bool) {
			n = max(n, 1)
		}
		unique = unique || s.UniqueItems
	}
	for _, s := range r {
		if s.MaxItems != nil {
			n = min(n, *s.MaxItems)
		}
	}
	return n, unique
}

// item is what to make the item at a place fit: the first are those that the
// array must contain.
func (r rules) item(i int) []*jsonschema.Schema {
	schemas := r.listed(i)
	for _, s := range r {
		if i < contained(s) {
			schemas = append(schemas, s.Contains)
		}
	}
	return schemas
}

// listed is what the schemas say of the item at a place, because it is there.
func (r rules) listed(i int) (schemas []*jsonschema.Schema) {
	for _, s := range r {
		if i < len(s.PrefixItems) {
			schemas = append(schemas, s.PrefixItems[i])
		} else if s.Items2020 != nil {
			schemas = append(schemas, s.Items2020)
		}
	}
	return schemas
}

// contained is how many items must fit what `contains` says.
func contained(s *jsonschema.Schema) int {
	switch {
	case s.Contains == nil:
		return 0
	case s.MinContains != nil:
		return *s.MinContains
	}
	return 1
}

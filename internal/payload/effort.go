package payload

import (
	"maps"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schemas of a few lines can take years to check: where a value must be tried
// against two alternatives, and each item of it against two again, the work
// doubles with each level of the data. So how much it can be is counted
// before, and what is too much is refused.

const (
	// maxNesting is how deep data and schemas may be nested, as in the API.
	maxNesting = 32
	// maxValues is how many values a schema may have as JSON, as in the API.
	maxValues = 10_000
	// maxEffort is how many schemas are applied to values in one check; each
	// takes up to 5 µs.
	maxEffort = 1_000_000
	// bytesPerEffort are how many bytes of text a pattern reads in that time.
	bytesPerEffort = 256
)

// efforts are, for each schema and depth of data, how many schemas are applied
// at most along one path through the data: the value itself, one of its items
// or members, one of theirs, and so on.
type efforts map[*jsonschema.Schema]*[maxNesting + 1]int

// of is how much work it can be to apply a schema to a value.
func (e efforts) of(s *jsonschema.Schema, v any) int {
	values, depth := measure(v)
	if depth > maxNesting {
		return maxEffort + 1
	}
	return min(maxEffort+1, e[s][depth]*values)
}

// reading is how much more work it can be where a value is that many bytes of
// text: every schema may have a pattern.
func (e efforts) reading(s *jsonschema.Schema, v any, bytes int) int {
	_, depth := measure(v)
	return e[s][min(depth, maxNesting)] * (bytes / bytesPerEffort)
}

// measure counts the values in v, itself too, and how deep they are nested.
func measure(v any) (values, depth int) {
	var below []any
	switch v := v.(type) {
	case map[string]any:
		below = slices.Collect(maps.Values(v))
	case []any:
		below = v
	}
	values = 1
	for _, item := range below {
		n, d := measure(item)
		values, depth = values+n, max(depth, d+1)
	}
	return values, depth
}

// newEfforts counts for all schemas that root leads to.
func newEfforts(root *jsonschema.Schema) efforts {
	e := make(efforts)
	anchors := make(map[string][]*jsonschema.Schema)
	for open := []*jsonschema.Schema{root}; len(open) > 0; {
		s := open[len(open)-1]
		open = open[:len(open)-1]
		if e[s] != nil {
			continue
		}
		e[s] = new([maxNesting + 1]int)
		if s.DynamicAnchor != "" {
			anchors[s.DynamicAnchor] = append(anchors[s.DynamicAnchor], s)
		}
		open = append(open, sameValue(s, nil)...)
		for _, group := range itsParts(s) {
			open = append(open, group...)
		}
	}
	for depth := range maxNesting + 1 {
		for s := range e {
			e.count(s, depth, anchors)
		}
	}
	return e
}

// counting marks a schema that is being counted: one that leads back to itself
// on the same value never ends.
const counting = -1

func (e efforts) count(s *jsonschema.Schema, depth int, anchors map[string][]*jsonschema.Schema) int {
	switch n := e[s][depth]; n {
	case 0:
	case counting:
		return maxEffort + 1
	default:
		return n
	}
	e[s][depth] = counting
	n := 1
	for _, other := range sameValue(s, anchors) {
		n = min(maxEffort+1, n+e.count(other, depth, anchors))
	}
	for _, group := range itsParts(s) {
		most := 0
		for _, part := range group {
			if depth > 0 {
				most = max(most, e.count(part, depth-1, anchors))
			}
		}
		n = min(maxEffort+1, n+most)
	}
	e[s][depth] = n
	return n
}

// sameValue are the schemas that s applies to the value itself. Where a
// reference goes is known only during the check if it is dynamic: it may go to
// any of the anchors of its name.
func sameValue(s *jsonschema.Schema, anchors map[string][]*jsonschema.Schema) []*jsonschema.Schema {
	all := append(inPlace(s), present(s.Not, s.If, s.Then, s.Else)...)
	all = append(append(all, s.AnyOf...), s.OneOf...)
	for _, name := range sortedNames(s.DependentSchemas) {
		all = append(all, s.DependentSchemas[name])
	}
	if s.DynamicRef != nil {
		all = append(all, anchors[s.DynamicRef.Anchor]...)
	}
	return all
}

// itsParts are the schemas that s applies to items and members; of a group, one
// is applied to each at most.
func itsParts(s *jsonschema.Schema) (groups [][]*jsonschema.Schema) {
	groups = append(groups, slices.Collect(maps.Values(s.Properties)), s.PrefixItems,
		present(s.PropertyNames), present(s.UnevaluatedProperties), present(s.Items2020), present(s.Contains), present(s.UnevaluatedItems))
	for _, p := range s.PatternProperties {
		groups = append(groups, present(p))
	}
	if other, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		groups = append(groups, present(other))
	}
	return groups
}

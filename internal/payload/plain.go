package payload

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// formats are an example of each format; a %d makes examples that differ.
var formats = map[string]string{
	"date":                  "2026-01-%02d",
	"date-time":             "2026-01-01T09:00:%02dZ",
	"time":                  "09:00:%02dZ",
	"duration":              "PT%dM",
	"email":                 "person%d@example.com",
	"idn-email":             "person%d@example.com",
	"hostname":              "host%d.example.com",
	"idn-hostname":          "host%d.example.com",
	"ipv4":                  "192.0.2.%d",
	"ipv6":                  "2001:db8::%d",
	"uri":                   "https://example.com/%d",
	"uri-reference":         "/%d",
	"iri":                   "https://example.com/%d",
	"iri-reference":         "/%d",
	"uri-template":          "https://example.com/{id}/%d",
	"json-pointer":          "/%d",
	"relative-json-pointer": "%d",
	"uuid":                  "00000000-0000-4000-8000-%012d",
	"regex":                 "a{%d}",
}

// text makes a string, the nth of those that differ.
func (m *maker) text(r rules, nth int) (any, bool) {
	least, most := r.lengths()
	s := "text"
	if nth > 0 {
		s = fmt.Sprint("text", nth)
	}
	for _, schema := range r {
		if schema.Format != nil && formats[schema.Format.Name] != "" {
			s = fmt.Sprintf(formats[schema.Format.Name], nth+1)
		}
	}
	for _, schema := range r {
		if schema.Pattern != nil {
			s = matching(schema.Pattern.String(), least)
		}
	}
	length := utf8.RuneCountInString(s)
	switch {
	case m.fit(r, s):
		return s, true
	case least > 64<<10:
		return nil, false
	case length < least:
		return s + strings.Repeat("x", least-length), true
	case most >= 0 && length > most:
		return string([]rune(s)[length-most:]), true // the end is what differs
	}
	return s, true
}

// lengths are how many characters a string must have and may have; most is -1
// where nothing says so.
func (r rules) lengths() (least, most int) {
	most = -1
	for _, s := range r {
		if s.MinLength != nil {
			least = max(least, *s.MinLength)
		}
		if n := s.MaxLength; n != nil && (most < 0 || *n < most) {
			most = *n
		}
	}
	return least, most
}

// matching is a text that a regular expression may match: the shortest but for
// repetitions, which are drawn out until the text is long enough.
func matching(pattern string, least int) string {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	var s string
	for more := range 64 {
		if s = literal(tree, more); utf8.RuneCountInString(s) >= least {
			return s
		}
	}
	return s
}

// literal is one text that a part of a regular expression matches, with as
// many repetitions more than needed as it takes.
func literal(re *syntax.Regexp, more int) string {
	var b strings.Builder
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteRune(firstRune(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('a')
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		b.WriteString(strings.Repeat(literal(re.Sub[0], 0), repeat(re, more)))
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			b.WriteString(literal(sub, more))
		}
	case syntax.OpAlternate:
		b.WriteString(literal(re.Sub[0], more))
	}
	return b.String()
}

// repeat is how often a repetition is written out.
func repeat(re *syntax.Regexp, more int) int {
	switch re.Op {
	case syntax.OpPlus:
		return 1 + more
	case syntax.OpQuest:
		return min(1, more)
	case syntax.OpRepeat:
		if re.Max >= 0 {
			return min(re.Max, re.Min+more)
		}
		return re.Min + more
	}
	return more
}

// firstRune is a rune of a class, given as pairs: a letter or digit where it
// has one.
func firstRune(pairs []rune) rune {
	for _, want := range "aA0" {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] <= want && want <= pairs[i+1] {
				return want
			}
		}
	}
	if len(pairs) == 0 {
		return 'a' // the class is empty: nothing matches
	}
	return pairs[0]
}

// number makes a number, the nth of those that differ: the first that fits
// among the round ones and those around its bounds.
func (m *maker) number(r rules, nth int, whole bool) (any, bool) {
	step := r.step(whole)
	var fitting []json.Number
	for _, from := range r.anchors(step) {
		for i := range int64(nth) + 2 {
			for _, sign := range []int64{1, -1} {
				n := new(big.Rat).Add(from, new(big.Rat).Mul(step, big.NewRat(sign*i, 1)))
				text, exact := numberText(n)
				if !exact || slices.Contains(fitting, text) || !m.fit(r, text) {
					continue
				}
				if fitting = append(fitting, text); len(fitting) > nth {
					return text, true
				}
			}
		}
	}
	return nil, false
}

// step is how far apart the numbers lie that are tried: the least number that
// is a multiple of all that the schemas want multiples of.
func (r rules) step(whole bool) *big.Rat {
	one := big.NewRat(1, 1)
	var step *big.Rat
	if whole {
		step = one
	}
	for _, s := range r {
		switch {
		case s.MultipleOf == nil:
		case step == nil:
			step = s.MultipleOf
		default:
			step = commonMultiple(step, s.MultipleOf)
		}
	}
	if step == nil {
		return one
	}
	return step
}

// commonMultiple is the least positive number that is a multiple of both.
func commonMultiple(a, b *big.Rat) *big.Rat {
	shared := new(big.Int).GCD(nil, nil, a.Num(), b.Num())
	num := new(big.Int).Mul(a.Num(), new(big.Int).Quo(b.Num(), shared))
	return new(big.Rat).SetFrac(num, new(big.Int).GCD(nil, nil, a.Denom(), b.Denom()))
}

// anchors are the numbers to begin the search at: 1, 0, the bounds, brought to
// a multiple of step, and the middle between them.
func (r rules) anchors(step *big.Rat) []*big.Rat {
	anchors := []*big.Rat{big.NewRat(1, 1), new(big.Rat)}
	low, high := r.bounds()
	for _, bound := range []*big.Rat{low, high} {
		if bound != nil {
			anchors = append(anchors, bound, multiple(bound, step))
		}
	}
	if low != nil && high != nil {
		middle := new(big.Rat).Add(low, high)
		middle.Quo(middle, big.NewRat(2, 1))
		anchors = append(anchors, middle, multiple(middle, step))
	}
	return anchors
}

// bounds are the highest of the lower bounds and the lowest of the upper ones,
// whether they belong to the range or not; nil where there is none.
func (r rules) bounds() (low, high *big.Rat) {
	for _, s := range r {
		for _, bound := range []*big.Rat{s.Minimum, s.ExclusiveMinimum} {
			if bound != nil && (low == nil || bound.Cmp(low) > 0) {
				low = bound
			}
		}
		for _, bound := range []*big.Rat{s.Maximum, s.ExclusiveMaximum} {
			if bound != nil && (high == nil || bound.Cmp(high) < 0) {
				high = bound
			}
		}
	}
	return low, high
}

// multiple is the largest multiple of step that is not above n.
func multiple(n, step *big.Rat) *big.Rat {
	times := new(big.Rat).Quo(n, step)
	floor := new(big.Int).Div(times.Num(), times.Denom())
	return new(big.Rat).Mul(new(big.Rat).SetInt(floor), step)
}

// numberText writes a number as JSON does, and says whether it is exact.
func numberText(n *big.Rat) (json.Number, bool) {
	digits, exact := n.FloatPrec()
	text := n.FloatString(digits)
	return json.Number(text), exact && len(text) <= maxDigits
}

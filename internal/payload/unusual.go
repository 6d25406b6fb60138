package payload

import (
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hookql/hookql/internal/webhook"
)

// room is how long each text can be made so that all of them find room.
func (m *maker) room(v any) int {
	texts := 0
	m.walk(v, func(p place) {
		if _, isText := p.value.(string); isText && !p.rules.formatted() {
			texts++
		}
	})
	text, err := webhook.EncodeJSON(v)
	if err != nil || texts == 0 {
		return 0
	}
	return min(longest, (maxVariant-len(text))/texts)
}

// lengthen draws a text out to a length, or as far as its own bound lets it. One
// with a pattern may need more of its last character, or of its first.
func (m *maker) lengthen(length int) func(place) []edit {
	return func(p place) []edit {
		s, isText := p.value.(string)
		target := length
		if _, most := p.rules.lengths(); most >= 0 {
			target = min(target, most)
		}
		more := target - utf8.RuneCountInString(s)
		if !isText || p.rules.formatted() || more <= 0 {
			return nil
		}
		longer := []any{s + strings.Repeat("x", more)}
		if runes := []rune(s); len(runes) > 0 {
			longer = append(longer,
				s+strings.Repeat(string(runes[len(runes)-1]), more),
				strings.Repeat(string(runes[0]), more)+s)
		}
		return m.replace(p, longer)
	}
}

// unusual are texts that programs stumble over: a character of two UTF-16 code
// units, one of two code points, letters from right to left, an end of line in
// JavaScript, and what ends a text or a script where it is not escaped.
var unusual = []string{"\U0001F600", "e\u0301", "\u05E9\u05DC\u05D5\u05DD", "\u2028", `"`, `\`, "</script>"}

// disguise replaces a text by unusual ones, as many as it may hold; where they
// may not stand alone they follow it.
func (m *maker) disguise(p place) []edit {
	s, isText := p.value.(string)
	if !isText || p.rules.formatted() {
		return nil
	}
	all := strings.Join(unusual, "")
	least, _ := p.rules.lengths()
	least = min(least, utf8.RuneCountInString(s))
	cut := []rune(strings.Repeat(all, least/utf8.RuneCountInString(all)+1))[:least]
	for _, start := range []string{string(cut), s} {
		if text := m.stud(p, start); text != s && m.fit(p.schemas, text) && isUnusual(text) {
			return []edit{{at: p.at, to: text}}
		}
	}
	return nil
}

// stud adds each unusual text that is not there and that the place allows.
func (m *maker) stud(p place, text string) string {
	for _, more := range unusual {
		if !strings.Contains(text, more) && m.fit(p.schemas, text+more) {
			text += more
		}
	}
	return text
}

func isUnusual(text string) bool {
	return slices.ContainsFunc(unusual, func(part string) bool { return strings.Contains(text, part) })
}

// formatted says whether a text has a form of its own.
func (r rules) formatted() bool {
	return slices.ContainsFunc(r, func(s *jsonschema.Schema) bool { return s.Format != nil })
}

// Numbers that programs stumble over: the largest of 64 bits, and the first
// that a double does not hold, as JavaScript's numbers are.
const (
	max64      = 1<<63 - 1
	pastDouble = 1<<53 + 1
)

// raise makes a number as high as it may be and common types can hold.
func (m *maker) raise(p place) []edit {
	_, high := p.rules.bounds()
	return m.extreme(p, 1, high)
}

// lower makes a number as low as it may be and common types can hold.
func (m *maker) lower(p place) []edit {
	low, _ := p.rules.bounds()
	return m.extreme(p, -1, low)
}

// extreme moves a number towards a bound, which may be nil, as far as it goes.
func (m *maker) extreme(p place, sign int64, bound *big.Rat) []edit {
	now, ok := ratOf(p.value)
	if !ok {
		return nil
	}
	step := m.step(p)
	way := big.NewRat(sign, 1)
	var tried []*big.Rat
	for _, n := range []int64{max64, pastDouble, pastDouble - 1} {
		n := big.NewRat(n, 1)
		tried = append(tried, new(big.Rat).Mul(way, n), new(big.Rat).Mul(way, multiple(n, step)))
	}
	if bound != nil {
		inside := multiple(bound, step)
		tried = append(tried, bound, inside, new(big.Rat).Sub(inside, new(big.Rat).Mul(way, step)))
	}
	further := func(n *big.Rat) bool { return n.Cmp(now)*int(sign) > 0 }
	texts := numberTexts(tried, further)
	if huge, _ := ratOf(hugest[sign]); !p.rules.whole() && further(huge) {
		texts = slices.Insert(texts, 0, any(hugest[sign]))
	}
	return m.replace(p, texts)
}

// step is how far apart numbers of the place lie. Of many multiples it can have
// so many digits that finding it is much work.
func (m *maker) step(p place) *big.Rat {
	step := p.rules.step(p.rules.whole())
	m.effort += step.Num().BitLen()
	return step
}

// hugest are numbers that a double just holds, by their sign.
var hugest = map[int64]json.Number{1: "1e308", -1: "-1e308"}

// numberTexts are the numbers to keep that can be written out.
func numberTexts(numbers []*big.Rat, keep func(*big.Rat) bool) (texts []any) {
	for _, n := range numbers {
		if text, exact := numberText(n); exact && keep(n) {
			texts = append(texts, text)
		}
	}
	return texts
}

// refine gives a number more digits than a double keeps.
func (m *maker) refine(p place) []edit {
	now, ok := ratOf(p.value)
	if !ok {
		return nil
	}
	var tried []*big.Rat
	if !p.rules.whole() {
		digits := big.NewRat(123456789012345678, 1e18)
		tried = append(tried, digits, new(big.Rat).Add(now, digits), new(big.Rat).Sub(now, digits))
	}
	step := m.step(p)
	past := big.NewRat(pastDouble, 1)
	next := multiple(new(big.Rat).Add(past, step), step)
	tried = append(tried, past, next, new(big.Rat).Add(next, step), new(big.Rat).Neg(past), new(big.Rat).Neg(next))
	return m.replace(p, numberTexts(tried, func(n *big.Rat) bool { return n.Cmp(now) != 0 && !isDouble(n) }))
}

func isDouble(n *big.Rat) bool {
	_, exact := n.Float64()
	return exact
}

// ratOf is a value that is a number.
func ratOf(v any) (*big.Rat, bool) {
	n, isNumber := v.(json.Number)
	if !isNumber {
		return nil, false
	}
	return new(big.Rat).SetString(string(n))
}

package payload

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// maxTold is how many mistakes one sentence tells.
const maxTold = 5

// describe tells the mistakes in a value, whose name is whole.
func describe(e *jsonschema.ValidationError, whole string) string {
	all := leaves(e)
	told := make([]string, 0, maxTold+1)
	for _, leaf := range all[:min(len(all), maxTold)] {
		told = append(told, sayLeaf(leaf, whole))
	}
	if more := len(all) - maxTold; more > 0 {
		told = append(told, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(told, "; ")
}

// leaves are the rules that were broken themselves, not those that only
// contain them. Of alternatives they are those of the one that came closest.
func leaves(e *jsonschema.ValidationError) (all []*jsonschema.ValidationError) {
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		for _, cause := range e.Causes {
			if found := leaves(cause); all == nil || len(found) < len(all) {
				all = found
			}
		}
		return all
	}
	for _, cause := range e.Causes {
		all = append(all, leaves(cause)...)
	}
	return all
}

// sayLeaf tells one mistake. Rules without words of ours have the library's; none
// says a text back, which may be a person's or a secret.
func sayLeaf(e *jsonschema.ValidationError, whole string) string {
	at := e.InstanceLocation
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		return each(at, k.Missing, "is missing")
	case *kind.AdditionalProperties:
		return each(at, k.Properties, "is no member that the schema knows")
	case *kind.FalseSchema:
		return name(at, whole) + " must not be there"
	case *kind.Format:
		if k.Want == "regex" {
			return fmt.Sprintf("%s: %q is no regular expression of Go's (RE2, which has no lookarounds and backreferences)", name(at, whole), k.Got)
		}
		return name(at, whole) + " is not a valid " + k.Want
	case *kind.Pattern:
		return fmt.Sprintf("%s does not match the pattern '%s'", name(at, whole), k.Want)
	case *kind.OneOf:
		return name(at, whole) + " fits more than one alternative of `oneOf`, and must fit one"
	case *kind.Not:
		return name(at, whole) + " fits what `not` forbids"
	}
	return name(at, whole) + ": " + e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
}

func each(at, members []string, what string) string {
	said := make([]string, 0, len(members))
	for _, member := range members[:min(len(members), maxTold)] {
		said = append(said, "`"+pointer(append(slices.Clone(at), member))+"` "+what)
	}
	if more := len(members) - maxTold; more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(said, "; ")
}

func name(at []string, whole string) string {
	if len(at) == 0 {
		return whole
	}
	return "`" + pointer(at) + "`"
}

// pointer writes a path as tasks.0.id.
func pointer(path []string) string { return strings.Join(path, ".") }

func upperFirst(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

func sortedNames[V any](members map[string]V) []string {
	return slices.Sorted(maps.Keys(members))
}

package catalogue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hookql/hookql/internal/webhook"
)

// field is one member of an entry, in its place.
type field struct {
	name  string
	value any
}

// fields is an event type as a file has it: without what Read makes itself.
func fields(t *webhook.EventType) (all []field, err error) {
	all = []field{{"name", t.Name}, {"title", t.Title}, {"category", t.Category}}
	if t.Description != "" {
		all = append(all, field{"description", t.Description})
	}
	if t.Documentation != nil {
		all = append(all, field{"documentation", *t.Documentation})
	}
	if t.ArchivedAt != nil {
		all = append(all, field{"archived", true})
	}
	if t.Schema != nil {
		schema, err := webhook.DecodeJSON(t.Schema)
		if err != nil {
			return nil, err
		}
		all = append(all, field{"schema", schema})
	}
	if t.EnforceSchema {
		all = append(all, field{"enforceSchema", true})
	}
	if !t.ExampleMade {
		example, err := webhook.DecodeJSON(t.Example)
		if err != nil {
			return nil, err
		}
		all = append(all, field{"example", example})
	}
	return all, nil
}

// entries are the types of a file: all but HookQL's own.
func entries(types []*webhook.EventType) (all [][]field, err error) {
	for _, t := range types {
		if webhook.Reserved(t.Name) {
			continue
		}
		entry, err := fields(t)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", t.Name, err)
		}
		all = append(all, entry)
	}
	return all, nil
}

// WriteYAML writes types as a file that Read reads, in their order.
func WriteYAML(types []*webhook.EventType) ([]byte, error) {
	all, err := entries(types)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return []byte(top + ": []\n"), nil
	}
	lines := []string{top + ":"}
	for _, entry := range all {
		var body []string
		for _, f := range entry {
			body = append(body, pair(f.name, f.value)...)
		}
		lines = append(lines, indent(item("", body))...)
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

// WriteJSON is WriteYAML for JSON.
func WriteJSON(types []*webhook.EventType) ([]byte, error) {
	all, err := entries(types)
	if err != nil {
		return nil, err
	}
	ordered := make([]json.RawMessage, len(all))
	for i, entry := range all {
		members := make([]string, len(entry))
		for j, f := range entry {
			value, err := webhook.EncodeJSON(f.value)
			if err != nil {
				return nil, err
			}
			members[j] = strconv.Quote(f.name) + ":" + string(value)
		}
		ordered[i] = json.RawMessage("{" + strings.Join(members, ",") + "}")
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err = enc.Encode(map[string]any{top: ordered})
	return out.Bytes(), err
}

// render writes a value as YAML: what stands behind its name, and the lines
// below it.
func render(v any) (head string, body []string) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			return "{}", nil
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			body = append(body, pair(name, v[name])...)
		}
		return "", body
	case []any:
		if len(v) == 0 {
			return "[]", nil
		}
		for _, value := range v {
			body = append(body, item(render(value))...)
		}
		return "", body
	case string:
		return scalar(v)
	case json.Number:
		return string(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	default:
		return "null", nil
	}
}

// pair writes a member of a mapping.
func pair(name string, value any) []string {
	if !plain.MatchString(name) || reserved.MatchString(name) {
		name = strconv.Quote(name)
	}
	head, body := render(value)
	if head != "" {
		head = " " + head
	}
	return append([]string{name + ":" + head}, indent(body)...)
}

// item writes an item of a list.
func item(head string, body []string) []string {
	if head == "" && len(body) > 0 {
		head, body = body[0], body[1:]
	}
	return append([]string{"- " + head}, indent(body)...)
}

func indent(lines []string) []string {
	indented := make([]string, len(lines))
	for i, line := range lines {
		if line != "" {
			line = "  " + line
		}
		indented[i] = line
	}
	return indented
}

var (
	// plain are texts that need no quotes, reserved those of them that mean
	// something else in one version of YAML or another.
	plain    = regexp.MustCompile(`^[A-Za-z_]([A-Za-z0-9_.,/ -]*[A-Za-z0-9_./-])?$`)
	reserved = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|y|n|null|nan|inf)$`)
	// paragraphs are texts of several lines that a block shows as they are.
	paragraphs = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?(\n+[!-~]([ -~]*[!-~])?)+$`)
)

// scalar writes a text: as it is, as a block of lines, or in quotes.
func scalar(s string) (head string, body []string) {
	switch {
	case plain.MatchString(s) && !reserved.MatchString(s):
		return s, nil
	case paragraphs.MatchString(s):
		return "|-", strings.Split(s, "\n")
	}
	return strconv.Quote(s), nil
}

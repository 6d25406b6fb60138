package probe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/hookql/hookql/internal/webhook"
)

// The headers of Standard Webhooks.
const (
	idHeader        = "webhook-id"
	timestampHeader = "webhook-timestamp"
	signatureHeader = "webhook-signature"
)

// setHeader gives a header another value.
func setHeader(name, value string) func(*webhook.Request) {
	return changeHeader(name, func(string) string { return value })
}

// changeHeader makes a header's value of the one it has.
func changeHeader(name string, change func(string) string) func(*webhook.Request) {
	return func(r *webhook.Request) {
		for i, h := range r.Headers {
			if strings.EqualFold(h.Name, name) {
				r.Headers[i].Value = change(h.Value)
			}
		}
	}
}

// dropHeader leaves a header out.
func dropHeader(name string) func(*webhook.Request) {
	return func(r *webhook.Request) {
		r.Headers = slices.DeleteFunc(r.Headers, func(h webhook.Header) bool { return strings.EqualFold(h.Name, name) })
	}
}

// respellHeaders writes the names of all headers in other letters.
func respellHeaders(spell func(string) string) func(*webhook.Request) {
	return func(r *webhook.Request) {
		for i := range r.Headers {
			r.Headers[i].Name = spell(r.Headers[i].Name)
		}
	}
}

// tamper changes one byte of what was signed: the body, or for GET the query. It
// stays valid JSON, or a valid query.
func tamper(r *webhook.Request) {
	if r.Method == string(webhook.MethodGet) {
		r.URL = changeLast(r.URL)
		return
	}
	r.Body = []byte(changeLast(string(r.Body)))
}

// changeLast changes the last letter or digit of a text into another one.
func changeLast(s string) string {
	for i := len(s) - 1; i >= 0; i-- {
		switch c := s[i]; {
		case c >= '0' && c <= '8', c >= 'a' && c <= 'y' && !literal(s, i):
			return s[:i] + string(c+1) + s[i+1:]
		}
	}
	return s + " "
}

// literal says whether the letter at i is part of true, false or null, or of an
// escape, that would be no JSON with another.
func literal(s string, i int) bool {
	begin := strings.LastIndexFunc(s[:i], func(r rune) bool { return r < 'a' || r > 'z' }) + 1
	for _, word := range []string{"true", "false", "null"} {
		if strings.HasPrefix(s[begin:], word) {
			return true
		}
	}
	return strings.ContainsAny(s[max(0, i-5):i], `\%`)
}

// respell writes the same JSON in other bytes: members in the opposite order,
// spaces around, letters and slashes of strings escaped.
func respell(data json.RawMessage) json.RawMessage {
	var out bytes.Buffer
	if !respellValue(&out, data) {
		return data
	}
	return out.Bytes()
}

func respellValue(out *bytes.Buffer, raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	switch raw[0] {
	case '{':
		return respellObject(out, raw)
	case '[':
		var items []json.RawMessage
		if json.Unmarshal(raw, &items) != nil {
			return false
		}
		out.WriteString("[ ")
		for i, item := range items {
			if i > 0 {
				out.WriteString(" ,")
			}
			if !respellValue(out, item) {
				return false
			}
		}
		out.WriteString("\t]")
		return true
	case '"':
		return respellText(out, raw)
	default:
		out.Write(raw)
		return true
	}
}

func respellObject(out *bytes.Buffer, raw json.RawMessage) bool {
	type member struct{ name, value json.RawMessage }
	var members []member
	dec := json.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.Token(); err != nil {
		return false
	}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return false
		}
		name, _ := json.Marshal(token)
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return false
		}
		members = append(members, member{name, value})
	}
	slices.Reverse(members)
	out.WriteString("{ ")
	for i, m := range members {
		if i > 0 {
			out.WriteString(",\n  ")
		}
		if !respellText(out, m.name) {
			return false
		}
		out.WriteString(" : ")
		if !respellValue(out, m.value) {
			return false
		}
	}
	out.WriteString(" }")
	return true
}

// respellText writes a string with its first letter and its slashes escaped.
func respellText(out *bytes.Buffer, raw json.RawMessage) bool {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return false
	}
	out.WriteByte('"')
	for i, r := range text {
		switch {
		case r == '/':
			out.WriteString(`\/`)
		case i == 0 || r > '~' || r < ' ' || r == '"' || r == '\\':
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(out, `\u%04x`, unit)
			}
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return true
}

// withMember adds a member to an object; other data stay as they are.
func withMember(data json.RawMessage, name string, value any) json.RawMessage {
	trimmed := bytes.TrimSpace(data)
	end := bytes.LastIndexByte(trimmed, '}')
	if end < 0 || trimmed[0] != '{' {
		return data
	}
	encoded, _ := json.Marshal(value) // of ours, which can be
	comma := ","
	if len(bytes.TrimSpace(trimmed[1:end])) == 0 {
		comma = ""
	}
	return slices.Concat(trimmed[:end], []byte(comma+strconv.Quote(name)+":"), encoded, []byte("}"))
}

// isObject says whether data can be given another member.
func isObject(data json.RawMessage) bool {
	trimmed := bytes.TrimSpace(data)
	return len(trimmed) > 0 && trimmed[0] == '{'
}

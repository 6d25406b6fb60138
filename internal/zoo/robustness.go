package zoo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hookql/hookql/internal/webhook"
)

// checks is an animal whose fault is what it answers to some events.
func checks(name, what, scenario string, status int, bad func(*event) bool) *Animal {
	return &Animal{Name: name, What: what, Scenario: scenario, Verdict: webhook.VerdictFail, is: func(r *Receiver) {
		r.check = func(e *event) int {
			if bad(e) {
				return status
			}
			return 0
		}
	}}
}

func robustness() []*Animal {
	const failed, refused = http.StatusInternalServerError, http.StatusUnprocessableEntity
	return []*Animal{
		checks("one type", "answers 500 to an event type that it does not know", "event.unknown-type", failed, func(e *event) bool { return e.Name != paid }),
		checks("strict", "refuses data with a member that it does not know", "body.extra-field", refused, func(e *event) bool {
			strict := json.NewDecoder(bytes.NewReader(e.Data))
			strict.DisallowUnknownFields()
			return strict.Decode(new(order)) != nil
		}),
		checks("small buffer", "answers 500 to a body of more than 100 KiB", "body.large", failed, func(e *event) bool { return e.size > 100<<10 }),
		misreads("needs a type", "answers 500 to an object without an event type", "body.empty-object", func(content []byte) bool { return string(content) == "{}" }),
		misreads("trusts JSON", "answers 500 to what it cannot parse", "body.not-json", func(content []byte) bool { return !json.Valid(content) }),
		misreads("trusts what begins well", "answers 500 to JSON that is cut off", "body.not-json", func(content []byte) bool {
			return bytes.HasPrefix(content, []byte("{")) && !json.Valid(content)
		}),
		misreads("trusts letters", "answers 500 to what is no UTF-8", "body.not-json", func(content []byte) bool { return !utf8.Valid(content) }),
		{Name: "crashes", What: "dies of what it cannot parse, without an answer", Scenario: "body.not-json", Verdict: webhook.VerdictFail, is: func(r *Receiver) {
			read := r.read
			r.read = func(content []byte) (*event, error) {
				if !json.Valid(content) {
					panic(http.ErrAbortHandler)
				}
				return read(content)
			}
		}},
		checks("not that bare", "answers 500 to an order of which it is told nothing but the id", "schema.minimal", failed, func(e *event) bool {
			return e.order.Total == nil && e.order.Currency == nil && e.order.Note == nil && e.order.Email == nil
		}),
		checks("a column too few", "answers 500 to an order of which it is told everything", "schema.maximal", failed, func(e *event) bool {
			return e.order.Total != nil && e.order.Currency != nil && e.order.Note != nil && e.order.Email != nil
		}),
		checks("currency means total", "answers 500 where there is a currency and no total", "schema.optional-missing", failed, func(e *event) bool {
			return e.order.Currency != nil && e.order.Total == nil
		}),
		checks("null is a text", "answers 500 to a note that is null", "schema.nulls", failed, func(e *event) bool {
			var members map[string]json.RawMessage
			_ = json.Unmarshal(e.Data, &members) // which was read before
			return string(members["note"]) == "null"
		}),
		checks("narrow column", "answers 500 to a note of more than 255 characters", "schema.long-strings", failed, func(e *event) bool {
			return e.order.Note != nil && len(*e.order.Note) > 255
		}),
		checks("latin", "answers 500 to a note with characters outside of ASCII", "schema.unicode", failed, func(e *event) bool {
			return e.order.Note != nil && strings.ContainsFunc(*e.order.Note, func(r rune) bool { return r > unicode.MaxASCII })
		}),
		checks("32 bits", "answers 500 to a total of more than 32 bits", "schema.large-numbers", failed, func(e *event) bool {
			if e.order.Total == nil {
				return false
			}
			total, err := e.order.Total.Int64()
			return err != nil || total != int64(int32(total))
		}),
		tells("shows its stack", "writes a stack trace where it refuses a signature", webhook.VerdictWarn, http.StatusUnauthorized, stack),
		tells("shows its parser", "writes a stack trace where it cannot read a body", webhook.VerdictWarn, http.StatusBadRequest, stack),
		tells("shows its secret", "writes what it verified with where it refuses a signature", webhook.VerdictFail, http.StatusUnauthorized,
			func(r *Receiver) string { return fmt.Sprintf("wanted a signature by %s", string(r.webhook.Secret)) }),
	}
}

// errMisread is about a body that it does not expect.
var errMisread = errors.New("a body that was not expected")

// misreads is an animal that answers 500 to some of what is no event.
func misreads(name, what, scenario string, bad func(content []byte) bool) *Animal {
	return &Animal{Name: name, What: what, Scenario: scenario, Verdict: webhook.VerdictFail, is: func(r *Receiver) {
		read, answer := r.read, r.answer
		r.read = func(content []byte) (*event, error) {
			if bad(content) {
				return nil, errMisread
			}
			return read(content)
		}
		r.answer = func(w http.ResponseWriter, status int, why error) {
			if why == errMisread {
				status = http.StatusInternalServerError
			}
			answer(w, status, why)
		}
	}}
}

func stack(*Receiver) string { return "panic: refused\n\n" + string(debug.Stack()) }

// tells is an animal whose refusals by a status say too much.
func tells(name, what string, verdict webhook.Verdict, by int, text func(*Receiver) string) *Animal {
	return &Animal{Name: name, What: what, Scenario: "error.leak", Verdict: verdict, is: func(r *Receiver) {
		answer := r.answer
		r.answer = func(w http.ResponseWriter, status int, why error) {
			answer(w, status, nil)
			if status == by {
				_, _ = io.WriteString(w, text(r)) // who is gone needs no answer
			}
		}
	}}
}

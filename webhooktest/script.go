package webhooktest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Script returns an Answer function by rules such as "job.status:500": an
// event type's name, or * for all others, and the status that is answered.
// What no rule names is answered 200.
func Script(rules ...string) (func(Request) Answer, error) {
	statuses := make(map[string]int, len(rules))
	for _, rule := range rules {
		name, status, _ := strings.Cut(rule, ":")
		code, err := strconv.Atoi(status)
		if err != nil || code < 200 || code > 599 {
			return nil, fmt.Errorf("read rule %q: want EVENT:STATUS with a status from 200 to 599", rule)
		}
		statuses[name] = code
	}
	return func(r Request) Answer {
		status, ok := statuses[r.EventName()]
		if !ok {
			status = statuses["*"]
		}
		return Answer{Status: status}
	}, nil
}

// EventName returns the event type that a body names as "event" or "type", as
// the formats ENVELOPE and STANDARD do; "" where it names none.
func (r *Request) EventName() string {
	var names struct{ Event, Type string }
	if json.Unmarshal(r.Body, &names) != nil {
		return ""
	}
	if names.Event != "" {
		return names.Event
	}
	return names.Type
}

package webhooktest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Script returns an Answer function by rules such as "job.status:500": an
// event type's name, or * for all others, and the status that is answered.
// "job.status:500:3s" answers after three seconds. What no rule names is
// answered 200.
func Script(rules ...string) (func(Request) Answer, error) {
	answers := make(map[string]Answer, len(rules))
	for _, rule := range rules {
		name, answer, _ := strings.Cut(rule, ":")
		status, delay, slow := strings.Cut(answer, ":")
		a := Answer{}
		var err, slowErr error
		a.Status, err = strconv.Atoi(status)
		if slow {
			a.Delay, slowErr = time.ParseDuration(delay)
		}
		if err != nil || slowErr != nil || a.Status < 200 || a.Status > 599 {
			return nil, fmt.Errorf("read rule %q: want EVENT:STATUS or EVENT:STATUS:DELAY with a status from 200 to 599 and a delay such as 3s", rule)
		}
		answers[name] = a
	}
	return func(r Request) Answer {
		answer, ok := answers[r.EventName()]
		if !ok {
			answer = answers["*"]
		}
		return answer
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

package rig

import (
	"fmt"
	"slices"
	"time"
)

// Verdict is what the judge found; doc.go says what the words mean.
type Verdict struct {
	Scenario string  `json:"scenario"`
	Seconds  float64 `json:"seconds"` // while events were published
	Kills    int     `json:"kills"`
	Faults   int     `json:"faults"` // kills and all others

	Acknowledged int     `json:"acknowledged"`
	Unsure       int     `json:"unsure"`
	PerSecond    float64 `json:"per_second"` // events that were acknowledged
	Deliveries   int     `json:"deliveries"`
	Arrived      int     `json:"arrived"` // requests

	Lost       int `json:"lost"`
	Invented   int `json:"invented"`
	Forged     int `json:"forged"`
	Unfinished int `json:"unfinished"` // still owed at the end
	Mismatches int `json:"mismatches"`
	Stale      int `json:"stale_writes"`
	Late       int `json:"late_attempts"` // recorded, and changed nothing
	TooLate    int `json:"read_too_late"` // answered in time, and not read in time

	Duplicates  int `json:"duplicates"`
	Unexplained int `json:"unexplained_duplicates"`
	InFlight    int `json:"in_flight"`      // at all faults together
	InFlightMax int `json:"in_flight_most"` // at one
	Unrecorded  int `json:"unexplained_in_flight"`

	Takeovers     int     `json:"takeovers"`
	TakeoverP50   float64 `json:"takeover_p50_ms"`
	TakeoverP99   float64 `json:"takeover_p99_ms"`
	TakeoverWorst float64 `json:"takeover_worst_ms"`

	// From the acknowledgement to the first arrival, at webhooks that answer at
	// once and get little.
	ArrivalP50   float64 `json:"arrival_p50_ms"`
	ArrivalP99   float64 `json:"arrival_p99_ms"`
	ArrivalWorst float64 `json:"arrival_worst_ms"`

	CallsRepeated int     `json:"calls_repeated"`
	CallsFailed   int     `json:"calls_failed"` // by every process, at the first try
	CallWorst     float64 `json:"call_worst_ms"`

	ResumeWorst float64 `json:"resume_worst_ms"` // until events are acknowledged after an outage

	// Points are how often processes were ended at each point of their code.
	Points map[string]int `json:"points,omitempty"`
	// Broken are the bounds that did not hold, in words.
	Broken []string `json:"broken"`
	// Examples are the first of what is wrong.
	Examples []string `json:"examples,omitempty"`

	relaxed bool
}

const (
	// slack is how far two processes may see one time apart, and stall how long
	// a process may wait on a busy machine between the beginning of an attempt
	// and that of its request, from when on its duration counts.
	slack = 20 * time.Millisecond
	stall = 2 * time.Second
	// recordTime is within what an outcome is recorded while nothing is
	// wrong: what arrived earlier before a fault was not in flight at it.
	recordTime = 5 * time.Second
	// inHand is how many requests of one process may be under way or answered
	// and not recorded yet: delivery's maxSending, and two of its maxSettle.
	inHand = 512 + 2*1000
)

// pair is an event that a webhook is owed.
type pair struct {
	eventID string
	webhook int
}

// judge compares the evidence.
type judge struct {
	*evidence
	v        Verdict
	index    map[string]int // of webhooks, by id
	resource map[string]string
	acked    map[string]published // by uid
	arrived  map[pair][]*arrival  // in the order in which they came
	log      map[pair]*delivery
	record   map[*arrival]*attempt // that tells of it
	atFault  map[int]int           // in flight, by the fault
}

// judgeOf finds out what the evidence says.
func judgeOf(e *evidence) Verdict {
	j := &judge{evidence: e, index: make(map[string]int), resource: make(map[string]string), acked: make(map[string]published),
		arrived: make(map[pair][]*arrival), log: make(map[pair]*delivery), record: make(map[*arrival]*attempt), atFault: make(map[int]int)}
	slices.SortFunc(j.faults, func(a, b fault) int { return int(a.At - b.At) })
	j.read()
	j.findLost()
	j.findInvented()
	for at, list := range j.arrived {
		j.compare(at, list)
	}
	for at, d := range j.log {
		j.check(at, d)
	}
	j.takeovers()
	j.bound()
	return j.v
}

// wrong counts something and keeps the first examples of each kind.
func (j *judge) wrong(count *int, format string, args ...any) {
	if *count++; *count <= 4 {
		j.v.Examples = append(j.v.Examples, fmt.Sprintf(format, args...))
	}
}

// read puts the evidence in order.
func (j *judge) read() {
	for n, h := range j.hooks {
		j.index[h.id] = n
	}
	for _, p := range j.published {
		if p.EventID == "" {
			j.resource[p.UID] = p.Resource
		} else {
			j.acked[p.UID] = p
		}
	}
	j.v.Acknowledged, j.v.Unsure = len(j.acked), len(j.resource)-len(j.acked)
	for i := range j.arrivals {
		a := &j.arrivals[i]
		j.arrived[pair{a.EventID, a.Webhook}] = append(j.arrived[pair{a.EventID, a.Webhook}], a)
	}
	for _, list := range j.arrived {
		slices.SortFunc(list, func(a, b *arrival) int { return int(a.At - b.At) })
	}
	for id, d := range j.deliveries {
		at := pair{d.eventID, j.index[d.webhookID]}
		if j.log[at] != nil {
			j.wrong(&j.v.Invented, "%s is a second delivery of %s", id, d.eventID)
		}
		j.log[at] = d
	}
	for _, f := range j.faults {
		if f.Kind == killed {
			j.v.Kills++
		}
		if f.Kind != replaced {
			j.v.Faults++
		}
	}
	j.v.Arrived, j.v.Deliveries = len(j.arrivals), len(j.deliveries)
}

// wants says whether a webhook wants the events about a resource.
func (h hook) wants(resource string) bool { return h.resource == "" || h.resource == resource }

func (j *judge) findLost() {
	for uid, p := range j.acked {
		if j.uids[p.EventID] != uid {
			j.wrong(&j.v.Lost, "%s was acknowledged as %s, which is not in the database", uid, p.EventID)
		}
		for n, h := range j.hooks {
			if h.wants(j.resource[uid]) && len(j.arrived[pair{p.EventID, n}]) == 0 {
				j.wrong(&j.v.Lost, "%s was acknowledged as %s and never arrived at webhook %d", uid, p.EventID, n)
			}
		}
	}
}

func (j *judge) findInvented() {
	events := make(map[string]string) // by uid
	for id, uid := range j.uids {
		if first, there := events[uid]; there {
			j.wrong(&j.v.Invented, "%s is two events: %s and %s", uid, first, id)
		}
		events[uid] = id
		if _, tried := j.resource[uid]; !tried {
			j.wrong(&j.v.Invented, "nobody published %s, which is %s", uid, id)
		}
	}
	for i := range j.arrivals {
		a := &j.arrivals[i]
		resource, tried := j.resource[a.UID]
		switch {
		case a.Forged != "":
			j.wrong(&j.v.Forged, "%s at webhook %d: %s", a.EventID, a.Webhook, a.Forged)
		case !tried:
			j.wrong(&j.v.Invented, "nobody published %s, which arrived at webhook %d as %s", a.UID, a.Webhook, a.EventID)
		case !j.hooks[a.Webhook].wants(resource):
			j.wrong(&j.v.Invented, "webhook %d does not want %s, which arrived there", a.Webhook, a.UID)
		case j.uids[a.EventID] != a.UID:
			j.wrong(&j.v.Invented, "%s arrived as %s, which is %q in the database", a.UID, a.EventID, j.uids[a.EventID])
		}
	}
}

// compare finds what arrived twice, and what the log does not tell or tells
// otherwise.
func (j *judge) compare(at pair, list []*arrival) {
	var log []attempt
	if d := j.log[at]; d != nil {
		log = d.log
	}
	told := make([]bool, len(log))
	for _, a := range list {
		for n := range log {
			if !told[n] && log[n].tellsOf(a) {
				told[n], j.record[a] = true, &log[n]
				break
			}
		}
		if j.record[a] == nil {
			j.unrecorded(a)
		}
	}
	for n, t := range log {
		if !told[n] && t.status != 0 {
			j.wrong(&j.v.Mismatches, "the log has an answer %d to %s by webhook %d, which did not give it", t.status, at.eventID, at.webhook)
		}
	}
	var taken *arrival // in time, with 2xx
	for _, a := range list {
		if taken != nil {
			j.duplicate(taken, a)
		}
		if a.Status/100 == 2 && a.End.sub(a.At) < hookTimeout-2*slack {
			if j.tooLate(a) {
				j.v.TooLate++
				continue
			}
			taken = a
		}
	}
}

// tellsOf says whether an attempt is that of an arrival, with what was answered.
// One without an answer is where that came too late for the sender.
func (t attempt) tellsOf(a *arrival) bool {
	switch {
	case a.At < t.begin.add(-slack):
		return false
	case t.status != 0:
		return t.status == a.Status
	case a.At > t.end.add(stall):
		return false
	}
	return a.Status == 0 || a.End > t.end.add(-slack) || t.outcome == "TIMED_OUT"
}

// tooLate says whether an answer was in time only as its receiver saw it,
// because the sender had no time to read it.
func (j *judge) tooLate(a *arrival) bool {
	t := j.record[a]
	return t != nil && !t.late && t.status == 0
}

// unrecorded notes an arrival that the log does not tell of, which is right
// only for what was in flight at a fault.
func (j *judge) unrecorded(a *arrival) {
	n := j.faultAfter(a)
	if n < 0 {
		j.wrong(&j.v.Unrecorded, "the log does not tell of %s at webhook %d, answered %d at %d, when nothing was wrong", a.EventID, a.Webhook, a.Status, a.At)
		return
	}
	j.v.InFlight++
	j.atFault[n]++
	j.v.InFlightMax = max(j.v.InFlightMax, j.atFault[n])
}

// faultAfter is the fault at which an arrival was in flight; -1: at none.
func (j *judge) faultAfter(a *arrival) int {
	for n, f := range j.faults {
		if f.Kind != replaced && f.Until >= a.At && f.At <= a.End.add(recordTime) {
			return n
		}
	}
	return -1
}

// duplicate notes that an arrival came although an earlier one was taken. That
// is right only where the outcome of the earlier could not be recorded, or not
// in time.
func (j *judge) duplicate(taken, a *arrival) {
	j.v.Duplicates++
	record := j.record[taken]
	if record != nil && !record.late && record.status == taken.Status || j.faultAfter(taken) < 0 {
		j.wrong(&j.v.Unexplained, "%s came to webhook %d at %d, which had taken it at %d; the log: %+v", a.EventID, a.Webhook, a.At, taken.At, j.log[pair{a.EventID, a.Webhook}])
	}
}

// check looks at a delivery alone: whether it ended, and whether each attempt
// changed it that should, and no other.
func (j *judge) check(at pair, d *delivery) {
	changing, succeeded := 0, 0
	var last *attempt
	for n := range d.log {
		t := &d.log[n]
		if t.late {
			j.v.Late++
			continue
		}
		if last != nil && t.begin < last.end.add(-slack) {
			j.wrong(&j.v.Stale, "two attempts of %s at webhook %d went on at the same time, and both changed it", at.eventID, at.webhook)
		}
		changing, last = changing+1, t
		if t.outcome == "DELIVERED" {
			succeeded++
		}
	}
	if changing != d.attempts {
		j.wrong(&j.v.Stale, "%s at webhook %d counts %d attempts, and %d changed it: %+v", at.eventID, at.webhook, d.attempts, changing, d)
	}
	switch d.state {
	case "SUCCEEDED":
		if succeeded != 1 || last.outcome != "DELIVERED" {
			j.wrong(&j.v.Stale, "%s at webhook %d has succeeded %d times: %+v", at.eventID, at.webhook, succeeded, d)
		}
		if !slices.ContainsFunc(j.arrived[at], func(a *arrival) bool { return a.Status/100 == 2 }) {
			j.wrong(&j.v.Mismatches, "%s succeeded at webhook %d, which never said so", at.eventID, at.webhook)
		}
	case "FAILED":
		if changing < maxAttempts || succeeded > 0 {
			j.wrong(&j.v.Mismatches, "%s failed at webhook %d after %d attempts, %d of which succeeded", at.eventID, at.webhook, changing, succeeded)
		}
	default:
		j.wrong(&j.v.Unfinished, "%s at webhook %d is %s", at.eventID, at.webhook, d.state)
	}
}

// takeovers measures how long after a kill what the process had in hand came to
// its webhook: what it had acknowledged and not sent, and what was in flight.
// It also measures how long anything takes to arrive. Only webhooks count that answer at once and get little, so that nothing is
// behind others, and kills that the other process outlived until then.
func (j *judge) takeovers() {
	var times, delays []time.Duration
	for at, list := range j.arrived {
		if h := j.hooks[at.webhook]; h.resource == "" || h.Manner != prompt && h.Manner != slow {
			continue
		}
		owner, since := -1, stamp(0) // who had it in hand, as far as is known
		if p, known := j.acked[j.uids[at.eventID]]; known {
			owner, since = p.Process, p.At
			delays = append(delays, max(0, list[0].At.sub(p.At))) // it can be earlier than the answer
		}
		for n, a := range list {
			var f int
			switch {
			case n == 0:
				if f = j.killBetween(since, a.At); f < 0 || j.faults[f].Process != owner {
					continue
				}
			case j.record[list[n-1]] == nil:
				if f = j.faultAfter(list[n-1]); f < 0 || j.faults[f].Kind != killed || j.faults[f].At > a.At {
					continue
				}
			default:
				continue
			}
			if j.killsBetween(j.faults[f].At, a.At) == 1 {
				times = append(times, a.At.sub(j.faults[f].At))
			}
		}
	}
	j.v.Takeovers = len(times)
	j.v.TakeoverP50, j.v.TakeoverP99, j.v.TakeoverWorst = spread(times)
	j.v.ArrivalP50, j.v.ArrivalP99, j.v.ArrivalWorst = spread(delays)
}

// spread is the median of some times, their 99th percentile, and the longest, in
// milliseconds.
func spread(times []time.Duration) (p50, p99, worst float64) {
	if len(times) == 0 {
		return 0, 0, 0
	}
	slices.Sort(times)
	ms := func(n int) float64 { return float64(times[n].Microseconds()) / 1000 }
	return ms(len(times) / 2), ms(len(times) * 99 / 100), ms(len(times) - 1)
}

// killBetween is the first kill between two times; -1: there is none.
func (j *judge) killBetween(begin, end stamp) int {
	if begin == 0 {
		return -1
	}
	return slices.IndexFunc(j.faults, func(f fault) bool { return f.Kind == killed && begin <= f.At && f.At <= end })
}

func (j *judge) killsBetween(begin, end stamp) (n int) {
	for _, f := range j.faults {
		if f.Kind == killed && begin <= f.At && f.At <= end {
			n++
		}
	}
	return n
}

// bound says which of the bounds that always hold are broken.
func (j *judge) bound() {
	j.v.Broken = []string{}
	for _, b := range []struct {
		count int
		what  string
	}{
		{j.v.Lost, "lost"},
		{j.v.Invented, "invented"},
		{j.v.Forged, "arrived with a wrong signature"},
		{j.v.Unfinished, "still owed at the end"},
		{j.v.Mismatches, "told otherwise by the log"},
		{j.v.Stale, "changed by those who were overtaken"},
		{j.v.Unexplained, "sent again although it was recorded, or nothing was wrong"},
		{j.v.Unrecorded, "not told by the log although nothing was wrong"},
	} {
		if b.count > 0 {
			j.v.Broken = append(j.v.Broken, fmt.Sprintf("%d %s", b.count, b.what))
		}
	}
	if j.v.Duplicates > j.v.InFlight+j.v.Late {
		j.v.Broken = append(j.v.Broken, "more duplicates than were in flight")
	}
	if j.v.Acknowledged == 0 {
		j.v.Broken = append(j.v.Broken, "nothing was acknowledged")
	}
}

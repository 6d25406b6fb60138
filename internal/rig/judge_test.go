package rig

import (
	"strings"
	"testing"
	"time"
)

// trial is evidence in which all went well: two events, each to its webhook,
// one at the second try. The tests of the judge spoil it.
func trial() *evidence {
	e := &evidence{
		hooks: []hook{{id: "wh_0", receiver: receiver{Manner: prompt}}, {id: "wh_1", resource: "r1", receiver: receiver{Manner: prompt}}},
		published: []published{
			{At: at(0), UID: "e-1", Resource: "r1"}, {At: at(5), UID: "e-1", EventID: "evt_1"},
			{At: at(0), UID: "e-2", Resource: "r2"}, {At: at(5), UID: "e-2", EventID: "evt_2"},
			{At: at(0), UID: "e-3", Resource: "r2"}, // unsure
		},
		arrivals: []arrival{
			{At: at(10), End: at(12), Webhook: 0, EventID: "evt_1", UID: "e-1", Status: 204},
			{At: at(10), End: at(12), Webhook: 1, EventID: "evt_1", UID: "e-1", Status: 500},
			{At: at(1010), End: at(1012), Webhook: 1, EventID: "evt_1", UID: "e-1", Status: 204},
			{At: at(10), End: at(12), Webhook: 0, EventID: "evt_2", UID: "e-2", Status: 204},
		},
		uids: map[string]string{"evt_1": "e-1", "evt_2": "e-2"},
		deliveries: map[string]*delivery{
			"dlv_1": {eventID: "evt_1", webhookID: "wh_0", state: "SUCCEEDED", attempts: 1, log: []attempt{{begin: at(9), end: at(13), outcome: "DELIVERED", status: 204}}},
			"dlv_2": {eventID: "evt_1", webhookID: "wh_1", state: "SUCCEEDED", attempts: 2, log: []attempt{
				{begin: at(9), end: at(13), outcome: "REJECTED", status: 500},
				{begin: at(1009), end: at(1013), outcome: "DELIVERED", status: 204},
			}},
			"dlv_3": {eventID: "evt_2", webhookID: "wh_0", state: "SUCCEEDED", attempts: 1, log: []attempt{{begin: at(9), end: at(13), outcome: "DELIVERED", status: 204}}},
		},
	}
	return e
}

// at is a time in milliseconds from a beginning.
func at(ms int) stamp {
	return stampOf(time.Unix(1_700_000_000, 0)).add(time.Duration(ms) * time.Millisecond)
}

// again lets the second event arrive again, and be recorded.
func again(e *evidence, ms int) {
	e.arrivals = append(e.arrivals, arrival{At: at(ms), End: at(ms + 2), Webhook: 0, EventID: "evt_2", UID: "e-2", Status: 204})
}

func TestJudgeAcquits(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*evidence){
		"nothing happened": func(*evidence) {},
		"an event whose publisher is unsure": func(e *evidence) {
			e.uids["evt_3"] = "e-3"
			e.deliveries["dlv_4"] = &delivery{eventID: "evt_3", webhookID: "wh_0", state: "SUCCEEDED", attempts: 1,
				log: []attempt{{begin: at(9), end: at(13), outcome: "DELIVERED", status: 204}}}
			e.arrivals = append(e.arrivals, arrival{At: at(10), End: at(12), Webhook: 0, EventID: "evt_3", UID: "e-3", Status: 204})
		},
		"sent again because a kill came before the record": func(e *evidence) {
			again(e, 800)
			e.deliveries["dlv_3"].log = []attempt{{begin: at(799), end: at(803), outcome: "DELIVERED", status: 204}}
			e.faults = []fault{{At: at(14), Until: at(15), Kind: killed}}
		},
		"sent again because a freeze was longer than the lease": func(e *evidence) {
			e.arrivals[3].End = at(5000)
			again(e, 3000)
			e.deliveries["dlv_3"].log = []attempt{
				{begin: at(9), end: at(5001), outcome: "DELIVERED", status: 204, late: true},
				{begin: at(2999), end: at(3003), outcome: "DELIVERED", status: 204},
			}
			e.faults = []fault{{At: at(11), Until: at(5000), Kind: frozen}}
		},
		"answered too late": func(e *evidence) {
			e.arrivals[3].End = at(1500)
			again(e, 3000)
			e.deliveries["dlv_3"].attempts = 2
			e.deliveries["dlv_3"].log = []attempt{
				{begin: at(9), end: at(1009), outcome: "TIMED_OUT"},
				{begin: at(2999), end: at(3003), outcome: "DELIVERED", status: 204},
			}
		},
		"given up after all attempts": func(e *evidence) {
			d := e.deliveries["dlv_2"]
			d.state, d.attempts, d.log = "FAILED", maxAttempts, nil
			e.arrivals = append(e.arrivals[:1], e.arrivals[3])
			for n := range maxAttempts {
				d.log = append(d.log, attempt{begin: at(1000*n + 9), end: at(1000*n + 13), outcome: "REJECTED", status: 500})
				e.arrivals = append(e.arrivals, arrival{At: at(1000*n + 10), End: at(1000*n + 12), Webhook: 1, EventID: "evt_1", UID: "e-1", Status: 500})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := trial()
			change(e)
			if v := judgeOf(e); len(v.Broken) > 0 {
				t.Errorf("%q: %q", v.Broken, v.Examples)
			}
		})
	}
}

func TestJudgeConvicts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*evidence)
		want   string
	}{
		"an event that never arrived":             {func(e *evidence) { e.arrivals = e.arrivals[:3] }, "lost"},
		"an event that is not in the database":    {func(e *evidence) { delete(e.uids, "evt_2") }, "lost"},
		"an event that nobody published":          {func(e *evidence) { e.arrivals[3].UID = "e-9" }, "invented"},
		"an event at a webhook that wants others": {func(e *evidence) { e.arrivals[3].Webhook = 1 }, "invented"},
		"two events under one uid":                {func(e *evidence) { e.uids["evt_4"] = "e-2" }, "invented"},
		"two deliveries of one event": {func(e *evidence) {
			e.deliveries["dlv_4"] = &delivery{eventID: "evt_2", webhookID: "wh_0", state: "SUCCEEDED", attempts: 1, log: e.deliveries["dlv_3"].log}
		}, "invented"},
		"a wrong signature":          {func(e *evidence) { e.arrivals[0].Forged = "no signature matches" }, "signature"},
		"a delivery that has no end": {func(e *evidence) { e.deliveries["dlv_3"].state = "PARKED" }, "still owed"},
		"a log with another status":  {func(e *evidence) { e.deliveries["dlv_3"].log[0].status = 200 }, "told otherwise"},
		"a log with an answer too many": {func(e *evidence) {
			e.deliveries["dlv_2"].log[0].begin, e.deliveries["dlv_2"].log[0].end = at(500), at(510)
		}, "told otherwise"},
		"a success that nobody told":      {func(e *evidence) { e.arrivals[3].Status = 500; e.deliveries["dlv_3"].log[0].status = 500 }, "told otherwise"},
		"given up too early":              {func(e *evidence) { e.deliveries["dlv_2"].state = "FAILED" }, "told otherwise"},
		"an arrival that no log tells of": {func(e *evidence) { again(e, 800) }, "not told by the log"},
		"sent again though recorded": {func(e *evidence) {
			again(e, 800)
			e.deliveries["dlv_3"].log = append(e.deliveries["dlv_3"].log, attempt{begin: at(799), end: at(803), outcome: "DELIVERED", status: 204, late: true})
			e.faults = []fault{{At: at(14), Until: at(15), Kind: killed}}
		}, "sent again"},
		"sent again long before any kill": {func(e *evidence) {
			again(e, 800)
			e.deliveries["dlv_3"].log = []attempt{{begin: at(799), end: at(803), outcome: "DELIVERED", status: 204}}
			e.faults = []fault{{At: at(60_000), Until: at(60_001), Kind: killed}}
		}, "sent again"},
		"sent again by a restart": {func(e *evidence) {
			again(e, 800)
			e.deliveries["dlv_3"].log = []attempt{{begin: at(799), end: at(803), outcome: "DELIVERED", status: 204}}
			e.faults = []fault{{At: at(14), Until: at(15), Kind: replaced}}
		}, "sent again"},
		"a result of one that was overtaken": {func(e *evidence) {
			e.arrivals[3].End = at(5000)
			again(e, 3000)
			e.deliveries["dlv_3"].attempts = 2
			e.deliveries["dlv_3"].log = []attempt{
				{begin: at(9), end: at(5001), outcome: "DELIVERED", status: 204},
				{begin: at(2999), end: at(3003), outcome: "DELIVERED", status: 204},
			}
			e.faults = []fault{{At: at(11), Until: at(5000), Kind: frozen}}
		}, "overtaken"},
		"attempts that do not add up": {func(e *evidence) { e.deliveries["dlv_2"].attempts = 3 }, "overtaken"},
		"nothing at all":              {func(e *evidence) { *e = evidence{hooks: e.hooks} }, "nothing was acknowledged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := trial()
			test.change(e)
			if v := judgeOf(e); !strings.Contains(strings.Join(v.Broken, "; "), test.want) {
				t.Errorf("got %q, want %q among them: %q", v.Broken, test.want, v.Examples)
			}
		})
	}
}

// After a kill the time counts until what the process had in hand arrives.
func TestJudgeMeasuresTakeovers(t *testing.T) {
	t.Parallel()
	e := trial()
	e.faults = []fault{{At: at(7), Until: at(8), Kind: killed, Process: 0}}
	for n := range e.arrivals {
		e.arrivals[n].At, e.arrivals[n].End = e.arrivals[n].At.add(500*time.Millisecond), e.arrivals[n].End.add(500*time.Millisecond)
	}
	v := judgeOf(e)
	if v.Takeovers != 1 || v.TakeoverP50 != 503 || v.TakeoverWorst != 503 {
		t.Errorf("got %d takeovers, %g ms and %g ms at worst; want 1, 503 and 503", v.Takeovers, v.TakeoverP50, v.TakeoverWorst)
	}
}

package zoo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/delivery/probe"
	"github.com/hookql/hookql/internal/payload"
	"github.com/hookql/hookql/internal/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// atOnce is how many animals are looked at at the same time. Most of the time
// they wait.
const atOnce = 10

// report is what the harness has to say of an animal.
type report struct {
	tests    []webhook.Test
	took     time.Duration
	requests int
}

// animals are all, begun with those that take their time.
var animals = sync.OnceValue(func() []*Animal {
	slow := []string{"few workers", "limits without a word", "correct, 429", "dozes", "forgets the effect", "trickles"}
	list := All()
	slices.SortStableFunc(list, func(a, b *Animal) int {
		return slices.Index(slow, b.Name) - slices.Index(slow, a.Name)
	})
	return list
})

// reports are those of all animals, made once.
var reports = sync.OnceValue(func() map[*Animal]report {
	made := make([]report, len(animals()))
	var looking sync.WaitGroup
	slots := make(chan struct{}, atOnce) // one look holds one
	for i, a := range animals() {
		slots <- struct{}{}
		looking.Go(func() {
			defer func() { <-slots }()
			made[i] = look(a, probe.All())
		})
	}
	looking.Wait()
	all := map[*Animal]report{}
	for i, a := range animals() {
		made[i].lookAgain(a)
		all[a] = made[i]
	}
	return all
})

// spoilt says whether a wrong verdict may come of a machine with too much to do:
// a receiver was slow that is not, or requests did not come at the same time that
// should have, so that a fault did not show.
func spoilt(a *Animal, t *webhook.Test) bool {
	switch t.Scenario {
	case "http.fast", "http.slow-answer":
		return complaint(a, t) != ""
	case "http.burst", "duplicate.parallel":
		return complaint(a, t) != "" && t.Verdict == webhook.VerdictPass
	}
	return false
}

// lookAgain repeats what was spoilt, a few times, while nothing else is under way.
func (r *report) lookAgain(a *Animal) {
	for i := range r.tests {
		for try := 0; try < 5 && spoilt(a, &r.tests[i]); try++ {
			again := look(a, []*probe.Scenario{probe.Find(webhook.ScenarioValid), probe.Find(r.tests[i].Scenario)})
			r.tests[i] = again.tests[1]
		}
	}
}

// look puts an animal through scenarios.
func look(a *Animal, scenarios []*probe.Scenario) report {
	d := a.Open()
	defer d.Close()
	return lookInto(d, scenarios)
}

func lookInto(d *Den, scenarios []*probe.Scenario) (r report) {
	e := &delivery.Engine{
		Client:      delivery.Client{Policy: delivery.Policy{Loopback: true}, RootCAs: d.RootCAs, Lookup: d.Lookup},
		TestTimeout: 5 * time.Minute, // the machine may have much else to do
	}
	began := time.Now()
	_, tests, err := e.Test(context.Background(), delivery.Plan{
		Webhook:   d.Webhook,
		Payloads:  []delivery.Payload{{EventName: paid, Data: json.RawMessage(sample), Variants: variants()}},
		Scenarios: scenarios,
		Witness:   d.Witness,
	})
	if err != nil {
		panic(err) // of the store, and there is none
	}
	r.tests, r.took = tests, time.Since(began)
	for _, t := range tests {
		r.requests += len(t.Exchanges)
	}
	return r
}

// sample is an order as events usually have it.
const sample = `{"orderId":"o-7","total":1250,"currency":"EUR","note":"two boxes"}`

// schema is that of orders.
const schema = `{
	"type": "object",
	"required": ["orderId"],
	"properties": {
		"orderId": {"type": "string", "minLength": 1, "maxLength": 40},
		"total": {"type": "integer"},
		"currency": {"enum": ["EUR", "USD"]},
		"note": {"type": ["string", "null"], "maxLength": 5000},
		"email": {"type": "string", "format": "email"}
	}
}`

// variants are orders that fit their schema in unusual ways.
var variants = sync.OnceValue(func() map[string][]probe.Variant {
	compiled, err := payload.Compile(json.RawMessage(schema))
	must(err)
	all := map[string][]probe.Variant{}
	for name, kind := range map[string]payload.VariantKind{
		"minimal": payload.VariantMinimal, "maximal": payload.VariantMaximal, "optional-missing": payload.VariantMissing, "nulls": payload.VariantNull,
		"long-strings": payload.VariantLongStrings, "unicode": payload.VariantUnicode, "large-numbers": payload.VariantNumbers,
	} {
		for _, v := range compiled.Variants(kind, json.RawMessage(sample)) {
			all[webhook.SchemaScenario+name] = append(all[webhook.SchemaScenario+name], probe.Variant(v))
		}
	}
	return all
})

// complaint says what is wrong with the verdict on an animal under a scenario;
// "" where it is as it should be.
func complaint(a *Animal, t *webhook.Test) string {
	want, blamed := a.Expected(t.Scenario), t.Verdict == webhook.VerdictFail || t.Verdict == webhook.VerdictWarn
	if t.Verdict == want || want == "" && !blamed {
		return ""
	}
	return fmt.Sprintf("%s, which %s: %s is %s, want %s: %s", a.Name, a.What, t.Scenario, t.Verdict, cmp.Or(want, "PASS or SKIP"), t.Message)
}

// Each fault is found by the scenario that is there for it and by no other, and
// who has none is not blamed.
func TestEachFaultIsFoundByItsScenario(t *testing.T) {
	all := reports()
	for _, a := range animals() {
		r := all[a]
		if len(r.tests) != len(probe.All()) {
			t.Errorf("%s: %d tests", a.Name, len(r.tests))
		}
		for i := range r.tests {
			if wrong := complaint(a, &r.tests[i]); wrong != "" {
				t.Error(wrong)
			}
		}
		t.Logf("%s: %d requests, %s", a.Name, r.requests, r.took)
	}
}

func TestEveryScenarioHasAnAnimal(t *testing.T) {
	t.Parallel()
	for _, s := range probe.All() {
		if !slices.ContainsFunc(animals(), func(a *Animal) bool { return a.Scenario == s.Name }) {
			t.Errorf("no receiver has the fault that %s is there to find", s.Name)
		}
	}
	names := map[string]bool{}
	for _, a := range animals() {
		if names[a.Name] {
			t.Errorf("two animals are called %s", a.Name)
		}
		names[a.Name] = true
	}
}

// A scenario whose verdicts were the opposite would not go unnoticed: neither on
// those that have its fault nor on a correct receiver.
func TestInvertedScenariosAreNoticed(t *testing.T) {
	opposite := map[webhook.Verdict]webhook.Verdict{
		webhook.VerdictPass: webhook.VerdictFail, webhook.VerdictFail: webhook.VerdictPass, webhook.VerdictWarn: webhook.VerdictPass,
	}
	for _, s := range probe.All() {
		noticed := map[string]bool{}
		for a, r := range reports() {
			inverted := *find(r.tests, s.Name)
			inverted.Verdict = cmp.Or(opposite[inverted.Verdict], inverted.Verdict)
			wrong := complaint(a, &inverted) != ""
			noticed[a.Name] = wrong
			if a.Scenario == s.Name && !wrong {
				t.Errorf("%s would not be missed in %s", s.Name, a.Name)
			}
		}
		if !noticed["correct, TLS"] {
			t.Errorf("nobody would notice that %s blames a correct receiver", s.Name)
		}
	}
}

func find(tests []webhook.Test, scenario string) *webhook.Test {
	return &tests[slices.IndexFunc(tests, func(t webhook.Test) bool { return t.Scenario == scenario })]
}

// A report names what was seen, the fault and the mend in one sentence each.
func TestMessages(t *testing.T) {
	for _, c := range []struct{ animal, scenario, want string }{
		{"writes JSON anew", "signature.raw-body", "Answered 401 Unauthorized: the receiver verifies JSON that it wrote anew, not the bytes that came. Verify the signature over the raw body"},
		{"replays", "timestamp.stale", "Answered 200 OK: the receiver takes a request that is ten minutes old. Refuse requests whose `webhook-timestamp` is more than five minutes"},
		{"first signature", "signature.rotation", "Answered 401 Unauthorized: the receiver checks only the first signature of the list. Split `webhook-signature` at spaces"},
		{"one type", "event.unknown-type", "Answered 500 Internal Server Error: the receiver fails on an event type that it does not know. Answer 2xx to types that you do not use"},
		{"id and time", "duplicate.retry", "The event took effect 2 times: the receiver takes a retry for another event. Know events by their `webhook-id` alone"},
		{"no other method", "http.method", "Answered 500 Internal Server Error: the receiver fails on a method that it does not know. Let the route"},
		{"crashes", "body.not-json", "No answer (text), since: connection closed by the receiver. So the receiver fails on a body that is no JSON. Check what you parse"},
		{"login page", "http.redirect", "Answered 302 Found to \"/login\" (not signed): the receiver redirects. Set the webhook's URL"},
		{"hangs", "valid", "Timed out: no answer came within 0.5 s."},
		{"hangs", "signature.missing", "Not sent: the receiver gives no answer to a correct event. Mend what `valid` says"},
		{"always 404", "signature.missing", "The receiver does not take a correct event either, so nothing can be said. Mend what `valid` says"},
		{"always 404", "http.method", "The receiver does not take a correct event either, so nothing can be said. Mend what `valid` says"},
		{"down", "net.addresses", "Nothing could be seen: Nobody listens on receiver.example"},
	} {
		if got := find(reports()[byName(t, c.animal)].tests, c.scenario).Message; !strings.HasPrefix(got, c.want) {
			t.Errorf("%s, %s: got %q, want %q", c.animal, c.scenario, got, c.want)
		}
	}
	for a, r := range reports() {
		for _, test := range r.tests {
			s := probe.Find(test.Scenario)
			if test.Verdict != webhook.VerdictFail && test.Verdict != webhook.VerdictWarn || test.Scenario == webhook.ScenarioValid || a.Unwitnessed {
				continue
			}
			ownWords := []string{"no answer", "witness", "Add the header", "Rotate the secret", "Switch TLS 1.2 and 1.3 on", "Answer 400 or 401 to whatever does not verify"}
			if !strings.HasSuffix(test.Message, s.Mend) && !slices.ContainsFunc(ownWords, func(w string) bool { return strings.Contains(test.Message, w) }) {
				t.Errorf("%s, %s: no word on how to mend it: %s", a.Name, s.Name, test.Message)
			}
			if !strings.HasSuffix(test.Message, ".") || len(test.Checks) == 0 {
				t.Errorf("%s, %s: %q after %d checks", a.Name, s.Name, test.Message, len(test.Checks))
			}
		}
	}
}

func byName(t *testing.T, name string) *Animal {
	t.Helper()
	i := slices.IndexFunc(animals(), func(a *Animal) bool { return a.Name == name })
	if i < 0 {
		t.Fatalf("there is no %s", name)
	}
	return animals()[i]
}

// What takes no event at all is told so once. Only what needs no answer is
// looked at besides.
func TestReportOnTheHopelessIsShort(t *testing.T) {
	for _, name := range []string{"down", "hangs", "always 401", "always 404", "always 500", "always 302"} {
		a := byName(t, name)
		for _, test := range reports()[a].tests {
			if test.Verdict != webhook.VerdictSkip && a.Expected(test.Scenario) == "" && test.Scenario != "net.addresses" {
				t.Errorf("%s: %s is %s: %s", name, test.Scenario, test.Verdict, test.Message)
			}
		}
	}
}

// A correct receiver gets as many PASS as there are scenarios that apply to it.
func TestCorrectReceiversAreLookedAtInFull(t *testing.T) {
	noTLS := []string{"tls.version", "tls.chain", "tls.name", "tls.expiry"}
	bodies := []string{"signature.raw-body", "event.unknown-type", "body.large", "body.empty-object", "body.not-json", "http.expect-continue"}
	skipped := map[string][]string{
		"correct, TLS":       nil,
		"correct, brief TLS": nil,
		"correct, DATA":      append(noTLS, "event.unknown-type"),
		"correct, GET":       append(noTLS, bodies...),
		"correct, unsigned": append(noTLS, "signature.tampered-body", "signature.tampered-id", "signature.tampered-timestamp", "signature.wrong-key",
			"signature.missing", "signature.empty", "signature.garbage", "signature.malformed", "signature.unknown-version-first", "signature.rotation",
			"signature.raw-body", "timestamp.stale", "timestamp.future", "timestamp.tolerance", "timestamp.malformed"),
	}
	for a, r := range reports() {
		if a.Scenario != "" {
			continue
		}
		want, known := skipped[a.Name]
		if !known {
			want = noTLS
		}
		for _, test := range r.tests {
			if (test.Verdict == webhook.VerdictSkip) != slices.Contains(want, test.Scenario) {
				t.Errorf("%s: %s is %s: %s", a.Name, test.Scenario, test.Verdict, test.Message)
			}
		}
	}
}

// An answer that is about the rate of requests is not taken for one to the
// request: whoever gives no other gets no PASS.
func TestRateLimitIsNoRefusal(t *testing.T) {
	t.Parallel()
	var count atomic.Int64
	a := around("", "takes two requests an hour, and answers 429 to more", "", "", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if count.Add(1) > 2 {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	for _, test := range look(a, probe.All()).tests {
		limited := slices.ContainsFunc(test.Exchanges, func(x webhook.Exchange) bool {
			return x.Response != nil && x.Response.StatusCode == http.StatusTooManyRequests
		})
		if limited && test.Verdict != webhook.VerdictSkip && test.Scenario != "http.burst" {
			t.Errorf("%s is %s: %s", test.Scenario, test.Verdict, test.Message)
		}
	}
}

// Where no answer came there is nothing in it to praise.
func TestNoAnswerIsNotPraised(t *testing.T) {
	t.Parallel()
	a := around("", "gives no answer to what is not signed", "", "", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get(signatureHeader) == "" {
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	})
	for scenario, want := range map[string]webhook.Verdict{"http.redirect": webhook.VerdictSkip, "error.leak": webhook.VerdictSkip, "signature.missing": webhook.VerdictFail} {
		test := look(a, []*probe.Scenario{probe.Find(webhook.ScenarioValid), probe.Find(scenario)}).tests[1]
		if test.Verdict != want {
			t.Errorf("%s is %s, want %s: %s", scenario, test.Verdict, want, test.Message)
		}
	}
}

// A run takes at most 10 s and sends a known number of requests.
func TestBounds(t *testing.T) {
	reports() // so that nothing else is under way
	r := look(byName(t, "correct"), probe.All())
	if r.took > 10*time.Second {
		t.Errorf("it took %s", r.took)
	}
	variants := 0
	for _, test := range r.tests {
		if strings.HasPrefix(test.Scenario, webhook.SchemaScenario) {
			variants += len(test.Exchanges)
		}
	}
	if r.requests-variants != requests {
		t.Errorf("%d requests besides those about the schema, the docs say %d", r.requests-variants, requests)
	}
	t.Logf("%d requests in %s, %d of them about the schema", r.requests, r.took, variants)
}

// requests is how many a run of all scenarios sends to a receiver without
// fault, besides those about the event type's schema.
const requests = 117

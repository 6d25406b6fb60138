package zoo

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"text/template"

	"github.com/hookql/hookql/delivery/probe"
	"github.com/hookql/hookql/internal/golden"
	"github.com/hookql/hookql/internal/webhook"
)

// TestDocs keeps docs/harness.md in step with the scenarios and the animals, of
// which TestEachFaultIsFoundByItsScenario knows that they are what they say.
func TestDocs(t *testing.T) {
	golden.Check(t, "../../docs/harness.md", string(docs(t)))
}

// documented is a scenario with those that prove it.
type documented struct {
	*probe.Scenario
	Animals []*Animal
}

// row is a line of a table.
type row struct{ Name, What, Found string }

type suite struct {
	Title     string
	Scenarios []documented
}

// docs fills the template.
func docs(t *testing.T) []byte {
	t.Helper()
	data := struct {
		Count, Requests int
		Suites          []suite
		Faulty, Correct []row
	}{Count: len(probe.All()), Requests: requests}
	for _, s := range []struct {
		suite webhook.TestSuite
		title string
	}{
		{webhook.SuiteDelivery, "A correct event (`DELIVERY`)"},
		{webhook.SuiteSignatures, "Signatures and timestamps (`SIGNATURES`)"},
		{webhook.SuiteIdempotency, "Duplicates and order (`IDEMPOTENCY`)"},
		{webhook.SuiteRobustness, "Odd events (`ROBUSTNESS`)"},
		{webhook.SuiteTransport, "HTTP, TLS and addresses (`TRANSPORT`)"},
	} {
		part := suite{Title: s.title}
		for _, scenario := range probe.All() {
			if scenario.Suite == s.suite {
				part.Scenarios = append(part.Scenarios, documented{scenario, having(scenario.Name)})
			}
		}
		data.Suites = append(data.Suites, part)
	}
	for _, a := range All() {
		r := row{a.Name, a.What, found(a)}
		if a.Scenario == "" {
			data.Correct = append(data.Correct, r)
		} else {
			data.Faulty = append(data.Faulty, r)
		}
	}
	var out bytes.Buffer
	if err := template.Must(template.ParseFiles("testdata/harness.md.tmpl")).Execute(&out, data); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// having are the animals whose fault a scenario is there to find.
func having(scenario string) (list []*Animal) {
	for _, a := range All() {
		if a.Scenario == scenario {
			list = append(list, a)
		}
	}
	return list
}

// found lists the scenarios that find an animal, in their order.
func found(a *Animal) string {
	var list []string
	for _, s := range probe.All() {
		if verdict := a.Expected(s.Name); verdict != "" {
			list = append(list, fmt.Sprintf("`%s` (%s)", s.Name, verdict))
		}
	}
	return strings.Join(list, ", ")
}

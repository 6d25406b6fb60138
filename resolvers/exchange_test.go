package resolvers

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const testJobStatus = `mutation($id: ID!, $data: JSON!) {
	testWebhook(input: {target: {webhookId: $id}, payloads: [{eventName: "job.status", data: $data}]}) {
		testRun { id tests { nodes { id outcome message request { body curl bodySize } response { body } exchanges { number } } } }
		userErrors { code message field }
	}
}`

// testedRun is what testJobStatus selects.
type testedRun struct {
	TestWebhook struct {
		TestRun *struct {
			ID    string
			Tests struct {
				Nodes []struct {
					ID, Outcome, Message string
					Request              struct {
						Body, Curl string
						BodySize   int
					}
				}
			}
		}
		UserErrors []struct {
			Code, Message string
			Field         []string
		}
	}
}

// register makes a webhook w for job.status.
func (b *bundle) register(t *testing.T) {
	t.Helper()
	b.must(t, `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { userErrors { message } } }`,
		map[string]any{"input": map[string]any{"uid": "w", "url": b.url, "events": []string{"job.status"}}}, nil)
}

// An answer to testWebhook is made of what was sent and came back, and reads
// none of it from the database again.
func TestTestsAreAnsweredFromMemory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	var got testedRun
	statements := b.must(t, testJobStatus, map[string]any{"id": "w", "data": map[string]any{"a": 1}}, &got)
	want := []string{"webhooks.find", "event_types.list", "event_types.schemas", "test_runs.begin", "test_runs.keep", "test_results.keep", "test_exchanges.insert"}
	if diff := cmp.Diff(want, statements); diff != "" {
		t.Errorf("statements (-want +got):\n%s", diff)
	}
	test := got.TestWebhook.TestRun.Tests.Nodes[0]
	if test.Outcome != "DELIVERED" || !strings.Contains(test.Request.Curl, test.Request.Body) || len(test.Request.Body) != test.Request.BodySize {
		t.Errorf("got %+v", test)
	}
	// What was kept says the same.
	var kept struct{ Node json.RawMessage }
	b.must(t, `query($id: ID!) { node(id: $id) { ... on TestResult { id outcome message request { body curl bodySize } } } }`, map[string]any{"id": test.ID}, &kept)
	again := test
	if err := json.Unmarshal(kept.Node, &again); err != nil || again != test {
		t.Errorf("kept %+v, %v, answered %+v", again, err, test)
	}
}

// Bodies can be large: only who asks for them makes the database read them.
func TestBodiesAreReadWhenAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	b.must(t, testJobStatus, map[string]any{"id": "w", "data": map[string]any{"a": 1}}, nil)
	for selection, want := range map[string]string{
		"totalCount": "test_results.list",
		"nodes { message request { url bodySize } response { statusCode } }": "test_exchanges.list",
		"nodes { request { body } response { body } }":                       "test_exchanges.list_bodies",
	} {
		statements := b.must(t, `{ webhook(id: "w") { testRuns(first: 1) { nodes { tests(first: 1) { `+selection+` } } } } }`, nil, nil)
		if last := statements[len(statements)-1]; last != want {
			t.Errorf("%s: %v, want %s last", selection, statements, want)
		}
	}
}

// One answer cannot be made to hold gigabytes by asking for bodies again and
// again, nor by asking for many.
func TestBodiesOfOneAnswerAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	data := map[string]any{"a": strings.Repeat("x", 255<<10)}
	var run string
	for range 10 {
		var got testedRun
		b.must(t, testJobStatus, map[string]any{"id": "w", "data": data}, &got)
		run = got.TestWebhook.TestRun.ID
	}
	var same strings.Builder
	for _, alias := range strings.Split("abcdefghijkl", "") {
		same.WriteString(alias + `: testRun(id: "` + run + `") { tests(first: 1) { nodes { request { body bodyBase64 curl } exchanges { request { body bodyBase64 curl } } } } }` + "\n")
	}
	for name, document := range map[string]string{
		"the same many times": "{" + same.String() + "}",
		"many":                `{ webhook(id: "w") { testRuns(first: 10) { nodes { tests(first: 1) { nodes { request { body bodyBase64 curl } exchanges { request { body bodyBase64 curl } } } } } } } }`,
	} {
		a, _ := b.ask(t, document, nil)
		switch {
		case name == "many" && len(a.Errors) > 0: // 10 times 6 times 255 KiB are 15 MiB
			t.Errorf("%s: %+v", name, a.Errors[0])
		case name != "many" && (len(a.Errors) == 0 || !strings.Contains(a.Errors[0].Message, "at most 16 MiB of bodies")):
			t.Errorf("%s: %.300v, %d bytes", name, a.Errors, len(a.Data))
		}
		if len(a.Data) > 2*maxBodies {
			t.Errorf("%s: %d bytes of answer", name, len(a.Data))
		}
	}
}

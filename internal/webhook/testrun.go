package webhook

import "time"

// TestRun is one run of tests against an endpoint.
type TestRun struct {
	ID          string
	WorkspaceID string
	// WebhookID is nil for an endpoint that is not registered, or whose
	// webhook was deleted.
	WebhookID      *string
	URL            string
	Status         TestRunStatus
	StartedAt      time.Time
	FinishedAt     *time.Time
	TestsTotal     int
	TestsSucceeded int
	TestsFailed    int
}

// TestsRun is the number of tests that are done and were not skipped.
func (r *TestRun) TestsRun() int { return r.TestsSucceeded + r.TestsFailed }

// Success says whether every test succeeded; nil until all are done.
func (r *TestRun) Success() *bool {
	if r.Status == TestRunRunning {
		return nil
	}
	success := r.Status == TestRunFinished && r.TestsFailed == 0
	return &success
}

// TestRunStatus says how far a test run is.
type TestRunStatus string

// The statuses of a test run.
const (
	TestRunRunning  TestRunStatus = "RUNNING"
	TestRunFinished TestRunStatus = "FINISHED"
	TestRunAborted  TestRunStatus = "ABORTED"
)

// TestResult is how one event type fared under one scenario.
type TestResult struct {
	// ID is also the message id that the receiver saw.
	ID        string
	RunID     string
	EventName string
	// DeliveryID is the recorded delivery whose data was sent; nil where they
	// were other data.
	DeliveryID *string
	// Scenario is the name of what the endpoint was put through.
	Scenario string
	// StartedAt is when the test was sent; nil until then, and where the run
	// was cut off before or the test was skipped and sent nothing.
	StartedAt *time.Time
	// Verdict is empty until the test is done.
	Verdict Verdict
	// Message is the outcome in one sentence, with what to mend where it
	// failed; empty until the test is done.
	Message string
	// Checks are what the verdict is made of.
	Checks []TestCheck
	// Deciding is the number of the exchange that decided, from 1; 0 until the
	// test is done, and where no request decided.
	Deciding int
}

// Done says whether the test has come to its end.
func (r *TestResult) Done() bool { return r.Verdict != "" }

// Success says whether the endpoint did what it must; nil where the test did
// not apply, and until it is done.
func (r *TestResult) Success() *bool { return r.Verdict.Success() }

// Status says how far the test is.
func (r *TestResult) Status() TestStatus {
	success := r.Success()
	switch {
	case !r.Done() && r.StartedAt == nil:
		return TestWaiting
	case !r.Done():
		return TestRunning
	case success != nil && !*success:
		return TestFailed
	default:
		return TestSucceeded
	}
}

// TestStatus says how far a test is.
type TestStatus string

// The statuses of a test.
const (
	TestWaiting   TestStatus = "WAITING"
	TestRunning   TestStatus = "RUNNING"
	TestSucceeded TestStatus = "SUCCEEDED"
	TestFailed    TestStatus = "FAILED"
)

// Test is a result with its exchanges: the requests and their answers, in
// order; none until it is done, and where the run was cut off before it began.
type Test struct {
	TestResult
	Exchanges []Exchange
}

// Outcome is how the deciding request ended: CANCELED where the test was cut off
// before anything could be checked, "" where no request decided, or that one is
// gone.
func (t *Test) Outcome() Outcome {
	switch {
	case t.Deciding > len(t.Exchanges):
		return ""
	case t.Deciding > 0:
		return t.Exchanges[t.Deciding-1].Outcome
	case t.Verdict == VerdictFail && len(t.Checks) == 0:
		return OutcomeCanceled
	default:
		return ""
	}
}

// TestCheck is one thing that a test checked.
type TestCheck struct {
	// Name says what was checked, such as "status is 2xx".
	Name    string `json:"name"`
	Success bool   `json:"success"`
	// Required says whether the test fails where it does not hold; else it is
	// advice.
	Required bool `json:"required"`
	// Expected and Actual are what was expected and seen; empty where the name
	// says it all.
	Expected string `json:"expected,omitempty"`
	Actual   string `json:"actual,omitempty"`
}

// Verdict is the judgement of a test.
type Verdict string

// The verdicts.
const (
	VerdictPass Verdict = "PASS"
	VerdictWarn Verdict = "WARN"
	VerdictFail Verdict = "FAIL"
	VerdictSkip Verdict = "SKIP"
)

// Success says whether the endpoint did what it must; nil where the test did
// not apply, and where there is no verdict yet.
func (v Verdict) Success() *bool {
	if v == VerdictSkip || v == "" {
		return nil
	}
	success := v == VerdictPass || v == VerdictWarn
	return &success
}

// ScenarioValid is the scenario of one correct, signed event.
const ScenarioValid = "valid"

// ScenarioExtraField is the scenario of data with a member that the receiver does
// not know.
const ScenarioExtraField = "body.extra-field"

// SchemaScenario begins the names of the scenarios whose data are made from the
// event type's schema.
const SchemaScenario = "schema."

// TestSuite is a set of scenarios.
type TestSuite string

// The suites.
const (
	SuiteDelivery    TestSuite = "DELIVERY"
	SuiteSignatures  TestSuite = "SIGNATURES"
	SuiteIdempotency TestSuite = "IDEMPOTENCY"
	SuiteRobustness  TestSuite = "ROBUSTNESS"
	SuiteTransport   TestSuite = "TRANSPORT"
	// SuiteConformance has all scenarios.
	SuiteConformance TestSuite = "CONFORMANCE"
)

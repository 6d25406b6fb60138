package webhook

// TestRunProgress is a step of a test run.
type TestRunProgress struct {
	TestRun *TestRun
	// Result is the one that changed; nil in the first and the last step.
	Result *TestResult
}

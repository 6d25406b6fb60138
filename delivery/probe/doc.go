// Package probe holds the scenarios of the test harness: what a receiver is put
// through, what a good one answers, why it matters and how to mend one that
// answers something else.
//
// A Scenario is a small value. It sends Shots, requests that are correct but for
// what the shot says, through a Line, and judges the answers: received (2xx),
// refused (4xx, never 2xx and never 5xx) or handled (2xx or 4xx). Each judgement
// is a check, and the checks make the verdict. This package builds no request and
// opens no connection: package delivery does, with the same code that delivers.
//
//	scenario.go                        Scenario, the list of all, choosing some
//	trial.go                           one scenario under way: sending, waiting after 429
//	judge.go                           checks, verdict and message
//	bend.go                            how requests are bent
//	valid.go signatures.go timestamps.go idempotency.go robustness.go transport.go connection.go
//	                                   the scenarios
package probe

// Package zoo holds receivers of webhooks for the test harness to find out: for
// each scenario of delivery/probe at least one with a fault that this scenario
// finds and no other, correct ones of many kinds that must not be blamed, and
// some that take nothing or everything.
//
// Each is the same correct Receiver, in which a fault changes one thing. The
// tests put every one through every scenario, and make docs/harness.md of what
// came of it. Nothing here is in the program.
//
//	animal.go         Animal, All
//	receiver.go       Receiver, the correct one, and where faults come in
//	den.go            an animal that listens
//	signatures.go timestamps.go idempotency.go robustness.go transport.go connection.go
//	                  those with a fault, by the suites of delivery/probe
//	correct.go        those without
//	hopeless.go       those that take nothing, or everything
package zoo

// Package faults lets a program that was built for it end at a point of its
// own code, as kill -9 would. A program as it is released has none of it: At
// does nothing unless the build has the tag `faults`.
//
// Where the environment variable HOOKQL_FAULT is POINT:N, such as
// settle.before:3, the process kills itself when it comes to that point for the
// N-th time.
package faults

// Variable names the environment variable that says where to end.
const Variable = "HOOKQL_FAULT"

// Points are all points that there are, in the order in which an event passes
// them. The last four lie on ways of their own.
func Points() []string {
	return []string{
		"publish.before",    // requests are gathered, nothing is written
		"ingest.claimed",    // uids are claimed, no event is written
		"ingest.written",    // events and deliveries are written, not committed
		"publish.committed", // committed, nobody was told
		"publish.answered",  // the requests were told, the deliveries not taken in hand
		"claim.claimed",     // due deliveries are leased, none is in hand
		"send.connected",    // connected, nothing written
		"send.written",      // the request is written
		"send.status",       // the answer has begun
		"send.answered",     // the answer is read, nobody was told
		"settle.before",     // outcomes are gathered, nothing is written
		"settle.committed",  // committed, the next turn not begun
		"nodes.freed",       // what another process had in hand is freed, not committed
		"upkeep.removed",    // what is old of one table is removed, not yet of the others
		"test.kept",         // some results of a test run are kept
		"seal.webhook",      // one webhook is sealed with the new key
	}
}

// Package delivery sends events to webhooks and tells what became of them.
//
// # What it promises
//
//   - What is signed, what is sent and what is recorded are the same bytes.
//   - A request is written once. Nothing here sends it again, whatever happens
//     to the connection; a redirect is not followed.
//   - A connection is opened only to an address that Policy permits, and the
//     address that is checked is the one that is dialled. Of a name with one
//     forbidden address none is dialled.
//   - An attempt ends within its time limit, and an answer costs a bounded
//     number of bytes, whatever the receiver does.
//   - A receiver that fails is an outcome, never an error.
//   - A test run that was begun comes to an end, and each of its tests to one
//     result, whatever becomes of its process: FINISHED, or ABORTED where it
//     was cut off.
//
// # The way of a test
//
//	engine.go    which runs are under way, and the end of those that were left
//	testrun.go   Engine.Test, Start: some payloads at once, one time limit for
//	             all; how far it is goes to the Store as it happens
//	attempt.go   one message to one webhook, once
//	  policy.go    may it be sent there?  url.go  is it a URL at all?
//	  request.go   the bytes: format, query, headers; sign.go  the signature
//	  client.go    the one way out
//	    dial.go      name, addresses (address.go, special.csv), connection
//	    wire.go      write the request, read the answer within its limits
//	    failure.go   what went wrong, and at what
//	  outcome.go   answer or failure → outcome and cause
//	message.go   exchange → the sentence that a developer reads
//	curl.go      a recorded request as a command line
//
// # Connections
//
// Each exchange has a fresh connection. A test thereby shows the whole way to
// the receiver, with the time of each phase, and cannot fail on a connection
// that the receiver had already given up. A pool comes with the delivery of
// published events, which needs the speed.
//
// # Goroutines
//
//	a run nobody waits   Engine.Start, at most 20  ends with the run; Run waits
//	sender of a run      Engine.run                ends with the run's tests; run waits
//	each test of a run   Engine.send, at most 8    ends with its attempt; send waits
//	writer of a request  roundTrip                 ends when written, or when the
//	                                               connection is closed; roundTrip waits
//	deadline of a conn   interrupt                 runs only once a context is done;
//	                                               the exchange waits for it
//	name lookup          net.Resolver              its own; given up with its context
//
// Nothing else is started. One lock guards the list of runs under way; nothing
// waits while it is held.
package delivery

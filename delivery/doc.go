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
//   - What Publish has answered is durable. Each delivery of it is attempted
//     until one succeeds, its policy is at its end or somebody stops it, by
//     whichever process lives; docs/delivery.md says it for those who publish.
//
// # The way of an event
//
//	publish.go   Engine.Publish: requests that come together are written
//	             together; directory.go says which webhooks want an event.
//	             The write makes the deliveries, too: those for which window.go
//	             has room are leased to this process and go on without another
//	             look at the database; the others are parked.
//	dispatch.go  senders take what is in the window, workspaces and webhooks in
//	             turn; the claimer brings in what is due, and what was parked
//	             and has room by now
//	attempt.go   one message to one webhook, once (below)
//	schedule.go  what becomes of the delivery: done, due again later, or given up
//	             simulate.go  the same in no time, for an event that nobody sent
//	settle.go    outcomes that come together are recorded together;
//	             suspend.go  webhooks that are gone, or fail for too long
//	node.go      this process among the others that deliver
//	hub.go       what was published and settled is told to who wants to know;
//	             relay.go  also in other processes; follow.go  reads what changed
//
// A delivery in hand is leased: its row has the number of the lease and the
// time when it ends, by the database's clock. Who reads, sends or records looks
// at the lease; the row changes only under the number that it has. So a
// process that dies, or stands still, is overtaken: its leases are freed when
// its session with the database ends, and end by themselves where it does not.
// An attempt begins only while the rest of its lease is longer than the
// attempt may take.
//
// # The way of a test
//
//	engine.go    which runs are under way, and the end of those that were left
//	testrun.go   Engine.Test, Start: some payloads at once, one time limit for
//	             all; how far it is goes to the Store as it happens
//	testprogress.go  its steps, for whoever follows it in any process
//
// # The way of a request
//
//	attempt.go   one message to one webhook, once
//	  policy.go    may it be sent there?  url.go  is it a URL at all?
//	  request.go   the bytes: format, query, headers; sign.go  the signature
//	  client.go    the one way out
//	    keep.go      connections that are used again
//	    dial.go      name, addresses (address.go, special.csv), connection
//	    wire.go      write the request, read the answer within its limits
//	    failure.go   what went wrong, and at what
//	  outcome.go   answer or failure → outcome and cause
//	message.go   exchange → the sentence that a developer reads
//	curl.go      a recorded request as a command line
//
// # Connections
//
// Each test has a fresh connection. It thereby shows the whole way to the
// receiver, with the time of each phase, and cannot fail on a connection that
// the receiver had already given up. Deliveries use a connection again that was
// used within the last second, after a look whether it is still open.
//
// # Goroutines
//
//	a run nobody waits   Engine.Start, at most 20  ends with the run; Run waits
//	sender of a run      Engine.run                ends with the run's tests; run waits
//	each test of a run   Engine.send, at most 8    ends with its attempt; send waits
//	publisher            Engine.deliverAll         ends when nothing is to be published
//	claimer              Engine.deliverAll         ends with Run's context
//	senders, at most 512 Engine.hire               each ends when it is nobody's turn
//	settler              Engine.deliverAll         ends when all is recorded
//	suspender            Engine.deliverAll         ends after the settler
//	keepers of node and
//	directory            Engine.deliverAll         end last
//	writer of a large
//	request              roundTrip                 ends when written, or when the
//	                                               connection is closed; roundTrip waits
//	deadline of a conn   interrupt                 runs only once a context is done;
//	                                               the exchange waits for it
//	reader of changes    Follow, FollowTestRun     ends with its subscription; Hub.Run waits
//	timers               window, kept              a lane that pauses, a connection
//	                                               that is not used
//	name lookup          net.Resolver              its own; given up with its context
//
// deliverAll waits for those that it starts, each before the one it hands on
// to. Locks guard the list of runs under way, the window, the directory, the
// numbers of leases and the kept connections; none is taken while another is
// held, and nothing waits while one is held.
package delivery

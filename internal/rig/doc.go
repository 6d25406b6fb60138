// Package rig kills HookQL and tells whether it kept its word.
//
// It runs the real program, as one process or two, on a PostgreSQL of its own,
// with a publisher that writes down what was acknowledged and with receivers in
// a process of their own that write down what arrived. While events flow a
// scenario kills, freezes or restarts processes, the database, or the
// connections between them. Then all faults end, what is owed is delivered, and
// the judge compares the two journals with the database.
//
//	lab.go        one run: database, processes, publisher, receivers
//	program.go    a process of the program; postgres.go its database;
//	              proxy.go the connection between them
//	publisher.go  publishes over GraphQL; receivers.go receives
//	journal.go    what both write down
//	scenarios.go  what is done to them
//	evidence.go   reads the journals and the database; judge.go compares
//
// # Words
//
//	acknowledged  the answer with the event's id reached the publisher
//	arrived       a receiver read the whole request, and its signature is right
//	lost          acknowledged, wanted by a webhook, and never arrived there
//	invented      arrived, and nobody published it, or not for this webhook; or a
//	              second event under one uid
//	duplicate     arrived again after a receiver had answered 2xx in time
//	in flight     arrived, and no attempt of it is recorded: right only where
//	              the process or the database failed just then
//	mismatch      the log says otherwise than the receivers
//	stale write   an attempt changed a delivery that others had taken over
//
// Goroutines: a publisher's callers, a proxy's two for each connection, one for
// each child process, and those of net/http. Run waits for its own.
package rig

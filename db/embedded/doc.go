//go:build unix

// Package embedded runs a private PostgreSQL for a program that was given none:
// it finds installed binaries, makes a data directory with them, and runs a
// real server as a child process. It downloads nothing.
//
// # The data directory
//
//	server.lock   locked while a server uses the directory; holds its pid and database URL
//	password      of the only role, readable by the owner alone
//	pg/           the cluster, as initdb makes it
//	init-*/       a cluster in the making; what a crash leaves is removed at the next start
//
// The server listens on a unix socket and on nothing else. The socket is in a
// directory of its own under the system's temporary directory, because the path
// of a socket may have about a hundred bytes, and new for every start, because
// the socket's lock file would otherwise refuse a start after a crash.
//
// # What ends what
//
//	Close                  fast shutdown; crash recovery at the next start if that takes over 10 s
//	this process dies      Linux: the kernel asks for a fast shutdown (parent-death signal)
//	                       elsewhere: the orphan is stopped at the next start
//	the postmaster dies    Done is closed, Err says why; Start may be called again after Close
//	both die               the next start recovers what was committed
//
// One process at a time may use a data directory: Start takes an exclusive lock
// on server.lock before it changes anything, and only the holder of that lock
// stops orphans, removes stale files or runs initdb.
//
// # As root
//
// PostgreSQL refuses to run as root. Start as root therefore runs it as the
// owner of the cluster, which for a new one is the user postgres where there is
// one, else nobody. That user must be able to pass through the parents of the
// data directory; Start says so when it cannot.
package embedded

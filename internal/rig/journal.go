package rig

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// stamp is a time in microseconds since 1970: all processes of a run are on
// one machine and have one clock.
type stamp int64

func now() stamp { return stampOf(time.Now()) }

func stampOf(t time.Time) stamp { return stamp(t.UnixMicro()) }

func (s stamp) add(d time.Duration) stamp { return s + stamp(d.Microseconds()) }

func (s stamp) sub(earlier stamp) time.Duration { return time.Duration(s-earlier) * time.Microsecond }

// published is a line of the publisher's journal: one when an event is first
// sent, without an id, and one when it was acknowledged.
type published struct {
	At       stamp  `json:"at"`
	UID      string `json:"uid"`
	Resource string `json:"resource,omitempty"`
	EventID  string `json:"event,omitempty"`
	Process  int    `json:"process"` // that acknowledged it
}

// arrival is a line of the receivers' journal: one complete request.
type arrival struct {
	At      stamp  `json:"at"`
	End     stamp  `json:"end"` // when it was answered, or given up
	Webhook int    `json:"webhook"`
	EventID string `json:"event"` // its header webhook-id
	UID     string `json:"uid"`   // out of its data
	Status  int    `json:"status"`
	Forged  string `json:"forged,omitempty"` // what is wrong with its signature
}

// fault is a line of the journal of what was done.
type fault struct {
	At      stamp     `json:"at"`
	Until   stamp     `json:"until"` // when it was over: a freeze, an outage
	Kind    faultKind `json:"kind"`
	Process int       `json:"process"` // -1: not one of the processes
}

type faultKind string

// What can be done.
const (
	killed   faultKind = "kill"    // kill -9
	frozen   faultKind = "freeze"  // SIGSTOP, then SIGCONT
	outage   faultKind = "outage"  // the database, or the way to it
	replaced faultKind = "restart" // SIGTERM and a new process: no fault
)

// journal is a file with a line of JSON for each thing that happened. It is
// safe for concurrent use.
type journal struct {
	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer
}

func newJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return &journal{file: file, out: bufio.NewWriterSize(file, 64<<10)}, nil
}

// write adds a line. An error shows when the journal is closed.
func (j *journal) write(line any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err) // lines are this package's own structs
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = j.out.Write(append(text, '\n')) // bufio keeps the error for Flush
}

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.out.Flush(), j.file.Close())
}

// readJournal reads all lines of a journal.
func readJournal[T any](path string) (list []T, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	for in := json.NewDecoder(bufio.NewReaderSize(file, 256<<10)); ; {
		var line T
		switch err := in.Decode(&line); {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, fmt.Errorf("read %s, line %d: %w", path, len(list)+1, err)
		}
		list = append(list, line)
	}
}

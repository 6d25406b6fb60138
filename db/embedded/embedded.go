//go:build unix

package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Role and database are the names of the cluster's only role, which may do
// everything, and of the database that [Server.URL] names.
const (
	Role     = "hookql"
	Database = "hookql"
)

// Options say where and how the server runs. The zero value is what the product
// uses.
type Options struct {
	// Dir is the data directory; empty means [DefaultDir]. It and its missing
	// parents are made.
	Dir string

	// BinDir is the directory of the PostgreSQL binaries. When empty, they are
	// looked for: the highest version wins, or the one that made the data.
	BinDir string

	// MaxConnections should be the size of the program's pool and 10 more; 0
	// means 40.
	MaxConnections int

	// Volatile gives up durability for speed: a crash of the machine may
	// destroy the data. For tests.
	Volatile bool

	// Log receives PostgreSQL's own log, line by line; nil discards it.
	Log *slog.Logger

	places []place // tests only: where to look instead of everywhere
}

// DefaultDir returns the data directory for those who name none: ./data, or
// /var/lib/hookql for root, because the user that root hands PostgreSQL to can
// seldom enter root's working directory.
func DefaultDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/hookql"
	}
	return "./data"
}

// ErrInUse says that another server runs on the data directory.
var ErrInUse = errors.New("in use by another server")

// A ConfigError says that the machine or the options are not as PostgreSQL
// needs them, so that to start again helps only after someone has acted.
type ConfigError struct {
	Message string // for a terminal: whole sentences, maybe several lines
	Err     error  // what kind, e.g. [ErrNotFound]; may be nil
}

func (e *ConfigError) Error() string { return e.Message }

func (e *ConfigError) Unwrap() error { return e.Err }

// A Server is a running PostgreSQL. All methods may be called concurrently.
type Server struct {
	dir      string
	options  Options  // without zero values
	account  *account // that runs it; nil for ours
	bin      installation
	password string
	url      string
	lock     *dirLock
	sockets  string   // directory; empty until Start has chosen it
	process  *process // nil until Start has come so far

	closing  atomic.Bool // Close began while the server ran
	close    sync.Once
	closeErr error // of the only close
}

// Start runs PostgreSQL and returns when it answers queries. Canceling ctx
// afterwards changes nothing; call [Server.Close].
//
// An error is a *[ConfigError] when someone has to act first, matches
// [ErrInUse] when another server has the directory for longer than 3 s, and
// holds the last words of initdb or PostgreSQL when they failed.
func Start(ctx context.Context, o Options) (_ *Server, err error) {
	o.Dir = cmp.Or(o.Dir, DefaultDir())
	o.MaxConnections = cmp.Or(o.MaxConnections, 40)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))

	as, err := serverAccount(filepath.Join(o.Dir, "pg"))
	if err != nil {
		return nil, err
	}
	installed, err := find(ctx, o, as)
	if err != nil {
		return nil, err
	}
	dir, err := prepareDir(o.Dir, as)
	if err != nil {
		return nil, err
	}

	lock, last, err := lockDir(ctx, dir)
	if errors.Is(err, ErrInUse) {
		return nil, fmt.Errorf("data directory %s is %w", o.Dir, err)
	} else if err != nil {
		return nil, cannotUse(o.Dir, err)
	}
	s := &Server{dir: dir, options: o, account: as, lock: lock}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()

	if err := clearLeftovers(dir, last, o.Log); err != nil {
		return nil, fmt.Errorf("clear up after the last start: %w", err)
	}
	if err := s.prepareCluster(ctx, installed); err != nil {
		return nil, err
	}
	if err := s.makeSocketDir(); err != nil {
		return nil, err
	}
	if err := s.run(ctx); err != nil {
		return nil, fmt.Errorf("start PostgreSQL %s in %s: %w", s.bin.version, o.Dir, err)
	}
	return s, nil
}

// URL returns what lib/pq and psql need to connect: socket, role, password and
// the database, which exists.
func (s *Server) URL() string { return s.url }

// Version returns PostgreSQL's version, e.g. "15.18".
func (s *Server) Version() string { return s.bin.version }

// Dir returns the data directory's absolute path, without symbolic links.
func (s *Server) Dir() string { return s.dir }

// Done returns a channel that is closed when the server has ended, whoever
// ended it. Close must be called all the same: it releases the directory.
func (s *Server) Done() <-chan struct{} { return s.process.done }

// Err returns nil while the server runs and when Close ended it, else why it
// ended.
func (s *Server) Err() error {
	select {
	case <-s.process.done:
	default:
		return nil
	}
	if s.closing.Load() {
		return nil
	}
	return s.process.failure()
}

// Close stops the server and releases the directory; sessions are ended, what
// they committed is kept. It takes milliseconds, and after 10 s it forces the
// stop. Further calls wait for the first and return the same.
func (s *Server) Close() error {
	s.close.Do(func() {
		var errs []error
		if s.process != nil {
			errs = append(errs, s.stop())
		}
		if s.sockets != "" {
			errs = append(errs, os.RemoveAll(s.sockets))
		}
		// Last, because the next server starts at once.
		errs = append(errs, s.lock.release())
		s.closeErr = errors.Join(errs...)
	})
	return s.closeErr
}

func (s *Server) stop() error {
	select {
	case <-s.process.done:
		return nil // by itself, which Err tells
	default:
	}
	s.closing.Store(true)
	return shutDown(s.process.cmd.Process, func(d time.Duration) bool {
		select {
		case <-s.process.done:
			return true
		case <-time.After(d):
			return false
		}
	})
}

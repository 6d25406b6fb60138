// Package pgtest gives each test a PostgreSQL database of its own, migrated and
// empty, on a private server that lives as long as the test process.
//
// A package that uses it calls Run in its TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
package pgtest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/db/embedded"
	"github.com/hookql/hookql/internal/seal"
)

// EnvURL names the environment variable with the URL of a server to use in the
// place of a private one; its role must be allowed to create databases.
const EnvURL = "TEST_DATABASE_URL"

// EnvBinDir names the one with the directory of the binaries of a private server,
// in the place of the newest that is installed.
const EnvBinDir = "TEST_POSTGRES_BIN"

// MasterKey seals the secrets of the tests' databases.
var MasterKey = seal.Key([]byte("the master key of all the tests!"))

// template is the migrated database that the others are copies of.
const template = "hookql_test_template"

// New returns a database for the test alone.
func New(t testing.TB) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), URL(t), MasterKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// URL returns the URL of a database for the test alone, for tests that run the
// whole program. It is dropped when the test ends.
func URL(t testing.TB) string {
	t.Helper()
	return create(t, template)
}

// EmptyURL is URL for a database that is not migrated.
func EmptyURL(t testing.TB) string {
	t.Helper()
	return create(t, "template0")
}

func create(t testing.TB, from string) string {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	name, err := s.create(from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return withDatabase(s.url, name)
}

// Run runs a package's tests and then stops the server, if one was started.
func Run(m *testing.M) (code int) {
	defer func() {
		started.Lock()
		defer started.Unlock()
		if started.server != nil {
			_ = started.server.admin.Close()
			started.server.stop()
		}
	}()
	return m.Run()
}

// started is the one server of this process.
var started struct {
	sync.Mutex
	server *server
	err    error
}

func shared() (*server, error) {
	started.Lock()
	defer started.Unlock()
	if started.server == nil && started.err == nil {
		started.server, started.err = start()
	}
	return started.server, started.err
}

type server struct {
	url   string
	admin *sql.DB
	stop  func() // of a private one

	names atomic.Int64
	// copying: PostgreSQL refuses to copy a database that another session uses,
	// and a copy in progress counts as use.
	copying sync.Mutex
}

func start() (*server, error) {
	ctx := context.Background()
	s := &server{url: os.Getenv(EnvURL), stop: func() {}}
	if s.url == "" {
		if err := s.startPrivate(ctx); err != nil {
			return nil, fmt.Errorf("start PostgreSQL for the tests: %w", err)
		}
	}
	var err error
	if s.admin, err = sql.Open("postgres", s.url); err != nil {
		return nil, fmt.Errorf("connect to the tests' PostgreSQL: %w", err)
	}
	s.admin.SetMaxOpenConns(4)
	if err := s.makeTemplate(ctx); err != nil {
		return nil, fmt.Errorf("make the tests' template database: %w", err)
	}
	return s, nil
}

// startPrivate starts a server in memory, where there is a file system for it.
func (s *server) startPrivate(ctx context.Context) error {
	parent := os.TempDir()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		parent = "/dev/shm"
	}
	sweep(parent)
	dir := filepath.Join(parent, prefix+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	postgres, err := embedded.Start(ctx, embedded.Options{
		Dir: filepath.Join(dir, "data"), BinDir: os.Getenv(EnvBinDir), Volatile: true, MaxConnections: 500,
	})
	if err != nil {
		_ = os.RemoveAll(dir)
		return err
	}
	s.url = postgres.URL()
	s.stop = func() {
		_ = postgres.Close()
		_ = os.RemoveAll(dir)
	}
	return nil
}

const prefix = "hookql-test-"

// sweep removes what test processes left behind that were killed.
func sweep(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, prefix+"*"))
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir)[len(prefix):])
		if err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = os.RemoveAll(dir)
		}
	}
}

func (s *server) makeTemplate(ctx context.Context) error {
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + template, "CREATE DATABASE " + template + " TEMPLATE template0"} {
		if err := s.exec(statement); err != nil {
			return err
		}
	}
	d, err := db.Open(ctx, withDatabase(s.url, template), MasterKey)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // nothing was left to write
	_, err = d.Migrate(ctx)
	return err
}

func (s *server) create(from string) (name string, err error) {
	name = fmt.Sprintf("hookql_test_%d_%d", os.Getpid(), s.names.Add(1))
	s.copying.Lock()
	defer s.copying.Unlock()
	return name, s.exec("CREATE DATABASE " + name + " TEMPLATE " + from)
}

func (s *server) exec(statement string) error {
	if _, err := s.admin.Exec(statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server
	}
	u.Path = "/" + name
	return u.String()
}

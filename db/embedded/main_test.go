//go:build unix

package embedded

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what takes milliseconds.
const patience = 30 * time.Second

var launch = flag.String("launch", "", "instead of tests, run a server in this data directory until somebody ends it")

func TestMain(m *testing.M) {
	flag.Parse()
	if *launch != "" {
		fmt.Fprintln(os.Stderr, launcher(*launch))
		os.Exit(1)
	}
	os.Exit(run(m))
}

// run keeps all that the tests make in one directory and fails when a socket
// directory or a process is left of them.
func run(m *testing.M) int {
	tmp, err := os.MkdirTemp("", "embedded-")
	if err == nil {
		err = errors.Join(os.Chmod(tmp, 0o777|os.ModeSticky), os.Setenv("TMPDIR", tmp))
	}
	if err == nil {
		tmp, err = filepath.EvalSymlinks(tmp)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(tmp) // only temporary files

	code := m.Run()
	sockets, _ := filepath.Glob(filepath.Join(tmp, socketPrefix+"*"))
	dirs, _ := filepath.Glob(filepath.Join(tmp, "*", "*", "data"))
	for _, dir := range append(dirs, filepath.Join(tmp, "template")) {
		if pids := workersIn(dir); len(pids) > 0 {
			sockets = append(sockets, fmt.Sprint("processes ", pids))
		}
	}
	if len(sockets) > 0 {
		fmt.Fprintln(os.Stderr, "left over:", sockets)
		return 1
	}
	return code
}

// launcher is the program that crash tests kill. It prints its server's URL.
func launcher(dir string) error {
	s, err := Start(context.Background(), Options{Dir: dir})
	if err != nil {
		return err
	}
	fmt.Println(s.URL())
	<-s.Done()
	return errors.Join(s.Err(), s.Close())
}

// startLauncher starts this binary as a launcher with some more environment,
// and returns it and its server's URL.
func startLauncher(t testing.TB, dir string, env ...string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-launch", dir)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("launcher printed no URL: %v", err)
	}
	return cmd, strings.TrimSpace(line)
}

// newDir returns the path of a data directory that does not exist.
func newDir(t testing.TB) string {
	t.Helper()
	needPostgres(t)
	return filepath.Join(openDir(t), "data")
}

func needPostgres(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs PostgreSQL")
	}
}

// openDir returns a temporary directory that root's PostgreSQL can reach.
func openDir(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// template is a data directory with a table, made once.
var template = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(os.TempDir(), "template")
	s, err := Start(context.Background(), Options{Dir: dir, Volatile: true})
	if err != nil {
		return "", err
	}
	err = exec1(s.URL(), "CREATE TABLE kept (n int)")
	return dir, errors.Join(err, s.Close())
})

// usedDir returns a data directory that has been used and is whole; it saves the
// time of initdb.
func usedDir(t testing.TB) string {
	t.Helper()
	from, err := template()
	if err != nil {
		t.Fatal(err)
	}
	dir := newDir(t)
	if out, err := exec.Command("cp", "-a", from, dir).CombinedOutput(); err != nil {
		t.Fatalf("copy the template: %v: %s", err, out)
	}
	return dir
}

// start is Start for as long as the test runs.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func exec1(dsn, statement string) error {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	_, err = db.Exec(statement)
	return errors.Join(err, db.Close())
}

func mustExec(t testing.TB, dsn, statement string) {
	t.Helper()
	if err := exec1(dsn, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// query returns the first column of the first row.
func query(t testing.TB, dsn, statement string) string {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // only read
	var value string
	if err := db.QueryRow(statement).Scan(&value); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return value
}

// keep commits a row that must survive, and kept tells whether it did.
func keep(t testing.TB, dsn string) {
	t.Helper()
	mustExec(t, dsn, "INSERT INTO kept VALUES (7)")
}

func wantKept(t testing.TB, dsn string) {
	t.Helper()
	if got := query(t, dsn, "SELECT count(*) FROM kept WHERE n = 7"); got != "1" {
		t.Errorf("rows that were committed before: got %s, want 1", got)
	}
}

func socketsOf(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("host")
}

func wantAbsent(t *testing.T, path string) {
	t.Helper()
	found, err := filepath.Glob(path)
	if err != nil || len(found) > 0 {
		t.Errorf("left over: %v %v", found, err)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	if !within(patience, condition) {
		t.Fatalf("%s: not after %v", what, patience)
	}
}

func wantEnd(t *testing.T, s *Server) {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(patience):
		t.Fatal("Done is not closed")
	}
}

func onlyRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only for root")
	}
}

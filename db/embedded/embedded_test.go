//go:build unix

package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

func TestFirstAndNextStart(t *testing.T) {
	t.Parallel()
	dir := newDir(t)

	first := start(t, Options{Dir: dir})
	if !regexp.MustCompile(`^\d+(\.\d+)?`).MatchString(first.Version()) {
		t.Errorf("Version() = %q", first.Version())
	}
	if first.Dir() != dir {
		t.Errorf("Dir() = %q, want %q", first.Dir(), dir)
	}
	mustExec(t, first.URL(), "CREATE TABLE kept (n int)")
	keep(t, first.URL())
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, first)
	if err := first.Err(); err != nil {
		t.Errorf("Err() after Close = %v", err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("second Close() = %v", err)
	}
	wantAbsent(t, socketsOf(t, first.URL()))
	wantAbsent(t, filepath.Join(dir, initPrefix+"*"))

	next := start(t, Options{Dir: dir})
	wantKept(t, next.URL())
	if socketsOf(t, first.URL()) == socketsOf(t, next.URL()) {
		t.Error("both starts have the same socket directory")
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Dir: usedDir(t), MaxConnections: 23})
	for setting, want := range map[string]string{
		"listen_addresses":        "",
		"fsync":                   "on",
		"full_page_writes":        "on",
		"synchronous_commit":      "on",
		"data_checksums":          "on",
		"password_encryption":     "scram-sha-256",
		"unix_socket_permissions": "0700",
		"max_connections":         "23",
		"server_encoding":         "UTF8",
		"TimeZone":                "UTC",
		"shared_buffers":          "64MB",
	} {
		if got := query(t, s.URL(), "SHOW "+setting); got != want {
			t.Errorf("%s: got %q, want %q", setting, got, want)
		}
	}

	volatile := start(t, Options{Dir: usedDir(t), Volatile: true})
	if got := query(t, volatile.URL(), "SHOW fsync"); got != "off" {
		t.Errorf("fsync when volatile: got %q, want off", got)
	}
}

func TestOnlyTheOwnerConnects(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Dir: usedDir(t)})

	if got := query(t, s.URL(), "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules"); got != "scram-sha-256" {
		t.Errorf("ways to log in: got %s, want only scram-sha-256", got)
	}
	if got := query(t, s.URL(), "SELECT left(rolpassword, 13) FROM pg_authid WHERE rolname = current_user"); got != "SCRAM-SHA-256" {
		t.Errorf("stored password: got %s, want SCRAM-SHA-256", got)
	}
	wrong := regexp.MustCompile(`:[^:@]*@`).ReplaceAllString(s.URL(), ":wrong@")
	if err := exec1(wrong, "SELECT 1"); pq.As(err, pqerror.InvalidPassword) == nil {
		t.Errorf("with a wrong password: got %v, want %s", err, pqerror.InvalidPassword)
	}

	text, err := os.ReadFile(filepath.Join(s.Dir(), "pg", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	// LOCK_FILE_LINE_LISTEN_ADDR is 6: the first TCP address.
	if tcp := strings.Split(string(text), "\n")[5]; tcp != "" {
		t.Errorf("listens on TCP address %q", tcp)
	}

	for path, want := range map[string]os.FileMode{
		filepath.Join(s.Dir(), passwordFile):  0o600,
		filepath.Join(s.Dir(), "server.lock"): 0o600,
		filepath.Join(s.Dir(), "pg"):          0o700 | os.ModeDir,
		socketsOf(t, s.URL()):                 0o700 | os.ModeDir,
	} {
		if info, err := os.Stat(path); err != nil {
			t.Error(err)
		} else if info.Mode() != want {
			t.Errorf("mode of %s: got %v, want %v", path, info.Mode(), want)
		}
	}
}

// Ctrl-C in a terminal goes to a whole process group; PostgreSQL must outlive
// the program's own orderly end.
func TestOwnProcessGroup(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Dir: usedDir(t)})
	group, err := syscall.Getpgid(postmasterPID(t, s.Dir()))
	if err != nil || group == syscall.Getpgrp() {
		t.Errorf("process group: got %d, %v, want another than ours", group, err)
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Dir: usedDir(t)})
	keep(t, s.URL())

	second, err := Start(t.Context(), Options{Dir: s.Dir()})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("Start of a second: got %v, %v, want ErrInUse", second, err)
	}
	want := fmt.Sprintf("data directory %s is in use by another server (pid %d)", s.Dir(), os.Getpid())
	if err.Error() != want {
		t.Errorf("message: got %q, want %q", err, want)
	}
	wantKept(t, s.URL())
}

func TestRacingFirstStarts(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	type result struct {
		s   *Server
		err error
	}
	results := make(chan result) // one from each of two goroutines
	for range 2 {
		go func() {
			s, err := Start(t.Context(), Options{Dir: dir})
			results <- result{s, err}
		}()
	}
	a, b := <-results, <-results
	if a.err != nil {
		a, b = b, a
	}
	if a.err != nil {
		t.Fatalf("both were refused: %v; %v", a.err, b.err)
	}
	defer a.s.Close() // after an earlier failure only
	if !errors.Is(b.err, ErrInUse) {
		t.Errorf("the other: got %v, want ErrInUse", b.err)
	}
	mustExec(t, a.s.URL(), "CREATE TABLE kept (n int)")
	keep(t, a.s.URL())
	if err := a.s.Close(); err != nil {
		t.Fatal(err)
	}
	wantAbsent(t, filepath.Join(dir, initPrefix+"*"))
	wantKept(t, start(t, Options{Dir: dir}).URL())
}

func TestCancelDuringStart(t *testing.T) {
	t.Parallel()
	for name, reached := range map[string]func(dir string) bool{
		"initdb": func(dir string) bool {
			found, _ := filepath.Glob(filepath.Join(dir, initPrefix+"*", "pg", "base"))
			return len(found) > 0
		},
		"postmaster": func(dir string) bool {
			pid, _ := postmasterFile(filepath.Join(dir, "pg"))
			return pid != 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				within(patience, func() bool { return reached(dir) })
				cancel()
			}()
			s, err := Start(ctx, Options{Dir: dir})
			if err == nil {
				t.Log("it was ready before it was canceled") // the postmaster takes milliseconds
				err = errors.Join(context.Canceled, s.Close())
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
			if pids := workersIn(dir); len(pids) > 0 {
				t.Errorf("processes left: %v", pids)
			}
			wantAbsent(t, filepath.Join(dir, initPrefix+"*"))
			start(t, Options{Dir: dir})
		})
	}
}

func TestFailedStartTellsLastWords(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	conf, err := os.OpenFile(filepath.Join(dir, "pg", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conf.WriteString("work_mem = sheep\n"); err != nil {
		t.Fatal(err)
	}
	if err := conf.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Start(t.Context(), Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), `"work_mem": "sheep"`) {
		t.Errorf("got %v, want PostgreSQL's own words about sheep", err)
	}
}

func TestOtherMajorIsRefused(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	version := filepath.Join(dir, "pg", "PG_VERSION")
	if err := os.WriteFile(version, []byte("99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Dir: dir})
	var config *ConfigError
	if !errors.As(err, &config) {
		t.Fatalf("got %v, want a ConfigError", err)
	}
	want := regexp.MustCompile(`^data directory \S+ was created by PostgreSQL 99; found \d\S* in /\S+.*\.\n  Install PostgreSQL 99, or choose a new directory\.$`)
	if !want.MatchString(err.Error()) {
		t.Errorf("message: got %q, want %v", err, want)
	}
	if text, err := os.ReadFile(version); err != nil || string(text) != "99\n" {
		t.Errorf("the data was touched: %q %v", text, err)
	}
}

func TestMissingPasswordIsNotReplaced(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	if err := os.Remove(filepath.Join(dir, passwordFile)); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Dir: dir})
	var config *ConfigError
	if !errors.As(err, &config) || !strings.Contains(err.Error(), passwordFile) {
		t.Errorf("got %v, want a ConfigError that names the file", err)
	}
}

func TestLongDataDir(t *testing.T) {
	t.Parallel()
	start(t, Options{Dir: filepath.Join(newDir(t), strings.Repeat("long/", 30), "data"), Volatile: true})
}

// A hostile environment: a temporary directory too long for a socket, and
// variables that would send libpq and lib/pq elsewhere.
func TestEnvironmentDoesNotReachTheServer(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	long := filepath.Join(filepath.Dir(dir), strings.Repeat("long/", 25))
	if err := os.MkdirAll(long, 0o777); err != nil {
		t.Fatal(err)
	}
	launcher, dsn := startLauncher(t, dir, "TMPDIR="+long,
		"PGPORT=1", "PGHOST=/nowhere", "PGUSER=nobody", "PGDATABASE=none", "PGPASSWORD=no",
		"PGSSLMODE=verify-full", "PGDATA=/nowhere", "TZ=Asia/Kolkata", "LC_ALL=de_DE.UTF-8")
	if got := query(t, dsn, "SHOW TimeZone"); got != "UTC" {
		t.Errorf("time zone: got %s, want UTC", got)
	}

	// The socket is in /tmp then, where only the next start can sweep it.
	sockets := socketsOf(t, dsn)
	if filepath.Dir(sockets) != "/tmp" {
		t.Errorf("sockets are in %s, want /tmp", sockets)
	}
	if err := launcher.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	start(t, Options{Dir: dir})
	wantAbsent(t, sockets)
}

func TestAnotherServerIsNotOurs(t *testing.T) {
	t.Parallel()
	other := start(t, Options{Dir: usedDir(t), Volatile: true})
	s := start(t, Options{Dir: usedDir(t), Volatile: true})
	var config *ConfigError
	if err := s.ask(t.Context(), other.URL(), filepath.Join(s.Dir(), "pg")); !errors.As(err, &config) {
		t.Errorf("asking another server: got %v, want a ConfigError", err)
	}
}

func TestRootNamesTheDirectoryThatBlocks(t *testing.T) {
	t.Parallel()
	onlyRoot(t)
	private := newDir(t)
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(private, "new", "data")
	_, err := Start(t.Context(), Options{Dir: dir})
	var config *ConfigError
	if !errors.As(err, &config) || !strings.Contains(err.Error(), "may not pass through "+private+".") {
		t.Errorf("got %v, want a ConfigError that names %s", err, private)
	}
	wantAbsent(t, filepath.Dir(dir))
}

func TestRootRunsTheClusterAsItsOwner(t *testing.T) {
	t.Parallel()
	onlyRoot(t)
	chown := func(dir, owner string) {
		if out, err := exec.Command("chown", "-R", owner, filepath.Join(dir, "pg")).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	dir := usedDir(t)
	chown(dir, "root")
	_, err := Start(t.Context(), Options{Dir: dir})
	var config *ConfigError
	if !errors.As(err, &config) || !strings.Contains(err.Error(), "belongs to root") {
		t.Errorf("cluster of root: got %v, want a ConfigError", err)
	}
	chown(dir, "4711") // who has no name
	start(t, Options{Dir: dir})
	info, err := os.Stat(filepath.Join(dir, "pg", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 4711 {
		t.Errorf("runs as %d, want 4711", uid)
	}
}

// As root, the tests that matter run once more as a plain user.
func TestPlainUser(t *testing.T) {
	t.Parallel()
	onlyRoot(t)
	needPostgres(t)
	dir := openDir(t) // the build's own is closed to others
	binary := filepath.Join(dir, "embedded.test")
	if err := copyFile(binary, os.Args[0]); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.count=1", "-test.v",
		"-test.run=^(TestFirstAndNextStart|TestOnlyTheOwnerConnects|TestKillLauncher|TestKillBoth|TestKillPostmaster|TestOrphan)$")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "\n--- PASS") != 6 {
		t.Errorf("as a plain user: %v\n%s", err, out)
	}
}

func copyFile(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close() // only read
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

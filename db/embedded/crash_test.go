//go:build unix

package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func kill9(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill -9 %d: %v", pid, err)
	}
}

func postmasterPID(t testing.TB, dir string) int {
	t.Helper()
	pid, status := postmasterFile(filepath.Join(dir, "pg"))
	if pid == 0 || status != "ready" {
		t.Fatalf("no postmaster: pid %d, status %q", pid, status)
	}
	return pid
}

func TestKillPostmaster(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	s := start(t, Options{Dir: dir})
	keep(t, s.URL())
	kill9(t, postmasterPID(t, dir))
	wantEnd(t, s)
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("Err() = %v, want signal: killed", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if s.Err() == nil {
		t.Error("Err() is nil after Close, which did not end the server")
	}
	wantKept(t, start(t, Options{Dir: dir}).URL())
}

// A busy session notices the death of its postmaster only at the end of its
// statement, and keeps the memory that the next postmaster must not share.
func TestKillPostmasterOfBusySession(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells whose child a process was")
	}
	dir := usedDir(t)
	s := start(t, Options{Dir: dir})
	keep(t, s.URL())
	db, err := sql.Open("postgres", s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()                                // its only session is killed
	go db.Exec("DO $$ BEGIN LOOP END LOOP; END $$") // it is killed
	eventually(t, "session is busy", func() bool {
		return query(t, s.URL(), "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO %'") == "1"
	})
	kill9(t, postmasterPID(t, dir))
	wantEnd(t, s)
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	wantKept(t, start(t, Options{Dir: dir}).URL())
}

func TestKillLauncher(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	launcher, dsn := startLauncher(t, dir)
	keep(t, dsn)
	pid := postmasterPID(t, dir)
	kill9(t, launcher.Process.Pid)
	if runtime.GOOS == "linux" {
		eventually(t, "postmaster ends by itself", func() bool { return !isPostmaster(pid, filepath.Join(dir, "pg")) })
	}
	wantKept(t, start(t, Options{Dir: dir}).URL())
	wantAbsent(t, socketsOf(t, dsn))
}

func TestKillLauncherAndStartAtOnce(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	launcher, dsn := startLauncher(t, dir)
	keep(t, dsn)
	kill9(t, launcher.Process.Pid)
	wantKept(t, start(t, Options{Dir: dir}).URL())
}

func TestKillBoth(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	launcher, dsn := startLauncher(t, dir)
	keep(t, dsn)
	pid := postmasterPID(t, dir)
	kill9(t, launcher.Process.Pid)
	_ = syscall.Kill(pid, syscall.SIGKILL) // it may already have ended
	wantKept(t, start(t, Options{Dir: dir}).URL())
	wantAbsent(t, socketsOf(t, dsn))
}

func TestKillDuringInitdb(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	cmd := exec.Command(os.Args[0], "-launch", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "initdb works", func() bool {
		found, _ := filepath.Glob(filepath.Join(dir, initPrefix+"*", "pg", "base"))
		return len(found) > 0
	})
	kill9(t, cmd.Process.Pid)
	_ = cmd.Wait() // killed

	start(t, Options{Dir: dir})
	wantAbsent(t, filepath.Join(dir, initPrefix+"*"))
}

// An orphan is what a killed launcher leaves where there is no parent-death
// signal.
func TestOrphan(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	cluster := filepath.Join(dir, "pg")
	as, err := serverAccount(cluster)
	if err != nil {
		t.Fatal(err)
	}
	installed, err := find(t.Context(), Options{}, as)
	if err != nil {
		t.Fatal(err)
	}
	bin, err := choose(installed, "", dir)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin.dir, "postgres"), "-D", cluster, "-c", "listen_addresses=", "-c", "unix_socket_directories="+os.TempDir())
	cmd.Dir = cluster
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as.credential()}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1) // the one result of Wait
	go func() { ended <- cmd.Wait() }()
	eventually(t, "orphan is ready", func() bool {
		pid, status := postmasterFile(cluster)
		return pid == cmd.Process.Pid && status == "ready"
	})

	s := start(t, Options{Dir: dir})
	keep(t, s.URL())
	if err := <-ended; err != nil {
		t.Errorf("the orphan did not stop cleanly: %v", err)
	}
}

// The pid of a crashed postmaster can be a zombie's, or another program's.
func TestStalePIDFile(t *testing.T) {
	t.Parallel()
	for name, command := range map[string][]string{
		"zombie": {"true"},
		"other":  {"sleep", "1000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := usedDir(t)
			cmd := exec.Command(command[0], command[1:]...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			})
			if name == "zombie" {
				eventually(t, "zombie", func() bool { return !strings.Contains(commandLine(cmd.Process.Pid), "true") })
			}
			file := filepath.Join(dir, "pg", "postmaster.pid")
			text := fmt.Sprintf("%d\n%s\n1700000000\n5432\n/tmp\n\n\nready\n", cmd.Process.Pid, filepath.Dir(file))
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			start(t, Options{Dir: dir})
		})
	}
}

// Whoever opens a shell in the data directory must not lose it.
func TestOnlyPostgresIsStopped(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "sleep", "1000")
	cmd.Dir = filepath.Join(dir, "pg")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	start(t, Options{Dir: dir})
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil || commandLine(cmd.Process.Pid) == "" {
		t.Errorf("a process that only works there was ended: %v", err)
	}
	cancel()
	_ = cmd.Wait() // killed
}

//go:build unix

package embedded

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clearLeftovers ends and removes what crashed starts of this data directory
// left. Only the holder of the lock may call it: that nobody else can have
// started these processes or need these files rests on the lock.
func clearLeftovers(dir string, last record, log *slog.Logger) error {
	cluster := filepath.Join(dir, "pg")
	if err := stopOrphan(cluster, log); err != nil {
		return err
	}
	if err := stopWorkers(dir, log); err != nil {
		return err
	}
	if err := removeStalePID(cluster); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var stale []string
	if sockets := last.socketDir(); sockets != "" {
		stale = append(stale, sockets)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), initPrefix) {
			stale = append(stale, filepath.Join(dir, entry.Name()))
		}
	}
	for _, path := range stale {
		if err := os.RemoveAll(path); err != nil {
			log.Warn("leave what a crashed start left", "path", path, "error", err)
		}
	}
	return nil
}

// stopOrphan stops a postmaster that outlived the program that started it: the
// rule where there is no parent-death signal, and a matter of milliseconds
// where there is one.
func stopOrphan(cluster string, log *slog.Logger) error {
	pid, _ := postmasterFile(cluster)
	if !isPostmaster(pid, cluster) {
		return nil
	}
	log.Info("stop the PostgreSQL that a crashed start left running", "pid", pid)
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return shutDown(p, func(d time.Duration) bool {
		return within(d, func() bool { return !isPostmaster(pid, cluster) })
	})
}

// stopWorkers ends the children of a killed postmaster or initdb. Idle ones end
// by themselves at once, busy ones not before the end of their statement; until
// then PostgreSQL refuses to start.
func stopWorkers(dir string, log *slog.Logger) error {
	none := func() bool { return len(workersIn(dir)) == 0 }
	if within(50*time.Millisecond, none) {
		return nil
	}
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} {
		for _, pid := range workersIn(dir) {
			log.Info("stop what a crashed PostgreSQL left running", "pid", pid)
			_ = syscall.Kill(pid, sig) // fails when it has ended meanwhile; if it has not, none tells
		}
		if within(5*time.Second, none) {
			return nil
		}
	}
	return fmt.Errorf("processes of a crashed PostgreSQL do not end: %v", workersIn(dir))
}

// removeStalePID removes the pid file of a crashed postmaster when PostgreSQL
// itself would not: its pid is a zombie's, as long as nobody reaps it (usual in
// containers), or belongs to another program by now. The file of a pid that is
// free stays, for PostgreSQL then makes sure that no process uses its memory.
func removeStalePID(cluster string) error {
	pid, _ := postmasterFile(cluster)
	if pid == 0 || syscall.Kill(pid, 0) == syscall.ESRCH {
		return nil
	}
	return os.Remove(filepath.Join(cluster, "postmaster.pid"))
}

// postmasterFile reads a cluster's postmaster.pid: the pid, or 0 when there is
// no such file, and the status, which is "ready" once connections are accepted.
func postmasterFile(cluster string) (pid int, status string) {
	text, err := os.ReadFile(filepath.Join(cluster, "postmaster.pid"))
	if err != nil {
		return 0, ""
	}
	// LOCK_FILE_LINE_PM_STATUS in PostgreSQL's pidfile.h is 8, counted from 1.
	lines := strings.Split(string(text), "\n")
	if len(lines) >= 8 {
		status = strings.TrimSpace(lines[7])
	}
	pid, _ = strconv.Atoi(strings.TrimSpace(lines[0])) // 0 while it is being written
	return max(pid, 0), status
}

// isPostmaster tells whether a pid is that of a live postgres whose command
// line names the cluster. Pids are used again, above all in containers.
func isPostmaster(pid int, cluster string) bool {
	if pid == 0 {
		return false
	}
	program, _, found := strings.Cut(commandLine(pid), cluster)
	return found && (strings.Contains(program, "postgres") || strings.Contains(program, "postmaster"))
}

// within polls until the condition holds, and tells whether it did in time.
func within(d time.Duration, condition func() bool) bool {
	deadline := time.Now().Add(d)
	for !condition() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(2 * time.Millisecond)
	}
	return true
}

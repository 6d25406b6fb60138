//go:build unix

package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// run starts the postmaster and waits until it answers.
func (s *Server) run(ctx context.Context) (err error) {
	cluster := filepath.Join(s.dir, "pg")
	cmd := exec.Command(filepath.Join(s.bin.dir, "postgres"), append([]string{"-D", cluster}, s.settings()...)...)
	cmd.Dir = cluster
	s.process, err = spawn(cmd, s.account, syscall.SIGINT, &output{line: serverLog(s.options.Log)})
	if err != nil {
		return err
	}
	if err := s.awaitReady(ctx, cluster); err != nil {
		return err
	}
	return s.awaitDatabase(ctx, cluster)
}

// settings are arguments and not a file, so that those of this version of the
// program hold for data of every age.
func (s *Server) settings() []string {
	settings := []string{
		"listen_addresses=",
		"port=" + port,
		"unix_socket_directories=" + s.sockets,
		"unix_socket_permissions=0700",
		"password_encryption=scram-sha-256",
		"max_connections=" + strconv.Itoa(s.options.MaxConnections),
		"shared_buffers=64MB",
		"max_wal_size=512MB",
		"jit=off",
		"idle_in_transaction_session_timeout=60s",
		"log_min_messages=warning",
		"log_line_prefix=" + logLinePrefix,
	}
	if s.options.Volatile {
		settings = append(settings, "fsync=off", "full_page_writes=off", "synchronous_commit=off")
	}
	var args []string
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	return args
}

// awaitReady returns when the postmaster's pid file says that it accepts
// connections, which after a crash may take as long as recovery does.
func (s *Server) awaitReady(ctx context.Context, cluster string) error {
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for {
		if pid, status := postmasterFile(cluster); pid == s.process.cmd.Process.Pid && status == "ready" {
			return nil
		}
		select {
		case <-poll.C:
		case <-s.process.done:
			return s.process.failure()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// awaitDatabase proves that the URL leads to our server, and makes the database
// at the first start.
func (s *Server) awaitDatabase(ctx context.Context, cluster string) error {
	err := s.ask(ctx, s.url, cluster)
	if pq.As(err, pqerror.InvalidCatalogName) == nil {
		return err
	}
	admin := strings.Replace(s.url, "/"+Database+"?", "/postgres?", 1)
	if err := s.ask(ctx, admin, cluster, "CREATE DATABASE "+Database); err != nil {
		return fmt.Errorf("make database: %w", err)
	}
	return s.ask(ctx, s.url, cluster)
}

// ask connects, makes sure that the answer comes from our cluster, and runs the
// statements. Environment variables such as PGHOSTADDR and PGSERVICE would send
// lib/pq elsewhere, in spite of the URL.
func (s *Server) ask(ctx context.Context, dsn, cluster string, statements ...string) error {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	defer db.Close() // nothing was written through it that is not committed
	var reached string
	if err := db.QueryRowContext(ctx, "SELECT current_setting('data_directory')").Scan(&reached); err != nil {
		return fmt.Errorf("ask the new server: %w", err)
	}
	if reached != cluster {
		return &ConfigError{Message: fmt.Sprintf(
			"the connection to the private PostgreSQL in %s led to another server. Unset PGHOSTADDR and PGSERVICE.", s.dir)}
	}
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// shutDown stops a postmaster: fast, then without a checkpoint, then by force.
// gone waits at most that long for its end.
func shutDown(p *os.Process, gone func(time.Duration) bool) error {
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop PostgreSQL (pid %d): %w", p.Pid, err)
		}
		if gone(10 * time.Second) {
			return nil
		}
	}
	return fmt.Errorf("PostgreSQL (pid %d) does not end", p.Pid)
}

package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hookql/hookql/internal/faults"
)

// Build builds the program into a directory, with the points at which it can be
// made to end where tags say so, and returns its path.
func Build(ctx context.Context, dir string, tags string) (string, error) {
	path := filepath.Join(dir, "hookql"+tags)
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", tags, "-o", path, "github.com/hookql/hookql")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, bytes.TrimSpace(out))
	}
	return path, nil
}

// operatorKey opens the API of every lab.
const operatorKey = "the-key-of-the-operator-of-the-fault-rig"

// program is one of the processes that serve: it can be ended and started
// again, and keeps its address.
type program struct {
	number int
	path   string
	addr   string
	env    []string
	log    string

	mu    sync.Mutex // guards child
	child *child
}

func (p *program) url() string { return "http://" + p.addr }

// start starts the process, with more in its environment, and does not wait
// until it is ready.
func (p *program) start(env ...string) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the child has its own
	c := newChild(p.path, "serve")
	c.cmd.Env = append(append([]string{"HOOKQL_ADDR=" + p.addr}, p.env...), env...)
	c.cmd.Dir = filepath.Dir(p.log)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := c.start(); err != nil {
		return err
	}
	p.child = c
	return nil
}

func (p *program) process() *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.child
}

// comeUp starts the process and returns once it answers.
func (p *program) comeUp(ctx context.Context) error {
	if err := p.start(); err != nil {
		return err
	}
	return p.awaitReady(ctx, 10*time.Second)
}

// awaitReady returns once the process says that it answers.
func (p *program) awaitReady(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if p.ready(ctx) {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-p.process().done:
			return fmt.Errorf("process %d ended at its start: %s", p.number, lastLines(p.log))
		case <-ctx.Done():
			return fmt.Errorf("process %d is not ready: %s", p.number, lastLines(p.log))
		}
	}
}

func (p *program) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url()+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return errors.Join(answer.Body.Close()) == nil && answer.StatusCode == http.StatusOK
}

// run runs another verb of the program to its end, and returns what it said. The
// error says that it failed.
func (p *program) run(limit time.Duration, args ...string) (said string, err error) {
	var out bytes.Buffer
	c := newChild(p.path, args...)
	c.cmd.Env, c.cmd.Dir = p.env, filepath.Dir(p.log)
	c.cmd.Stdout, c.cmd.Stderr = &out, &out
	if err := c.start(); err != nil {
		return "", err
	}
	err = c.wait(limit)
	return out.String(), err
}

// stop tells the process to stop, and waits until it has.
func (p *program) stop(limit time.Duration) error {
	c := p.process()
	if c == nil || c.ended() {
		return nil
	}
	c.signal(syscall.SIGTERM)
	return c.wait(limit)
}

// lastLines are the end of a log.
func lastLines(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// freeAddr finds an address that nobody takes while a process restarts: its
// port is none that the system gives to those who connect.
func freeAddr() (string, error) {
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(12_000+rand.IntN(18_000)))
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("no free port was found")
}

// endingAt makes a process end when it comes to a point for the n-th time.
func endingAt(point string, n int) string { return fmt.Sprintf("%s=%s:%d", faults.Variable, point, n) }

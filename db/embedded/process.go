//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A process is a child that ends with this program.
type process struct {
	cmd    *exec.Cmd
	output *output
	done   chan struct{} // closed when the child has ended and was waited for; nothing is sent
	err    error         // how it ended; set before done is closed
}

// spawn starts a command as another account, in a process group of its own, so
// that Ctrl-C in a terminal reaches only us, and with next to no environment,
// so that no PG* variable of ours reaches it. Where the system can, it sends
// onDeath to the child when this program dies. What the child writes goes to
// out.
func spawn(cmd *exec.Cmd, as *account, onDeath syscall.Signal, out *output) (*process, error) {
	p := &process{cmd: cmd, output: out, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = serverEnv()
	cmd.SysProcAttr = attributes(as, onDeath)
	// Grandchildren hold the output open. Those that outlive a killed
	// postmaster must not hide its end for longer than this.
	cmd.WaitDelay = 500 * time.Millisecond

	started := make(chan error, 1) // one error or nil, from the goroutine below
	go func() {
		// Linux ties the parent-death signal to the thread that forked, not to
		// the process: this one must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// serverEnv is the environment of everything that is run: messages in English,
// times in UTC.
func serverEnv() []string { return []string{"LC_ALL=C", "TZ=UTC"} }

// failure says how an ended process ended, with its last words.
func (p *process) failure() error {
	return fmt.Errorf("%s (pid %d) ended: %s%s",
		filepath.Base(p.cmd.Path), p.cmd.Process.Pid, p.cmd.ProcessState, p.output.lastWords())
}

// killGroup ends a process and its children, and waits for it.
func (p *process) killGroup() {
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		_ = p.cmd.Process.Kill() // the group is ours to kill, so this is for no known case
	}
	<-p.done
}

// output passes on what a child writes, line by line, and remembers the last
// lines for an error.
type output struct {
	line func(string) // called for each line, never concurrently; nil discards

	mu   sync.Mutex
	rest string   // of an unfinished line
	last []string // lines
}

const rememberedLines = 12

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := strings.Split(o.rest+string(p), "\n")
	o.rest = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		o.last = append(o.last, line)
		if o.line != nil {
			o.line(line)
		}
	}
	if excess := len(o.last) - rememberedLines; excess > 0 {
		o.last = append([]string(nil), o.last[excess:]...)
	}
	return len(p), nil
}

// lastWords returns the remembered lines, indented, each after a newline.
func (o *output) lastWords() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b strings.Builder
	for _, line := range append(o.last[:len(o.last):len(o.last)], o.rest) {
		if line != "" {
			b.WriteString("\n    " + line)
		}
	}
	return b.String()
}

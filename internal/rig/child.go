package rig

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// child is a process that ends with this one, at the latest.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and was waited for
}

func newChild(name string, args ...string) *child {
	c := &child{cmd: exec.Command(name, args...), done: make(chan struct{})}
	c.cmd.SysProcAttr = withParent()
	c.cmd.WaitDelay = time.Second
	return c
}

func (c *child) start() error {
	started := make(chan error, 1) // one error or nil, from the goroutine below
	go func() {
		// Linux ties a child's life to the thread that started it: this one must
		// live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			_ = c.cmd.Wait() // how it ended shows in cmd.ProcessState
		}
		close(c.done)
	}()
	return <-started
}

// signal sends a signal; a process that has ended takes none.
func (c *child) signal(s syscall.Signal) { _ = c.cmd.Process.Signal(s) }

// kill ends the process as kill -9 does, and waits for it.
func (c *child) kill() {
	c.signal(syscall.SIGKILL)
	<-c.done
}

// ended says whether the process is no more.
func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// wait waits until the process has ended by itself, well, and kills it where it
// takes longer.
func (c *child) wait(limit time.Duration) error {
	select {
	case <-c.done:
	case <-time.After(limit):
		c.kill()
		return fmt.Errorf("%s (pid %d) did not end within %s", c.cmd.Path, c.cmd.Process.Pid, limit)
	}
	if !c.cmd.ProcessState.Success() {
		return fmt.Errorf("%s (pid %d) ended: %s", c.cmd.Path, c.cmd.Process.Pid, c.cmd.ProcessState)
	}
	return nil
}

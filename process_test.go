package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"
)

// process is a child process that has said where it listens.
type process struct {
	cmd    *exec.Cmd
	url    string
	stdout *output
	stderr *output
	done   chan struct{} // closed when it has ended
}

// output is what a process has said so far.
type output struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.String()
}

var listens = regexp.MustCompile(`http://[0-9.:]+`)

// start runs one of the commands of TestMain until it prints its address.
func start(env []string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), stdout: new(output), stderr: new(output), done: make(chan struct{})}
	p.cmd.Env = env
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	address := make(chan string, 1)
	go func() {
		defer close(p.done)
		buffer := make([]byte, 4096)
		for {
			n, err := out.Read(buffer)
			_, _ = p.stdout.Write(buffer[:n])
			if url := listens.FindString(p.stdout.String()); url != "" && p.url == "" {
				p.url = url
				address <- p.url
			}
			if err != nil {
				_ = p.cmd.Wait()
				return
			}
		}
	}()
	select {
	case <-address:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("%s ended: %s", name, p.stderr)
	case <-time.After(patienceOfTests):
		p.end(syscall.SIGKILL)
		return nil, errors.New(name + " does not say where it listens")
	}
}

func (p *process) end(signal syscall.Signal) {
	_ = p.cmd.Process.Signal(signal) // it may have ended
	<-p.done
}

// hasEnded says whether the process is no more.
func (p *process) hasEnded() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

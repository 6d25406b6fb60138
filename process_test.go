package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"syscall"
	"time"
)

// process is a child process that has said where it listens.
type process struct {
	cmd    *exec.Cmd
	url    string
	stdout *bytes.Buffer
	stderr *bytes.Buffer
	done   chan struct{} // closed when it has ended
}

var listens = regexp.MustCompile(`http://[0-9.:]+`)

// start runs one of the commands of TestMain until it prints its address.
func start(env []string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), stdout: new(bytes.Buffer), stderr: new(bytes.Buffer), done: make(chan struct{})}
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
			p.stdout.Write(buffer[:n])
			if url := listens.Find(p.stdout.Bytes()); url != nil && p.url == "" {
				p.url = string(url)
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

package rig

import (
	"net"
	"sync"
)

// proxy is the way from the program to its database: a TCP port whose
// connections lead to a unix socket, until somebody stands on the line.
type proxy struct {
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	socket string
	conns  map[net.Conn]bool // both ends of all
	closed bool              // refuses, and has cut all
	hole   chan struct{}     // while it is open, what is sent is kept back; nil: nothing is
}

func newProxy(socket string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, socket: socket, conns: make(map[net.Conn]bool)}
	p.running.Go(p.accept)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// leadTo sends new connections to another socket.
func (p *proxy) leadTo(socket string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.socket = socket
}

func (p *proxy) accept() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return // it was closed
		}
		p.running.Go(func() { p.relay(from) })
	}
}

// relay moves bytes both ways until either end is gone.
func (p *proxy) relay(from net.Conn) {
	defer from.Close() //nolint:errcheck // one that is gone
	p.mu.Lock()
	socket, closed := p.socket, p.closed
	p.mu.Unlock()
	if closed {
		return
	}
	to, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer to.Close() //nolint:errcheck // one that is gone
	if !p.note(from, to) {
		return
	}
	defer p.forget(from, to)
	var back sync.WaitGroup
	back.Go(func() { p.copy(from, to) })
	p.copy(to, from)
	back.Wait()
}

// copy moves what comes on one connection to another, and ends both.
func (p *proxy) copy(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		hole := p.hole
		p.mu.Unlock()
		if hole != nil {
			<-hole
		}
		if _, writeErr := to.Write(buffer[:n]); err != nil || writeErr != nil {
			_ = to.Close()
			_ = from.Close()
			return
		}
	}
}

func (p *proxy) note(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = true
	}
	return !p.closed
}

func (p *proxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// cut breaks all connections, with a reset, and refuses others until mend.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

// swallow lets all connections stand and brings nothing through until mend.
func (p *proxy) swallow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hole == nil {
		p.hole = make(chan struct{})
	}
}

// mend lets everything through again.
func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = false
	if p.hole != nil {
		close(p.hole)
		p.hole = nil
	}
}

func (p *proxy) close() {
	p.cut()
	p.mend()
	_ = p.listener.Close()
	p.cut()
	p.running.Wait()
}

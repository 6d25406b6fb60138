package delivery

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// keepFor is how long an unused connection is kept. It is short, because a
	// receiver that closes one at the moment a request is written makes that
	// attempt fail: whether it was read nobody knows, so it is not written
	// again. Common servers keep theirs for two seconds and more.
	keepFor = time.Second
	// maxKept is how many unused connections are kept, and maxKeptOfHost how
	// many to one server.
	maxKept       = maxSending
	maxKeptOfHost = mostAtOnce
)

// kept are connections that nobody uses just now. The zero kept has none, and a
// nil one takes none.
type kept struct {
	mu     sync.Mutex
	links  map[string][]*idleLink // by server, the last used last
	count  int
	closed bool
}

// idleLink is a connection that is closed unless it is used soon.
type idleLink struct {
	*link
	expire *time.Timer
}

// server is what connections to are alike: a URL's scheme, host and port.
func server(u *url.URL) string {
	return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), strconv.Itoa(int(portOf(u))))
}

// take returns a connection to a URL's server that is still open; nil where there
// is none.
func (k *kept) take(u *url.URL) *link {
	if k == nil {
		return nil
	}
	for {
		i := k.pop(server(u))
		if i == nil {
			return nil
		}
		if i.expire.Stop() && stillOpen(i.conn) {
			return i.link
		}
		i.conn.Close()
	}
}

func (k *kept) pop(server string) *idleLink {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := k.links[server]
	if len(list) == 0 {
		return nil
	}
	last := list[len(list)-1]
	k.drop(server, last)
	return last
}

// put keeps a connection for the next request to a URL's server, or closes it
// where there are enough.
func (k *kept) put(u *url.URL, l *link) {
	name := server(u)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.count >= maxKept || len(k.links[name]) >= maxKeptOfHost {
		l.conn.Close()
		return
	}
	if k.links == nil {
		k.links = make(map[string][]*idleLink)
	}
	i := &idleLink{link: l}
	i.expire = time.AfterFunc(keepFor, func() {
		k.mu.Lock()
		k.drop(name, i)
		k.mu.Unlock()
		i.conn.Close()
	})
	k.links[name] = append(k.links[name], i)
	k.count++
}

// drop forgets a connection; the caller holds mu.
func (k *kept) drop(server string, i *idleLink) {
	at := slices.Index(k.links[server], i)
	if at < 0 {
		return
	}
	k.count--
	if k.links[server] = slices.Delete(k.links[server], at, at+1); len(k.links[server]) == 0 {
		delete(k.links, server)
	}
}

// close closes all connections, and those that are put back from now on.
func (k *kept) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	for _, list := range k.links {
		for _, i := range list {
			i.expire.Stop()
			i.conn.Close()
		}
	}
	k.links, k.count = nil, 0
}

// stillOpen says whether the other end of an unused connection has neither closed it
// nor said anything on it.
func stillOpen(conn net.Conn) bool {
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	err = control.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		open = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true
	})
	return err == nil && open
}

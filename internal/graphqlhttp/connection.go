package graphqlhttp

import (
	"context"
	"net/http"
	"strings"
	"sync"
)

// Session is what a connection lives by that stays after its first answer.
type Session struct {
	// Key tells the connections of one key from those of others.
	Key string
	// Over is closed once the key opens no more; nil: it never is.
	Over <-chan struct{}
	// End must be called when the connection has ended; nil: nothing to do.
	End func()
}

// Connections are those that stay: sockets and streams of events. They are
// counted by key, and told when the service stops. The zero Connections is
// usable, and safe for concurrent use.
type Connections struct {
	mu       sync.Mutex
	open     map[string]int // by kind and key; guarded by mu
	stopping chan struct{}  // closed by Stop; made by the first who asks; guarded by mu
	stopped  bool           // guarded by mu
	empty    chan struct{}  // closed by the last that ends once Wait has made it; guarded by mu
}

// Enter counts a connection of a kind, such as "socket", of which a key may
// have limit at a time. It is false where the key has as many, or the service
// stops. The caller calls leave when the connection has ended.
func (c *Connections) Enter(kind, key string, limit int) (leave func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := kind + " " + key
	if c.stopped || c.open[name] >= limit {
		return nil, false
	}
	if c.open == nil {
		c.open = make(map[string]int)
	}
	c.open[name]++
	return sync.OnceFunc(func() { c.leave(name) }), true
}

func (c *Connections) leave(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[name]--; c.open[name] == 0 {
		delete(c.open, name)
	}
	if len(c.open) == 0 && c.empty != nil {
		close(c.empty)
		c.empty = nil
	}
}

// Stopping is closed when connections have to end.
func (c *Connections) Stopping() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stoppingChannel()
}

// stoppingChannel is for those who hold mu.
func (c *Connections) stoppingChannel() chan struct{} {
	if c.stopping == nil {
		c.stopping = make(chan struct{})
	}
	return c.stopping
}

// Stop tells all connections to end, and lets no more in.
func (c *Connections) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		c.stopped = true
		close(c.stoppingChannel())
	}
}

// Wait returns once there is no connection, or with ctx's error.
func (c *Connections) Wait(ctx context.Context) error {
	c.mu.Lock()
	if len(c.open) == 0 {
		c.mu.Unlock()
		return nil
	}
	if c.empty == nil {
		c.empty = make(chan struct{})
	}
	empty := c.empty
	c.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// IsUpgrade says whether a request asks for a WebSocket.
func IsUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && hasToken(r.Header["Connection"], "upgrade") && hasToken(r.Header["Upgrade"], "websocket")
}

// hasToken looks for a token in lists that commas separate.
func hasToken(lists []string, token string) bool {
	for _, list := range lists {
		for t := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

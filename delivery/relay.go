package delivery

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxPayload is the length of one notification; PostgreSQL takes less than
	// 8,000 bytes.
	maxPayload = 7900
	// helloPeriod is how often a process says what it wants to know, and
	// peerTime how long that holds.
	helloPeriod = 10 * time.Second
	peerTime    = 3 * helloPeriod
	// maxNamed is how many workspaces a process names that it wants to know of;
	// with more it wants to know of all.
	maxNamed = 100
	// maxUnsent is how many changes of a topic wait to be sent.
	maxUnsent = maxPending
	// sendTime is how long sending may take, sendRetry how long after a failure
	// it is tried again.
	sendTime  = 5 * time.Second
	sendRetry = time.Second
)

// Wire carries texts between the processes of an installation.
type Wire interface {
	// Notify sends texts, of less than 8,000 bytes, to all who listen.
	Notify(ctx context.Context, texts []string) error
	// Listen calls heard with each text that is sent, those of this process
	// too, until ctx is done. It calls lost, before the first too, where texts
	// may have been missed.
	Listen(ctx context.Context, heard func(text string), lost func()) error
}

// What processes say to each other: a word, who says it, and what it is about.
const (
	wordAsk     = "ask"     // who wants to know something?
	wordHello   = "hello"   // I want to know of these workspaces; * is all
	wordBye     = "bye"     // I am gone
	wordChanged = "changed" // kind, workspace, ids
	wordMissed  = "missed"  // kind, workspace: changes that I could not send
)

// relay is what a Hub knows of other processes, and has to tell them. Hub.mu
// guards it.
type relay struct {
	name   string        // of this process; "" while Run does not run
	wake   chan struct{} // say sends, nobody closes, one place
	peers  map[string]neighbour
	unsent map[topic]*unsent
	said   string // the last hello; "": it has to be said again
	asks   bool   // who wants to know something has to be asked
}

// neighbour is another process.
type neighbour struct {
	until      time.Time
	all        bool
	workspaces map[string]bool
}

func (p neighbour) wants(workspaceID string) bool { return p.all || p.workspaces[workspaceID] }

// unsent are changes that other processes have to be told.
type unsent struct {
	ids    []string
	missed bool
}

// say wakes up who sends.
func (r *relay) say() {
	if r.name == "" {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default: // it is awake
	}
}

// add has changes told to others, if any wants to know them.
func (r *relay) add(t topic, ids []string) {
	wanted := false
	for _, p := range r.peers {
		wanted = wanted || p.wants(t.workspaceID)
	}
	if !wanted {
		return
	}
	u := r.unsent[t]
	if u == nil {
		u = &unsent{}
		r.unsent[t] = u
	}
	u.ids = append(u.ids, ids...)
	if len(u.ids) > maxUnsent {
		u.ids, u.missed = nil, true
	}
	r.say()
}

// Run tells other processes, and hears from them, until ctx is done and all
// that read this hub have ended.
func (h *Hub) Run(ctx context.Context) {
	defer h.readers.Wait()
	if h.Wire == nil {
		<-ctx.Done()
		return
	}
	h.mu.Lock()
	h.relay = relay{name: rand.Text(), wake: make(chan struct{}, 1), peers: make(map[string]neighbour), unsent: make(map[topic]*unsent)}
	name, wake := h.relay.name, h.relay.wake
	h.mu.Unlock()
	var parts sync.WaitGroup
	parts.Go(func() { h.listen(ctx) })
	parts.Go(func() { h.send(ctx, wake) })
	parts.Wait()
	h.mu.Lock()
	h.interest.Add(-int64(len(h.relay.peers)))
	h.relay = relay{}
	h.mu.Unlock()
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendRetry)
	defer cancel()
	_ = h.Wire.Notify(bye, []string{wordBye + " " + name}) // others notice by themselves, later
}

// listen hears from other processes.
func (h *Hub) listen(ctx context.Context) {
	for {
		err := h.Wire.Listen(ctx, h.hear, h.lost)
		if ctx.Err() != nil {
			return
		}
		h.warn("other processes are not heard just now", err)
		select {
		case <-time.After(sendRetry):
		case <-ctx.Done():
			return
		}
	}
}

// send tells other processes what changes here, and what is wanted here.
func (h *Hub) send(ctx context.Context, wake <-chan struct{}) {
	tick := time.NewTicker(helloPeriod)
	defer tick.Stop()
	for {
		select {
		case <-wake:
		case <-tick.C:
			h.sayHello() // others may have missed it
		case <-ctx.Done():
			return
		}
		texts := h.outgoing()
		if len(texts) == 0 {
			continue
		}
		sending, cancel := context.WithTimeout(ctx, sendTime)
		err := h.Wire.Notify(sending, texts)
		cancel()
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return
		}
		h.warn("other processes were not told what changed", err)
		h.unsaid(texts)
		select {
		case <-time.After(sendRetry):
		case <-ctx.Done():
		}
	}
}

// sayHello has the next hello said even if nothing has changed.
func (h *Hub) sayHello() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.relay.said = ""
}

// outgoing is what is to be said now.
func (h *Hub) outgoing() (texts []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget(time.Now())
	if h.relay.asks {
		texts = append(texts, wordAsk+" "+h.relay.name)
		h.relay.asks = false
	}
	if hello := h.hello(); hello != h.relay.said {
		texts = append(texts, hello)
		h.relay.said = hello
	}
	for t, u := range h.relay.unsent {
		about := h.relay.name + " " + string(t.kind) + " " + t.workspaceID
		if u.missed {
			texts = append(texts, wordMissed+" "+about)
		}
		texts = appendChanges(texts, wordChanged+" "+about+" ", u.ids)
	}
	clear(h.relay.unsent)
	return texts
}

// appendChanges puts ids into as few texts as they fit in.
func appendChanges(texts []string, head string, ids []string) []string {
	for len(ids) > 0 {
		n := max((maxPayload-len(head))/(len(slices.MaxFunc(ids, byLength))+1), 1)
		n = min(n, len(ids))
		texts = append(texts, head+strings.Join(ids[:n], ","))
		ids = ids[n:]
	}
	return texts
}

func byLength(a, b string) int { return len(a) - len(b) }

// hello says what this process wants to know; for those who hold mu.
func (h *Hub) hello() string {
	workspaces := make(map[string]bool)
	for t := range h.feeds {
		workspaces[t.workspaceID] = true
	}
	names := make([]string, 0, len(workspaces))
	for id := range workspaces {
		names = append(names, id)
	}
	slices.Sort(names)
	if len(names) > maxNamed {
		names = []string{"*"}
	}
	return wordHello + " " + h.relay.name + " " + strings.Join(names, ",")
}

// forget drops the processes that have not been heard for a while; for those
// who hold mu.
func (h *Hub) forget(now time.Time) {
	for name, p := range h.relay.peers {
		if now.After(p.until) {
			delete(h.relay.peers, name)
			h.interest.Add(-1)
		}
	}
}

// unsaid notes that texts were not sent.
func (h *Hub) unsaid(texts []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.relay.said, h.relay.asks = "", true
	for _, text := range texts {
		if word, _, about := parse(text); word == wordChanged || word == wordMissed {
			h.relay.unsent[about] = &unsent{missed: true}
		}
	}
	h.relay.say()
}

// parse takes a text apart, but for what follows the topic.
func parse(text string) (word, name string, about topic) {
	parts := append(strings.SplitN(text, " ", 5), "", "", "", "")
	return parts[0], parts[1], topic{parts[3], ChangeKind(parts[2])}
}

// hear takes in what a process says.
func (h *Hub) hear(text string) {
	word, name, about := parse(text)
	h.mu.Lock()
	defer h.mu.Unlock()
	if name == "" || name == h.relay.name || h.relay.name == "" {
		return
	}
	switch word {
	case wordAsk:
		h.relay.said = ""
		h.relay.say()
	case wordHello:
		h.meet(name, string(about.kind))
	case wordBye:
		if _, known := h.relay.peers[name]; known {
			delete(h.relay.peers, name)
			h.interest.Add(-1)
		}
	case wordChanged:
		if i := strings.LastIndexByte(text, ' '); i >= 0 {
			h.tell(about, strings.Split(text[i+1:], ","))
		}
	case wordMissed:
		h.fail(func(t topic) bool { return t == about })
	}
}

// meet notes what another process wants to know; for those who hold mu.
func (h *Hub) meet(name, wants string) {
	p := neighbour{until: time.Now().Add(peerTime), all: wants == "*", workspaces: make(map[string]bool)}
	if wants != "" {
		for id := range strings.SplitSeq(wants, ",") {
			p.workspaces[id] = true
		}
	}
	if _, known := h.relay.peers[name]; !known {
		h.interest.Add(1)
	}
	h.relay.peers[name] = p
}

// lost is called when this process begins to hear others, or does again: where
// there are others, what they said meanwhile is not known.
func (h *Hub) lost() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.relay.peers) > 0 {
		h.fail(func(topic) bool { return true })
	}
	h.relay.said, h.relay.asks = "", true
	h.relay.say()
}

// fail ends the feeds of some topics; for those who hold mu.
func (h *Hub) fail(of func(topic) bool) {
	for t, feeds := range h.feeds {
		if !of(t) {
			continue
		}
		for f := range feeds {
			f.fail(ErrMissed)
		}
	}
}

func (h *Hub) warn(what string, err error) {
	if h.Log != nil && err != nil && !errors.Is(err, context.Canceled) {
		h.Log.Warn(what, "error", err)
	}
}

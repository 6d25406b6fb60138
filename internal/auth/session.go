package auth

import (
	"context"
	"sync"
	"time"

	"github.com/hookql/hookql/internal/graphqlhttp"
)

const (
	// lookEvery is how often it is looked whether the keys of sessions still
	// open, with one statement for all of them.
	lookEvery = time.Second
	lookTime  = 5 * time.Second
)

// sessions are the connections that stay open, by what they live by.
type sessions struct {
	mu   sync.Mutex
	open map[session]*sessionEnd // guarded by mu
}

// session is a key in a workspace. The key is "" for the operator's of the
// configuration, which lasts as long as the process.
type session struct{ keyID, workspaceID string }

// sessionEnd ends all connections of a session.
type sessionEnd struct {
	connections int
	over        chan struct{} // closed by look, nobody sends
}

func newSessions() *sessions { return &sessions{open: make(map[session]*sessionEnd)} }

// Session is what a connection of a context's caller lives by, which must be
// ended. It is over within about a second of the key's end while RunSessions
// runs.
func (a *Authenticator) Session(ctx context.Context) graphqlhttp.Session {
	c := CallerOf(ctx)
	s := session{workspaceID: c.WorkspaceID}
	if c.Key != nil {
		s.keyID = c.Key.ID
	}
	a.sessions.mu.Lock()
	defer a.sessions.mu.Unlock()
	end := a.sessions.open[s]
	if end == nil {
		end = &sessionEnd{over: make(chan struct{})}
		a.sessions.open[s] = end
	}
	end.connections++
	return graphqlhttp.Session{
		Key:  s.keyID + " " + s.workspaceID,
		Over: end.over,
		End:  sync.OnceFunc(func() { a.sessions.leave(s, end) }),
	}
}

func (l *sessions) leave(s session, end *sessionEnd) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if end.connections--; end.connections == 0 && l.open[s] == end {
		delete(l.open, s)
	}
}

// RunSessions ends the sessions whose keys open no more, or whose workspaces
// are gone, until ctx is done.
func (a *Authenticator) RunSessions(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for failed := false; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		err := a.look(ctx)
		if err != nil && !failed && ctx.Err() == nil {
			a.Log.WarnContext(ctx, "it could not be looked up whether the keys of open connections still open; it is tried again each second", "error", err)
		}
		failed = err != nil
	}
}

// look ends the sessions that are over.
func (a *Authenticator) look(ctx context.Context) error {
	keyIDs, workspaceIDs := a.sessions.ids()
	if len(workspaceIDs) == 0 {
		return nil
	}
	for _, id := range keyIDs {
		a.used.note(id, time.Now())
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	ids, err := a.store.StillOpen(ctx, keyIDs, workspaceIDs)
	if err != nil {
		return err
	}
	a.sessions.keep(keyIDs, workspaceIDs, ids)
	return nil
}

// ids are those of all keys and workspaces that sessions live by.
func (l *sessions) ids() (keyIDs, workspaceIDs []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.open {
		if s.keyID != "" {
			keyIDs = append(keyIDs, s.keyID)
		}
		workspaceIDs = append(workspaceIDs, s.workspaceID)
	}
	return keyIDs, workspaceIDs
}

// keep ends the sessions of the keys and workspaces that were asked for and not
// found. Others may have begun meanwhile.
func (l *sessions) keep(keyIDs, workspaceIDs, found []string) {
	gone := make(map[string]bool)
	for _, id := range append(keyIDs, workspaceIDs...) {
		gone[id] = true
	}
	for _, id := range found {
		delete(gone, id)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for s, end := range l.open {
		if gone[s.keyID] || gone[s.workspaceID] {
			close(end.over)
			delete(l.open, s)
		}
	}
}

package resolvers

import (
	"context"
	"sync"

	"github.com/hookql/hookql/internal/webhook"
)

// loaders read what the items of a list lead to with one statement for the
// whole list. Whoever reads objects together says so (together); the first of
// them that is asked where it leads asks for all, since GraphQL selects the
// same fields of each. So there is no timer, and the number of statements
// depends on the document alone.
//
// They remember what they read, so they live for one query, or for one field
// of a mutation, whose next field must see what this one changed.
type loaders struct {
	*Resolver
	workspaceID string
	catalogue   func() ([]*webhook.EventType, error)

	mu     sync.Mutex
	groups map[string]*group // by the id of each member
}

// group is a set of objects that were read together.
type group struct {
	ids []string

	mu   sync.Mutex
	read map[any]func() (any, error) // by what was read of the members
}

func (r *Resolver) newLoaders(ctx context.Context, workspaceID string) *loaders {
	return &loaders{
		Resolver:    r,
		workspaceID: workspaceID,
		catalogue: sync.OnceValues(func() ([]*webhook.EventType, error) {
			return r.DB.EventTypes(ctx)
		}),
		groups: make(map[string]*group),
	}
}

// together makes a group of the objects with the given ids. One that is in a
// group already stays there.
func (l *loaders) together(ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := &group{read: make(map[any]func() (any, error))}
	for _, id := range ids {
		if l.groups[id] == nil {
			l.groups[id] = g
			g.ids = append(g.ids, id)
		}
	}
}

// groupOf is the group of an object; one that was read alone is its own.
func (l *loaders) groupOf(id string) *group {
	l.together([]string{id})
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.groups[id]
}

// load answers for one object from what is read for its whole group at once,
// under a key that tells what. The zero value means that nothing was found.
func load[V any](l *loaders, id string, what any, read func(ids []string) (map[string]V, error)) (V, error) {
	g := l.groupOf(id)
	g.mu.Lock()
	once := g.read[what]
	if once == nil {
		once = sync.OnceValues(func() (any, error) { return read(g.ids) })
		g.read[what] = once
	}
	g.mu.Unlock()
	found, err := once()
	if err != nil {
		var none V
		return none, err
	}
	return found.(map[string]V)[id], nil
}

// What is read of a group.
type (
	webhookItself struct{}
	testRunPage   struct{ page webhook.Page }
	testRunCount  struct{}
	testResults   struct{}
)

func (l *loaders) webhook(ctx context.Context, id string) (*webhook.Webhook, error) {
	return load(l, id, webhookItself{}, func(ids []string) (map[string]*webhook.Webhook, error) {
		found, err := l.DB.WebhooksByID(ctx, l.workspaceID, ids)
		byID := make(map[string]*webhook.Webhook, len(found))
		for _, w := range found {
			byID[w.ID] = w
		}
		return byID, err
	})
}

func (l *loaders) testRuns(ctx context.Context, webhookID string, p webhook.Page) (webhook.Slice[*webhook.TestRun], error) {
	return load(l, webhookID, testRunPage{p}, func(ids []string) (map[string]webhook.Slice[*webhook.TestRun], error) {
		pages, err := l.DB.TestRuns(ctx, l.workspaceID, ids, p)
		var runs []string
		for _, page := range pages {
			for _, run := range page.Items {
				runs = append(runs, run.ID)
			}
		}
		l.together(runs)
		return pages, err
	})
}

func (l *loaders) testRunCount(ctx context.Context, webhookID string) (int, error) {
	return load(l, webhookID, testRunCount{}, func(ids []string) (map[string]int, error) {
		return l.DB.CountTestRuns(ctx, l.workspaceID, ids)
	})
}

func (l *loaders) testResults(ctx context.Context, runID string) ([]*webhook.TestResult, error) {
	return load(l, runID, testResults{}, func(ids []string) (map[string][]*webhook.TestResult, error) {
		return l.DB.TestResults(ctx, l.workspaceID, ids)
	})
}

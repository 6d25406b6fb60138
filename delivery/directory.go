package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// Webhooks reads and suspends webhooks. db.DB does, and says what each method does.
type Webhooks interface {
	AllWebhooks(ctx context.Context, workspaceID string) (version int64, all []*webhook.Webhook, err error)
	WebhooksVersions(ctx context.Context, workspaceIDs []string) (map[string]int64, error)
	Suspend(ctx context.Context, workspaceID string, s webhook.Suspension) (done, stale bool, err error)
}

// keepUnused is how long the webhooks of a workspace are kept that nothing is
// published in.
const keepUnused = 10 * time.Minute

// directory keeps the webhooks of the workspaces that events are published in.
// What it says can be old by refreshPeriod, which matters to what is sent;
// what is published is matched again where it was old (see Queue.Ingest).
type directory struct {
	store Webhooks

	mu      sync.Mutex
	rosters map[string]*roster // by the workspace's id
}

// roster is the webhooks of a workspace at a version.
type roster struct {
	version int64
	closed  bool // there is no such workspace any more
	byID    map[string]*webhook.Webhook
	// wanting are the active webhooks that subscribe to an event type, by its
	// name, for the names that were asked for.
	wanting map[string][]*webhook.Webhook
	// missing are webhooks that were looked for here and that there are none of.
	missing map[string]bool
	used    time.Time
}

// roster returns a workspace's webhooks.
func (d *directory) roster(ctx context.Context, workspaceID string) (*roster, error) {
	d.mu.Lock()
	r := d.rosters[workspaceID]
	if r != nil {
		r.used = time.Now()
	}
	d.mu.Unlock()
	if r != nil {
		return r, nil
	}
	return d.load(ctx, workspaceID)
}

func (d *directory) load(ctx context.Context, workspaceID string) (*roster, error) {
	version, all, err := d.store.AllWebhooks(ctx, workspaceID)
	if err != nil && !errors.Is(err, webhook.NotFound) {
		return nil, err
	}
	r := &roster{version: version, closed: err != nil, byID: make(map[string]*webhook.Webhook, len(all)), wanting: make(map[string][]*webhook.Webhook), missing: make(map[string]bool), used: time.Now()}
	for _, w := range all {
		r.byID[w.ID] = w
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rosters == nil {
		d.rosters = make(map[string]*roster)
	}
	if newer := d.rosters[workspaceID]; newer != nil && newer.version > version && !r.closed {
		return newer, nil // somebody else read later, and was done earlier
	}
	d.rosters[workspaceID] = r
	return r, nil
}

// wants are the webhooks that are to get an event.
func (d *directory) wants(r *roster, e *webhook.Event) (list []*webhook.Webhook) {
	d.mu.Lock()
	defer d.mu.Unlock()
	named, known := r.wanting[e.Name]
	if !known {
		for _, id := range slices.Sorted(maps.Keys(r.byID)) {
			if w := r.byID[id]; w.Status() == webhook.StatusActive && w.Subscribes(e.Name) {
				named = append(named, w)
			}
		}
		r.wanting[e.Name] = named
	}
	for _, w := range named {
		if w.Concerns(e.ResourceID) {
			list = append(list, w)
		}
	}
	return list
}

// refresh reads again what has changed since it was read.
func (d *directory) refresh(ctx context.Context) error {
	versions, err := d.store.WebhooksVersions(ctx, d.known())
	if err != nil {
		return err
	}
	for id, version := range versions {
		if d.isAt(id, version) {
			continue
		}
		if _, loadErr := d.load(ctx, id); loadErr != nil {
			err = fmt.Errorf("the webhooks of %s: %w", id, loadErr) // the others are read all the same
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, r := range d.rosters {
		if _, there := versions[id]; !there || time.Since(r.used) > keepUnused {
			delete(d.rosters, id)
		}
	}
	return err
}

// known are the workspaces whose webhooks are kept.
func (d *directory) known() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.rosters))
}

func (d *directory) isAt(workspaceID string, version int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.rosters[workspaceID]
	return r == nil || r.version == version
}

// webhook finds a webhook that there was when something was owed to it; nil
// where it is deleted. What is kept may be older than the webhook, so one that
// is not there is looked for once more.
func (d *directory) webhook(ctx context.Context, workspaceID, id string) (*webhook.Webhook, error) {
	r, err := d.roster(ctx, workspaceID)
	if err != nil {
		return nil, err
	}
	if w := r.byID[id]; w != nil || d.isMissing(r, id) {
		return w, nil
	}
	if r, err = d.load(ctx, workspaceID); err != nil {
		return nil, err
	}
	w := r.byID[id]
	if w == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		r.missing[id] = true
	}
	return w, nil
}

func (d *directory) isMissing(r *roster, id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return r.missing[id]
}

// cached is webhook of what is kept; nil too where nothing is.
func (d *directory) cached(workspaceID, id string) *webhook.Webhook {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.rosters[workspaceID]; r != nil {
		return r.byID[id]
	}
	return nil
}

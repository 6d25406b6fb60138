package auth

import (
	"context"
	"errors"
	"sync"
	"time"
)

// keepEvery is how often it is written down which keys were used.
const keepEvery = time.Minute

// usage gathers which keys were used, so that a request writes nothing.
type usage struct {
	mu   sync.Mutex
	used map[string]time.Time // by the key's id; guarded by mu
}

func newUsage() *usage { return &usage{used: make(map[string]time.Time)} }

func (u *usage) note(id string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.used[id] = at
}

// take returns what was gathered since it was called last.
func (u *usage) take() map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	used := u.used
	u.used = make(map[string]time.Time)
	return used
}

// Run writes down once a minute, and when ctx ends, which keys were used.
func (a *Authenticator) Run(ctx context.Context) error {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := a.keepUsage(ctx); err != nil {
				a.Log.ErrorContext(ctx, "it could not be written down when keys were used", "error", err)
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			if err := a.keepUsage(last); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				a.Log.ErrorContext(ctx, "it could not be written down when keys were used", "error", err)
			}
			return nil
		}
	}
}

func (a *Authenticator) keepUsage(ctx context.Context) error {
	used := a.used.take()
	if len(used) == 0 {
		return nil
	}
	return a.store.TouchAPIKeys(ctx, used)
}

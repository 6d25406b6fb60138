package auth

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// memory is how long what was found is taken for true, so that a key that
	// was revoked in another process opens no longer than that.
	memory = time.Second
	// maxRemembered bounds what is remembered, whoever asks.
	maxRemembered = 10_000
)

// remembered spares the database the question that was just asked. What was
// not found is not remembered.
type remembered[K comparable, V any] struct {
	lookUp func(context.Context, K) (V, error)

	mu    sync.Mutex
	found *simplelru.LRU[K, finding[V]] // guarded by mu
}

type finding[V any] struct {
	value V
	at    time.Time
}

func newRemembered[K comparable, V any](lookUp func(context.Context, K) (V, error)) *remembered[K, V] {
	found, _ := simplelru.NewLRU[K, finding[V]](maxRemembered, nil) // the size is positive
	return &remembered[K, V]{lookUp: lookUp, found: found}
}

func (r *remembered[K, V]) find(ctx context.Context, key K) (V, error) {
	asked := time.Now()
	r.mu.Lock()
	f, ok := r.found.Get(key)
	r.mu.Unlock()
	if ok && asked.Sub(f.at) < memory {
		return f.value, nil
	}
	value, err := r.lookUp(ctx, key)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.found.Remove(key)
		return value, err
	}
	r.found.Add(key, finding[V]{value, asked})
	return value, nil
}

// has says whether a key was found not long ago, even if it has to be asked
// for again by now.
func (r *remembered[K, V]) has(key K) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.found.Contains(key)
}

// Package bounded keeps what was made, so that it need not be made again,
// within a number of bytes. A cache that counts entries leaves their sizes to
// whoever asks for them.
package bounded

import (
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Cache forgets what was used the longest time ago. The zero Cache is ready,
// and safe for concurrent use.
type Cache[K comparable, V any] struct {
	mu      sync.Mutex
	size    int                         // guarded by mu
	entries *simplelru.LRU[K, entry[V]] // guarded by mu; nil until the first is added
}

type entry[V any] struct {
	value V
	size  int
}

// Get is what was added under a key.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		return value, false
	}
	e, ok := c.entries.Get(key)
	return e.value, ok
}

// Add keeps a value of a size, unless there is one under the key already, and
// forgets others until all take at most limit bytes. A value that takes more
// than a sixteenth of that is not kept.
func (c *Cache[K, V]) Add(key K, value V, size, limit int) {
	if size > limit/16 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		// It cannot fail: the number of entries is positive.
		c.entries, _ = simplelru.NewLRU(math.MaxInt32, func(_ K, e entry[V]) { c.size -= e.size })
	}
	if c.entries.Contains(key) { // another request was faster
		return
	}
	for c.size+size > limit {
		c.entries.RemoveOldest()
	}
	c.entries.Add(key, entry[V]{value, size})
	c.size += size
}

// Size is how many bytes the values take.
func (c *Cache[K, V]) Size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

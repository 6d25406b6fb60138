package payload

import (
	"crypto/sha256"
	"encoding/json"
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// cacheSize is how many bytes of schemas, as they are written, a Cache holds;
// compiled they take about fifty times that, and more where patterns are large.
const cacheSize = 1 << 20

// Cache keeps compiled schemas, so that each version of an event type is
// compiled once while it is in use. It forgets what was used the longest time
// ago. The zero Cache is ready, and safe for concurrent use.
type Cache struct {
	mu      sync.Mutex
	size    int                                     // guarded by mu
	schemas *simplelru.LRU[[sha256.Size]byte, kept] // guarded by mu
}

type kept struct {
	schema *Schema
	size   int
}

// Compile is Compile for a schema that may have been compiled before.
func (c *Cache) Compile(text json.RawMessage) (*Schema, error) {
	key := sha256.Sum256(text)
	if s := c.get(key); s != nil {
		return s, nil
	}
	s, err := Compile(text)
	if err == nil {
		c.add(key, kept{s, len(text)})
	}
	return s, err
}

func (c *Cache) get(key [sha256.Size]byte) *Schema {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.schemas == nil {
		return nil
	}
	found, _ := c.schemas.Get(key)
	return found.schema
}

func (c *Cache) add(key [sha256.Size]byte, k kept) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.schemas == nil {
		// It cannot fail: the number of entries is positive.
		c.schemas, _ = simplelru.NewLRU(math.MaxInt32, func(_ [sha256.Size]byte, k kept) { c.size -= k.size })
	}
	if k.size > cacheSize/16 || c.schemas.Contains(key) { // too large, or another request was faster
		return
	}
	for c.size+k.size > cacheSize {
		c.schemas.RemoveOldest()
	}
	c.schemas.Add(key, k)
	c.size += k.size
}

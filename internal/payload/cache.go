package payload

import (
	"crypto/sha256"
	"encoding/json"

	"github.com/hookql/hookql/internal/bounded"
)

// cacheSize is how many bytes of schemas, as they are written, a Cache holds;
// compiled they take about fifty times that, and more where patterns are large.
const cacheSize = 1 << 20

// Cache keeps compiled schemas, so that each version of an event type is
// compiled once while it is in use. The zero Cache is ready, and safe for
// concurrent use.
type Cache struct {
	schemas bounded.Cache[[sha256.Size]byte, *Schema]
}

// Compile is Compile for a schema that may have been compiled before.
func (c *Cache) Compile(text json.RawMessage) (*Schema, error) {
	key := sha256.Sum256(text)
	if s, ok := c.schemas.Get(key); ok {
		return s, nil
	}
	s, err := Compile(text)
	if err == nil {
		c.schemas.Add(key, s, len(text), cacheSize)
	}
	return s, err
}

// Package querycache keeps parsed and validated documents, so that a document
// that comes again costs neither. It is bounded by bytes: gqlgen's own cache
// counts entries, whose sizes a stranger chooses.
package querycache

import (
	"context"
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"
)

// tokenSize is what one token of a document takes in memory once parsed, at
// most: 226 bytes were measured for a field without arguments, and less for
// everything else (TestTokenSize).
const tokenSize = 256

// Cache is a graphql.Cache that forgets what was used the longest time ago. It
// is safe for concurrent use.
type Cache struct {
	limit int // bytes

	mu   sync.Mutex
	size int                            // guarded by mu
	docs *simplelru.LRU[string, parsed] // guarded by mu
}

type parsed struct {
	doc  *ast.QueryDocument
	size int
}

// New returns a Cache that holds at most limit bytes.
func New(limit int) *Cache {
	c := &Cache{limit: limit}
	// It cannot fail: the number of entries is positive.
	c.docs, _ = simplelru.NewLRU(math.MaxInt32, func(_ string, p parsed) { c.size -= p.size })
	return c
}

// Get implements graphql.Cache.
func (c *Cache) Get(_ context.Context, text string) (*ast.QueryDocument, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.docs.Get(text)
	return p.doc, ok
}

// Add implements graphql.Cache. A document that would take more than a
// sixteenth of the cache is not kept.
func (c *Cache) Add(_ context.Context, text string, doc *ast.QueryDocument) {
	size := weigh(text)
	if size > c.limit/16 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.docs.Contains(text) { // another request was faster
		return
	}
	for c.size+size > c.limit {
		c.docs.RemoveOldest()
	}
	c.docs.Add(text, parsed{doc, size})
	c.size += size
}

// weigh is the memory that a document takes with its text, at most.
func weigh(text string) int {
	size := len(text)
	for l := lexer.New(&ast.Source{Input: text}); ; size += tokenSize {
		token, err := l.ReadToken()
		if err != nil || token.Kind == lexer.EOF {
			return size
		}
	}
}

// Package querycache keeps parsed and validated documents, so that a document
// that comes again costs neither. It is bounded by bytes: gqlgen's own cache
// counts entries, whose sizes a stranger chooses.
package querycache

import (
	"context"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"

	"github.com/hookql/hookql/internal/bounded"
)

// tokenSize is what one token of a document takes in memory once parsed, at
// most: 226 bytes were measured for a field without arguments, and less for
// everything else (TestTokenSize).
const tokenSize = 256

// Cache is a graphql.Cache that is safe for concurrent use.
type Cache struct {
	limit int // bytes
	docs  bounded.Cache[string, *ast.QueryDocument]
}

// New returns a Cache that holds at most limit bytes.
func New(limit int) *Cache { return &Cache{limit: limit} }

// Get implements graphql.Cache.
func (c *Cache) Get(_ context.Context, text string) (*ast.QueryDocument, bool) {
	return c.docs.Get(text)
}

// Add implements graphql.Cache.
func (c *Cache) Add(_ context.Context, text string, doc *ast.QueryDocument) {
	c.docs.Add(text, doc, weigh(text), c.limit)
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

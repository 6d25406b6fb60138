package querycache

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

func TestGetAndAdd(t *testing.T) {
	t.Parallel()
	c := New(1 << 20)
	if _, ok := c.Get(t.Context(), "{a}"); ok {
		t.Error("an empty cache holds something")
	}
	first, second := &ast.QueryDocument{}, &ast.QueryDocument{}
	c.Add(t.Context(), "{a}", first)
	c.Add(t.Context(), "{a}", second)
	if got, ok := c.Get(t.Context(), "{a}"); !ok || got != first {
		t.Error("the first document of two with one text is not kept")
	}
	if c.docs.Size() != weigh("{a}") {
		t.Errorf("one document weighs %d, want %d", c.docs.Size(), weigh("{a}"))
	}
}

// Documents that are all different are what a stranger sends to fill a memory.
func TestSizeIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	c := New(limit)
	document := func(n int) string { return fmt.Sprintf("{ a%d %s}", n, strings.Repeat("id ", n%200)) }
	var senders sync.WaitGroup
	for sender := range 4 {
		senders.Go(func() {
			for n := range 5_000 {
				text := document(n + sender*2_500) // half of them are another's too
				if _, ok := c.Get(t.Context(), text); !ok {
					c.Add(t.Context(), text, &ast.QueryDocument{})
				}
			}
		})
	}
	senders.Wait()
	sum := 0
	for n := range 5_000 + 3*2_500 {
		if _, ok := c.Get(t.Context(), document(n)); ok {
			sum += weigh(document(n))
		}
	}
	size := c.docs.Size()
	if size != sum || sum > limit || sum < limit*9/10 {
		t.Errorf("%d bytes are held and %d are counted, want the same, close to %d", sum, size, limit)
	}
	c.Add(t.Context(), "{ newest }", &ast.QueryDocument{})
	if _, ok := c.Get(t.Context(), "{ newest }"); !ok {
		t.Error("the newest document is not kept")
	}
}

func TestLargeDocumentsAreNotKept(t *testing.T) {
	t.Parallel()
	c := New(1 << 20)
	large := `{ a(b: "` + strings.Repeat("x", 1<<17) + `") }` // few tokens, many bytes
	c.Add(t.Context(), large, &ast.QueryDocument{})
	if _, ok := c.Get(t.Context(), large); ok || c.docs.Size() != 0 {
		t.Error("a document of an eighth of the cache is kept")
	}
}

// TestTokenSize parses the documents with the most memory per token that pass
// validation, and holds them against what they are taken for.
func TestTokenSize(t *testing.T) {
	text, err := os.ReadFile("../../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	schema := gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphqls", Input: string(text)})
	for name, document := range map[string]string{
		"fields":    "{ eventTypes {" + strings.Repeat("id ", 900) + "} }",
		"aliases":   "{ eventTypes {" + strings.Repeat("a:id ", 330) + "} }",
		"fragments": "{ eventTypes {" + strings.Repeat("...{id}", 240) + "} }",
		"arguments": "{" + strings.Repeat(`webhook(id:"a"){id}`, 110) + "}",
	} {
		const copies = 5
		docs := make([]*ast.QueryDocument, copies)
		before := heap()
		for i := range docs {
			var mistakes error
			docs[i], mistakes = gqlparser.LoadQueryWithRules(schema, strings.Clone(document), nil)
			if docs[i] == nil {
				t.Fatalf("%s: %v", name, mistakes)
			}
		}
		each := int(heap()-before) / copies
		if most := weigh(document); each > most || each < most/5 {
			t.Errorf("%s: %d bytes of memory are taken for %d", name, each, most)
		}
		runtime.KeepAlive(docs)
	}
}

// TestDistinctDocuments is BenchmarkDistinctDocuments with fewer documents.
func TestDistinctDocuments(t *testing.T) {
	sendDistinct(t, 2_000)
}

// BenchmarkDistinctDocuments keeps 100,000 documents of 3 kB, all different and
// each as it was parsed, and reports how much memory the cache takes once it is
// full, and in the end.
func BenchmarkDistinctDocuments(b *testing.B) {
	for b.Loop() {
		full, end := sendDistinct(b, 100_000)
		b.ReportMetric(float64(full)/(1<<20), "full-MiB")
		b.ReportMetric(float64(end)/(1<<20), "end-MiB")
	}
}

// sendDistinct fills a cache with documents that are all different, and fails
// where it grows beyond its limit. It returns how much memory it takes once it
// is full and has forgotten some, and after all n documents.
func sendDistinct(t testing.TB, n int) (full, end int64) {
	t.Helper()
	const limit, early = 16 << 20, 500
	c := New(limit)
	empty := heap()
	for i := range n {
		if i == early {
			full = int64(heap() - empty)
		}
		text := fmt.Sprintf("query a%d { eventTypes { %s} }", i, strings.Repeat("name title category description ", 93))
		doc, err := parser.ParseQuery(&ast.Source{Input: text}) // what validation adds is not its own
		if err != nil {
			t.Fatal(err)
		}
		c.Add(t.Context(), text, doc)
		if size := c.docs.Size(); size > limit {
			t.Fatalf("after %d documents %d bytes are counted, at most %d are to be", i+1, size, limit)
		}
	}
	end = int64(heap() - empty)
	if size := c.docs.Size(); size < limit*9/10 {
		t.Errorf("%d bytes are counted, so the cache was never full", size)
	}
	if end > full*11/10 || end > limit {
		t.Errorf("the cache took %d bytes when it was full, and takes %d after %d documents, at most %d are to be", full, end, n, limit)
	}
	runtime.KeepAlive(c)
	return full, end
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Package graphiql serves GraphiQL, the in-browser editor for the API, from
// files inside the binary: it works without the internet and its page may not
// reach beyond its own origin. The files are built from the ui folder.
package graphiql

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed all:dist
var dist embed.FS

// prefix is where the page expects to live; vite.config.js has it as base.
const prefix = "/graphiql/"

// policy is the page's Content-Security-Policy. Styles are inline because
// Monaco, the text editor, writes them at run time; so are its data: images.
const policy = "default-src 'none'; " +
	"script-src 'self'; " +
	"worker-src 'self'; " +
	"style-src 'self' 'unsafe-inline'; " +
	"font-src 'self'; " +
	"img-src 'self' data:; " +
	"connect-src 'self'; " +
	"base-uri 'none'; " +
	"form-action 'none'; " +
	"frame-ancestors 'none'"

// Handler serves the page at /graphiql/ and redirects /graphiql there; mount
// it at both. The page sends its operations to /graphql on the same origin.
func Handler() http.Handler {
	files := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")

		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "This is a page to open in a browser. The API is at /graphql.", http.StatusMethodNotAllowed)
			return
		}
		name, ok := strings.CutPrefix(r.URL.Path, prefix)
		if !ok {
			http.Redirect(w, r, prefix, http.StatusPermanentRedirect)
			return
		}
		if name == "" {
			name = "index.html"
		}
		f, ok := files[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		f.serve(w, r)
	})
}

// file is one embedded file, ready to be served.
type file struct {
	contentType string
	etag        string
	body        []byte
	gzipped     func() []byte // compresses at the first call, then remembers
}

// load reads every embedded file, by its path below prefix.
func load() map[string]*file {
	entries, err := dist.ReadDir("dist")
	if err != nil {
		panic(err) // the compiler has checked that dist is there
	}
	files := make(map[string]*file, len(entries))
	for _, e := range entries {
		body, err := dist.ReadFile("dist/" + e.Name())
		if err != nil {
			panic(err) // vite.config.js builds no folders
		}
		files[e.Name()] = &file{
			contentType: contentType(e.Name()),
			etag:        fmt.Sprintf("%x", sha256.Sum256(body))[:32],
			body:        body,
			gzipped:     sync.OnceValue(func() []byte { return compress(body) }),
		}
	}
	return files
}

// serve answers GET and HEAD. File names stay the same from one version to the
// next, so a browser must ask each time; usually the answer is 304.
func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Type", f.contentType)
	h.Set("Vary", "Accept-Encoding")

	body, etag := f.body, f.etag
	if acceptsGzip(r.Header) {
		body, etag = f.gzipped(), f.etag+"-gzip"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(body) // a bytes.Buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

// acceptsGzip tells whether Accept-Encoding names gzip without ruling it out
// by q=0.
func acceptsGzip(h http.Header) bool {
	for _, offer := range strings.Split(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		coding, weight, weighted := strings.Cut(offer, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
		return !weighted || err == nil && q > 0
	}
	return false
}

// contentType does not ask the operating system's table, as mime does.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".md":
		return "text/markdown; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".ttf":
		return "font/ttf"
	case ".woff2":
		return "font/woff2"
	}
	return "application/octet-stream"
}

package graphiql_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hookql/hookql/internal/graphiql"
)

func get(t *testing.T, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	graphiql.Handler().ServeHTTP(w, r)
	return w.Result()
}

func read(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHandler(t *testing.T) {
	t.Parallel()
	tests := []struct {
		method, target string
		status         int
		contentType    string
		location       string
	}{
		{"GET", "/graphiql", 308, "text/html; charset=utf-8", "/graphiql/"},
		{"GET", "/graphiql/", 200, "text/html; charset=utf-8", ""},
		{"HEAD", "/graphiql/", 200, "text/html; charset=utf-8", ""},
		{"GET", "/graphiql/index.html", 200, "text/html; charset=utf-8", ""},
		{"GET", "/graphiql/index.js", 200, "text/javascript; charset=utf-8", ""},
		{"GET", "/graphiql/json.worker.js", 200, "text/javascript; charset=utf-8", ""},
		{"GET", "/graphiql/index.css", 200, "text/css; charset=utf-8", ""},
		{"GET", "/graphiql/codicon.ttf", 200, "font/ttf", ""},
		{"GET", "/graphiql/favicon.svg", 200, "image/svg+xml", ""},
		{"GET", "/graphiql/licenses.md", 200, "text/markdown; charset=utf-8", ""},
		{"GET", "/graphiql/absent.js", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/graphiql/../graphiql.go", 404, "text/plain; charset=utf-8", ""},
		{"POST", "/graphiql/", 405, "text/plain; charset=utf-8", ""},
		{"OPTIONS", "/graphiql", 405, "text/plain; charset=utf-8", ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.target, func(t *testing.T) {
			t.Parallel()
			res := get(t, tt.method, tt.target)
			if res.StatusCode != tt.status {
				t.Errorf("status = %d, want %d", res.StatusCode, tt.status)
			}
			want := map[string]string{
				"Content-Type":               tt.contentType,
				"Location":                   tt.location,
				"Cross-Origin-Opener-Policy": "same-origin",
				"Referrer-Policy":            "no-referrer",
				"X-Content-Type-Options":     "nosniff",
				"X-Frame-Options":            "DENY",
			}
			switch tt.status {
			case http.StatusOK:
				want["Cache-Control"] = "no-cache"
				want["Vary"] = "Accept-Encoding"
			case http.StatusMethodNotAllowed:
				want["Allow"] = "GET, HEAD"
			}
			for name, value := range want {
				if got := res.Header.Get(name); got != value {
					t.Errorf("%s = %q, want %q", name, got, value)
				}
			}
			csp := res.Header.Get("Content-Security-Policy")
			if !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; ") {
				t.Errorf("Content-Security-Policy = %q", csp)
			}
			if body := read(t, res.Body); (body == "") != (tt.method == "HEAD") {
				t.Errorf("body has %d bytes", len(body))
			}
		})
	}
}

func TestEncoding(t *testing.T) {
	t.Parallel()
	plain := read(t, get(t, "GET", "/graphiql/index.css").Body)
	for accept, want := range map[string]string{
		"":                      "",
		"br":                    "",
		"identity":              "",
		"gzip;q=0":              "",
		"br, gzip; q=0.000":     "",
		"gzip;q=x":              "",
		"gzip":                  "gzip",
		"GZIP":                  "gzip",
		"gzip, deflate, br":     "gzip",
		"br;q=1.0, gzip ;q=0.5": "gzip",
	} {
		res := get(t, "GET", "/graphiql/index.css", "Accept-Encoding", accept)
		if got := res.Header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q: Content-Encoding = %q, want %q", accept, got, want)
			continue
		}
		body := io.Reader(res.Body)
		if want == "gzip" {
			z, err := gzip.NewReader(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		if read(t, body) != plain {
			t.Errorf("Accept-Encoding %q: another body than without it", accept)
		}
	}
}

func TestRevalidation(t *testing.T) {
	t.Parallel()
	etags := make(map[string]string)
	for _, encoding := range []string{"", "gzip"} {
		etags[encoding] = get(t, "GET", "/graphiql/index.js", "Accept-Encoding", encoding).Header.Get("ETag")
	}
	if etags[""] == etags["gzip"] {
		t.Errorf("plain and gzip share the ETag %s", etags[""])
	}
	for _, tt := range []struct {
		encoding, ifNoneMatch string
		status                int
	}{
		{"", etags[""], 304},
		{"", etags["gzip"], 200},
		{"gzip", etags["gzip"], 304},
		{"gzip", `"old", ` + etags["gzip"], 304},
		{"gzip", `"old"`, 200},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			res := get(t, method, "/graphiql/index.js", "Accept-Encoding", tt.encoding, "If-None-Match", tt.ifNoneMatch)
			if res.StatusCode != tt.status {
				t.Errorf("%s, encoding %q, If-None-Match %s: status = %d, want %d",
					method, tt.encoding, tt.ifNoneMatch, res.StatusCode, tt.status)
			}
			if got := res.Header.Get("ETag"); got != etags[tt.encoding] {
				t.Errorf("%s, encoding %q: ETag = %s, want %s", method, tt.encoding, got, etags[tt.encoding])
			}
			if body := read(t, res.Body); tt.status == 304 && body != "" {
				t.Errorf("%s: 304 with a body of %d bytes", method, len(body))
			}
		}
	}
}

// Whatever the page loads must be embedded, and no script may stand in the
// page itself: the policy would block either.
func TestPage(t *testing.T) {
	t.Parallel()
	page := read(t, get(t, "GET", "/graphiql/").Body)
	if inline := regexp.MustCompile(`<script[^>]*>[^<]|\son\w+=|<style`).FindString(page); inline != "" {
		t.Errorf("inline code in the page: %s", inline)
	}
	links := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(links) == 0 {
		t.Error("the page loads nothing")
	}
	for _, link := range links {
		if res := get(t, "GET", link[1]); res.StatusCode != http.StatusOK {
			t.Errorf("%s: status = %d, want 200", link[1], res.StatusCode)
		}
	}
}

// A file that no content type is known for would be refused by the browser.
func TestContentTypes(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("dist")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		res := get(t, "HEAD", "/graphiql/"+e.Name())
		if got := res.Header.Get("Content-Type"); got == "application/octet-stream" {
			t.Errorf("%s: Content-Type = %s", e.Name(), got)
		}
	}
}

package delivery

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/webhook"
)

// A shell runs each line with a curl that shows its arguments, each ended by a
// NUL, and then its standard input where that is what it sends.
const showCurl = `curl() { for a; do printf '%s\0' "$a"; done; case "$*" in *@-) cat ;; esac; }
`

func TestCurl(t *testing.T) {
	t.Parallel()
	json := webhook.Header{Name: "Content-Type", Value: "application/json"}
	for _, test := range []struct {
		name    string
		request webhook.Request
		want    []string // arguments, and standard input as the last
	}{
		{"GET", webhook.Request{Method: "GET", URL: "https://x.example/?a=b&c=$HOME%20d"},
			[]string{"https://x.example/?a=b&c=$HOME%20d", ""}},
		{"POST without Host and Content-Length", webhook.Request{
			Method: "POST", URL: "https://x.example/", Body: []byte("{}"),
			Headers: []webhook.Header{{Name: "Host", Value: "x.example"}, json, {Name: "Content-Length", Value: "2"}, {Name: "X-Empty"}},
		}, []string{"https://x.example/", "--header", "Content-Type: application/json", "--header", "X-Empty;", "--data-raw", "{}", ""}},
		{"quotes, line breaks, dollars", webhook.Request{Method: "POST", URL: "https://x.example/", Body: []byte("@it's \"a\"\n`b` $(c) \\n !d é")},
			[]string{"https://x.example/", "--data-raw", "@it's \"a\"\n`b` $(c) \\n !d é", ""}},
		{"only quotes", webhook.Request{Method: "POST", URL: "https://x.example/", Body: []byte("''")},
			[]string{"https://x.example/", "--data-raw", "''", ""}},
		{"no text", webhook.Request{Method: "POST", URL: "https://x.example/", Body: []byte("a\x00\xff'\\0%s1")},
			[]string{"https://x.example/", "--data-binary", "@-", "a\x00\xff'\\0%s1"}},
		{"POST without a body", webhook.Request{Method: "POST", URL: "https://x.example/"},
			[]string{"--request", "POST", "https://x.example/", ""}},
		{"GET with a body", webhook.Request{Method: "GET", URL: "https://x.example/", Body: []byte("a")},
			[]string{"--request", "GET", "https://x.example/", "--data-raw", "a", ""}},
		{"a URL that curl would change", webhook.Request{Method: "GET", URL: "https://x.example/a/../b?q={1,2}[3]"},
			[]string{"--globoff", "--path-as-is", "https://x.example/a/../b?q={1,2}[3]", ""}},
		{"a large body", webhook.Request{Method: "POST", URL: "https://x.example/", Body: []byte(strings.Repeat("a", 1025))},
			[]string{"https://x.example/", "--header", "Expect:", "--data-raw", strings.Repeat("a", 1025), ""}},
		{"a body too large for an argument", webhook.Request{Method: "POST", URL: "https://x.example/", Body: []byte(strings.Repeat("é'\n", 100_000))},
			[]string{"https://x.example/", "--header", "Expect:", "--data-binary", "@-", strings.Repeat("é'\n", 100_000)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			line := Curl(test.request)
			shell := exec.Command("sh")
			shell.Stdin = strings.NewReader(showCurl + line)
			out, err := shell.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
			if diff := cmp.Diff(strings.Join(test.want, "\x00"), string(out)); diff != "" {
				t.Errorf("%s\n(-want +got):\n%s", line, diff)
			}
		})
	}
}

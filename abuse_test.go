package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hookql/hookql/internal/pgtest"
)

// maxRefusal is how large the answer to a request of the corpus may be in bytes.
const maxRefusal = 16 << 10

// abuse is one request of the corpus with its answer; testdata/abuse/README.md
// describes the members.
type abuse struct {
	Name      string
	Method    string
	Header    map[string]string
	Target    string
	Query     pieces
	Variables pieces
	Body      pieces
	Chunked   bool
	Status    int
	Code      string
	Says      string
}

// pieces are a text written in short. They are put together as they are read.
type pieces []byte

func (p *pieces) UnmarshalJSON(text []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*p = pieces{}
	for _, item := range list {
		part, err := piece(item)
		if err != nil {
			return err
		}
		*p = append(*p, part...)
	}
	return nil
}

func piece(item json.RawMessage) ([]byte, error) {
	var plain string
	if json.Unmarshal(item, &plain) == nil {
		return []byte(plain), nil
	}
	var many struct {
		Repeat int
		Text   string
		Base64 []byte
	}
	if err := json.Unmarshal(item, &many); err != nil {
		return nil, err
	}
	part := many.Base64
	for n := range many.Repeat {
		text := many.Text
		if strings.Contains(text, "{n") {
			text = strings.NewReplacer("{n}", strconv.Itoa(n), "{n+1}", strconv.Itoa(n+1)).Replace(text)
		}
		part = append(part, text...)
	}
	return part, nil
}

// corpus reads every case of testdata/abuse.
func corpus(t testing.TB) (cases []abuse) {
	t.Helper()
	files, err := filepath.Glob("testdata/abuse/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var list []abuse
		if err := json.Unmarshal(text, &list); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		cases = append(cases, list...)
	}
	return cases
}

// body is what is sent.
func (a abuse) body() []byte {
	if a.Body != nil || a.Query == nil {
		return a.Body
	}
	members := map[string]any{"query": string(a.Query)}
	if a.Variables != nil {
		members["variables"] = json.RawMessage(a.Variables)
	}
	text, err := json.Marshal(members)
	if err != nil {
		panic(a.Name + ": " + err.Error()) // the corpus is part of the repository
	}
	return text
}

// request makes the case's request to the server at url.
func (a abuse) request(url string) (*http.Request, error) {
	var body io.Reader = bytes.NewReader(a.body())
	if a.Chunked {
		body = io.MultiReader(body) // whose length net/http cannot see
	}
	method, target := a.Method, a.Target
	if method == "" {
		method = http.MethodPost
	}
	if target == "" {
		target = "/graphql"
	}
	r, err := http.NewRequest(method, url+target, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	for name, value := range a.Header {
		r.Header.Set(name, value)
	}
	if host := a.Header["Host"]; host != "" {
		r.Host = host
	}
	return r, nil
}

// TestAbuse throws the corpus at the program and compares the answers, which
// stay small, and none of which ends it.
func TestAbuse(t *testing.T) {
	t.Parallel()
	env := append(os.Environ(), "HOOKQL_ADDR=127.0.0.1:0", "HOOKQL_DEV=true", "HOOKQL_MASTER_KEY="+pgtest.MasterKey.Text(), "DATABASE_URL="+pgtest.URL(t))
	server, err := start(env, "hookql")
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Transport{}
	t.Run("cases", func(t *testing.T) {
		for _, a := range corpus(t) {
			t.Run(a.Name, func(t *testing.T) {
				t.Parallel()
				a.check(t, client, server.url)
			})
		}
	})
	if server.hasEnded() {
		t.Error("a request ended the program")
	}
	client.CloseIdleConnections()
	server.end(syscall.SIGTERM)
	if strings.Contains(server.stderr.String(), "panic") {
		t.Errorf("a request caused a panic:\n%s", server.stderr)
	}
}

func (a abuse) check(t *testing.T, client *http.Transport, url string) {
	r, err := a.request(url)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != a.Status || len(text) > maxRefusal {
		t.Errorf("got %d with %d bytes, want %d with at most %d: %.300s", response.StatusCode, len(text), a.Status, maxRefusal, text)
	}
	var answer struct {
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("the answer is no JSON: %.300s", text)
	}
	if a.Says == "" && len(answer.Errors) == 0 {
		return
	}
	if len(answer.Errors) == 0 || a.Says == "" || answer.Errors[0].Extensions.Code != a.Code || !strings.Contains(answer.Errors[0].Message, a.Says) {
		t.Errorf("got %.400s, want %s: %s", text, a.Code, a.Says)
	}
}

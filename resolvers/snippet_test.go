package resolvers

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"go/format"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/webhook"
)

const ownSecret = "a text of my own"

// snippetCases are the webhooks whose snippets differ, by what they are created
// with.
var snippetCases = map[string]object{
	"POST":               object{},
	"POST with own text": object{"secret": ownSecret},
	"POST with a key":    object{"signing": "STANDARD_WEBHOOKS_ED25519"},
	"GET":                object{"method": "GET"},
	"GET with own text":  object{"method": "GET", "secret": ownSecret},
	"GET with a key":     object{"method": "GET", "signing": "STANDARD_WEBHOOKS_ED25519"},
}

// snippeted is a webhook with what a snippet is tried with.
type snippeted struct {
	ID, Secret, Method, URL string
	VerificationSnippets    []struct {
		Language, Code string
		Install        *string
	}
}

func (s *snippeted) code(language string) string {
	for _, snippet := range s.VerificationSnippets {
		if snippet.Language == language {
			return snippet.Code
		}
	}
	return ""
}

// snippets asks for the snippets of a new webhook.
func (b *bundle) snippets(t *testing.T, url string, input object) snippeted {
	t.Helper()
	all := object{"url": url, "events": []string{"job.status"}}
	for name, value := range input {
		all[name] = value
	}
	var made struct {
		CreateWebhook struct{ Webhook snippeted }
	}
	b.must(t, `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) {
		webhook { id secret method url verificationSnippets { language install code } }
	} }`, map[string]any{"input": all}, &made)
	return made.CreateWebhook.Webhook
}

func TestSnippetsOfAllLanguages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, input := range snippetCases {
		w := b.snippets(t, "https://example.com/hook", input)
		var languages []string
		for _, s := range w.VerificationSnippets {
			languages = append(languages, s.Language)
			if strings.Contains(s.Code, w.Secret) {
				t.Errorf("%s, %s: the secret is shown", name, s.Language)
			}
			imports := strings.Contains(s.Code, "standard-webhooks/standard-webhooks") || strings.Contains(s.Code, `"standardwebhooks"`) ||
				strings.Contains(s.Code, "from standardwebhooks") || strings.Contains(s.Code, "from cryptography")
			if imports != (s.Install != nil) {
				t.Errorf("%s, %s: install is %v for\n%s", name, s.Language, s.Install, s.Code)
			}
		}
		if diff := cmp.Diff([]string{"GO", "JAVASCRIPT", "PYTHON"}, languages); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if formatted, err := format.Source([]byte(w.code("GO"))); err != nil || string(formatted) != w.code("GO") {
			t.Errorf("%s: not as gofmt writes it: %v\n%s", name, err, w.code("GO"))
		}
	}
	if w := b.snippets(t, "https://example.com/hook", object{"signing": "NONE"}); len(w.VerificationSnippets) != 0 || w.VerificationSnippets == nil {
		t.Errorf("an unsigned webhook: %+v", w.VerificationSnippets)
	}
}

func TestGoSnippets(t *testing.T) {
	t.Parallel()
	tryAll(t, "GO", func(t *testing.T, dir, code string) *exec.Cmd {
		file, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "receiver")
		write(t, file, code)
		// The library is that of this module's go.mod.
		if out, err := exec.Command("go", "build", "-o", program, file).CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s\n%s", err, out, code)
		}
		return exec.Command(program)
	})
}

func TestPythonSnippets(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	// The module of the official libraries holds all languages.
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/standard-webhooks/standard-webhooks/libraries").Output()
	if err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(strings.TrimSpace(string(module)), "python")
	hasCryptography := exec.Command(python, "-c", "import cryptography").Run() == nil
	tryAll(t, "PYTHON", func(t *testing.T, dir, code string) *exec.Cmd {
		file := filepath.Join(dir, "receiver.py")
		write(t, file, code)
		if out, err := exec.Command(python, "-m", "py_compile", file).CombinedOutput(); err != nil {
			t.Fatalf("py_compile: %v\n%s\n%s", err, out, code)
		}
		if strings.Contains(code, "from cryptography") && !hasCryptography {
			return nil
		}
		cmd := exec.Command(python, file)
		cmd.Env = append(os.Environ(), "PYTHONPATH="+library, "PYTHONDONTWRITEBYTECODE=1")
		return cmd
	})
}

// tryAll runs the snippets of all cases in a language, each as a process. The
// command is nil where a snippet cannot be run on this machine.
func tryAll(t *testing.T, language string, command func(t *testing.T, dir, code string) *exec.Cmd) {
	b := setup(t)
	for name, input := range snippetCases {
		t.Run(name, func(t *testing.T) {
			port := freePort(t)
			w := b.snippets(t, "http://127.0.0.1:"+port+"/hook?from=hookql", input)
			code := w.code(language)
			if strings.Count(code, "3000") != 1 {
				t.Fatalf("the port stands elsewhere:\n%s", code)
			}
			cmd := command(t, t.TempDir(), strings.Replace(code, "3000", port, 1))
			if cmd == nil {
				return
			}
			if cmd.Env == nil {
				cmd.Env = os.Environ()
			}
			if strings.Contains(code, "WEBHOOK_SECRET") {
				refusesNoSecret(t, cmd)
			}
			cmd.Env = append(cmd.Env, "WEBHOOK_SECRET="+w.Secret)
			output := serve(t, cmd, port)
			b.tryReceiver(t, w)
			b.conform(t, w)
			if t.Failed() {
				t.Logf("%s\n%s", code, output)
			}
		})
	}
}

// refusesNoSecret runs a program without a secret: it must end. It would take
// what anybody signs with no key.
func refusesNoSecret(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	bare := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	bare.Env = append(slices.Clone(cmd.Env), "WEBHOOK_SECRET=")
	if out, err := bare.CombinedOutput(); err == nil || ctx.Err() != nil {
		t.Errorf("it runs without a secret: %s", out)
	}
}

// tryReceiver sends tests to a receiver, and what it must refuse.
func (b *bundle) tryReceiver(t *testing.T, w snippeted) {
	t.Helper()
	for _, data := range []object{{"jobId": "7", "note": "é & ?"}, {}} {
		var run struct {
			TestWebhook struct {
				TestRun struct {
					Tests struct {
						Nodes []struct {
							Verdict, Message string
							Response         struct{ StatusCode int }
						}
					}
				}
			}
		}
		b.must(t, `mutation($id: ID!, $data: JSON!) { testWebhook(input: {target: {webhookId: $id}, payloads: [{eventName: "job.status", data: $data}]}) {
			testRun { tests { nodes { verdict message response { statusCode } } } }
		} }`, map[string]any{"id": w.ID, "data": data}, &run)
		for _, got := range run.TestWebhook.TestRun.Tests.Nodes {
			if got.Verdict != "PASS" || got.Response.StatusCode != http.StatusNoContent {
				t.Errorf("%v: %+v", data, got)
			}
		}
	}
	content, forged := `{"jobId":"7"}`, `{"jobId":"8"}`
	if w.Method == http.MethodGet {
		content, forged = "from=hookql&jobId=7", "from=hookql&jobId=8"
	}
	now := time.Now().Unix()
	good := w.sign("msg_1", now, content)
	version, _, _ := strings.Cut(good, ",")
	for _, c := range []struct {
		name, signature, content string
		at                       int64
		want                     int
	}{
		{"signed", good, content, now, http.StatusNoContent},
		{"one of many", "v9,AAAA " + version + ",AAAA " + good, content, now, http.StatusNoContent},
		{"changed", good, forged, now, http.StatusUnauthorized},
		{"no signature", "", content, now, http.StatusUnauthorized},
		{"a broken signature", version + ",! " + version + ", x", content, now, http.StatusUnauthorized},
		{"another version", "v9" + strings.TrimPrefix(good, version), content, now, http.StatusUnauthorized},
		{"another time", good, content, now - 1, http.StatusUnauthorized},
		{"old", w.sign("msg_1", now-330, content), content, now - 330, http.StatusUnauthorized},
		{"ahead", w.sign("msg_1", now+330, content), content, now + 330, http.StatusUnauthorized},
	} {
		if got := w.send(t, c.at, c.signature, c.content); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// conform puts a receiver through all scenarios: nothing is to be mended. The
// snippets leave it to the developer to take duplicates for one, and have no
// witness of that.
func (b *bundle) conform(t *testing.T, w snippeted) {
	t.Helper()
	var run struct {
		TestWebhook struct {
			TestRun struct {
				TestsRun int
				Tests    struct {
					Nodes []struct {
						Scenario         struct{ Name string }
						Verdict, Message string
					}
				}
			}
		}
	}
	b.must(t, `mutation($id: ID!) { testWebhook(input: {target: {webhookId: $id}, suite: CONFORMANCE}) {
		testRun { testsRun tests(first: 100, verdicts: [FAIL, WARN]) { nodes { scenario { name } verdict message } } }
	} }`, map[string]any{"id": w.ID}, &run)
	for _, got := range run.TestWebhook.TestRun.Tests.Nodes {
		if got.Verdict == "WARN" && strings.HasPrefix(got.Scenario.Name, "duplicate.") {
			continue
		}
		t.Errorf("%s: %s: %s", got.Scenario.Name, got.Verdict, got.Message)
	}
	if n := run.TestWebhook.TestRun.TestsRun; n < 30 { // those that plain HTTP and the method leave
		t.Errorf("%d tests were run", n)
	}
}

// sign signs as HookQL does.
func (w snippeted) sign(id string, at int64, content string) string {
	message := []byte(fmt.Sprintf("%s.%d.%s", id, at, content))
	secret := webhook.Secret(w.Secret)
	if key, err := secret.PrivateKey(); err == nil {
		return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(key, message))
	}
	key, _ := secret.Key()
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// send sends a request to a receiver and returns the status of the answer.
func (w snippeted) send(t *testing.T, at int64, signature, content string) int {
	t.Helper()
	url, body := w.URL, io.Reader(strings.NewReader(content))
	if w.Method == http.MethodGet {
		path, _, _ := strings.Cut(w.URL, "?")
		url, body = path+"?"+content, nil
	}
	req, err := http.NewRequest(w.Method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("webhook-id", "msg_1")
	req.Header.Set("webhook-timestamp", strconv.FormatInt(at, 10))
	if signature != "" {
		req.Header.Set("webhook-signature", signature)
	}
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// patience is how long a process may take to listen.
const patience = time.Minute

// serve starts a program, waits until it listens, and ends it with the test.
func serve(t *testing.T, cmd *exec.Cmd, port string) *bytes.Buffer {
	t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	tick, late := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = conn.Close()
			return &output
		}
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("it ended: %s", &output)
		case <-late:
			t.Fatal("it does not listen")
		}
	}
}

// nextPort counts the ports that freePort gave away. They lie below those that
// systems give to whoever asks for any port, so that nothing else gets one
// between freePort and the start of the process that is to have it.
var nextPort atomic.Int32

func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(20000 + int(nextPort.Add(1)))
		if listener, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("all ports are taken")
	return ""
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

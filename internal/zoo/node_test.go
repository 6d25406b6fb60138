//go:build node

package zoo

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hookql/hookql/delivery/probe"
	"github.com/hookql/hookql/internal/webhook"
)

// A correct receiver in Node, with the official library, is not blamed. It needs
// Node and the library, which `make test-zoo` installs.
func TestCorrectReceiverInNode(t *testing.T) {
	d := &Den{Webhook: newWebhook(), Lookup: loopback}
	base := "http://127.0.0.1:" + startNode(t, d.Webhook.Secret)
	d.Webhook.URL, d.Witness = base+hookPath, newWitness(base+witnessPath)
	a := &Animal{Name: "Node", What: "verifies with the official library"}
	r := lookInto(d, probe.All())
	for i := range r.tests {
		test := &r.tests[i]
		if wrong := complaint(a, test); wrong != "" {
			t.Error(wrong)
		}
		if (test.Verdict == webhook.VerdictSkip) != strings.HasPrefix(test.Scenario, "tls.") {
			t.Errorf("%s is %s: %s", test.Scenario, test.Verdict, test.Message)
		}
	}
	t.Logf("%d requests, %s", r.requests, r.took)
}

// startNode starts the receiver, until the test ends, and returns its port.
func startNode(t *testing.T, secret webhook.Secret) string {
	t.Helper()
	dir := t.TempDir()
	code, err := os.ReadFile("testdata/receiver.mjs")
	must(err)
	must(os.WriteFile(filepath.Join(dir, "receiver.mjs"), code, 0o600))
	modules, err := filepath.Abs("../snippet/node/node_modules")
	must(err)
	must(os.Symlink(modules, filepath.Join(dir, "node_modules")))

	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "node", filepath.Join(dir, "receiver.mjs"))
	cmd.Env = append(os.Environ(), "WEBHOOK_SECRET="+string(secret))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(err)
	must(cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("it does not listen: %v", err)
	}
	return strings.TrimSpace(port)
}

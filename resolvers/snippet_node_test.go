//go:build node

package resolvers

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestJavaScriptSnippets needs Node and the official library, which
// `make test-snippets` installs.
func TestJavaScriptSnippets(t *testing.T) {
	t.Parallel()
	modules, err := filepath.Abs("../internal/snippet/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	tryAll(t, "JAVASCRIPT", func(t *testing.T, dir, code string) *exec.Cmd {
		file := filepath.Join(dir, "receiver.mjs")
		write(t, file, code)
		if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		return exec.Command("node", file)
	})
}

//go:build unix

package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeBin makes a directory whose postgres says that version.
func fakeBin(t *testing.T, version string) string {
	t.Helper()
	dir := openDir(t)
	for name, script := range map[string]string{
		"postgres": fmt.Sprintf("#!/bin/sh\necho '%s'\n", version),
		"initdb":   "#!/bin/sh\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func in(name string, dirs ...string) place {
	return place{name, func(context.Context) []string { return dirs }}
}

func TestFind(t *testing.T) {
	t.Parallel()
	old := fakeBin(t, "postgres (PostgreSQL) 13.4")
	mid := fakeBin(t, "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)")
	mid2 := fakeBin(t, "postgres (PostgreSQL) 15.20")
	beta := fakeBin(t, "postgres (PostgreSQL) 19beta1")

	link := filepath.Join(openDir(t), "link")
	if err := os.Symlink(mid, link); err != nil {
		t.Fatal(err)
	}
	found, err := find(t.Context(), Options{places: []place{
		in("first", old, t.TempDir(), "/nowhere"),
		in("second", mid, link, mid2, beta),
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("[19beta1 in %s 15.18 in %s 15.20 in %s]", beta, mid, mid2)
	if got := fmt.Sprint(found); got != want {
		t.Errorf("found: got %s, want %s", got, want)
	}

	for major, want := range map[string]string{"": beta, "15": mid, "19": beta} {
		got, err := choose(found, major, "./data")
		if err != nil || got.dir != want {
			t.Errorf("choose for major %q: got %v, %v, want %s", major, got, err, want)
		}
	}
	if _, err := choose(found, "14", "./data"); err == nil {
		t.Error("choose for major 14: got one of another version")
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	old := fakeBin(t, "postgres (PostgreSQL) 13.4")
	odd := fakeBin(t, "I am a teapot")
	empty := t.TempDir()
	for name, test := range map[string]struct {
		options Options
		want    []string
	}{
		"nowhere":  {Options{places: []place{in("PATH"), in("Homebrew")}}, []string{"PATH, Homebrew: none"}},
		"unusable": {Options{places: []place{in("PATH", old, odd)}}, []string{"13.4 in " + old + " is too old", odd + ": unknown version"}},
		"BinDir":   {Options{BinDir: empty}, []string{empty + ": none"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.options.Dir = filepath.Join(openDir(t), "data")
			_, err := Start(t.Context(), test.options)
			var config *ConfigError
			if !errors.Is(err, ErrNotFound) || !errors.As(err, &config) {
				t.Fatalf("got %v, want ErrNotFound in a ConfigError", err)
			}
			for _, want := range append(test.want, "private PostgreSQL in "+test.options.Dir+":", "sudo apt-get install -y postgresql") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("message lacks %q:\n%v", want, err)
				}
			}
			wantAbsent(t, test.options.Dir)
		})
	}
}

func TestEverywhereFindsTheInstalledOne(t *testing.T) {
	t.Parallel()
	needPostgres(t)
	found, err := find(t.Context(), Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, i := range found {
		if seen[i.dir] {
			t.Errorf("%s is listed twice", i.dir)
		}
		seen[i.dir] = true
	}
}

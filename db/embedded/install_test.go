//go:build unix

package embedded

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A machine is what install.sh sees of one: a root directory, and a PATH with
// the usual tools and with commands that log how they are called.
type machine struct{ root, bin string }

func newMachine(t *testing.T) machine {
	t.Helper()
	m := machine{root: t.TempDir(), bin: t.TempDir()}
	for _, tool := range []string{"sh", "dirname", "readlink", "grep", "mkdir", "tee", "env", "cat", "cp"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(m.bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func script(t *testing.T, path, body string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// command puts a command on PATH that logs its arguments and then does more.
func (m machine) command(t *testing.T, name, more string) {
	t.Helper()
	script(t, filepath.Join(m.bin, name), fmt.Sprintf("echo \"%s $*\" >>'%s/log'\n%s", name, m.root, more))
}

// postgres puts binaries of a version somewhere below the root.
func (m machine) postgres(t *testing.T, dir, version string) {
	t.Helper()
	script(t, filepath.Join(m.root, dir, "postgres"), "echo 'postgres (PostgreSQL) "+version+"'")
	script(t, filepath.Join(m.root, dir, "initdb"), "")
}

// install runs install.sh and returns its output and exit code, and the log.
func (m machine) install(t *testing.T, env ...string) (output string, code int, log string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(m.bin, "sh"), "install.sh")
	cmd.Env = append(env, "PATH="+m.bin, "HOOKQL_INSTALL_ROOT="+m.root)
	out, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(m.root, "log"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode(), string(text)
}

// What the package manager does: the package is set up with the configuration
// that is there by then.
const aptGet = `case $* in *install*)
	cat "$HOOKQL_INSTALL_ROOT/etc/postgresql-common/createcluster.conf" >>"$HOOKQL_INSTALL_ROOT/log"
	mkdir -p "$HOOKQL_INSTALL_ROOT/usr/lib/postgresql"
	cp -R "$HOOKQL_INSTALL_ROOT/package" "$HOOKQL_INSTALL_ROOT/usr/lib/postgresql/17"
esac`

const wantAptGet = `apt-get update -q
apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold postgresql
create_main_cluster = false
`

func TestInstallLeavesInstalledAlone(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.command(t, "apt-get", "")
	m.postgres(t, "usr/lib/postgresql/14/bin", "14.2 (Debian 14.2-1)")
	if out, code, log := m.install(t); out != "" || code != 0 || log != "" {
		t.Errorf("got %q, exit %d, ran %q, want nothing", out, code, log)
	}
}

func TestInstall(t *testing.T) {
	t.Parallel()
	for name, uid := range map[string]string{"root": "0", "sudo": "1000"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.command(t, "apt-get", aptGet)
			m.command(t, "sudo", `exec "$@"`)
			script(t, filepath.Join(m.bin, "id"), "echo "+uid)
			m.postgres(t, "usr/lib/postgresql/13/bin", "13.4") // too old
			m.postgres(t, "package/bin", "17.1")

			out, code, log := m.install(t)
			if code != 0 || !strings.Contains(out, "Installing the package postgresql with apt-get") {
				t.Errorf("exit %d, output %q", code, out)
			}
			if sudo := strings.Contains(log, "sudo "); sudo != (uid != "0") {
				t.Errorf("called sudo: %v, as user %s", sudo, uid)
			}
			if got := regexp.MustCompile(`(?m)^sudo .*\n`).ReplaceAllString(log, ""); got != wantAptGet {
				t.Errorf("ran\n%s\nwant\n%s", got, wantAptGet)
			}
		})
	}
}

func TestInstallKeepsTheAdministratorsChoice(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.command(t, "apt-get", aptGet)
	script(t, filepath.Join(m.bin, "id"), "echo 0")
	m.postgres(t, "package/bin", "17.1")
	conf := filepath.Join(m.root, "etc/postgresql-common/createcluster.conf")
	if err := os.MkdirAll(filepath.Dir(conf), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, []byte("create_main_cluster = true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, code, log := m.install(t); code != 0 || !strings.HasSuffix(log, "\ncreate_main_cluster = true\n") {
		t.Errorf("exit %d, ran\n%s", code, log)
	}
}

func TestInstallGivesUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		aptGet bool
		env    string
		want   string
	}{
		"not root":           {true, "", "As root, run: sh db/embedded/install.sh"},
		"no package manager": {false, "", "no apt-get, dnf or brew"},
		"wrong override":     {true, "HOOKQL_POSTGRES_BIN=/nowhere", "HOOKQL_POSTGRES_BIN is /nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			script(t, filepath.Join(m.bin, "id"), "echo 1000")
			if test.aptGet {
				m.command(t, "apt-get", aptGet)
			}
			out, code, log := m.install(t, test.env)
			if code != 1 || !strings.Contains(out, test.want) || log != "" {
				t.Errorf("got %q, exit %d, ran %q, want %q", out, code, log, test.want)
			}
		})
	}
}

func TestInstallLooksWhereFindLooks(t *testing.T) {
	t.Parallel()
	find, err := os.ReadFile("find.go")
	if err != nil {
		t.Fatal(err)
	}
	install, err := os.ReadFile("install.sh")
	if err != nil {
		t.Fatal(err)
	}
	patterns := regexp.MustCompile(`"(/[^"\s]+/bin)"`).FindAllSubmatch(find, -1)
	if len(patterns) < 9 {
		t.Fatalf("find.go has only %d patterns", len(patterns))
	}
	for _, pattern := range patterns {
		if !strings.Contains(string(install), `"$root"`+string(pattern[1])) {
			t.Errorf("install.sh does not look in %s", pattern[1])
		}
	}
}

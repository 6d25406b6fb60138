//go:build unix

package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldest is the lowest major version that the program's SQL runs on.
const oldest = 14

// ErrNotFound says that no usable PostgreSQL is installed. It comes inside a
// *[ConfigError] whose message tells where it was looked for and what to do.
var ErrNotFound = errors.New("no PostgreSQL found")

// An installation is a directory that has PostgreSQL's binaries.
type installation struct {
	dir     string
	version string // e.g. "15.18", "19beta1"
	major   int
}

func (i installation) String() string { return i.version + " in " + i.dir }

// A place is where binaries may be, with the name that it has in messages.
type place struct {
	name string
	dirs func(context.Context) []string // existing or not
}

// everywhere lists where packages put PostgreSQL. Of two with the same major
// version the first wins. install.sh looks in the same places.
func everywhere() []place {
	return []place{
		{"PATH", onPath},
		{"pg_config", fromPGConfig},
		{"/usr/lib/postgresql/*/bin", glob("/usr/lib/postgresql/*/bin")}, // Debian, Ubuntu: not on PATH
		{"/usr/pgsql-*/bin", glob("/usr/pgsql-*/bin")},                   // PostgreSQL's own RPMs
		{"Homebrew", glob(
			"/opt/homebrew/opt/postgresql*/bin",
			"/usr/local/opt/postgresql*/bin",
			"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		)},
		{"Postgres.app", glob("/Applications/Postgres.app/Contents/Versions/*/bin")},
		{"MacPorts", glob("/opt/local/lib/postgresql*/bin")},
		{"Nix profile", glob("/run/current-system/sw/bin", "/nix/var/nix/profiles/default/bin")}, // a user's is on PATH
	}
}

func glob(patterns ...string) func(context.Context) []string {
	return func(context.Context) []string {
		var dirs []string
		for _, pattern := range patterns {
			found, _ := filepath.Glob(pattern) // fails only for bad patterns
			dirs = append(dirs, found...)
		}
		return dirs
	}
}

func onPath(context.Context) []string {
	name, err := exec.LookPath("postgres")
	if err != nil {
		return nil
	}
	// A link such as /usr/local/bin/postgres stands where no initdb need be.
	if name, err = filepath.EvalSymlinks(name); err != nil {
		return nil
	}
	return []string{filepath.Dir(name)}
}

func fromPGConfig(ctx context.Context) []string {
	dir, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output()
	if err != nil {
		return nil // not installed
	}
	return []string{strings.TrimSpace(string(dir))}
}

// find returns the usable installations, the highest major version first.
func find(ctx context.Context, o Options, as *account) ([]installation, error) {
	places := o.places
	if places == nil {
		places = everywhere()
	}
	if o.BinDir != "" {
		places = []place{{o.BinDir, func(context.Context) []string { return []string{o.BinDir} }}}
	}
	var (
		found    []installation
		unusable []string // and why
		seen     = map[string]bool{}
	)
	for _, p := range places {
		for _, dir := range p.dirs(ctx) {
			dir, err := realBinDir(dir)
			if err != nil || seen[dir] {
				continue
			}
			seen[dir] = true
			switch i, err := inspect(ctx, dir, as); {
			case err != nil:
				unusable = append(unusable, fmt.Sprintf("%s: %v", dir, err))
			case i.major < oldest:
				unusable = append(unusable, i.String()+" is too old")
			default:
				found = append(found, i)
			}
		}
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, notFound(o.Dir, places, unusable)
	}
	slices.SortStableFunc(found, func(a, b installation) int { return cmp.Compare(b.major, a.major) })
	return found, nil
}

// realBinDir returns the absolute path of a directory that has both binaries.
func realBinDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

var postgresVersion = regexp.MustCompile(`^postgres \(PostgreSQL\) ((\d+)\S*)`)

// inspect asks the binaries for their version, as the account that will run
// them, which may not be allowed to.
func inspect(ctx context.Context, dir string, as *account) (installation, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version")
	cmd.Dir, cmd.Env = "/", serverEnv()
	cmd.SysProcAttr = attributes(as, 0)
	text, err := cmd.Output()
	if err != nil {
		return installation{}, err
	}
	m := postgresVersion.FindSubmatch(text)
	if m == nil {
		return installation{}, fmt.Errorf("unknown version %q", text)
	}
	major, err := strconv.Atoi(string(m[2]))
	return installation{dir: dir, version: string(m[1]), major: major}, err
}

// choose returns the best installation, or the one for a cluster of a given
// major version: another cannot read it.
func choose(installed []installation, major, dir string) (installation, error) {
	var have []string
	for _, i := range installed {
		if major == "" || major == strconv.Itoa(i.major) {
			return i, nil
		}
		have = append(have, i.String())
	}
	return installation{}, &ConfigError{Message: fmt.Sprintf(
		"data directory %s was created by PostgreSQL %s; found %s.\n  Install PostgreSQL %[2]s, or choose a new directory.",
		dir, major, strings.Join(have, ", "))}
}

func notFound(dir string, places []place, unusable []string) error {
	var names []string
	for _, p := range places {
		names = append(names, p.name)
	}
	result := "none"
	if len(unusable) > 0 {
		result = "none that can be used\n        " + strings.Join(unusable, "\n        ")
	}
	return &ConfigError{Err: ErrNotFound, Message: fmt.Sprintf(`No PostgreSQL available.
  DATABASE_URL is not set, so I tried to run a private PostgreSQL in %s:
    - looked for installed binaries (%d or newer): %s: %s
  Do one of these and start again:
    Debian/Ubuntu   sudo apt-get install -y postgresql
    Fedora          sudo dnf install -y postgresql-server
    macOS           brew install postgresql@18
    own server      DATABASE_URL='postgres://user:pass@host:5432/db?sslmode=require' go run .`,
		dir, oldest, strings.Join(names, ", "), result)}
}

//go:build unix

package embedded

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// prepareDir makes the data directory where there is none and returns its real
// path, through which the account as may pass.
func prepareDir(name string, as *account) (string, error) {
	dir, err := filepath.Abs(name)
	if err != nil {
		return "", cannotUse(name, err)
	}
	// Before anything is made there, and again for what links lead to.
	if err := as.refuse(name, dir); err != nil {
		return "", err
	}
	if err := makeDir(dir, as); err != nil {
		return "", cannotUse(name, err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", cannotUse(name, err)
	}
	return dir, as.refuse(name, dir)
}

func cannotUse(name string, err error) error {
	err = fmt.Errorf("use data directory %s: %w", name, err)
	if errors.Is(err, fs.ErrPermission) {
		return &ConfigError{Message: err.Error(), Err: err}
	}
	return err
}

// makeDir is os.MkdirAll, but what it makes for another account that account
// can enter, whatever the umask.
func makeDir(dir string, as *account) error {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeDir(filepath.Dir(dir), as); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); errors.Is(err, fs.ErrExist) {
		return nil // by another server that starts at the same time
	} else if err != nil || as == nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

const (
	port       = "5432" // only part of the socket's name
	socketName = ".s.PGSQL." + port

	// socketPrefix begins the names of socket directories.
	socketPrefix = "hookql-"

	// maxSocketPath is what macOS allows; Linux allows 107 bytes.
	maxSocketPath = 103
)

// makeSocketDir makes the directory of this start's socket, and the URL.
func (s *Server) makeSocketDir() error {
	name := socketPrefix + strings.ToLower(rand.Text()[:10])
	for _, tmp := range []string{os.TempDir(), "/tmp"} {
		dir := filepath.Join(tmp, name)
		if len(filepath.Join(dir, socketName)) > maxSocketPath || s.account.blockedBy(tmp) != "" {
			continue
		}
		u := url.URL{
			Scheme:   "postgres",
			User:     url.UserPassword(Role, s.password),
			Path:     "/" + Database,
			RawQuery: url.Values{"host": {dir}, "port": {port}, "sslmode": {"disable"}}.Encode(),
		}
		s.url, s.sockets = u.String(), dir
		// Recorded before it is made, so that no crash leaves one for good.
		if err := s.lock.write(record{pid: os.Getpid(), url: s.url}); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return fmt.Errorf("make socket directory: %w", err)
		}
		return s.account.own(dir)
	}
	return &ConfigError{Message: fmt.Sprintf(
		"no directory for PostgreSQL's socket: both %s and /tmp have a path that is too long or that its user may not enter. Set TMPDIR.", os.TempDir())}
}

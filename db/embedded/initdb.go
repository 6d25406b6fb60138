//go:build unix

package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

const initPrefix = "init-"

// prepareCluster makes sure that the data directory has a cluster, and chooses
// the binaries that can run it.
func (s *Server) prepareCluster(ctx context.Context, installed []installation) error {
	major, err := clusterMajor(s.dir)
	if err != nil {
		return err
	}
	if s.bin, err = choose(installed, major, s.options.Dir); err != nil {
		return err
	}
	s.password, err = readPassword(s.dir)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return cannotUse(s.options.Dir, err)
	}
	if major != "" {
		if missing {
			return &ConfigError{Message: fmt.Sprintf(
				"data directory %s has no file %s with the password of its PostgreSQL. Put it back, or choose a new directory.", s.options.Dir, passwordFile)}
		}
		return nil
	}
	if missing {
		if s.password, err = makePassword(s.dir); err != nil {
			return fmt.Errorf("make password: %w", err)
		}
	}
	if err := s.initCluster(ctx); err != nil {
		return fmt.Errorf("make cluster: %w", err)
	}
	return nil
}

// clusterMajor returns the major version that made the cluster, e.g. "15"; ""
// when there is no cluster.
func clusterMajor(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "pg", "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", cannotUse(dir, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// initCluster runs initdb beside the place of the cluster and moves the result
// there, so that a cluster is there whole or not at all.
func (s *Server) initCluster(ctx context.Context) error {
	// Never the directory of an initdb that was killed: its children may still
	// be writing there.
	tmp, err := os.MkdirTemp(s.dir, initPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp) // the next start sweeps it
	secret := filepath.Join(tmp, passwordFile)
	if err := os.WriteFile(secret, []byte(s.password+"\n"), 0o600); err != nil {
		return err
	}
	if err := errors.Join(s.account.own(tmp), s.account.own(secret)); err != nil {
		return err
	}

	cluster := filepath.Join(tmp, "pg")
	args := []string{
		"-D", cluster, "-U", Role, "--pwfile=" + secret, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--data-checksums",
	}
	if s.options.Volatile {
		args = append(args, "--no-sync")
	}
	cmd := exec.Command(filepath.Join(s.bin.dir, "initdb"), args...)
	cmd.Dir = tmp
	p, err := spawn(cmd, s.account, syscall.SIGKILL, &output{})
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.killGroup()
		return context.Cause(ctx)
	}
	if p.err != nil {
		return p.failure()
	}
	if err := os.Rename(cluster, filepath.Join(s.dir, "pg")); err != nil {
		return err
	}
	return syncDir(s.dir)
}

const passwordFile = "password"

func readPassword(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, passwordFile))
	return strings.TrimSpace(string(text)), err
}

// makePassword makes a password and keeps it. It is durable before a cluster
// needs it.
func makePassword(dir string) (string, error) {
	password := rand.Text() // at least 128 bits
	name := filepath.Join(dir, passwordFile)
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(password + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return "", err
	}
	return password, syncDir(dir)
}

// syncDir makes renames in a directory durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

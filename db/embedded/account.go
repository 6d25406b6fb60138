//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// An account is the user that root hands PostgreSQL to. A nil *account is a
// plain user's: PostgreSQL then runs as that user, and all methods do nothing.
type account struct {
	name     string
	uid, gid uint32
}

// serverAccount returns the account for a cluster: its owner, else postgres,
// else nobody.
func serverAccount(cluster string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	switch info, err := os.Stat(cluster); {
	case err == nil:
		return ownerOf(cluster, info)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("look for the cluster: %w", err)
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue // no such user here
		}
		return newAccount(u)
	}
	return nil, &ConfigError{Message: "PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it. Add one, or start as a plain user."}
}

func ownerOf(cluster string, info fs.FileInfo) (*account, error) {
	owner := info.Sys().(*syscall.Stat_t)
	if owner.Uid == 0 {
		return nil, &ConfigError{Message: fmt.Sprintf(
			"%s belongs to root, and PostgreSQL refuses to run as root. Give it to another user, e.g.: chown -R postgres %[1]s", cluster)}
	}
	if u, err := user.LookupId(strconv.Itoa(int(owner.Uid))); err == nil {
		return newAccount(u)
	}
	return &account{name: strconv.Itoa(int(owner.Uid)), uid: owner.Uid, gid: owner.Gid}, nil
}

func newAccount(u *user.User) (*account, error) {
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &account{name: u.Username, uid: uint32(uid), gid: uint32(gid)}, nil
}

// credential is for exec: the account without any supplementary group.
func (a *account) credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}

// own gives a file to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

// refuse returns an error when the account may not pass through the data
// directory, which the user named so.
func (a *account) refuse(name, dir string) error {
	blocking := a.blockedBy(dir)
	if blocking == "" {
		return nil
	}
	return &ConfigError{Message: fmt.Sprintf(
		"data directory %s cannot be used: PostgreSQL refuses to run as root, so it runs as user %s, who may not pass through %s.\n"+
			"  Choose another directory, such as /var/lib/hookql, or allow it with: chmod o+x %[3]s", name, a.name, blocking)}
}

// blockedBy returns the first directory on the way to and including dir, an
// absolute path, that the account may not pass through, or "". It goes by the
// mode bits alone.
func (a *account) blockedBy(dir string) string {
	if a == nil {
		return ""
	}
	at := "/"
	for _, name := range strings.Split(dir, "/") {
		at = filepath.Join(at, name)
		if !a.mayPass(at) {
			return at
		}
	}
	return ""
}

func (a *account) mayPass(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil {
		return true // not a matter of permission: we are root
	}
	stat := info.Sys().(*syscall.Stat_t)
	switch {
	case stat.Uid == a.uid:
		return info.Mode()&0o100 != 0
	case stat.Gid == a.gid:
		return info.Mode()&0o010 != 0
	default:
		return info.Mode()&0o001 != 0
	}
}

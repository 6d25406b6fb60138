//go:build unix

package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lockPatience covers the moment between the death of a server and the release
// of its lock by the kernel, and a supervisor that overlaps old and new.
const lockPatience = 3 * time.Second

// A dirLock is the right to use a data directory. The kernel takes it back when
// the process ends in whatever way. The file is never removed: a lock on a
// removed file would exclude nobody.
type dirLock struct{ f *os.File }

// A record is what the lock's file tells about its holder, or, when it was not
// cleared, about one that crashed.
type record struct {
	pid int
	url string // of the database; empty until it is known
}

// lockDir locks a data directory and returns what the last holder left in the
// file. After 3 s it gives up with ErrInUse.
func lockDir(ctx context.Context, dir string) (*dirLock, record, error) {
	f, err := os.OpenFile(filepath.Join(dir, "server.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, record{}, err
	}
	l := &dirLock{f}
	if err := l.acquire(ctx); err != nil {
		return nil, record{}, errors.Join(err, f.Close())
	}
	last := l.read()
	// The URL stays until what it names is removed, or a crash before that
	// would lose it.
	if err := l.write(record{os.Getpid(), last.url}); err != nil {
		return nil, record{}, errors.Join(err, f.Close())
	}
	return l, last, nil
}

func (l *dirLock) acquire(ctx context.Context) error {
	for deadline := time.Now().Add(lockPatience); ; {
		err := syscall.Flock(int(l.f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if err != syscall.EWOULDBLOCK && err != syscall.EINTR {
			return os.NewSyscallError("flock", err)
		}
		if time.Now().After(deadline) {
			return inUse(l.read())
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func inUse(by record) error {
	if by.pid == 0 {
		return ErrInUse // it has the lock and has not yet said who it is
	}
	return fmt.Errorf("%w (pid %d)", ErrInUse, by.pid)
}

func (l *dirLock) read() record {
	var text [1024]byte
	n, _ := l.f.ReadAt(text[:], 0) // io.EOF: the file is shorter
	pid, rest, _ := strings.Cut(string(text[:n]), "\n")
	u, _, _ := strings.Cut(rest, "\n")
	r := record{url: u}
	r.pid, _ = strconv.Atoi(pid) // 0 when the file is new
	return r
}

func (l *dirLock) write(r record) error {
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err := l.f.WriteAt(fmt.Appendf(nil, "%d\n%s\n", r.pid, r.url), 0)
	return err
}

// release clears the file and gives the directory free.
func (l *dirLock) release() error {
	return errors.Join(l.f.Truncate(0), l.f.Close())
}

// socketDir returns the directory of the recorded server's socket, or "" when
// the record does not name one that Start could have made.
func (r record) socketDir() string {
	u, err := url.Parse(r.url)
	if err != nil {
		return ""
	}
	dir := u.Query().Get("host")
	if !filepath.IsAbs(dir) || !strings.HasPrefix(filepath.Base(dir), socketPrefix) {
		return ""
	}
	return dir
}

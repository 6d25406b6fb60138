//go:build unix

package embedded

import (
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// The times that users wait, with the product's settings.

func BenchmarkFirstStart(b *testing.B) {
	needPostgres(b)
	dir := openDir(b)
	for i := 0; b.Loop(); i++ {
		startAndClose(b, filepath.Join(dir, strconv.Itoa(i)))
	}
}

func BenchmarkNextStart(b *testing.B) {
	dir := usedDir(b)
	for b.Loop() {
		startAndClose(b, dir)
	}
}

func BenchmarkStartAfterKill(b *testing.B) {
	dir := usedDir(b)
	for b.Loop() {
		b.StopTimer()
		launcher, dsn := startLauncher(b, dir)
		keep(b, dsn)
		pid := postmasterPID(b, dir)
		kill9(b, launcher.Process.Pid)
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may already have ended
		b.StartTimer()
		startAndClose(b, dir)
	}
}

func startAndClose(b *testing.B, dir string) {
	b.Helper()
	s, err := Start(b.Context(), Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}

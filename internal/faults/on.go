//go:build faults

package faults

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	point, times, _ = strings.Cut(os.Getenv(Variable), ":")
	left            = startingWith(times)
)

func startingWith(times string) *atomic.Int64 {
	var n atomic.Int64
	count, _ := strconv.ParseInt(times, 10, 64) // 0, which is never reached, where there is none
	n.Store(count)
	return &n
}

// At is a point at which a process can be made to end.
func At(at string) {
	if at == point && left.Add(-1) == 0 {
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
		select {} // until it arrives
	}
}

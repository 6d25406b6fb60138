package delivery

import (
	"cmp"
	"context"
	"net"
	"syscall"
	"testing"
)

// blackHole is a port whose packets are dropped, as by a firewall.
func blackHole(t testing.TB) *peer {
	t.Helper()
	drop := []syscall.SockFilter{{Code: syscall.BPF_RET | syscall.BPF_K, K: 0}} // no byte of any packet passes
	config := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) (err error) {
		broken := conn.Control(func(fd uintptr) {
			//lint:ignore SA1019 what replaces it is another module
			err = syscall.AttachLsf(int(fd), drop)
		})
		return cmp.Or(broken, err)
	}}
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &peer{Listener: l}
}

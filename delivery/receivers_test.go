package delivery

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bomb is what the bombs are when they have gone off.
var bomb = strings.Repeat("\x00", 10<<20)

func gzipped(text string) string {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	io.WriteString(z, text)
	z.Close()
	return out.String()
}

func deflated(text string) string {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	io.WriteString(z, text)
	z.Close()
	return out.String()
}

// brotliBomb is 10 MiB of zeros, as node:zlib's brotliCompress has them.
const brotliBomb = "\x9f\xff\xff\x9f\xf8\x27\x00\xe2\xb1\x40\x20\xf7\xfe\x13"

// zstdBomb is 10 MiB of zeros: 80 blocks of one byte each that is repeated
// 128 Ki times (RFC 8878 §3.1.1).
var zstdBomb = "\x28\xb5\x2f\xfd\x00\x58" + strings.Repeat("\x02\x00\x10\x00", 79) + "\x03\x00\x10\x00"

// serverHello begins a TLS 1.2 handshake and chooses a cipher suite (RFC 5246 §7.4.1.3).
func serverHello(suite string) string {
	return "\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03" + strings.Repeat("r", 32) + "\x00" + suite + "\x00"
}

// withCertificate begins a TLS 1.2 handshake with a certificate of a size (RFC
// 5246 §6.2.1, §7.4.2).
func withCertificate(size int) string {
	message := binary.BigEndian.AppendUint32(nil, 0x0b<<24|uint32(size))
	message = append(message, make([]byte, size)...)
	out := []byte(serverHello("\xc0\x2f"))
	for record := range slices.Chunk(message, 16<<10) {
		out = append(out, "\x16\x03\x03"...)
		out = binary.BigEndian.AppendUint16(out, uint16(len(record)))
		out = append(out, record...)
	}
	return string(out)
}

// after is a receiver that reads the request and then answers.
func after(answer func(net.Conn)) func(testing.TB) *peer {
	return func(t testing.TB) *peer { return listenHTTP(t, answer) }
}

// afterHello is a receiver that reads what begins a TLS handshake and then answers.
func afterHello(answer func(net.Conn)) func(testing.TB) *peer {
	return func(t testing.TB) *peer {
		p := listen(t, func(conn net.Conn) {
			conn.Read(make([]byte, 4<<10))
			answer(conn)
		})
		p.roots = x509.NewCertPool()
		return p
	}
}

// unread is a receiver that does not read a large request, but does something
// else until over is closed.
func unread(serve func(conn net.Conn, over <-chan struct{})) func(testing.TB) *peer {
	return func(t testing.TB) *peer {
		over := make(chan struct{}) // closed at the end of the test
		p := listen(t, func(conn net.Conn) {
			conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			serve(conn, over)
		})
		p.large = true
		t.Cleanup(func() { close(over) })
		return p
	}
}

// tells writes text and stays.
func tells(text string) func(net.Conn, <-chan struct{}) {
	return func(conn net.Conn, over <-chan struct{}) {
		io.WriteString(conn, text)
		<-over
	}
}

// quits writes text and closes, which the kernel makes a reset.
func quits(text string) func(net.Conn, <-chan struct{}) {
	return func(conn net.Conn, _ <-chan struct{}) { io.WriteString(conn, text) }
}

// sips reads a byte now and then.
func sips(conn net.Conn, over <-chan struct{}) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
			conn.Read(make([]byte, 1))
		}
	}
}

// floods is an answer that writes before, and then each without end.
func floods(before, each string) func(net.Conn) {
	begin, flood := []byte(before), bytes.Repeat([]byte(each), 32<<10/len(each))
	return func(conn net.Conn) {
		_, err := conn.Write(begin)
		for err == nil {
			_, err = conn.Write(flood)
		}
	}
}

// trickles is an answer that writes before, and then each now and then.
func trickles(before, each string) func(net.Conn) {
	return func(conn net.Conn) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		_, err := io.WriteString(conn, before)
		for ; err == nil; <-tick.C {
			_, err = io.WriteString(conn, each)
		}
	}
}

// resets is an answer that writes text and then resets the connection.
func resets(text string) func(net.Conn) {
	return func(conn net.Conn) {
		io.WriteString(conn, text)
		conn.(*net.TCPConn).SetLinger(0)
	}
}

// fullBacklog is a receiver that takes no connection, and for which the kernel
// keeps no more.
func fullBacklog(t testing.TB) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if broken := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }); broken != nil || err != nil {
		t.Fatal(broken, err)
	}
	for wait := time.Duration(0); err == nil; wait = 100 * time.Millisecond { // the first has its place for sure
		var conn net.Conn
		if conn, err = net.DialTimeout("tcp", l.Addr().String(), wait); err == nil {
			t.Cleanup(func() { conn.Close() })
		}
	}
	return &peer{Listener: l}
}

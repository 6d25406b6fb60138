package graphqlws_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hookql/hookql/internal/graphqlws"
)

// The bits and opcodes of RFC 6455 §5.2.
const (
	more, text, binaryData, closeFrame, pingFrame, pongFrame = 0x00, 0x01, 0x02, 0x08, 0x09, 0x0A
	last, reserved, masked                                   = 0x80, 0x40, 0x80
)

// raw is the other side of a socket, frame by frame.
type raw struct {
	*testing.T
	conn   net.Conn
	reader *bufio.Reader
}

func (a *api) raw(t *testing.T) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(a.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &raw{t, conn, bufio.NewReader(conn)}
	c.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-ws, graphql-transport-ws\r\n\r\n")
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-WebSocket-Protocol") != "graphql-transport-ws" {
		t.Fatal(response, err)
	}
	return c
}

// rawOpen is raw with a client that is known.
func (a *api) rawOpen(t *testing.T) *raw {
	t.Helper()
	c := a.raw(t)
	c.frame(last|text, `{"type":"connection_init"}`)
	c.hear(text, `{"type":"connection_ack"}`)
	return c
}

func (c *raw) write(s string) {
	c.Helper()
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.Fatal(err)
	}
}

func (c *raw) frame(first byte, payload string) {
	c.Helper()
	c.write(frame(first, payload))
}

// frame writes a frame that is masked with zeros.
func frame(first byte, payload string) string {
	var b bytes.Buffer
	b.WriteByte(first)
	switch n := len(payload); {
	case n < 126:
		b.WriteByte(masked | byte(n))
	case n < 1<<16:
		b.Write(binary.BigEndian.AppendUint16([]byte{masked | 126}, uint16(n)))
	default:
		b.Write(binary.BigEndian.AppendUint64([]byte{masked | 127}, uint64(n)))
	}
	b.WriteString("\x00\x00\x00\x00" + payload)
	return b.String()
}

// next reads a frame.
func (c *raw) next() (opcode byte, payload []byte, err error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	var head [2]byte
	if _, err := io.ReadFull(c.reader, head[:]); err != nil {
		return 0, nil, err
	}
	length := uint64(head[1])
	if width := map[byte]int{126: 2, 127: 8}[head[1]]; width > 0 {
		var long [8]byte
		if _, err := io.ReadFull(c.reader, long[8-width:]); err != nil {
			return 0, nil, err
		}
		length = binary.BigEndian.Uint64(long[:])
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(c.reader, payload)
	return head[0] &^ last, payload, err
}

func (c *raw) hear(opcode byte, payload string) {
	c.Helper()
	got, text, err := c.next()
	if err != nil || got != opcode || string(text) != payload {
		c.Fatalf("%#x %q, %v, want %#x %q", got, text, err, opcode, payload)
	}
}

// ends reads until the close frame, and until the connection ends after it.
func (c *raw) ends(code websocket.StatusCode, reason string) {
	c.Helper()
	for {
		opcode, payload, err := c.next()
		if err != nil {
			c.Errorf("%v, want a close frame", err)
			return
		}
		if opcode != closeFrame {
			continue
		}
		if got := websocket.StatusCode(binary.BigEndian.Uint16(payload)); got != code || !strings.Contains(string(payload[2:]), reason) {
			c.Errorf("%d %s, want %d %s", got, payload[2:], code, reason)
		}
		c.cut()
		return
	}
}

// cut waits until the connection ends.
func (c *raw) cut() {
	c.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, err := io.Copy(io.Discard, c.reader)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		c.Error("the connection is not ended")
	}
}

// TestFragments puts a message together from frames, with a ping between them.
func TestFragments(t *testing.T) {
	t.Parallel()
	c := serve(t, graphqlws.Transport{Times: graphqlws.Times{Close: 100 * time.Millisecond}}).raw(t)
	const init = `{"type":"connection_init","payload":{}}`
	c.frame(text, init[:1])
	for i := 1; i < len(init)-1; i++ {
		c.frame(more, init[i:i+1])
		c.frame(more, "")
	}
	c.frame(last|pingFrame, "between")
	c.frame(last|more, init[len(init)-1:])
	c.hear(pongFrame, "between")
	c.hear(text, `{"type":"connection_ack"}`)
	c.frame(text, strings.Repeat(" ", 40<<10))
	c.frame(last|more, strings.Repeat(" ", 40<<10))
	c.ends(websocket.StatusMessageTooBig, "")
}

// TestBrokenFrames ends the socket.
func TestBrokenFrames(t *testing.T) {
	t.Parallel()
	a := serve(t, graphqlws.Transport{Times: graphqlws.Times{Close: 100 * time.Millisecond}})
	const ping = `{"type":"ping"}`
	for name, test := range map[string]struct {
		frames string
		code   websocket.StatusCode
	}{
		"not masked":            {"\x81" + string(byte(len(ping))) + ping, websocket.StatusProtocolError},
		"compressed":            {frame(last|reserved|text, ping), websocket.StatusProtocolError},
		"unknown opcode":        {frame(last|0x03, ping), websocket.StatusProtocolError},
		"no beginning":          {frame(last|more, ping), websocket.StatusProtocolError},
		"two beginnings":        {frame(text, "{") + frame(last|text, ping), websocket.StatusProtocolError},
		"long ping":             {frame(last|pingFrame, strings.Repeat("x", 126)), websocket.StatusProtocolError},
		"broken ping":           {frame(pingFrame, "x"), websocket.StatusProtocolError},
		"close without a code":  {frame(last|closeFrame, "x"), websocket.StatusProtocolError},
		"impossible close code": {frame(last|closeFrame, "\x03\xed"), websocket.StatusProtocolError},
		"binary":                {frame(last|binaryData, ping), 4400},
		"2^63 bytes to come":    {"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00" + strings.Repeat(" ", 70<<10), websocket.StatusMessageTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			c := a.rawOpen(t)
			c.write(test.frames)
			c.ends(test.code, "")
		})
	}
}

// TestFarewells are how clients go: with a close frame, without, in the midst
// of a message, with their half of the connection.
func TestFarewells(t *testing.T) {
	t.Parallel()
	a := serve(t, graphqlws.Transport{Times: graphqlws.Times{Close: 100 * time.Millisecond}})
	c := a.rawOpen(t)
	c.frame(last|text, subscribe("1", `{ wait }`))
	c.frame(last|closeFrame, "\x03\xe8bye")
	c.hear(closeFrame, "\x03\xe8bye")
	c.cut()
	c = a.rawOpen(t)
	c.frame(last|text, subscribe("1", `{ wait }`))
	if err := c.conn.Close(); err != nil {
		t.Error(err)
	}
	for _, begun := range []string{"", "\x81", frame(text, "{"), frame(last|text, subscribe("1", `{ wait }`))} {
		c = a.rawOpen(t)
		c.write(begun)
		if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Error(err)
		}
		c.cut()
	}
}

// TestHalfOpen ends a socket whose other side answers no ping, and keeps one
// whose other side does.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	a := serve(t, graphqlws.Transport{Times: graphqlws.Times{Ping: 200 * time.Millisecond, Close: 100 * time.Millisecond}})
	alive := a.rawOpen(t)
	for range 5 { // longer than Ping, twice over
		opcode, payload, err := alive.next()
		if err != nil || opcode != pingFrame {
			t.Fatalf("%#x %q, %v, want a ping", opcode, payload, err)
		}
		alive.frame(last|pongFrame, string(payload))
	}
	a.rawOpen(t).ends(websocket.StatusGoingAway, "No answer to a ping came.")
	begun := a.rawOpen(t)
	begun.frame(text, "{")
	begun.cut()
}

// TestPingFlood answers 10,000 pings of each kind, however they come.
func TestPingFlood(t *testing.T) {
	t.Parallel()
	c := serve(t, graphqlws.Transport{}).rawOpen(t)
	const many = 10_000
	go func() {
		flood := strings.Repeat(frame(last|pingFrame, "a")+frame(last|text, `{"type":"ping"}`), many)
		if _, err := io.WriteString(c.conn, flood); err != nil {
			t.Error(err)
		}
	}()
	pongs := map[string]int{}
	for range 2 * many {
		_, payload, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		pongs[string(payload)]++
	}
	if pongs["a"] != many || pongs[`{"type":"pong"}`] != many {
		t.Errorf("%v", pongs)
	}
}

// TestSlowReader ends the socket of a client that takes no messages, tells it
// so where it begins to read at last, and forgets it where it does not.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	a := serve(t, graphqlws.Transport{Times: graphqlws.Times{Slow: 300 * time.Millisecond, Close: 10 * time.Second}})
	flood := subscribe("1", `subscription { flood(bytes: 100000) }`)
	late := a.rawOpen(t)
	late.frame(last|text, flood)
	for a.schema.Open.Load() == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	for a.schema.Open.Load() > 0 { // then the socket is ending
		time.Sleep(10 * time.Millisecond)
	}
	late.ends(websocket.StatusTryAgainLater, "The client reads too slowly.")

	a = serve(t, graphqlws.Transport{Times: quick})
	for _, say := range []string{flood, strings.Repeat(frame(last|text, `{"type":"ping","payload":{"a":"`+strings.Repeat("x", 60<<10)+`"}}`), 500)} {
		never := a.rawOpen(t)
		if strings.HasPrefix(say, "{") {
			say = frame(last|text, say)
		}
		_, _ = io.WriteString(never.conn, say) // ends when the socket does
	}
	if err := a.connections.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

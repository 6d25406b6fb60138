package delivery

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/webhook"
)

// A hostile receiver breaks the protocol, its word, or the patience of whoever
// sends to it.
type hostile struct {
	name     string
	receiver func(testing.TB) *peer
	outcome  webhook.Outcome
	detail   string            // "… within 2 s": nothing but the time limit ends it
	response *webhook.Response // the body of one that is cut is only its beginning
}

// patience is the time limit of attempts that nothing else ends.
const patience = 2 * time.Second

// limit is the time limit of an attempt at h: long where h must not need it.
func (h *hostile) limit() time.Duration {
	if strings.HasSuffix(h.detail, "within "+seconds(patience)) {
		return patience
	}
	return 30 * time.Second
}

// zoo are the hostile receivers.
func zoo(t testing.TB) []hostile {
	const (
		delivered  = webhook.OutcomeDelivered
		rejected   = webhook.OutcomeRejected
		redirected = webhook.OutcomeRedirected
		timedOut   = webhook.OutcomeTimedOut
		tlsFailed  = webhook.OutcomeTLSFailed
		reset      = webhook.OutcomeReset
		malformed  = webhook.OutcomeMalformed

		ok      = "HTTP/1.1 200 OK\r\n"
		empty   = ok + "Content-Length: 0\r\n\r\n"
		chunked = ok + "Transfer-Encoding: chunked\r\n\r\n"

		large     = "the answer's header is larger than 32 KiB"
		invalid   = "the answer's header is not valid HTTP"
		misframed = "the answer's body is not framed as HTTP demands"
		headLate  = "the answer's header did not end within 2 s"
		bodyLate  = "the answer's body did not end within 2 s"
		hungUp    = "connection closed by the receiver"
		halfBody  = " in the middle of the answer's body"
	)
	var (
		zeros     = strings.Repeat("\x00", maxKeptBody)
		interim   = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
		whole     = answered("200 OK", "", "Content-Length: 0")
		inChunks  = func(body string) *webhook.Response { return answered("200 OK", body, "Transfer-Encoding: chunked") }
		cutChunks = func(body string) *webhook.Response { return cut(inChunks(body)) }

		trap   = listen(t, func(net.Conn) { t.Error("a redirect was followed") })
		toTrap = []string{"Location: " + trap.url(), "Refresh: 0; url=" + trap.url()}

		ca       = newAuthority(t)
		stranger = newAuthority(t)
		soon     = time.Now().Add(time.Hour)
		good     = ca.issue(t, "receiver.example", soon)
		expired  = ca.issue(t, "receiver.example", time.Date(2021, 3, 4, 0, 0, 0, 0, time.UTC))
		overTLS  = func(config *tls.Config) func(testing.TB) *peer {
			return func(t testing.TB) *peer { return listenTLS(t, ca.pool(), config, says(empty)) }
		}
	)
	return []hostile{
		// B1: nobody takes the connection.
		{"B1 full backlog", fullBacklog, timedOut, "no connection was made within 2 s", nil},
		{"B1 black hole", blackHole, timedOut, "no connection was made within 2 s", nil},

		// B2: the request is not read.
		{"B2 reads nothing, window 0", unread(tells("")), timedOut, "the receiver did not read the request within 2 s", nil},
		{"B2 reads a byte at a time", unread(sips), timedOut, "the receiver did not read the request within 2 s", nil},
		{"B2 reads all, says nothing", after(holds("")), timedOut, "no answer came within 2 s", nil},

		// B3: the header.
		{"B3 header by the byte", after(trickles(ok+"X: ", "y")), timedOut, headLate, nil},
		{"B3 header by the line", after(trickles(ok, "X: y\r\n")), timedOut, headLate, nil},
		{"B3 three bytes, then nothing", after(holds("HTT")), timedOut, headLate, nil},
		{"B3 three bytes, then closed", after(says("HTT")), reset, hungUp, nil},
		{"B3 half a header, then closed", after(says(ok + "X: ")), reset, hungUp, nil},
		{"B3 status line without end", after(floods("HTTP/1.1 200 ", "OK")), malformed, large, nil},
		{"B3 header without end", after(floods(ok, "X: y\r\n")), malformed, large, nil},
		{"B3 header line without end", after(floods(ok+"X: ", "y")), malformed, large, nil},
		{"B3 100,000 headers", after(says(ok + strings.Repeat("a:\r\n", 100_000) + "\r\n")), malformed, large, nil},
		{"B3 header of 10 MiB", after(says(ok + "X: " + strings.Repeat("x", 10<<20) + "\r\n\r\n")), malformed, large, nil},
		{"B3 interim answers without end", after(floods("", interim)), malformed, "more than 5 interim answers (1xx)", nil},
		{"B3 too many interim answers", after(says(strings.Repeat(interim, maxInterim+1) + empty)), malformed, "more than 5 interim answers (1xx)", nil},
		{"B3 large interim answers", after(says(strings.Repeat("HTTP/1.1 100 Go on\r\nX: "+strings.Repeat("x", 9<<10)+"\r\n\r\n", 4) + empty)), malformed, large, nil},
		{"B3 an interim answer, then nothing", after(holds(interim)), timedOut, headLate, nil},
		{"B3 5,000 headers in 30 KiB", after(says(ok + strings.Repeat("a:b\r\n", 5_000) + "\r\n")), malformed, "the answer's header has more than 128 lines", nil},
		{"B3 one header too many", after(says(ok + strings.Repeat("a:\r\n", maxLines-1) + "\r\n")), malformed, "the answer's header has more than 128 lines", nil},
		{"B3 no colon", after(says(ok + "hello\r\n\r\n")), malformed, invalid, nil},

		// B4: the body.
		{"B4 body without end", after(floods(ok+"\r\n", zeros)), delivered, "", cut(answered("200 OK", zeros))},
		{"B4 body by the byte", after(trickles(ok+"\r\n", "x")), delivered, bodyLate, cut(answered("200 OK", "xxx"))},
		{"B4 chunks of a byte without end", after(floods(chunked, "1\r\nx\r\n")), delivered, "", cutChunks(strings.Repeat("x", maxKeptBody))},
		{"B4 chunk that never comes", after(holds(chunked + "5\r\n")), delivered, bodyLate, cutChunks("")},
		{"B4 longer than it says", after(says(ok + "Content-Length: 2\r\n\r\nok, and more")), delivered, "", answered("200 OK", "ok", "Content-Length: 2")},
		{"B4 shorter than it says, closed", after(says(ok + "Content-Length: 9\r\n\r\nok")), delivered, hungUp + halfBody, cut(answered("200 OK", "ok", "Content-Length: 9"))},
		{"B4 shorter than it says, held", after(holds(ok + "Content-Length: 9\r\n\r\nok")), delivered, bodyLate, cut(answered("200 OK", "ok", "Content-Length: 9"))},
		{"B4 says 8 EiB", after(floods(ok+"Content-Length: 9223372036854775807\r\n\r\n", zeros)), delivered, "", cut(answered("200 OK", zeros, "Content-Length: 9223372036854775807"))},
		{"B4 says more than a number holds", after(says(ok + "Content-Length: 9223372036854775808\r\n\r\n")), malformed, invalid, nil},
		{"B4 says less than nothing", after(says(ok + "Content-Length: -1\r\n\r\n")), malformed, invalid, nil},
		{"B4 says two lengths", after(says(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab")), malformed, invalid, nil},
		{"B4 says a length and chunks", after(says(ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")), delivered, "", answered("200 OK", "ok", "Content-Length: 1", "Transfer-Encoding: chunked")},
		{"B4 unknown transfer encoding", after(says(ok + "Transfer-Encoding: gzip, chunked\r\n\r\n")), malformed, invalid, nil},
		{"B4 broken chunk", after(says(chunked + "2\r\nok\r\nxyz\r\n")), delivered, misframed, cutChunks("ok")},
		{"B4 chunk of 16 EiB", after(floods(chunked+"ffffffffffffffff\r\n", zeros)), delivered, "", cutChunks(zeros)},
		{"B4 chunk longer than a number holds", after(says(chunked + "10000000000000000\r\n")), delivered, misframed, cutChunks("")},
		{"B4 chunk extension of 1 MiB", after(says(chunked + "2;" + strings.Repeat("x", 1<<20) + "\r\nok\r\n0\r\n\r\n")), delivered, misframed, cutChunks("")},
		{"B4 chunk extension without end", after(floods(chunked+"2;", "x")), delivered, misframed, cutChunks("")},
		{"B4 chunk extension by the byte", after(trickles(chunked+"2;", "x")), delivered, bodyLate, cutChunks("")},
		{"B4 chunk extensions without end", after(floods(chunked, "1;"+strings.Repeat("x", 1<<10)+"\r\nx\r\n")), delivered, misframed, cutChunks("x")},
		{"B4 trailers without end", after(floods(chunked+"2\r\nok\r\n0\r\n", "X: y\r\n")), delivered, misframed, cutChunks("ok")},
		{"B4 trailers by the line", after(trickles(chunked+"2\r\nok\r\n0\r\n", "X: y\r\n")), delivered, bodyLate, cutChunks("ok")},

		// B5: the content encoding, which is not undone.
		encoded("B5 gzip bomb", "gzip", gzipped(bomb)),
		encoded("B5 deflate bomb", "deflate", deflated(bomb)),
		encoded("B5 br bomb", "br", brotliBomb),
		encoded("B5 zstd bomb", "zstd", zstdBomb),
		encoded("B5 bomb in a bomb", "gzip, gzip", gzipped(gzipped(bomb))),
		encoded("B5 gzip that is none", "gzip", "plain text"),
		encoded("B5 an encoding that nobody knows", `../bomb; q="1"`, "plain text"),

		// B6: TLS.
		{"B6 expired", overTLS(with(expired)), tlsFailed, "the certificate is valid from 2020-01-02 to 2021-03-04 only", nil},
		{"B6 another name", overTLS(with(ca.issue(t, "other.example", soon))), tlsFailed, "the certificate is not for receiver.example", nil},
		{"B6 unknown authority", overTLS(with(stranger.issue(t, "receiver.example", soon))), tlsFailed, "the certificate is signed by an unknown authority", nil},
		{"B6 signed by itself", overTLS(with(stranger.own())), tlsFailed, "the certificate is signed by an unknown authority", nil},
		{"B6 TLS 1.0", overTLS(upTo(tls.VersionTLS10, good)), tlsFailed, "the receiver refused the handshake: protocol version not supported", nil},
		{"B6 TLS 1.1", overTLS(upTo(tls.VersionTLS11, good)), tlsFailed, "the receiver refused the handshake: protocol version not supported", nil},
		{"B6 null cipher", afterHello(holds(serverHello("\x00\x02"))), tlsFailed, "server chose an unconfigured cipher suite", nil},
		{"B6 another protocol over TLS", overTLS(speaking("mqtt", good)), tlsFailed, "the receiver refused the handshake: no application protocol", nil},
		{"B6 wants our certificate", overTLS(asking(tls.VersionTLS13, good)), tlsFailed, "the receiver refused the handshake: certificate required", nil},
		{"B6 wants our certificate, TLS 1.2", overTLS(asking(tls.VersionTLS12, good)), tlsFailed, "the receiver refused the handshake: handshake failure", nil},
		{"B6 certificate of 10 MiB", afterHello(says(withCertificate(10 << 20))), tlsFailed, "handshake message of length 10485760 bytes exceeds maximum of 262144 bytes", nil},
		{"B6 certificate of 128 KiB", afterHello(says(withCertificate(128 << 10))), tlsFailed, "the receiver's part in the handshake is larger than 64 KiB", nil},
		{"B6 handshake by the byte", afterHello(trickles("\x16\x03\x03\x40\x00", "\x02")), timedOut, "the TLS handshake did not finish within 2 s", nil},
		{"B6 handshake never begun", afterHello(holds("")), timedOut, "the TLS handshake did not finish within 2 s", nil},
		{"B6 warnings without end", afterHello(floods("", "\x15\x03\x03\x00\x02\x01\x5a")), tlsFailed, "too many ignored records", nil},
		{"B6 plain HTTP", afterHello(holds("HTTP/1.1 400 Bad Request\r\n\r\n")), tlsFailed, "the receiver does not speak TLS on this port", nil},
		{"B6 closed", afterHello(says("")), tlsFailed, hungUp + " during the TLS handshake", nil},
		{"B6 reset", afterHello(resets("")), tlsFailed, "connection reset by peer during the TLS handshake", nil},

		// B9: the status.
		status("B9 299", delivered, "299 Odd"),
		status("B9 300", redirected, "300 Multiple Choices", toTrap...),
		status("B9 301", redirected, "301 Moved Permanently", toTrap...),
		status("B9 302", redirected, "302 Found", toTrap...),
		status("B9 303", redirected, "303 See Other", toTrap...),
		status("B9 304", redirected, "304 Not Modified", toTrap...),
		status("B9 305", redirected, "305 Use Proxy", toTrap...),
		status("B9 306", redirected, "306 Switch Proxy", toTrap...),
		status("B9 307", redirected, "307 Temporary Redirect", toTrap...),
		status("B9 308", redirected, "308 Permanent Redirect", toTrap...),
		status("B9 302 to itself", redirected, "302 Found", "Location: /hooks"),
		status("B9 302 to a file", redirected, "302 Found", "Location: file:///etc/passwd"),
		status("B9 302 to nowhere", redirected, "302 Found"),
		status("B9 200 with a place to go", delivered, "200 OK", toTrap...),
		status("B9 201 with a place to go", delivered, "201 Created", toTrap...),
		status("B9 410", rejected, "410 Gone"),
		status("B9 429, retry after seconds", rejected, "429 Too Many Requests", "Retry-After: 120"),
		status("B9 429, retry after a date", rejected, "429 Too Many Requests", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"),
		status("B9 503, retry before", rejected, "503 Service Unavailable", "Retry-After: -1"),
		status("B9 503, retry in 31 years", rejected, "503 Service Unavailable", "Retry-After: 1000000000"),
		status("B9 503, retry soon", rejected, "503 Service Unavailable", "Retry-After: soon"),
		status("B9 999", rejected, "999 What"),
		{"B9 000", after(says("HTTP/1.1 000 \r\nContent-Length: 0\r\n\r\n")), malformed, invalid, nil},
		{"B9 199, an interim answer, then closed", after(says("HTTP/1.1 199 Odd\r\nContent-Length: 0\r\n\r\n")), reset, hungUp, nil},
		{"B9 101, which nobody asked for", after(says("HTTP/1.1 101 Switching Protocols\r\n\r\n")), rejected, "", answered("101 Switching Protocols", "")},
		{"B9 204 with a body", after(says("HTTP/1.1 204 No Content\r\n\r\nok")), delivered, "", answered("204 No Content", "")},
		{"B9 no status", after(says("HTTP/1.1 OK\r\n\r\n")), malformed, invalid, nil},
		{"B9 two digits", after(says("HTTP/1.1 20 OK\r\n\r\n")), malformed, invalid, nil},
		{"B9 two status lines", after(says(ok + "HTTP/1.1 500 Oh\r\n\r\n")), malformed, invalid, nil},
		{"B9 two answers", after(says(empty + "HTTP/1.1 500 Oh\r\n\r\n")), delivered, "", whole},
		{"B9 HTTP/0.9", after(says("<html>hello</html>")), malformed, `the answer begins with "<html>hello</html>", which is not HTTP/1.1`, nil},
		{"B9 HTTP/2", after(says("HTTP/2.0 200 OK\r\n\r\n")), malformed, `the answer begins with "HTTP/2.0 200 OK\r\n\r\n", which is not HTTP/1.1`, nil},
		{"B9 another protocol", after(says("220 mail.example ESMTP\r\n")), malformed, `the answer begins with "220 mail.example ESMTP\r\n", which is not HTTP/1.1`, nil},
		{"B9 a TLS alert", after(says("\x15\x03\x01\x00\x02\x02\x46")), malformed, "the receiver speaks TLS on this port", nil},

		// B10: the connection.
		{"B10 closed without an answer", after(says("")), reset, hungUp, nil},
		{"B10 reset without an answer", after(resets("")), reset, "connection reset by peer", nil},
		{"B10 reset in the header", after(resets(ok + "X: ")), reset, "connection reset by peer", nil},
		{"B10 reset in the body", after(resets(ok + "Content-Length: 9\r\n\r\nok")), delivered, "connection reset by peer" + halfBody, cut(answered("200 OK", "ok", "Content-Length: 9"))},
		{"B10 reset after the answer", after(resets(empty)), delivered, "", whole},
		{"B10 refuses the request unread", unread(tells("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")), rejected, "", answered("413 Content Too Large", "", "Content-Length: 0")},
		{"B10 refuses the request unread, closed", unread(quits("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")), rejected, "", answered("413 Content Too Large", "", "Content-Length: 0")},
		{"B10 takes the request unread", unread(tells(empty)), delivered, "", whole},

		// B11: the text.
		{"B11 invalid UTF-8", after(says("HTTP/1.1 200 \xff\xc0\x80\r\nX: \xe9\xed\xa0\x80\r\n\r\n\xff")), delivered, "", answered("200 \uFFFD", "\xff", "X: \uFFFD")},
		{"B11 NUL", after(says("HTTP/1.1 200 a\x00b\r\n\r\na\x00b")), delivered, "", answered("200 a\uFFFDb", "a\x00b")},
		{"B11 NUL in a header", after(says(ok + "X: a\x00b\r\n\r\n")), malformed, invalid, nil},
		{"B11 escapes of a terminal", after(says("HTTP/1.1 200 \x1b[2J\x9b\u009b1A\r\n\r\n\x1b]0;x\a")), delivered, "", answered("200 \uFFFD[2J\uFFFD\uFFFD1A", "\x1b]0;x\a")},
		{"B11 escapes of a terminal in a header", after(says(ok + "X: \x1b[31m\r\n\r\n")), malformed, invalid, nil},
		{"B11 carriage returns", after(says("HTTP/1.1 500 a\rb\vc\td\r\n\r\n")), rejected, "", answered("500 a\uFFFDb\uFFFDc\td", "")},
		{"B11 markup", after(says("HTTP/1.1 404 <script>alert(1)</script>\r\nX: \"><img src=x onerror=alert(1)>\r\n\r\n<script>alert(1)</script>")), rejected, "",
			answered("404 <script>alert(1)</script>", "<script>alert(1)</script>", "X: \"><img src=x onerror=alert(1)>")},
		{"B11 letters that turn the text", after(says("HTTP/1.1 302 \u202Eko\u2066\u200f\r\nLocation: https://a.example/\u202Etxt.exe\r\nContent-Length: 0\r\n\r\n")), redirected, "",
			answered("302 \uFFFDko\uFFFD\uFFFD", "", "Content-Length: 0", "Location: https://a.example/\uFFFDtxt.exe")},
		{"B11 lines that are none", after(says("HTTP/1.1 500 a\u2028b\u2029c\u0085d\r\n\r\n")), rejected, "", answered("500 a\uFFFDb\uFFFDc\uFFFDd", "")},
		{"B11 a letter with 10,000 accents", after(says("HTTP/1.1 500 a" + strings.Repeat("\u0301", 10_000) + "\r\n\r\n")), rejected, "", answered("500 a"+strings.Repeat("\u0301", 10_000), "")},
		{"B11 1 MiB on one line", after(says(ok + "Content-Length: 1048576\r\n\r\n" + strings.Repeat("a", 1<<20))), delivered, "", cut(answered("200 OK", strings.Repeat("a", maxKeptBody), "Content-Length: 1048576"))},
		{"B11 escapes in a certificate", overTLS(with(ca.issue(t, "\x1b[31m\r\n.example", soon))), tlsFailed, "the certificate is not for receiver.example", nil},
		{"B11 escapes of another protocol", after(says("\x1b[2J\u202E")), malformed, `the answer begins with "\x1b[2J\u202e", which is not HTTP/1.1`, nil},
	}
}

// All at once, but not beside other tests, so that there is time for the clock.
func TestHostileReceivers(t *testing.T) {
	receivers := zoo(t)
	visits := make([]visit, len(receivers))
	var attempts sync.WaitGroup
	for i, h := range receivers {
		p := h.receiver(t)
		attempts.Go(func() { visits[i] = p.visit(h.limit()) })
	}
	attempts.Wait()
	for i, h := range receivers {
		t.Run(h.name, func(t *testing.T) {
			h.checkEnd(t, &visits[i])
			checkCost(t, &visits[i], h.limit())
			checkText(t, &visits[i].exchange, visits[i].message)
		})
	}
}

// A visit is one attempt at a hostile receiver.
type visit struct {
	peer     *peer
	exchange webhook.Exchange
	message  string
	took     time.Duration
	read     int64 // bytes that the client took from the connection
}

// visit makes an attempt at p.
func (p *peer) visit(limit time.Duration) visit {
	v := visit{peer: p}
	var read atomic.Int64
	e := devEngine()
	e.Client.RootCAs, e.Client.Lookup = p.roots, answers("127.0.0.1")
	e.Client.Dial = func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
		conn, err := dialNarrow(ctx, addr)
		if err != nil {
			return nil, err
		}
		return metered{conn, &read}, nil
	}
	w, m := postWebhook(p.url()), testMessage()
	w.TimeoutMs = int(limit / time.Millisecond)
	if p.large {
		m.Data = []byte(`"` + strings.Repeat("a", 256<<10) + `"`)
	}
	begin := time.Now()
	v.exchange, v.message = e.attempt(context.Background(), w, m)
	v.took, v.read = time.Since(begin), read.Load()
	return v
}

// dialNarrow opens a connection that takes little ahead of its reader.
func dialNarrow(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr.String())
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return conn, err
}

// metered counts what is read from a connection.
type metered struct {
	net.Conn
	read *atomic.Int64
}

func (m metered) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.read.Add(int64(n))
	return n, err
}

// checkEnd checks how a visit ended, and that there was only one.
func (h *hostile) checkEnd(t *testing.T, v *visit) {
	x := &v.exchange
	if x.Outcome != h.outcome || x.Detail != h.detail {
		t.Errorf("got %s (%s), want %s (%s)", x.Outcome, x.Detail, h.outcome, h.detail)
	}
	if diff := cmp.Diff(h.response, beginning(x.Response, h.response)); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
	if n := v.peer.connections.Load(); n > 1 {
		t.Errorf("%d connections, want at most 1", n)
	}
	if n := v.peer.arrivals.Load(); h.outcome == webhook.OutcomeTLSFailed && n != 0 {
		t.Errorf("%d requests arrived without TLS", n)
	}
}

// beginning is a response with no more of a cut body than the wanted one has.
func beginning(got, want *webhook.Response) *webhook.Response {
	if got == nil || want == nil || !want.BodyTruncated {
		return got
	}
	r := *got
	r.Body = r.Body[:min(len(r.Body), len(want.Body))]
	return &r
}

// checkCost checks that a visit took no more time and bytes than it may.
func checkCost(t *testing.T, v *visit, limit time.Duration) {
	const busy = 500 * time.Millisecond       // as a machine may be
	most := int64(maxHead + maxBody + 16<<10) // with what is read ahead
	if r := v.exchange.Response; r != nil && r.Header("Transfer-Encoding") != "" {
		most += 18 * maxBody // as much as net/http takes around chunks of a byte
	}
	switch {
	case limit == patience && (v.took < limit || v.took > limit+limit/20+busy):
		t.Errorf("took %s, want %s to 5 %%", v.took, limit)
	case limit != patience && v.took > limit/2:
		t.Errorf("took %s, want it to end by itself", v.took)
	}
	if v.read > most {
		t.Errorf("read %d bytes, want at most %d", v.read, most)
	}
	if r := v.exchange.Response; r != nil && len(r.Body) > maxKeptBody {
		t.Errorf("kept %d bytes of the body", len(r.Body))
	}
}

// checkText checks that what is told of an exchange is a sentence, and plain text.
func checkText(t *testing.T, x *webhook.Exchange, message string) {
	t.Helper()
	if !strings.HasSuffix(message, ".") || len(message) > 1000 {
		t.Errorf("no sentence: %q", message)
	}
	shown := []string{message, x.Detail}
	if r := x.Response; r != nil {
		shown = append(shown, strings.ReplaceAll(r.StatusText, "\t", ""))
		for _, h := range r.Headers {
			shown = append(shown, h.Name, strings.ReplaceAll(h.Value, "\t", ""))
		}
	}
	checkPlain(t, shown...)
}

// checkPlain checks that texts are safe to be shown: valid UTF-8, with nothing
// that ends a line, steers a terminal or turns the direction of what follows.
func checkPlain(t *testing.T, texts ...string) {
	t.Helper()
	steers := func(r rune) bool { return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) }
	for _, text := range texts {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, steers) {
			t.Errorf("no plain text: %q", text)
		}
	}
}

// answered is a response as it is recorded; headers are "Name: value", sorted.
func answered(status, body string, headers ...string) *webhook.Response {
	code, text, _ := strings.Cut(status, " ")
	r := &webhook.Response{StatusText: text, Body: []byte(body)}
	r.StatusCode, _ = strconv.Atoi(code)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Headers = append(r.Headers, webhook.Header{Name: name, Value: value})
	}
	return r
}

// cut is r with its body not whole.
func cut(r *webhook.Response) *webhook.Response {
	r.BodyTruncated = true
	return r
}

// status answers without a body.
func status(name string, outcome webhook.Outcome, line string, headers ...string) hostile {
	lines := append([]string{line, "Content-Length: 0"}, headers...)
	head := "HTTP/1.1 " + strings.Join(lines, "\r\n") + "\r\n\r\n"
	return hostile{name, after(says(head)), outcome, "", answered(line, "", lines[1:]...)}
}

// encoded answers a body in a content encoding, and must find it so in the record.
func encoded(name, encoding, body string) hostile {
	header := "Content-Encoding: " + encoding
	want := answered("200 OK", body[:min(len(body), maxKeptBody)], header)
	want.BodyTruncated = len(body) > maxKeptBody
	return hostile{name, after(says("HTTP/1.1 200 OK\r\n" + header + "\r\n\r\n" + body)), webhook.OutcomeDelivered, "", want}
}

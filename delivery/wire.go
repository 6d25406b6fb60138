package delivery

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/hookql/hookql/internal/faults"
	"github.com/hookql/hookql/internal/webhook"
)

// maxEager is the size of a request that surely fits in what the kernel holds
// for the receiver, so that writing it waits for nobody.
const maxEager = 8 << 10

// roundTrip writes r to a link and reads the answer. It does both at once, for
// a receiver may answer, and close, before it has read everything. Complete says
// that the answer was read to its end and another request may follow; else the
// connection is closed on return.
func roundTrip(ctx context.Context, l *link, r *request, timing *webhook.Timing) (_ *webhook.Response, complete bool, err error) {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) { // this process stood still
		<-ctx.Done()
		return nil, false, fail(ctx, phaseSend, os.ErrDeadlineExceeded)
	}
	faults.At("send.connected")
	sent := make(chan sending, 1) // the writer's one result
	write := func() {
		_, err := l.stream.Write(r.wire)
		sent <- sending{time.Now(), err}
	}
	if len(r.wire) <= maxEager {
		write()
	} else {
		go write()
	}
	faults.At("send.written")
	_, err = l.in.Peek(1)
	firstByte := time.Now()
	faults.At("send.status")
	var answer *webhook.Response
	at := phaseWait
	if err == nil {
		answer, complete, at, err = readAnswer(l.in, r.Method)
	}
	if err != nil {
		err = fail(ctx, at, err)
	}
	faults.At("send.answered")
	var w sending
	select {
	case w = <-sent:
	default: // the receiver did not want all of it
		complete = false
		l.conn.Close() // ends the writer, if it still waits for the receiver to read
		w = <-sent
	}
	if answer == nil && w.err != nil {
		return nil, false, &failure{phaseSend, errors.Unwrap(err)}
	}
	if at != phaseWait && w.err == nil {
		timing.FirstByte = max(firstByte.Sub(w.end), 0)
	}
	return answer, complete && err == nil && w.err == nil && l.in.Buffered() == 0, err
}

// sending is how and when the writing of a request ended.
type sending struct {
	end time.Time
	err error
}

// checkHeaders refuses headers that a receiver would not read as the record has
// them, because they break out of their line, contradict each other or say
// where the request ends. None gets here past Webhook.Validate; but what was
// stored by other means must not smuggle either.
func checkHeaders(r *request) error {
	seen := make(map[string]bool, len(r.Headers))
	for _, h := range r.Headers {
		name := strings.ToLower(h.Name)
		if seen[name] || !isToken(name) || strings.ContainsFunc(h.Value, unprintable) || reframes(name, h.Value, len(r.Body)) && !(r.expects && name == "expect") {
			return &failure{phaseSend, webhook.NewError(webhook.Invalid, fmt.Sprintf("The header %+q cannot be sent. Correct or remove it.", h.Name))}
		}
		seen[name] = true
	}
	return nil
}

// isToken says whether a name in lower case is one of a header.
func isToken(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

func unprintable(r rune) bool { return (r < ' ' || r > '~') && r != '\t' }

// reframes says whether a header changes where a request with a body of a size
// ends, or what becomes of the connection (RFC 9110 §7.6.1, RFC 9112 §6).
func reframes(name, value string, size int) bool {
	switch name {
	case "content-length":
		return value != strconv.Itoa(size)
	case "connection", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade":
		return true
	}
	return false
}

// malformed is the error of an answer that is not HTTP/1.x, or too much of it.
type malformed string

func (m malformed) Error() string { return string(m) }

// speaksTLS is the one that is about the URL more than about the answer.
const speaksTLS = malformed("the receiver speaks TLS on this port")

// readAnswer reads an answer, of whatever a receiver may send, and says whether
// it was read to its end on a connection that stays open. With an error about
// the body (phaseBody) the answer comes as far as it was read.
func readAnswer(in *bufio.Reader, method string) (_ *webhook.Response, complete bool, _ phase, _ error) {
	size, lines := 0, 0
	for range maxInterim + 1 {
		head, err := readHead(in, maxHead-size)
		if err != nil {
			return nil, false, phaseHead, err
		}
		size += len(head)
		if lines += bytes.Count(head, []byte("\n")); lines > maxLines {
			return nil, false, phaseHead, malformed(fmt.Sprintf("the answer's header has more than %d lines", maxLines))
		}
		// Only a head goes to the parser, which would read one of any size;
		// the body behind it is read through its framing, chunked or not.
		parsed, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(head), in)), &http.Request{Method: method})
		if err != nil || parsed.StatusCode < 100 {
			return nil, false, phaseHead, malformed("the answer's header is not valid HTTP")
		}
		if parsed.StatusCode/100 == 1 && parsed.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		answer := &webhook.Response{
			StatusCode: parsed.StatusCode,
			StatusText: clean(strings.TrimPrefix(strings.TrimPrefix(parsed.Status, fmt.Sprintf("%03d", parsed.StatusCode)), " ")),
			Headers:    headersOf(head),
		}
		// The body is not closed: that would read the rest of it first.
		answer.Body, answer.BodyTruncated, complete, err = readBody(parsed.Body)
		return answer, complete && !parsed.Close && parsed.StatusCode != http.StatusSwitchingProtocols, phaseBody, bodyError(err)
	}
	return nil, false, phaseHead, malformed(fmt.Sprintf("more than %d interim answers (1xx)", maxInterim))
}

// readHead reads up to and with the empty line that ends status line and headers.
func readHead(in *bufio.Reader, limit int) ([]byte, error) {
	const start = "HTTP/1."
	if begin, err := in.Peek(len(start)); err != nil && !strings.HasPrefix(start, string(begin)) || err == nil && string(begin) != start {
		return nil, notHTTP(in)
	}
	var head []byte
	for {
		line, err := in.ReadSlice('\n')
		head = append(head, line...)
		if len(head) > limit {
			return nil, malformed(fmt.Sprintf("the answer's header is larger than %d KiB", maxHead>>10))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if bytes.HasSuffix(head, []byte("\n\r\n")) || bytes.HasSuffix(head, []byte("\n\n")) {
			return head, nil
		}
	}
}

// notHTTP names what the receiver speaks instead, as far as its first bytes tell.
func notHTTP(in *bufio.Reader) error {
	begin, _ := in.Peek(min(in.Buffered(), 24))
	if len(begin) > 1 && begin[0] == 0x15 && begin[1] == 0x03 { // a TLS alert (RFC 8446 §5.1, §6)
		return speaksTLS
	}
	return malformed(fmt.Sprintf("the answer begins with %+q, which is not HTTP/1.1", begin))
}

// headersOf lists the headers of a head that http.ReadResponse has passed,
// which itself takes some out and adds others.
func headersOf(head []byte) []webhook.Header {
	r := textproto.NewReader(bufio.NewReaderSize(bytes.NewReader(head), len(head)))
	_, _ = r.ReadLine()             // the status line
	fields, _ := r.ReadMIMEHeader() // passed before, so there is no error
	var headers []webhook.Header
	for name, values := range fields {
		for _, value := range values {
			if name == "Set-Cookie" {
				value = webhook.Mask // a session at the receiver is nobody else's
			}
			headers = append(headers, webhook.Header{Name: name, Value: clean(value)})
		}
	}
	slices.SortStableFunc(headers, func(a, b webhook.Header) int { return cmp.Compare(a.Name, b.Name) })
	return headers
}

// readBody reads at most maxBody bytes and keeps the first of them. Complete
// says that there are no more.
func readBody(body io.Reader) (kept []byte, truncated, complete bool, err error) {
	kept, err = io.ReadAll(io.LimitReader(body, maxKeptBody))
	if err != nil {
		return kept, true, false, err
	}
	rest, err := io.CopyN(io.Discard, body, maxBody-maxKeptBody)
	if errors.Is(err, io.EOF) {
		complete, err = true, nil
	}
	return kept, rest > 0 || err != nil, complete, err
}

// bodyError tells a body that is wrong in itself, such as by its chunks, from
// one whose connection broke.
func bodyError(err error) error {
	var network net.Error
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) {
		return err
	}
	return malformed("the answer's body is not framed as HTTP demands")
}

// clean makes text of a receiver fit to be stored and shown: valid UTF-8 of
// characters that can be seen, none that steers a terminal or turns the
// direction of what follows.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsGraphic(r) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

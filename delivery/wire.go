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
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/hookql/hookql/internal/webhook"
)

// roundTrip writes r to stream and reads the answer. It does both at once, for
// a receiver may answer, and close, before it has read everything. stream is
// conn itself or TLS on it; conn is closed on return.
func roundTrip(ctx context.Context, conn, stream net.Conn, r *request, timing *webhook.Timing) (*webhook.Response, error) {
	sent := make(chan sending, 1) // the writer's one result
	go func() {
		_, err := stream.Write(r.wire)
		sent <- sending{time.Now(), err}
	}()
	in := bufio.NewReader(stream)
	_, err := in.Peek(1)
	firstByte := time.Now()
	var answer *webhook.Response
	at := phaseWait
	if err == nil {
		answer, at, err = readAnswer(in, r.Method)
	}
	if err != nil {
		err = fail(ctx, at, err)
	}
	conn.Close() // ends the writer, if it still waits for the receiver to read
	w := <-sent
	if answer == nil && w.err != nil {
		return nil, &failure{phaseSend, errors.Unwrap(err)}
	}
	if at != phaseWait && w.err == nil {
		timing.FirstByte = max(firstByte.Sub(w.end), 0)
	}
	return answer, err
}

// sending is how and when the writing of a request ended.
type sending struct {
	end time.Time
	err error
}

// malformed is the error of an answer that is not HTTP/1.x, or too much of it.
type malformed string

func (m malformed) Error() string { return string(m) }

// speaksTLS is the one that is about the URL more than about the answer.
const speaksTLS = malformed("the receiver speaks TLS on this port")

// readAnswer reads an answer, of whatever a receiver may send. With an error
// about the body (phaseBody) the answer comes as far as it was read.
func readAnswer(in *bufio.Reader, method string) (*webhook.Response, phase, error) {
	size := 0
	for range maxInterim + 1 {
		head, err := readHead(in, maxHead-size)
		if err != nil {
			return nil, phaseHead, err
		}
		size += len(head)
		// Only a head goes to the parser, which would read one of any size;
		// the body behind it is read through its framing, chunked or not.
		parsed, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(head), in)), &http.Request{Method: method})
		if err != nil {
			return nil, phaseHead, malformed("the answer's header is not valid HTTP")
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
		answer.Body, answer.BodyTruncated, err = readBody(parsed.Body)
		return answer, phaseBody, bodyError(err)
	}
	return nil, phaseHead, malformed(fmt.Sprintf("more than %d interim answers (1xx)", maxInterim))
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
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(head)))
	_, _ = r.ReadLine()             // the status line
	fields, _ := r.ReadMIMEHeader() // passed before, so there is no error
	var headers []webhook.Header
	for name, values := range fields {
		for _, value := range values {
			headers = append(headers, webhook.Header{Name: name, Value: clean(value)})
		}
	}
	slices.SortStableFunc(headers, func(a, b webhook.Header) int { return cmp.Compare(a.Name, b.Name) })
	return headers
}

// readBody reads at most maxBody bytes and keeps the first of them.
func readBody(body io.Reader) (kept []byte, truncated bool, err error) {
	kept, err = io.ReadAll(io.LimitReader(body, maxKeptBody))
	if err != nil {
		return kept, true, err
	}
	rest, err := io.CopyN(io.Discard, body, maxBody-maxKeptBody)
	if errors.Is(err, io.EOF) {
		err = nil // it is all there
	}
	return kept, rest > 0 || err != nil, err
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

package delivery

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	// As net gives it: with addresses, which must not come out.
	op := func(number syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Source: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 4000}, Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 8), Port: 443}, Err: number}
	}
	for _, test := range []struct {
		name    string
		err     error
		outcome webhook.Outcome
		detail  string
	}{
		{"refused", &failure{phaseConnect, op(syscall.ECONNREFUSED)}, webhook.OutcomeRefused, "connection refused"},
		{"no route", &failure{phaseConnect, op(syscall.EHOSTUNREACH)}, webhook.OutcomeRefused, "no route to host"},
		{"unreachable", &failure{phaseConnect, op(syscall.ENETUNREACH)}, webhook.OutcomeRefused, "network is unreachable"},
		{"given up by the system", &failure{phaseConnect, op(syscall.ETIMEDOUT)}, webhook.OutcomeTimedOut, "no connection was made before the system gave up"},
		{"connection overdue", &failure{phaseConnect, overdue(maxConnect)}, webhook.OutcomeTimedOut, "no connection was made within 5 s"},
		{"answer overdue", &failure{phaseWait, overdue(1500 * time.Millisecond)}, webhook.OutcomeTimedOut, "no answer came within 1.5 s"},
		{"reset", &failure{phaseWait, op(syscall.ECONNRESET)}, webhook.OutcomeReset, "connection reset by peer"},
		{"broken pipe", &failure{phaseSend, op(syscall.EPIPE)}, webhook.OutcomeReset, "broken pipe"},
		{"closed", &failure{phaseHead, io.ErrUnexpectedEOF}, webhook.OutcomeReset, "connection closed by the receiver"},
		{"broken otherwise", &failure{phaseHead, errors.New("read tcp 10.0.0.7:4000: odd")}, webhook.OutcomeReset, "connection broken"},
		{"garbled though the rest was not sent", &failure{phaseSend, malformed("not HTTP")}, webhook.OutcomeMalformed, "not HTTP"},
		{"another TLS error", &failure{phaseTLS, x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}}, webhook.OutcomeTLSFailed, "x509: certificate is not authorized to sign other certificates"},
		{"blocked", &failure{phaseLookup, errBlocked()}, webhook.OutcomeBlocked, errBlocked().Error()},
		{"bad URL", webhook.NewError(webhook.InvalidURL, "No URL."), webhook.OutcomeBlocked, "No URL."},
		{"bad data", fmt.Errorf("build: %w", webhook.NewError(webhook.Invalid, "No object.")), webhook.OutcomeCanceled, "No object."},
		{"canceled", &failure{phaseTLS, canceled{context.Canceled}}, webhook.OutcomeCanceled, "context canceled"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := judge(nil, test.err)
			if got.outcome != test.outcome || got.detail != test.detail {
				t.Errorf("got %s (%s), want %s (%s)", got.outcome, got.detail, test.outcome, test.detail)
			}
			if strings.Contains(got.detail+got.advice, "10.0.0") {
				t.Errorf("%+v holds an address", got)
			}
		})
	}
}

func TestJudgeByStatus(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]webhook.Outcome{
		200: webhook.OutcomeDelivered, 299: webhook.OutcomeDelivered,
		300: webhook.OutcomeRedirected, 399: webhook.OutcomeRedirected,
		101: webhook.OutcomeRejected, 400: webhook.OutcomeRejected, 599: webhook.OutcomeRejected, 999: webhook.OutcomeRejected, 0: webhook.OutcomeRejected,
	} {
		if got := judge(&webhook.Response{StatusCode: code}, nil); got != (judgement{outcome: want}) {
			t.Errorf("%d: got %+v, want %s", code, got, want)
		}
		late := &failure{phaseBody, overdue(time.Second)}
		if got := judge(&webhook.Response{StatusCode: code}, late); got != (judgement{outcome: want, detail: "the answer's body did not end within 1 s"}) {
			t.Errorf("%d with a late body: got %+v, want %s", code, got, want)
		}
	}
}

// The deadline of a dialer and that of its context are two timers.
func TestADialerThatIsEarlyIsOverdue(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, overdue(time.Millisecond))
	defer cancel()
	e := Client{Dial: func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
		end, _ := ctx.Deadline()
		for time.Now().Before(end) {
		}
		return nil, &net.OpError{Op: "dial", Err: timeout{}}
	}}
	_, err := e.dialOne(ctx, netip.AddrPort{})
	if got := judge(nil, err); got.outcome != webhook.OutcomeTimedOut {
		t.Errorf("got %+v, want TIMED_OUT", got)
	}
}

type timeout struct{}

func (timeout) Error() string   { return "i/o timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

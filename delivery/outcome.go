package delivery

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// judge turns what the client came back with into an outcome and its cause in
// the words of the network. Neither names an address.
//
// Once the status line and headers are in, the status decides: what then
// happens to the body changes nothing about the receiver having answered, and
// is only told in the detail.
func judge(answer *webhook.Response, err error) (webhook.Outcome, string) {
	if answer == nil {
		return judgeFailure(err)
	}
	detail := ""
	if err != nil {
		_, detail = judgeFailure(err)
	}
	switch answer.StatusCode / 100 {
	case 2:
		return webhook.OutcomeDelivered, detail
	case 3:
		return webhook.OutcomeRedirected, detail
	default:
		return webhook.OutcomeRejected, detail
	}
}

// judgeFailure judges an exchange that was refused or that broke off.
func judgeFailure(err error) (webhook.Outcome, string) {
	var refusal *webhook.Error
	if errors.As(err, &refusal) {
		if refusal.Code == webhook.Invalid { // of the data or secret, not of the address
			return webhook.OutcomeCanceled, refusal.Message
		}
		return webhook.OutcomeBlocked, refusal.Message
	}
	var f *failure
	if !errors.As(err, &f) {
		return webhook.OutcomeCanceled, err.Error()
	}
	var (
		stopped canceled
		late    overdue
		garbled malformed
	)
	switch {
	case errors.As(f.err, &stopped):
		return webhook.OutcomeCanceled, stopped.Error()
	case errors.As(f.err, &late):
		return webhook.OutcomeTimedOut, lateness(f.phase) + " within " + seconds(time.Duration(late))
	case errors.As(f.err, &garbled):
		return webhook.OutcomeMalformed, garbled.Error()
	case errors.Is(f.err, syscall.ETIMEDOUT):
		return webhook.OutcomeTimedOut, lateness(f.phase) + " before the system gave up"
	}
	if alert, ok := tlsAlert(f.err); ok {
		return webhook.OutcomeTLSFailed, "the receiver refused the handshake: " + alert
	}
	switch f.phase {
	case phaseLookup:
		return webhook.OutcomeUnresolved, lookupCause(f.err)
	case phaseConnect:
		return webhook.OutcomeRefused, cause(f.err)
	case phaseTLS:
		return webhook.OutcomeTLSFailed, tlsCause(f.err)
	case phaseBody:
		return webhook.OutcomeReset, cause(f.err) + " in the middle of the answer's body"
	default:
		return webhook.OutcomeReset, cause(f.err)
	}
}

// lateness says what did not happen in time.
func lateness(at phase) string {
	switch at {
	case phaseLookup:
		return "the host name was not resolved"
	case phaseConnect:
		return "no connection was made"
	case phaseTLS:
		return "the TLS handshake did not finish"
	case phaseSend:
		return "the receiver did not read the request"
	case phaseWait:
		return "no answer came"
	case phaseHead:
		return "the answer's header did not end"
	default:
		return "the answer's body did not end"
	}
}

// seconds writes a time limit as people say it.
func seconds(d time.Duration) string { return fmt.Sprintf("%g s", d.Seconds()) }

func lookupCause(err error) string {
	var dns *net.DNSError
	switch {
	case !errors.As(err, &dns):
		return "the host name could not be resolved"
	case dns.IsNotFound:
		return "no such host"
	case dns.IsTimeout:
		return "the name servers did not answer"
	default:
		return "the name servers failed"
	}
}

// cause puts the reason why a connection was not made, or broke, into words
// that hold no address.
func cause(err error) string {
	var number syscall.Errno
	switch {
	case errors.As(err, &number):
		return number.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed by the receiver"
	default:
		return "connection broken"
	}
}

// tlsCause says why a handshake failed.
func tlsCause(err error) string {
	var (
		expired   x509.CertificateInvalidError
		wrongName x509.HostnameError
		unknown   x509.UnknownAuthorityError
		noTLS     tls.RecordHeaderError
		number    syscall.Errno
	)
	switch {
	case errors.As(err, &expired) && expired.Reason == x509.Expired:
		const day = "2006-01-02"
		return fmt.Sprintf("the certificate is valid from %s to %s only", expired.Cert.NotBefore.Format(day), expired.Cert.NotAfter.Format(day))
	case errors.As(err, &wrongName):
		return "the certificate is not for " + wrongName.Host
	case errors.As(err, &unknown):
		return "the certificate is signed by an unknown authority"
	case errors.As(err, &noTLS):
		return "the receiver does not speak TLS on this port"
	case errors.As(err, &number), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return cause(err) + " during the TLS handshake"
	}
	// What is left are crypto/tls's and x509's own words, such as
	// "tls: server selected unsupported protocol version".
	return shorten(strings.TrimPrefix(clean(err.Error()), "tls: "))
}

// tlsAlert returns the receiver's reason for refusing us, which may come after
// the handshake.
func tlsAlert(err error) (string, bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return "", false
	}
	return strings.TrimPrefix(op.Err.Error(), "tls: "), true
}

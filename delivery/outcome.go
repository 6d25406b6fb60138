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

// judgement is how an attempt ended: its outcome, the cause in the words of the
// network, and what its owner can mend. Neither text names an address. There is
// no advice where it depends on the request or the answer, which message.go has.
type judgement struct {
	outcome webhook.Outcome
	detail  string
	advice  string
}

// judge judges what the client came back with.
//
// Once the status line and headers are in, the status decides: what then
// happens to the body changes nothing about the receiver having answered, and
// is only told in the detail.
func judge(answer *webhook.Response, err error) judgement {
	if answer == nil {
		return judgeFailure(err)
	}
	var j judgement
	if err != nil {
		j.detail = judgeFailure(err).detail
	}
	switch answer.StatusCode / 100 {
	case 2:
		j.outcome = webhook.OutcomeDelivered
	case 3:
		j.outcome = webhook.OutcomeRedirected
	default:
		j.outcome = webhook.OutcomeRejected
	}
	return j
}

// judgeFailure judges an exchange that was refused or that broke off.
func judgeFailure(err error) judgement {
	var refusal *webhook.Error
	if errors.As(err, &refusal) {
		if refusal.Code == webhook.Invalid { // of the data or secret, not of the address
			return judgement{outcome: webhook.OutcomeCanceled, detail: refusal.Message}
		}
		return judgement{outcome: webhook.OutcomeBlocked, detail: refusal.Message}
	}
	var f *failure
	if !errors.As(err, &f) {
		return judgement{outcome: webhook.OutcomeCanceled, detail: err.Error()}
	}
	var (
		stopped canceled
		late    overdue
		garbled malformed
	)
	switch {
	case errors.As(f.err, &stopped):
		return judgement{outcome: webhook.OutcomeCanceled, detail: stopped.Error()}
	case errors.As(f.err, &late):
		return tooLate(f.phase, "within "+seconds(time.Duration(late)))
	case errors.Is(f.err, speaksTLS):
		return judgement{webhook.OutcomeMalformed, speaksTLS.Error(), "Begin the URL with `https://`."}
	case errors.As(f.err, &garbled):
		return judgement{webhook.OutcomeMalformed, garbled.Error(), "Check that the port is that of an HTTP server."}
	case errors.Is(f.err, syscall.ETIMEDOUT):
		return tooLate(f.phase, "before the system gave up")
	}
	if alert, ok := tlsAlert(f.err); ok {
		return refusedHandshake(alert)
	}
	switch f.phase {
	case phaseLookup:
		return judgement{webhook.OutcomeUnresolved, lookupCause(f.err), "Correct the name, or wait until its DNS record is published."}
	case phaseConnect:
		return unconnected(f.err)
	case phaseTLS:
		return judgeHandshake(f.err)
	case phaseBody:
		return judgement{outcome: webhook.OutcomeReset, detail: cause(f.err) + " in the middle of the answer's body"}
	default:
		return judgement{webhook.OutcomeReset, cause(f.err), "The receiver took the connection and dropped it; look into its log, and let it answer 2xx before it closes."}
	}
}

// tooLate judges an exchange that was not done with a phase in time.
func tooLate(at phase, when string) judgement {
	what, advice := "", "Answer 2xx first and do slow work afterwards, or raise `timeoutMs`."
	switch at {
	case phaseLookup:
		what, advice = "the host name was not resolved", "Check the name servers of the host's domain."
	case phaseConnect:
		what, advice = "no connection was made", "Check that the host is up and that no firewall drops the packets."
	case phaseTLS:
		what, advice = "the TLS handshake did not finish", "Check that the receiver speaks TLS on this port."
	case phaseSend:
		what = "the receiver did not read the request"
	case phaseWait:
		what = "no answer came"
	case phaseHead:
		what = "the answer's header did not end"
	case phaseBody:
		what = "the answer's body did not end"
	}
	return judgement{webhook.OutcomeTimedOut, what + " " + when, advice}
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

// unconnected judges a connection that could not be made.
func unconnected(err error) judgement {
	advice := "Check that the host is up and reachable from here."
	if errors.Is(err, syscall.ECONNREFUSED) {
		advice = "Start your receiver or correct the port."
	}
	return judgement{webhook.OutcomeRefused, cause(err), advice}
}

// judgeHandshake judges a handshake that failed on our side.
func judgeHandshake(err error) judgement {
	var (
		expired   x509.CertificateInvalidError
		wrongName x509.HostnameError
		unknown   x509.UnknownAuthorityError
		noTLS     tls.RecordHeaderError
		number    syscall.Errno
	)
	j := judgement{webhook.OutcomeTLSFailed, "", offerTLS}
	switch {
	case errors.As(err, &expired) && expired.Reason == x509.Expired:
		const day = "2006-01-02"
		j.detail = fmt.Sprintf("the certificate is valid from %s to %s only", expired.Cert.NotBefore.Format(day), expired.Cert.NotAfter.Format(day))
		j.advice = "Renew the certificate."
	case errors.As(err, &wrongName):
		j.detail = "the certificate is not for " + wrongName.Host
		j.advice = "Install a certificate for this name, or use the name that it is for."
	case errors.As(err, &unknown):
		j.detail = "the certificate is signed by an unknown authority"
		j.advice = "Install a certificate of a public authority, together with its intermediate certificates."
	case errors.As(err, &noTLS):
		j.detail = "the receiver does not speak TLS on this port"
		j.advice = "Give the port that does, or begin the URL with `http://` where that is permitted."
	case errors.As(err, &number), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		j.detail = cause(err) + " during the TLS handshake"
	default:
		// What is left are crypto/tls's and x509's own words, such as
		// "tls: server selected unsupported protocol version".
		j.detail = shorten(strings.TrimPrefix(clean(err.Error()), "tls: "))
	}
	return j
}

const offerTLS = "Let the receiver offer TLS 1.2 or newer with HTTP/1.1."

// refusedHandshake judges a handshake that the receiver refused with an alert.
func refusedHandshake(alert string) judgement {
	advice := offerTLS
	if alert == "certificate required" { // crypto/tls's name of alert 116
		advice = "HookQL has no client certificate; do not ask for one."
	}
	return judgement{webhook.OutcomeTLSFailed, "the receiver refused the handshake: " + alert, advice}
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

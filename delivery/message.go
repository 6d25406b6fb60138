package delivery

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"github.com/hookql/hookql/internal/webhook"
)

// sentence tells a developer how a request ended and, where it failed, what to
// mend: advice, where the outcome alone does not say it.
func sentence(x *webhook.Exchange, advice string) string {
	where := hostPort(x.Request.URL)
	switch x.Outcome {
	case webhook.OutcomeDelivered:
		return delivered(x)
	case webhook.OutcomeRejected:
		return "Answered " + statusLine(x.Response) + ". " + rejectionAdvice(x)
	case webhook.OutcomeRedirected:
		return redirected(x.Response)
	case webhook.OutcomeTimedOut:
		return "Timed out: " + x.Detail + ". " + advice
	case webhook.OutcomeUnresolved:
		return "The host of " + where + " was not found: " + x.Detail + ". " + advice
	case webhook.OutcomeRefused:
		return refused(where, x.Detail) + " " + advice
	case webhook.OutcomeTLSFailed:
		return "No TLS with " + where + ": " + x.Detail + ". " + advice
	case webhook.OutcomeReset:
		return "No answer: " + x.Detail + ". " + advice
	case webhook.OutcomeMalformed:
		return "No valid answer: " + x.Detail + ". " + advice
	case webhook.OutcomeBlocked:
		return "Nothing was sent. " + x.Detail
	case webhook.OutcomeCanceled:
		return unanswered(strings.TrimSuffix(x.Detail, "."))
	default:
		return x.Detail
	}
}

// unanswered tells of a test that was sent and cut off.
func unanswered(cause string) string { return "Stopped before an answer came: " + cause + "." }

// notSent tells of a test that was cut off before it was sent.
func notSent(cause error) string {
	message := "Not sent: " + cause.Error() + " before its turn came."
	if errors.Is(cause, errTestTimeout) {
		message += " Let the receiver answer faster, or test fewer event types at once."
	}
	return message
}

func delivered(x *webhook.Exchange) string {
	if x.Detail != "" {
		return "Answered " + statusLine(x.Response) + ". But " + x.Detail + ": complete the body, or send none."
	}
	return fmt.Sprintf("Answered %s in %s.", statusLine(x.Response), webhook.Millis(x.Timing.Total))
}

func refused(where, detail string) string {
	if detail == syscall.ECONNREFUSED.Error() {
		return "Nobody listens on " + where + "."
	}
	return "No connection to " + where + ": " + detail + "."
}

func redirected(r *webhook.Response) string {
	location := r.Header("Location")
	if location == "" {
		return "Answered " + statusLine(r) + ". Only 2xx means that the event was received; answer 200."
	}
	return fmt.Sprintf("Answered %s to %s. Redirects are not followed; set the webhook's URL to the final address.", statusLine(r), shorten(location))
}

// rejectionAdvice says what to mend for a status that is neither 2xx nor 3xx.
func rejectionAdvice(x *webhook.Exchange) string {
	switch code := x.Response.StatusCode; {
	case code == http.StatusBadRequest && strings.HasPrefix(x.Request.URL, "http:") && strings.Contains(string(x.Response.Body), "HTTPS"):
		return "The receiver speaks TLS on this port; begin the URL with `https://`."
	case code == http.StatusBadRequest:
		return "The receiver could not read the request; look at what it says in the answer's body, and compare its expectations with the payload format."
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return "Check that the receiver verifies the signature with this webhook's secret over the raw body (for GET over the raw query), or give the credentials it wants in a header."
	case code == http.StatusNotFound:
		return "The receiver runs, but has nothing at this path; correct the path of the URL or add the route."
	case code == http.StatusMethodNotAllowed:
		return fmt.Sprintf("The receiver does not take %s at this path; add it there, or change the webhook's method.", x.Request.Method)
	case code == http.StatusGone:
		return "The receiver says that this URL is gone for good; give the new one."
	case code == http.StatusRequestEntityTooLarge, code == http.StatusRequestURITooLong:
		return fmt.Sprintf("The receiver takes no request of %d bytes; raise its limit.", max(len(x.Request.Body), len(x.Request.URL)))
	case code == http.StatusUnsupportedMediaType:
		return "The receiver does not take `application/json`; let its route accept it."
	case code == http.StatusTooManyRequests:
		return "The receiver is asked too often; raise its rate limit."
	case code >= 500 && code <= 599:
		return "The receiver failed; look into its log."
	default:
		return "Let the receiver answer 2xx once it has the event."
	}
}

// statusLine is "404 Not Found", with the standard's words where the receiver
// gave none.
func statusLine(r *webhook.Response) string {
	text := r.StatusText
	if text == "" {
		text = http.StatusText(r.StatusCode)
	}
	return strings.TrimSpace(strconv.Itoa(r.StatusCode) + " " + shorten(text))
}

// shorten keeps a receiver's text from drowning our own: it is cut, and its
// spaces and tabs are one space each.
func shorten(s string) string {
	const most = 200
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// hostPort is whom a URL's connection goes to, with the port spelled out.
func hostPort(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "the receiver"
	}
	return net.JoinHostPort(u.Hostname(), strconv.Itoa(int(portOf(u))))
}

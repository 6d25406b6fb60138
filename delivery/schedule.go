package delivery

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

const (
	// maxWait is the longest that a receiver can ask HookQL to wait.
	maxWait = 24 * time.Hour
	// jitter is by how much a wait is lengthened at most, so that what failed
	// together is not sent together again.
	jitter = 0.2
)

// decision is what becomes of a delivery after an attempt.
type decision struct {
	state webhook.QueueState
	delay time.Duration
}

// decide says what becomes of a delivery after the n-th attempt since its
// policy began. Chance is between 0 and 1, and now is when the answer came.
func decide(p webhook.RetryPolicy, n int, x *webhook.Exchange, chance float64, now time.Time) decision {
	switch {
	case x.Outcome == webhook.OutcomeDelivered:
		return decision{state: webhook.QueueSucceeded}
	case n >= p.MaxAttempts:
		return decision{state: webhook.QueueFailed}
	}
	wait := step(p, n)
	wait += time.Duration(float64(wait) * jitter * chance)
	if x.Response != nil {
		wait = max(wait, min(retryAfter(x.Response, now), maxWait))
	}
	return decision{state: webhook.QueueReady, delay: wait}
}

// step is how long a policy waits after the n-th attempt.
func step(p webhook.RetryPolicy, n int) time.Duration {
	seconds := float64(p.InitialDelaySeconds) * math.Pow(p.BackoffFactor, float64(n-1))
	return time.Duration(min(seconds, float64(p.MaxDelaySeconds)) * float64(time.Second))
}

// retryAfter is how long a receiver asks to be left alone (RFC 9110 §10.2.3):
// zero where it does not, or not in a way that can be read.
func retryAfter(r *webhook.Response, now time.Time) time.Duration {
	value := strings.TrimSpace(r.Header("Retry-After"))
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, int64(maxWait/time.Second))) * time.Second
}

// overwhelmed says whether a receiver showed that it is asked too much: by its
// status, or by not getting round to an answer at all.
func overwhelmed(x *webhook.Exchange) bool {
	if x.Response == nil {
		return x.Outcome == webhook.OutcomeTimedOut
	}
	switch x.Response.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// gone says whether a receiver wants nothing more at this URL.
func gone(x *webhook.Exchange) bool {
	return x.Response != nil && x.Response.StatusCode == http.StatusGone
}

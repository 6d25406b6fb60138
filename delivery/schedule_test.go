package delivery

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// failed is an exchange with a receiver that answers a status, and perhaps when
// to come again.
func failed(status int, retryAfter string) *webhook.Exchange {
	x := &webhook.Exchange{Outcome: webhook.OutcomeRejected, Response: &webhook.Response{StatusCode: status}}
	if retryAfter != "" {
		x.Response.Headers = []webhook.Header{{Name: "Retry-After", Value: retryAfter}}
	}
	return x
}

// TestScheduleOfDays takes deliveries through the default policy in a time of
// their own, with every chance at its ends.
func TestScheduleOfDays(t *testing.T) {
	t.Parallel()
	steps := []time.Duration{5, 20, 80, 320, 1280, 5120, 20480, 81920, 86400, 86400} // seconds
	for _, chance := range []float64{0, 0.5, 1} {
		var passed time.Duration
		for n := 1; n <= len(steps); n++ {
			d := decide(webhook.DefaultRetryPolicy(), n, failed(500, ""), chance, time.Time{})
			want := steps[n-1] * time.Second
			want += time.Duration(float64(want) * jitter * chance)
			if d.state != webhook.QueueReady || d.delay != want {
				t.Errorf("attempt %d, chance %v: %+v, want after %s", n, chance, d, want)
			}
			passed += d.delay
		}
		if low := 78 * time.Hour; passed < low || passed > low*12/10+time.Hour {
			t.Errorf("it goes on for %s", passed)
		}
		if d := decide(webhook.DefaultRetryPolicy(), 11, failed(500, ""), chance, time.Time{}); d.state != webhook.QueueFailed {
			t.Errorf("the last attempt: %+v", d)
		}
	}
	if d := decide(webhook.DefaultRetryPolicy(), 11, &webhook.Exchange{Outcome: webhook.OutcomeDelivered}, 1, time.Time{}); d.state != webhook.QueueSucceeded {
		t.Errorf("success at the last attempt: %+v", d)
	}
}

func TestScheduleWithinAnyPolicy(t *testing.T) {
	t.Parallel()
	for _, p := range []webhook.RetryPolicy{
		{MaxAttempts: 20, InitialDelaySeconds: 1, BackoffFactor: 1, MaxDelaySeconds: 1},
		{MaxAttempts: 20, InitialDelaySeconds: 3600, BackoffFactor: 10, MaxDelaySeconds: 86_400},
		{MaxAttempts: 20, InitialDelaySeconds: 3600, BackoffFactor: 10, MaxDelaySeconds: 1},
		{MaxAttempts: 2, InitialDelaySeconds: 7, BackoffFactor: 1.5, MaxDelaySeconds: 10},
	} {
		before := time.Duration(0)
		for n := 1; n < p.MaxAttempts; n++ {
			least, most := decide(p, n, failed(500, ""), 0, time.Time{}).delay, decide(p, n, failed(500, ""), 1, time.Time{}).delay
			if least < before || least <= 0 || least > time.Duration(p.MaxDelaySeconds)*time.Second || most != least+least/5 {
				t.Errorf("%+v: attempt %d waits %s to %s after %s", p, n, least, most, before)
			}
			before = least
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":      5 * time.Second,
		"0":     5 * time.Second, // not before the step
		"4":     5 * time.Second,
		" 60":   time.Minute,
		"86400": maxWait, "86401": maxWait, "9223372036854775807": maxWait,
		"99999999999999999999": 5 * time.Second, // beyond any number
		"-1":                   5 * time.Second,
		"1.5":                  5 * time.Second,
		"soon":                 5 * time.Second,
		now.Add(time.Minute).Format(http.TimeFormat):     time.Minute,
		now.Add(-time.Minute).Format(http.TimeFormat):    5 * time.Second,
		now.Add(2 * maxWait).Format(http.TimeFormat):     maxWait,
		now.Add(30 * time.Second).Format(time.RFC850):    30 * time.Second,
		"Fri, 99 Jan 2026 03:04:05 GMT":                  5 * time.Second,
		strconv.Itoa(int(6 * time.Second / time.Second)): 6 * time.Second,
	} {
		if d := decide(webhook.DefaultRetryPolicy(), 1, failed(503, value), 0, now); d.delay != want {
			t.Errorf("Retry-After: %q waits %s, want %s", value, d.delay, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("60")
	f.Add("Fri, 02 Jan 2026 03:04:05 GMT")
	f.Fuzz(func(t *testing.T, value string) {
		d := decide(webhook.DefaultRetryPolicy(), 1, failed(429, value), 0, time.Unix(0, 0))
		if d.delay < 5*time.Second || d.delay > maxWait {
			t.Errorf("%q: %s", value, d.delay)
		}
	})
}

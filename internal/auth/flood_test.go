package auth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// counting is a store that counts the keys it is asked for.
type counting struct {
	Store
	asked atomic.Int64
}

func (c *counting) APIKeyByHash(ctx context.Context, hash [sha256.Size]byte) (*webhook.APIKey, error) {
	c.asked.Add(1)
	return c.Store.APIKeyByHash(ctx, hash)
}

// flood is an attack: wrong keys, each another one, that a trusted proxy
// forwards for a number of addresses in turn.
type flood struct {
	keys, addresses int
}

var proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}

// from are the headers of a request for the nth address.
func (f flood) from(n int) []string {
	n %= f.addresses
	return []string{"From: 10.0.0.1:1", fmt.Sprintf("X-Forwarded-For: 192.0.2.1, 198.51.%d.%d", n/250, n%250)}
}

// send sends the keys and tells what each was answered.
func (f flood) send(a *Authenticator, answered func(n int, w *httptest.ResponseRecorder)) {
	const senders = 4
	var sending sync.WaitGroup
	for sender := range senders {
		sending.Go(func() {
			for n := range f.keys {
				if n%f.addresses%senders == sender { // each address has one sender
					w, _ := call(a, append(f.from(n), "Authorization: Bearer "+configured+strconv.Itoa(n))...)
					answered(n, w)
				}
			}
		})
	}
	sending.Wait()
}

// TestFlood is the flood that BenchmarkFlood measures, smaller: all are
// refused, nearly none is looked up, and nobody else notices.
func TestFlood(t *testing.T) {
	t.Parallel()
	for _, f := range []flood{{10_000, 1}, {10_000, 100}} {
		t.Run(fmt.Sprint(f.addresses, " addresses"), func(t *testing.T) {
			t.Parallel()
			in := install(t)
			store := &counting{Store: in}
			a := New(store, Options{Workspace: in.own, TrustedProxies: proxies})
			good, _ := in.issue(t, in.own, nil)
			fresh, _ := in.issue(t, in.own, nil)
			check := func(what string, token Token, headers []string) {
				t.Helper()
				if w, _ := call(a, append(headers, "Authorization: Bearer "+string(token))...); w.Code != http.StatusOK {
					t.Errorf("%s is answered %d %s", what, w.Code, w.Body)
				}
			}
			check("a good key before", good, f.from(0))
			began := time.Now()
			f.send(a, func(n int, w *httptest.ResponseRecorder) {
				wait, _ := strconv.Atoi(w.Header().Get("Retry-After"))
				backedOff := w.Code == http.StatusTooManyRequests && 1 <= wait && wait <= 60
				if w.Code != http.StatusUnauthorized && (!backedOff || n/f.addresses < freeFailures) {
					t.Errorf("wrong key %d of an address is answered %d with Retry-After %q", n/f.addresses+1, w.Code, w.Header().Get("Retry-After"))
				}
			})
			// After each wait, which doubles, one more is looked at.
			waits := 1
			for wait := time.Second; wait < time.Since(began); wait = 2*wait + time.Second {
				waits++
			}
			if asked, most := store.asked.Load(), int64(f.addresses*(freeFailures+waits)+1); asked > most {
				t.Errorf("%d of %d keys were looked up, want at most %d", asked, f.keys, most)
			}
			for n := range f.addresses {
				check("a good key from the same address", good, f.from(n))
			}
			check("a key that was never seen, from elsewhere", fresh, []string{"From: 10.0.0.1:1", "X-Forwarded-For: 198.51.200.1"})
			if n := a.keys.found.Len(); n > 2 {
				t.Errorf("%d keys are remembered, and 2 are there", n)
			}
			if n := a.backoff.addresses.Len(); n > f.addresses {
				t.Errorf("%d addresses are remembered, and %d sent wrong keys", n, f.addresses)
			}
		})
	}
}

// However many addresses send wrong keys, the last maxRemembered are known.
func TestRememberedAddressesAreBounded(t *testing.T) {
	t.Parallel()
	b, now := newBackoff(), time.Now()
	addr := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}) }
	for n := range 3 * maxRemembered {
		for range freeFailures {
			b.failed(addr(n), now)
		}
	}
	if n := b.addresses.Len(); n != maxRemembered {
		t.Errorf("%d addresses are remembered, want %d", n, maxRemembered)
	}
	if b.wait(addr(2*maxRemembered-1), now) != 0 || b.wait(addr(2*maxRemembered), now) == 0 {
		t.Error("others than the last are remembered")
	}
}

// BenchmarkFlood is what 100,000 wrong keys cost the program, PostgreSQL's part
// aside.
func BenchmarkFlood(b *testing.B) {
	for _, f := range []flood{{100_000, 1}, {100_000, 1000}} {
		b.Run(fmt.Sprint(f.addresses, " addresses"), func(b *testing.B) {
			in := install(b)
			for b.Loop() {
				store := &counting{Store: in}
				a := New(store, Options{Workspace: in.own, TrustedProxies: proxies})
				began := cpuTime(b)
				f.send(a, func(_ int, w *httptest.ResponseRecorder) {
					if w.Code == http.StatusOK {
						b.Error("a wrong key opens")
					}
				})
				b.ReportMetric(float64((cpuTime(b)-began).Microseconds())/float64(f.keys), "cpu-µs/refusal")
				b.ReportMetric(float64(store.asked.Load()), "looked-up")
				b.ReportMetric(float64(a.backoff.addresses.Len()), "remembered")
			}
		})
	}
}

// cpuTime is the processor time that this process has used.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

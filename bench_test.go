package main

import (
	"cmp"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/config"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/seal"
	"github.com/hookql/hookql/resolvers"
	"github.com/hookql/hookql/webhooktest"
)

// BenchmarkAbuse answers each request of the corpus and reports the worst: how
// much processor time it takes, and how much memory all in all. Development
// mode's handler, which asks for no key, is what an anonymous client can reach.
func BenchmarkAbuse(b *testing.B) {
	handler := devHandler(b)
	cases := corpus(b)
	for b.Loop() {
		costs := make([]cost, len(cases))
		for i, a := range cases {
			costs[i] = measure(b, handler, a)
		}
		slices.SortFunc(costs, func(x, y cost) int { return cmp.Compare(y.cpu, x.cpu) })
		b.ReportMetric(float64(costs[0].cpu.Microseconds())/1000, "worst-cpu-ms")
		for _, c := range costs[:5] {
			b.Logf("%8s %6d KiB  %s", c.cpu.Round(10*time.Microsecond), c.memory>>10, c.name)
		}
		slices.SortFunc(costs, func(x, y cost) int { return cmp.Compare(y.memory, x.memory) })
		b.ReportMetric(float64(costs[0].memory)/(1<<20), "worst-MiB")
		for _, c := range costs[:5] {
			b.Logf("%8s %6d KiB  %s", c.cpu.Round(10*time.Microsecond), c.memory>>10, c.name)
		}
	}
}

// cost is what one request takes.
type cost struct {
	name   string
	cpu    time.Duration
	memory uint64 // allocated, not held
}

// measure answers a request several times and takes the median.
func measure(b *testing.B, handler http.Handler, a abuse) cost {
	const times = 11
	cpus, memories := make([]time.Duration, times), make([]uint64, times)
	for i := range times {
		r, err := a.request("http://127.0.0.1:8080")
		if err != nil {
			b.Fatal(err)
		}
		r.RequestURI = r.URL.RequestURI()
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := cpuTime(b)
		handler.ServeHTTP(httptest.NewRecorder(), r)
		cpus[i] = cpuTime(b) - began
		runtime.ReadMemStats(&after)
		memories[i] = after.TotalAlloc - before.TotalAlloc
	}
	slices.Sort(cpus)
	slices.Sort(memories)
	return cost{a.Name, cpus[times/2], memories[times/2]}
}

// cpuTime is the processor time that this process has used.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// devHandler is all that the program answers in development mode at
// 127.0.0.1:8080.
func devHandler(b *testing.B) http.Handler {
	b.Helper()
	c := config.Config{Addr: "127.0.0.1:8080", Dev: true, DatabaseURL: pgtest.URL(b), MasterKeys: []seal.Key{pgtest.MasterKey}}
	log := slog.New(slog.DiscardHandler)
	store, err := openStore(b.Context(), c, log)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.close() })
	ready, err := prepare(b.Context(), c, store.DB, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	keys := auth.New(store.DB, auth.Options{Dev: true, Workspace: ready.workspaceID})
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	engine := newEngine(c, addr, store.DB, log)
	return routes(c, addr, parts{&resolvers.Resolver{DB: store.DB, Engine: engine}, ready, resolvers.Options{Log: log, Keys: keys}, newMetrics(engine, store.DB, log)})
}

// BenchmarkUnderAbuse asks the program for a list while eight connections throw
// the corpus at it, and reports how long an answer takes and the most memory
// that the program ever had.
func BenchmarkUnderAbuse(b *testing.B) {
	const connections = 8
	env := append(os.Environ(), "HOOKQL_ADDR=127.0.0.1:0", "HOOKQL_DEV=true", "HOOKQL_MASTER_KEY="+pgtest.MasterKey.Text(), "DATABASE_URL="+pgtest.URL(b))
	server, err := start(env, "hookql")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.end(syscall.SIGKILL) })
	cases := corpus(b)
	var stopped atomic.Bool
	var thrown atomic.Int64
	var throwers sync.WaitGroup
	for range connections {
		throwers.Go(func() {
			client := &http.Transport{}
			defer client.CloseIdleConnections()
			for i := 0; !stopped.Load(); i++ {
				if err := throw(client, cases[i%len(cases)], server.url); err != nil {
					b.Error(err)
					return
				}
				thrown.Add(1)
			}
		})
	}
	client := &http.Transport{}
	defer client.CloseIdleConnections()
	normal := abuse{Query: pieces(`{ webhooks(first: 25) { nodes { id name testRuns(first: 1) { nodes { success } } } } }`)}
	var took []time.Duration
	began := time.Now()
	for b.Loop() {
		asked := time.Now()
		if err := throw(client, normal, server.url); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(asked))
	}
	elapsed := time.Since(began)
	stopped.Store(true)
	throwers.Wait()
	slices.Sort(took)
	ms := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(ms(0.5), "median-ms")
	b.ReportMetric(ms(0.99), "p99-ms")
	b.ReportMetric(float64(thrown.Load())/elapsed.Seconds(), "abuse/s")
	b.ReportMetric(peakMemory(b, server.cmd.Process.Pid), "peak-MiB")
}

// throw sends a request and reads the answer.
func throw(client *http.Transport, a abuse, url string) error {
	r, err := a.request(url)
	if err != nil {
		return err
	}
	response, err := client.RoundTrip(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

var peak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakMemory is the most resident memory that a process ever had, in MiB.
func peakMemory(b *testing.B, pid int) float64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		b.Logf("no figure for memory on this system: %v", err)
		return 0
	}
	found := peak.FindStringSubmatch(string(status))
	if found == nil {
		b.Fatalf("no VmHWM in %s", strings.TrimSpace(string(status)))
	}
	kib, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kib / 1024
}

// BenchmarkTestWebhook tests an endpoint that answers at once, with 1 event and
// with all 12 of the sample catalogue, and reports how long the answer takes.
func BenchmarkTestWebhook(b *testing.B) {
	handler := devHandler(b)
	receiver := httptest.NewServer(&webhooktest.Receiver{})
	b.Cleanup(receiver.Close)
	for _, events := range []string{"job.status", "*"} {
		b.Run(events, func(b *testing.B) {
			test := abuse{Query: pieces(`mutation { testWebhook(input: {target: {endpoint: {url: "` + receiver.URL + `", events: ["` + events + `"]}}}) { testRun { success tests { nodes { message } } } } }`)}
			var took []time.Duration
			for b.Loop() {
				r, err := test.request("http://127.0.0.1:8080")
				if err != nil {
					b.Fatal(err)
				}
				r.RequestURI = r.URL.RequestURI()
				began, answer := time.Now(), httptest.NewRecorder()
				handler.ServeHTTP(answer, r)
				took = append(took, time.Since(began))
				if !strings.Contains(answer.Body.String(), `"success":true`) {
					b.Fatal(answer.Body)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
		})
	}
}

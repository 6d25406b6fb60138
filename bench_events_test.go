package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookql/hookql/db/embedded"
	"github.com/hookql/hookql/internal/pgtest"
)

// arrivals is what a benchmark's receiver says of what arrived.
type arrivals struct {
	Count    int
	P50, P99 float64 // milliseconds from publishing to arrival
}

var publishedAt = regexp.MustCompile(`"at":(\d+)`)

// countArrivals is a receiver in a process of its own: it answers 204 at once,
// or under /hang/ after ten seconds, and counts. /arrivals shows what came to
// the other paths since it was asked before.
func countArrivals() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	var took []float64
	mux := http.NewServeMux()
	mux.HandleFunc("/arrivals", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(took)
		a := arrivals{Count: len(took)}
		if len(took) > 0 {
			a.P50, a.P99 = took[len(took)/2], took[len(took)*99/100]
		}
		took = took[:0]
		_ = json.NewEncoder(w).Encode(a)
	})
	mux.HandleFunc("/hang/", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(10 * time.Second):
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		ms := 0.0
		if at := publishedAt.FindSubmatch(body); at != nil {
			ns, _ := strconv.ParseInt(string(at[1]), 10, 64)
			ms = float64(time.Now().UnixNano()-ns) / 1e6
		}
		mu.Lock()
		took = append(took, ms)
		mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	})
	fmt.Printf("http://%s\n", listener.Addr())
	_ = http.Serve(listener, mux)
}

// service is the program as a user runs it, on a private PostgreSQL that syncs
// to disk, with a receiver beside it.
type service struct {
	b        *testing.B
	server   *process
	receiver *process
	postgres *embedded.Server
	db       *sqlx.DB
	client   *http.Client
	uid      atomic.Int64
}

func newService(b *testing.B) *service {
	b.Helper()
	s := &service{b: b, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	dir, err := os.MkdirTemp("", "hookql-bench-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // as root, PostgreSQL runs as another user
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	if s.postgres, err = embedded.Start(b.Context(), embedded.Options{Dir: filepath.Join(dir, "data"), MaxConnections: 100}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.postgres.Close() })
	if s.db, err = sqlx.Connect("postgres", s.postgres.URL()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.db.Close() })
	if s.receiver, err = start(os.Environ(), "count-arrivals"); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.receiver.end(syscall.SIGKILL) })
	env := append(os.Environ(), "HOOKQL_ADDR=127.0.0.1:0", "HOOKQL_DEV=true", "HOOKQL_MASTER_KEY="+pgtest.MasterKey.Text(), "DATABASE_URL="+s.postgres.URL())
	if s.server, err = start(env, "hookql"); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.server.end(syscall.SIGTERM); s.client.CloseIdleConnections() })
	return s
}

// ask sends a document with its input.
func (s *service) ask(document string, input any) {
	body, err := json.Marshal(map[string]any{"query": document, "variables": map[string]any{"input": input}})
	if err != nil {
		s.b.Fatal(err)
	}
	response, err := s.client.Post(s.server.url+"/graphql", "application/json", bytes.NewReader(body))
	if err != nil {
		s.b.Error(err)
		return
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || bytes.Contains(text, []byte(`"errors"`)) || bytes.Contains(text, []byte(`"code"`)) {
		s.b.Errorf("%d %s %v", response.StatusCode, text, err)
	}
}

// subscribe registers an active webhook for an event type.
func (s *service) subscribe(path, event string) {
	s.ask(`mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { userErrors { code message } } }`,
		map[string]any{"url": s.receiver.url + path, "events": []string{event}, "active": true})
}

// event is one of about 500 bytes, with the time.
func (s *service) event(name string) map[string]any {
	return map[string]any{"eventName": name, "data": map[string]any{"at": time.Now().UnixNano(), "n": s.uid.Add(1), "text": strings.Repeat("x", 440)}}
}

func (s *service) publishOne(name string) {
	s.ask(`mutation($input: PublishEventInput!) { publishEvent(input: $input) { event { id } userErrors { code message } } }`, s.event(name))
}

func (s *service) publishBatch(name string, n int) {
	events := make([]map[string]any, n)
	for i := range events {
		events[i] = s.event(name)
	}
	s.ask(`mutation($input: PublishEventsInput!) { publishEvents(input: $input) { events { id } userErrors { code message } } }`, map[string]any{"events": events})
}

// together lets so many clients do something until n times are done, and
// returns how long that took.
func together(clients, n int, do func()) time.Duration {
	var left atomic.Int64
	left.Store(int64(n))
	var working sync.WaitGroup
	began := time.Now()
	for range clients {
		working.Go(func() {
			for left.Add(-1) >= 0 {
				do()
			}
		})
	}
	working.Wait()
	return time.Since(began)
}

// arrived asks the receiver what came since it was asked before.
func (s *service) arrived() (a arrivals) {
	response, err := http.Get(s.receiver.url + "/arrivals")
	if err != nil {
		s.b.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		s.b.Fatal(err)
	}
	return a
}

// settled waits until nothing is open.
func (s *service) settled() {
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var open bool
		if err := s.db.Get(&open, `SELECT EXISTS (SELECT FROM deliveries WHERE finished_at IS NULL AND next_at < now() + interval '1 hour' AND webhook_id IN (SELECT id FROM webhooks WHERE url NOT LIKE '%/hang/%'))`); err != nil {
			s.b.Fatal(err)
		} else if !open {
			return
		}
		if time.Now().After(end) {
			s.b.Fatal("deliveries stay open")
		}
	}
}

// bare posts a body of the same size to the receiver, as fast as net/http's
// client does with so many connections: what any sender is measured by.
func (s *service) bare(clients, n int) time.Duration {
	body := []byte(`{"at":` + strconv.FormatInt(time.Now().UnixNano(), 10) + `,"text":"` + strings.Repeat("x", 600) + `"}`)
	return together(clients, n, func() {
		response, err := s.client.Post(s.receiver.url+"/bare", "application/json", bytes.NewReader(body))
		if err != nil {
			s.b.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	})
}

// spent is the processor time of the service: the program, and PostgreSQL with
// its backends.
func (s *service) spent() time.Duration {
	var ticks int64
	for _, pid := range s.pids() {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
		for _, field := range fields[11:15] { // utime, stime, and of children that were waited for
			n, _ := strconv.ParseInt(field, 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * (time.Second / 100) // USER_HZ is 100 on every Linux
}

// held is the memory that the service holds, with what PostgreSQL's processes
// share counted once.
func (s *service) held() (kib int64) {
	for _, pid := range s.pids() {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				kib += n
			}
		}
	}
	return kib
}

// pids are the program's process and those of PostgreSQL.
func (s *service) pids() []int {
	pids := []int{s.server.cmd.Process.Pid}
	var postmaster int
	if err := s.db.Get(&postmaster, `SELECT (regexp_split_to_array(pg_read_file('postmaster.pid'), '\n'))[1]::integer`); err != nil {
		s.b.Fatal(err)
	}
	pids = append(pids, postmaster)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", postmaster, postmaster))
	if err != nil {
		s.b.Fatal(err)
	}
	for _, field := range strings.Fields(string(children)) {
		pid, _ := strconv.Atoi(field)
		pids = append(pids, pid)
	}
	return pids
}

// BenchmarkPublish publishes single events from 64 clients, and batches of 100
// from 8, while one webhook gets them; ratio is to a bare client's requests at
// the same receiver.
func BenchmarkPublish(b *testing.B) {
	s := newService(b)
	s.subscribe("/one", "job.status")
	s.publishOne("job.status")
	for b.Loop() {
		const n = 10_000
		single := together(64, n, func() { s.publishOne("job.status") })
		s.settled()
		batches := together(8, n/50, func() { s.publishBatch("job.status", 100) })
		s.settled()
		bare := s.bare(64, n)
		b.ReportMetric(n/single.Seconds(), "single/s")
		b.ReportMetric(2*n/batches.Seconds(), "batched/s")
		b.ReportMetric(bare.Seconds()/single.Seconds(), "single-ratio")
		b.ReportMetric(2*bare.Seconds()/batches.Seconds(), "batched-ratio")
	}
}

// BenchmarkEndToEnd publishes 50,000 events in batches and waits until all are
// recorded as delivered.
func BenchmarkEndToEnd(b *testing.B) {
	s := newService(b)
	s.subscribe("/one", "job.status")
	s.publishOne("job.status")
	s.settled()
	s.arrived()
	for b.Loop() {
		const n = 50_000
		most, stop := int64(0), make(chan struct{})
		var watching sync.WaitGroup
		watching.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(200 * time.Millisecond):
					most = max(most, s.held())
				}
			}
		})
		spent, began := s.spent(), time.Now()
		together(8, n/100, func() { s.publishBatch("job.status", 100) })
		s.settled()
		took := time.Since(began)
		spent = s.spent() - spent
		close(stop)
		watching.Wait()
		if a := s.arrived(); a.Count != n {
			b.Errorf("%d of %d arrived", a.Count, n)
		}
		bare := s.bare(16, n/5)
		s.arrived()
		b.ReportMetric(n/took.Seconds(), "delivered/s")
		b.ReportMetric(spent.Seconds()*1000/n, "cpu-s/1000")
		b.ReportMetric(float64(most)/1024, "MiB")
		b.ReportMetric(5*bare.Seconds()/took.Seconds(), "ratio")
	}
}

// BenchmarkFanOut publishes events that ten webhooks get.
func BenchmarkFanOut(b *testing.B) {
	s := newService(b)
	for i := range 10 {
		s.subscribe("/"+strconv.Itoa(i), "job.status")
	}
	s.publishOne("job.status")
	s.settled()
	s.arrived()
	for b.Loop() {
		const n = 2_000
		began := time.Now()
		together(8, n/100, func() { s.publishBatch("job.status", 100) })
		s.settled()
		took := time.Since(began)
		if a := s.arrived(); a.Count != 10*n {
			b.Errorf("%d of %d arrived", a.Count, 10*n)
		}
		b.ReportMetric(10*n/took.Seconds(), "deliveries/s")
	}
}

// at50 publishes 50 events a second for a time, and says how long they took.
func (s *service) at50(long time.Duration) arrivals {
	s.arrived()
	tick := time.NewTicker(time.Second / 50)
	defer tick.Stop()
	var publishing sync.WaitGroup
	for end := time.Now().Add(long); time.Now().Before(end); <-tick.C {
		publishing.Go(func() { s.publishOne("job.status") })
	}
	publishing.Wait()
	s.settled()
	return s.arrived()
}

// BenchmarkArrival publishes 50 events a second and reports how long they take
// from the client to the receiver: alone, and beside a webhook that lets each
// request hang for ten seconds.
func BenchmarkArrival(b *testing.B) {
	s := newService(b)
	s.subscribe("/one", "job.status")
	s.at50(time.Second)
	for b.Loop() {
		alone := s.at50(10 * time.Second)
		s.subscribe("/hang/1", "job.status")
		beside := s.at50(10 * time.Second)
		b.ReportMetric(alone.P50, "p50-ms")
		b.ReportMetric(alone.P99, "p99-ms")
		b.ReportMetric(beside.P99, "p99-ms-beside")
		b.ReportMetric(beside.P99/alone.P99, "beside-ratio")
	}
}

// backlog makes deliveries that are due in a day.
const backlog = `
INSERT INTO deliveries (id, workspace_id, event_id, webhook_id, state, next_at, attempts, trigger, created_at)
SELECT substr(d.id, 1, 14) || lpad(n::text, 16, '0'), d.workspace_id, d.event_id, d.webhook_id, 'READY', now() + interval '1 day', 1, 'RETRY', now()
FROM (SELECT * FROM deliveries LIMIT 1) d, generate_series(1, 1000000) n
ON CONFLICT DO NOTHING`

// BenchmarkBacklog publishes beside a million deliveries that wait for a retry,
// and reports the times to those of an empty queue.
func BenchmarkBacklog(b *testing.B) {
	s := newService(b)
	s.subscribe("/one", "job.status")
	s.publishOne("job.status")
	times := func() (p50, p99 float64) {
		var mu sync.Mutex
		var all []float64
		together(4, 4000, func() {
			began := time.Now()
			s.publishOne("job.status")
			mu.Lock()
			defer mu.Unlock()
			all = append(all, float64(time.Since(began).Microseconds())/1000)
		})
		s.settled()
		slices.Sort(all)
		return all[len(all)/2], all[len(all)*99/100]
	}
	times()
	for b.Loop() {
		emptyP50, emptyP99 := times()
		s.db.MustExec(backlog)
		fullP50, fullP99 := times()
		b.ReportMetric(emptyP99, "p99-ms-empty")
		b.ReportMetric(fullP99, "p99-ms")
		b.ReportMetric(fullP50/emptyP50, "p50-ratio")
		b.ReportMetric(fullP99/emptyP99, "p99-ratio")
	}
}

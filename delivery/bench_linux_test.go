package delivery

import (
	"cmp"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
)

// BenchmarkHostile makes a thousand attempts at hostile receivers, one after
// another, and tells what the worst of them costs. The receivers' own
// allocations are in what is allocated, but their time is not in that of the
// CPU.
func BenchmarkHostile(b *testing.B) {
	const (
		attempts = 1000
		limit    = 100 * time.Millisecond
	)
	receivers := zoo(b)
	peers := make([]*peer, len(receivers))
	for i, h := range receivers {
		peers[i] = h.receiver(b)
	}
	runtime.LockOSThread() // for the CPU time of this goroutine alone
	defer runtime.UnlockOSThread()
	var costs []cost
	for b.Loop() {
		for i := range attempts {
			costs = append(costs, costOf(receivers[i%len(peers)].name, peers[i%len(peers)], limit))
		}
	}
	report := func(unit string, of func(cost) float64) {
		slices.SortFunc(costs, func(x, y cost) int { return cmp.Compare(of(x), of(y)) })
		worst := costs[len(costs)-1]
		b.ReportMetric(of(costs[len(costs)/2]), unit+"/median")
		b.ReportMetric(of(worst), unit+"/worst")
		b.Logf("%s: worst %s with %.3g", unit, worst.name, of(worst))
	}
	report("cpu-ms", func(c cost) float64 { return float64(c.cpu) / 1e6 })
	report("late-ms", func(c cost) float64 { return float64(max(c.took-limit, 0)) / 1e6 })
	report("alloc-KiB", func(c cost) float64 { return float64(c.allocated) / 1024 })
	b.ReportMetric(float64(b.Elapsed())/float64(len(costs)), "ns/attempt")
}

// cost is what one attempt took.
type cost struct {
	name      string
	cpu, took time.Duration
	allocated uint64 // bytes
}

// costOf makes an attempt at p, on a thread of its own.
func costOf(name string, p *peer, limit time.Duration) cost {
	allocated, cpu := totalAlloc(), threadTime()
	v := p.visit(limit)
	return cost{name, threadTime() - cpu, v.took, totalAlloc() - allocated}
}

func totalAlloc() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

// threadTime is the CPU time of the goroutine's thread.
func threadTime() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &use); err != nil {
		panic(err) // who and where are constants
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

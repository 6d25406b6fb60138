package rig

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hookql/hookql/internal/faults"
)

// Scenario is what is done to a lab while events are published.
type Scenario struct {
	Name string
	// Tags are those that the program must be built with.
	Tags string
	// set fits the lab's options to the scenario; nil: they fit. Undo is called
	// when the lab is gone.
	set   func(*Options) (undo func(), err error)
	chaos func(context.Context, *lab) error
	bound func(*Verdict)
}

// ErrSkipped is why a scenario cannot be run on this machine.
var ErrSkipped = errors.New("skipped")

// Run runs a scenario and judges it. The directory of o keeps the journals and
// logs. An error says that the rig itself failed, or that a process ended that
// nobody had killed.
func Run(ctx context.Context, o Options, s Scenario) (v Verdict, err error) {
	v.Scenario = s.Name
	if s.set != nil {
		undo, err := s.set(&o)
		if err != nil {
			return v, err
		}
		defer undo()
	}
	l, err := newLab(ctx, o)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, l.close()) }()

	publishing, stop := context.WithCancel(ctx)
	defer stop()
	var publisher sync.WaitGroup
	publisher.Go(func() { l.publisher.run(publishing, ctx, l.PerSecond) })
	began := time.Now()
	err = s.chaos(ctx, l)
	stop()
	took := time.Since(began)
	if err == nil {
		err = l.revive(ctx)
	}
	publisher.Wait()
	if err != nil {
		return v, err
	}
	l.Log("%d events acknowledged; now all faults end", l.publisher.known.Load())
	if err := l.settle(ctx); err != nil {
		return v, err
	}
	l.Log("nothing is owed; now the judge reads")
	e, err := l.gather(ctx)
	if err != nil {
		return v, err
	}
	v = judgeOf(e)
	l.fill(&v, s.Name, took)
	if s.bound != nil {
		s.bound(&v)
	}
	return v, nil
}

// fill adds what the journals do not have.
func (l *lab) fill(v *Verdict, name string, took time.Duration) {
	v.Scenario, v.Seconds, v.relaxed = name, took.Seconds(), l.Relaxed
	v.PerSecond = float64(v.Acknowledged) / took.Seconds()
	v.CallsRepeated, v.CallsFailed = int(l.publisher.again.Load()), int(l.publisher.failed.Load())
	v.CallWorst = float64(l.publisher.slowest.Load()) / 1000
	v.ResumeWorst = float64(l.resumed.Microseconds()) / 1000
	v.Points = l.reached
	if l.check != "" {
		v.Broken = append(v.Broken, "db check: "+l.check)
	}
}

// atMost breaks a bound where a figure is higher.
func (v *Verdict) atMost(what string, got, most float64) {
	if got > most {
		v.Broken = append(v.Broken, fmt.Sprintf("%s: %g, at most %g", what, got, most))
	}
}

// atLeast breaks a bound where a figure is lower.
func (v *Verdict) atLeast(what string, got, least float64) {
	if got < least {
		v.Broken = append(v.Broken, fmt.Sprintf("%s: %g, at least %g", what, got, least))
	}
}

// takesAtMost is atMost for a time in milliseconds, which means nothing where
// the machine has other things to do.
func (v *Verdict) takesAtMost(what string, got float64, most time.Duration) {
	if !v.relaxed {
		v.atMost("ms "+what, got, float64(most.Milliseconds()))
	}
}

// pause waits, unless the run is over.
func pause(ctx context.Context, least, most time.Duration) error {
	select {
	case <-time.After(least + rand.N(most-least+1)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// kill ends a process as kill -9 does.
func (l *lab) kill(p *program) error {
	c := p.process()
	if c.ended() {
		return fmt.Errorf("process %d ended by itself: %s", p.number, lastLines(p.log))
	}
	at := now()
	c.kill()
	l.did(fault{At: at, Until: now(), Kind: killed, Process: p.number})
	return nil
}

// revive starts the processes that do not run.
func (l *lab) revive(ctx context.Context) error {
	for _, p := range l.programs {
		if p.process().ended() {
			if err := p.start(); err != nil {
				return err
			}
		}
	}
	return l.awaitReady(ctx)
}

// Crash kills one of the processes at random times, 50 to 1,500 ms apart, and
// starts it again at once.
func Crash(kills int) Scenario {
	return Scenario{
		Name: "crash",
		chaos: func(ctx context.Context, l *lab) error {
			for n := range kills {
				if err := pause(ctx, 50*time.Millisecond, 1500*time.Millisecond); err != nil {
					return err
				}
				p := l.programs[rand.IntN(len(l.programs))]
				if err := l.kill(p); err != nil {
					return err
				}
				if err := p.start(); err != nil {
					return err
				}
				if (n+1)%100 == 0 {
					l.Log("%d kills, %d events acknowledged", n+1, l.publisher.known.Load())
				}
			}
			return nil
		},
		bound: func(v *Verdict) {
			v.takesAtMost("until others take over, p99", v.TakeoverP99, 3*time.Second)
			v.atMost("in flight at one kill", float64(v.InFlightMax), inHand)
		},
	}
}

// Takeover kills one of the processes and leaves it dead until the other must
// have taken over.
func Takeover(kills int) Scenario {
	return Scenario{
		Name: "takeover",
		chaos: func(ctx context.Context, l *lab) error {
			for n := range kills {
				if err := pause(ctx, time.Second, 2*time.Second); err != nil {
					return err
				}
				p := l.programs[n%len(l.programs)]
				if err := l.kill(p); err != nil {
					return err
				}
				if err := pause(ctx, 3*time.Second, 3*time.Second); err != nil {
					return err
				}
				if err := p.comeUp(ctx); err != nil {
					return err
				}
			}
			return nil
		},
		bound: func(v *Verdict) {
			v.atLeast("takeovers", float64(v.Takeovers), 1)
			v.takesAtMost("until others take over, p99", v.TakeoverP99, 3*time.Second)
		},
	}
}

// Freeze stops a process for twice as long as its leases, and lets it go on.
func Freeze(times int) Scenario {
	const margin = 2 * time.Second
	const lease = hookTimeout + margin
	return Scenario{
		Name: "freeze",
		set: func(o *Options) (func(), error) {
			o.LeaseMargin = margin
			o.CallTime = time.Second // nobody waits for one that is frozen
			return func() {}, nil
		},
		chaos: func(ctx context.Context, l *lab) error {
			for n := range times {
				if err := pause(ctx, time.Second, 2*time.Second); err != nil {
					return err
				}
				c := l.programs[n%len(l.programs)].process()
				at := now()
				c.signal(syscall.SIGSTOP)
				err := pause(ctx, 2*lease, 2*lease)
				c.signal(syscall.SIGCONT)
				l.did(fault{At: at, Until: now(), Kind: frozen, Process: n % len(l.programs)})
				if err != nil {
					return err
				}
			}
			return pause(ctx, time.Second, time.Second)
		},
		bound: func(v *Verdict) { v.atMost("in flight at one freeze", float64(v.InFlightMax), inHand) },
	}
}

// Rolling tells the processes to stop, one after the other, and starts each
// again, as an update does.
func Rolling(cycles int) Scenario {
	return Scenario{
		Name: "rolling",
		chaos: func(ctx context.Context, l *lab) error {
			for range cycles {
				for _, p := range l.programs {
					if err := pause(ctx, 200*time.Millisecond, 400*time.Millisecond); err != nil {
						return err
					}
					at := now()
					if err := p.stop(15 * time.Second); err != nil {
						return err
					}
					l.did(fault{At: at, Until: now(), Kind: replaced, Process: p.number})
					if err := p.comeUp(ctx); err != nil {
						return err
					}
				}
			}
			return nil
		},
		bound: func(v *Verdict) {
			v.atMost("duplicates", float64(v.Duplicates), 0)
			v.atMost("failed calls", float64(v.CallsFailed), 0)
		},
	}
}

// Quiet does nothing for a time: without faults nothing comes twice.
func Quiet(d time.Duration) Scenario {
	return Scenario{
		Name:  "quiet",
		chaos: func(ctx context.Context, _ *lab) error { return pause(ctx, d, d) },
		bound: func(v *Verdict) {
			v.atMost("duplicates", float64(v.Duplicates), 0)
			v.atMost("repeated calls", float64(v.CallsRepeated), 0)
		},
	}
}

// resume is how long what is published after a fault of the database may take
// to be acknowledged once it is over.
const resume = 5 * time.Second

// outage lets something happen to the database, and waits until events are
// acknowledged again after it is over.
func (l *lab) outage(ctx context.Context, happen func() error) error {
	at := now()
	err := happen()
	back := time.Now()
	known := l.publisher.known.Load()
	for l.publisher.known.Load() == known && err == nil && time.Since(back) < 4*resume {
		err = pause(ctx, 2*time.Millisecond, 2*time.Millisecond)
	}
	l.resumed = max(l.resumed, time.Since(back))
	// What was under way when it was over may still fail.
	l.did(fault{At: at, Until: now(), Kind: outage, Process: -1})
	return err
}

func boundOutage(v *Verdict) {
	v.takesAtMost("until events are acknowledged again", v.ResumeWorst, resume)
	v.takesAtMost("until a call was answered", v.CallWorst, 12*time.Second)
}

// Postmaster kills the database's first process, with -9, and starts it again.
func Postmaster(kills int) Scenario {
	return Scenario{
		Name: "postmaster",
		chaos: func(ctx context.Context, l *lab) error {
			for range kills {
				if err := pause(ctx, time.Second, 3*time.Second); err != nil {
					return err
				}
				if err := l.outage(ctx, func() error { return l.postgres.kill(ctx) }); err != nil {
					return err
				}
			}
			return nil
		},
		bound: boundOutage,
	}
}

// Backends ends all connections that the processes have with the database.
func Backends(times int) Scenario {
	return Scenario{
		Name: "backends",
		chaos: func(ctx context.Context, l *lab) error {
			for range times {
				if err := pause(ctx, 300*time.Millisecond, 2*time.Second); err != nil {
					return err
				}
				if err := l.outage(ctx, func() error { return terminateBackends(ctx, l.database()) }); err != nil {
					return err
				}
			}
			return nil
		},
		bound: boundOutage,
	}
}

func terminateBackends(ctx context.Context, url string) error {
	db, err := sql.Open("postgres", url)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // nothing was written
	_, err = db.ExecContext(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`)
	return err
}

// Cut breaks the connections between the processes and the database, for up to
// two seconds.
func Cut(times int) Scenario {
	return Scenario{
		Name: "cut",
		chaos: func(ctx context.Context, l *lab) error {
			for range times {
				if err := pause(ctx, 500*time.Millisecond, 2*time.Second); err != nil {
					return err
				}
				if err := l.outage(ctx, func() error {
					l.postgres.proxy.cut()
					defer l.postgres.proxy.mend()
					return pause(ctx, 0, 2*time.Second)
				}); err != nil {
					return err
				}
			}
			return nil
		},
		bound: boundOutage,
	}
}

// Hole lets the connections between the processes and the database stand and
// brings nothing through.
func Hole(times int, length time.Duration) Scenario {
	return Scenario{
		Name: fmt.Sprintf("blackhole-%.0fs", length.Seconds()),
		chaos: func(ctx context.Context, l *lab) error {
			for range times {
				if err := pause(ctx, 2*time.Second, 3*time.Second); err != nil {
					return err
				}
				if err := l.outage(ctx, func() error {
					l.postgres.proxy.swallow()
					defer l.postgres.proxy.mend()
					return pause(ctx, length, length)
				}); err != nil {
					return err
				}
			}
			return pause(ctx, time.Second, time.Second)
		},
		bound: boundOutage,
	}
}

// KillPoints ends a process at each of the points of its code that the tag
// `faults` makes, each some times.
func KillPoints(times, processes int) Scenario {
	return Scenario{
		Name: fmt.Sprintf("points-%d", processes),
		Tags: "faults",
		set: func(o *Options) (func(), error) {
			o.Processes = processes
			return func() {}, nil
		},
		chaos: func(ctx context.Context, l *lab) error {
			l.reached = make(map[string]int)
			for _, point := range faults.Points() {
				for range times {
					if err := l.endAt(ctx, point); err != nil {
						return err
					}
				}
				l.Log("%s: reached %d times of %d", point, l.reached[point], times)
			}
			return nil
		},
		bound: func(v *Verdict) {
			for _, point := range faults.Points() {
				v.atLeast("times that "+point+" was reached", float64(v.Points[point]), float64(times+1)/2)
			}
		},
	}
}

// reachTime is how long a process may take to come to its point.
const reachTime = 8 * time.Second

// endAt lets one of the processes end at a point, and starts it again.
func (l *lab) endAt(ctx context.Context, point string) error {
	if point == "seal.webhook" {
		return l.endRotation(ctx, point)
	}
	p := l.programs[rand.IntN(len(l.programs))]
	if err := l.kill(p); err != nil {
		return err
	}
	passes := map[string]int{"claim.claimed": 3, "nodes.freed": 1, "upkeep.removed": 3, "test.kept": 1}[point]
	if passes == 0 {
		passes = 50
	}
	if err := p.start(endingAt(point, 1+rand.IntN(passes))); err != nil {
		return err
	}
	var testing sync.WaitGroup
	defer testing.Wait()
	if point == "test.kept" {
		testing.Go(func() { l.test(ctx, p) })
	}
	select {
	case <-p.process().done:
		at := now()
		l.did(fault{At: at, Until: at, Kind: killed, Process: p.number})
		l.reached[point]++
	case <-time.After(reachTime):
		if err := l.kill(p); err != nil {
			return err
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return p.comeUp(ctx)
}

// test has a process run a test, of which it may come to no end.
func (l *lab) test(ctx context.Context, p *program) {
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	if p.awaitReady(ctx, reachTime) != nil {
		return
	}
	var ignored struct{}
	_ = graphQL(ctx, http.DefaultClient, p.url(), `mutation($id: ID!) { testWebhook(input: {target: {webhookId: $id}}) { testRun { id } userErrors { message } } }`,
		map[string]any{"id": l.hooks[0].id}, &ignored)
}

// endRotation lets a rotation of the sealing keys end half way, and another
// come to its end, while the processes serve.
func (l *lab) endRotation(ctx context.Context, point string) error {
	for _, env := range [][]string{{endingAt(point, 1+rand.IntN(hooks))}, nil} {
		p := l.programs[0]
		c := newChild(p.path, "keys", "rotate")
		c.cmd.Env, c.cmd.Dir = append(env, p.env...), filepath.Dir(p.log)
		if err := c.start(); err != nil {
			return err
		}
		err := c.wait(20 * time.Second)
		if env == nil {
			return err
		}
		if status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
			l.reached[point]++
		}
		if err := pause(ctx, 100*time.Millisecond, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// DiskFull fills the disk of the database, and frees it again.
func DiskFull(times int) Scenario {
	return Scenario{
		Name: "disk-full",
		set:  onSmallDisk,
		chaos: func(ctx context.Context, l *lab) error {
			for range times {
				if err := pause(ctx, 2*time.Second, 3*time.Second); err != nil {
					return err
				}
				if err := l.outage(ctx, func() error { return l.fillDisk(ctx) }); err != nil {
					return err
				}
			}
			return nil
		},
		bound: func(v *Verdict) {
			v.takesAtMost("until events are acknowledged again", v.ResumeWorst, 10*time.Second)
			v.takesAtMost("until a call was answered", v.CallWorst, 12*time.Second)
		},
	}
}

// onSmallDisk puts the database on a file system of its own in memory, which
// only root may make.
func onSmallDisk(o *Options) (undo func(), err error) {
	dir := filepath.Join(o.Dir, "disk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=400m,mode=755", "hookql-rig", dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: disk-full needs a file system of its own, and this user may not mount one: %s", ErrSkipped, out)
	}
	o.PostgresDir = filepath.Join(dir, "postgres")
	return func() { _ = exec.Command("umount", "-l", dir).Run() }, nil
}

// fillDisk leaves no byte free for some seconds. A PostgreSQL that cannot write
// its log may end; whoever looks after it starts it again once there is room.
func (l *lab) fillDisk(ctx context.Context) error {
	ballast := filepath.Join(filepath.Dir(l.PostgresDir), "ballast")
	file, err := os.Create(ballast)
	if err != nil {
		return err
	}
	block := make([]byte, 64<<10)
	until := time.Now().Add(6 * time.Second)
	for time.Now().Before(until) && err == nil {
		if _, full := file.Write(block); full != nil { // and what PostgreSQL frees, too
			err = pause(ctx, 20*time.Millisecond, 20*time.Millisecond)
		}
	}
	known := l.publisher.known.Load()
	if err == nil {
		err = pause(ctx, time.Second, time.Second)
	}
	l.Log("disk full: %d events acknowledged in the last second of it", l.publisher.known.Load()-known)
	err = errors.Join(err, file.Close(), os.Remove(ballast))
	select {
	case <-l.postgres.server.Done():
		l.Log("PostgreSQL ended: %v", l.postgres.server.Err())
		return errors.Join(err, l.postgres.restart(ctx))
	default:
		return err
	}
}

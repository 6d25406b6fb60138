package rig

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	_ "github.com/lib/pq" // the driver with which the judge reads

	"github.com/hookql/hookql/internal/seal"
)

// Options say what a lab is made of.
type Options struct {
	// Program is the path of the binary that Build made.
	Program string
	// Database is the URL of a PostgreSQL, where faults are of the processes
	// alone; empty: the lab runs one of its own, which is durable.
	Database string
	// Dir is where the lab keeps its journals and logs; it must be there.
	Dir string
	// PostgresDir is where its own PostgreSQL keeps its data; empty: in Dir.
	PostgresDir string
	// Processes is how many serve; zero: two.
	Processes int
	// PerSecond is how many events are published; zero: 300.
	PerSecond int
	// LeaseMargin is the processes' HOOKQL_LEASE_MARGIN; zero: their default.
	LeaseMargin time.Duration
	// CallTime is how long the publisher waits for an answer; zero: 15 seconds,
	// longer than the program may take.
	CallTime time.Duration
	// Relaxed lets times be as long as they are: on a machine with other things
	// to do they mean nothing.
	Relaxed bool
	// Log gets a line now and then; nil: none.
	Log func(format string, args ...any)
}

// hook is a webhook of the lab.
type hook struct {
	id       string
	resource string // whose events it wants; "": all
	receiver
}

const (
	hooks = 20
	// hookTimeout is how long an attempt may take.
	hookTimeout = time.Second
	maxAttempts = 20
)

// lab is one run.
type lab struct {
	Options
	postgres  *postgres // nil: not the lab's own
	programs  []*program
	receivers *receivers
	hooks     []hook
	publisher *publisher
	published *journal
	done      *journal
	resumed   time.Duration  // the longest
	reached   map[string]int // points
	check     string         // what `hookql db check` found
}

// newLab starts everything, and publishes nothing yet.
func newLab(ctx context.Context, o Options) (_ *lab, err error) {
	if o.Processes == 0 {
		o.Processes = 2
	}
	if o.PerSecond == 0 {
		o.PerSecond = 300
	}
	if o.CallTime == 0 {
		o.CallTime = 15 * time.Second
	}
	if o.PostgresDir == "" {
		o.PostgresDir = filepath.Join(o.Dir, "postgres")
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	l := &lab{Options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	url := o.Database
	if url == "" {
		if l.postgres, err = startPostgres(ctx, o.PostgresDir); err != nil {
			return nil, err
		}
		url = l.postgres.url()
	}
	if err := l.startPrograms(ctx, url); err != nil {
		return nil, err
	}
	if err := l.register(ctx); err != nil {
		return nil, err
	}
	if l.published, err = newJournal(l.path("published")); err != nil {
		return nil, err
	}
	if l.done, err = newJournal(l.path("faults")); err != nil {
		return nil, err
	}
	var urls []string
	for _, p := range l.programs {
		urls = append(urls, p.url())
	}
	l.publisher = newPublisher(urls, l.resource, l.published)
	l.publisher.http.Timeout = o.CallTime
	return l, nil
}

// database is the URL for those who look on.
func (l *lab) database() string {
	if l.postgres == nil {
		return l.Database
	}
	return l.postgres.direct()
}

func (l *lab) path(journal string) string { return filepath.Join(l.Dir, journal+".jsonl") }

func (l *lab) startPrograms(ctx context.Context, url string) error {
	master := seal.NewKey()
	env := []string{
		"DATABASE_URL=" + url,
		"HOOKQL_DEV=false",
		"HOOKQL_OPERATOR_KEY=" + operatorKey,
		"HOOKQL_MASTER_KEY=" + master.Text(),
		"HOOKQL_ALLOW_HTTP=true",
		"HOOKQL_ALLOW_NETWORKS=127.0.0.0/8",
	}
	if l.LeaseMargin > 0 {
		env = append(env, "HOOKQL_LEASE_MARGIN="+l.LeaseMargin.String())
	}
	for n := range l.Processes {
		addr, err := freeAddr()
		if err != nil {
			return err
		}
		p := &program{number: n, path: l.Program, addr: addr, env: env, log: filepath.Join(l.Dir, fmt.Sprintf("hookql-%d.log", n))}
		if err := p.start(); err != nil {
			return err
		}
		l.programs = append(l.programs, p)
	}
	return l.awaitReady(ctx)
}

func (l *lab) awaitReady(ctx context.Context) error {
	for _, p := range l.programs {
		if err := p.awaitReady(ctx, 30*time.Second); err != nil {
			return err
		}
	}
	return nil
}

// register starts the receivers and registers their webhooks: the first wants
// all events, each of the others those about one resource; four fail.
func (l *lab) register(ctx context.Context) (err error) {
	manners := map[int]manner{4: slow, 5: slow, 6: slow, 7: slow, 8: slow, hooks - 4: failing, hooks - 3: hanging, hooks - 2: reset, hooks - 1: busy}
	var list []receiver
	for n := range hooks {
		h := hook{receiver: receiver{Manner: prompt, Secret: "whsec_" + base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("the secret of webhook number %03d", n)))}}
		if m, ok := manners[n]; ok {
			h.Manner = m
		}
		if n > 0 {
			h.resource = "r" + strconv.Itoa(n)
		}
		l.hooks, list = append(l.hooks, h), append(list, h.receiver)
	}
	if l.receivers, err = startReceivers(list, l.path("arrivals")); err != nil {
		return err
	}
	var ignored struct{}
	if err := graphQL(ctx, http.DefaultClient, l.programs[0].url(), `mutation($name: String!) { createEventType(input: {name: $name}) { userErrors { message } } }`,
		map[string]any{"name": eventName}, &ignored); err != nil {
		return fmt.Errorf("create the event type: %w", err)
	}
	for n := range l.hooks {
		if err := l.createWebhook(ctx, n); err != nil {
			return fmt.Errorf("create webhook %d: %w", n, err)
		}
	}
	return nil
}

func (l *lab) createWebhook(ctx context.Context, n int) error {
	h := &l.hooks[n]
	resources := []string{}
	if h.resource != "" {
		resources = append(resources, h.resource)
	}
	var answer struct {
		CreateWebhook struct {
			Webhook    struct{ ID string }
			UserErrors []struct{ Message string }
		}
	}
	err := graphQL(ctx, http.DefaultClient, l.programs[0].url(),
		`mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { webhook { id } userErrors { message } } }`,
		map[string]any{"input": map[string]any{
			"url": fmt.Sprintf("%s/%d", l.receivers.url, n), "events": []string{eventName}, "secret": h.Secret, "active": true,
			"resourceIds": resources, "payloadFormat": "STANDARD", "timeoutMs": hookTimeout.Milliseconds(),
			"retryPolicy": map[string]any{"maxAttempts": maxAttempts, "initialDelaySeconds": 1, "backoffFactor": 2, "maxDelaySeconds": 4},
		}}, &answer)
	if err == nil && len(answer.CreateWebhook.UserErrors) > 0 {
		err = errors.New(answer.CreateWebhook.UserErrors[0].Message)
	}
	h.id = answer.CreateWebhook.Webhook.ID
	return err
}

// resource is what the next event is about; what concerns those that fail comes
// seldom, since each such event is sent many times.
func (l *lab) resource() string {
	n := 1 + rand.IntN(hooks-1)
	if n >= hooks-4 && rand.IntN(4) > 0 {
		n = 1 + rand.IntN(hooks-5)
	}
	return l.hooks[n].resource
}

// did writes down what was done.
func (l *lab) did(f fault) {
	if f.Until == 0 {
		f.Until = f.At
	}
	l.done.write(f)
}

// settleTime is how long all that is owed may take at the end.
const settleTime = 3 * time.Minute

// settle heals the receivers and waits until nothing is owed any more, and then
// stops everything. What is still owed after settleTime the judge finds.
func (l *lab) settle(ctx context.Context) (err error) {
	if err := l.receivers.heal(); err != nil {
		return err
	}
	if err := l.awaitNothingOwed(ctx); err != nil {
		return err
	}
	for _, p := range l.programs {
		if err := p.stop(30 * time.Second); err != nil {
			return err
		}
	}
	if l.check, err = l.programs[0].run(time.Minute, "db", "check"); err != nil {
		l.Log("%s", l.check)
	} else {
		l.check = ""
	}
	return errors.Join(l.receivers.stop(), l.published.close(), l.done.close())
}

func (l *lab) awaitNothingOwed(ctx context.Context) error {
	db, err := sql.Open("postgres", l.database())
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // it was only read
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		owed := 0
		if err := db.QueryRowContext(ctx, `SELECT count(*) FROM deliveries WHERE state IN ('READY', 'PARKED')`).Scan(&owed); err != nil {
			return fmt.Errorf("count what is owed: %w", err)
		}
		if owed == 0 {
			return nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
}

// close ends what still runs.
func (l *lab) close() (err error) {
	for _, p := range l.programs {
		if c := p.process(); c != nil {
			c.signal(syscall.SIGCONT) // one that is frozen
			c.kill()
		}
	}
	if l.receivers != nil {
		l.receivers.child.kill()
	}
	if l.postgres != nil {
		err = l.postgres.close()
	}
	return err
}

package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hookql/hookql/webhooktest"
)

// Receivers is the verb with which a program that can run a Lab runs itself as
// its receivers.
const Receivers = "receivers"

// receiver is what the receivers' process knows of one webhook.
type receiver struct {
	Secret string `json:"secret"`
	Manner manner `json:"manner"`
}

// manner is how a receiver takes requests, until all are healed.
type manner string

// The manners.
const (
	prompt  manner = "prompt"
	slow    manner = "slow"    // answers after some milliseconds
	failing manner = "failing" // 500
	hanging manner = "hanging" // answers after 10 s
	reset   manner = "reset"   // breaks the connection off
	busy    manner = "busy"    // 429, come back in two seconds
)

// zoo is the receivers of all webhooks, under /0, /1 and so on.
type zoo struct {
	receivers []receiver
	journal   *journal
	healed    atomic.Bool
	quit      context.Context // ends what hangs
}

// ServeReceivers serves until in ends. In has the receivers as a line of JSON, and
// perhaps `heal`, from when on all answer well; the address goes to out.
func ServeReceivers(in io.Reader, out io.Writer, path string) (err error) {
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the receivers: %w", err)
	}
	quit, stop := context.WithCancel(context.Background())
	defer stop()
	z := &zoo{quit: quit}
	if err := json.Unmarshal(line, &z.receivers); err != nil {
		return fmt.Errorf("read the receivers: %w", err)
	}
	if z.journal, err = newJournal(path); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: z, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1) // the one result of Serve
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(out, "http://%s\n", listener.Addr())
	for {
		line, err := lines.ReadString('\n')
		if strings.TrimSpace(line) == "heal" {
			z.healed.Store(true)
		}
		if err != nil {
			break
		}
	}
	stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = server.Shutdown(ctx)
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, z.journal.close())
}

// ServeHTTP takes a request whole, writes down that it came, and how it was
// answered.
func (z *zoo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := arrival{At: now()}
	n, err := strconv.Atoi(r.URL.Path[1:])
	if err != nil || n < 0 || n >= len(z.receivers) {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // it broke off: it did not arrive
	}
	if r.Header.Get("hookql-test") != "" {
		return // a test owes nothing
	}
	a.Webhook, a.EventID = n, r.Header.Get("webhook-id")
	if err := webhooktest.Verify(z.receivers[n].Secret, r.Header, body, time.Now()); err != nil {
		a.Forged = err.Error()
	}
	var envelope struct {
		Data struct {
			UID string `json:"uid"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		a.Forged = "the body is no JSON: " + err.Error()
	}
	a.UID = envelope.Data.UID
	a.Status = z.answer(z.receivers[n].Manner, w, r)
	a.End = now()
	z.journal.write(a)
	if a.Status == 0 {
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
}

// answer answers as the receiver does, and says with which status; 0: with none.
func (z *zoo) answer(m manner, w http.ResponseWriter, r *http.Request) int {
	status := http.StatusNoContent
	if z.healed.Load() {
		m = prompt
	}
	switch m {
	case slow:
		time.Sleep(time.Duration(5+rand.IntN(25)) * time.Millisecond)
	case failing:
		status = http.StatusInternalServerError
	case busy:
		w.Header().Set("Retry-After", "2")
		status = http.StatusTooManyRequests
	case reset:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0) // a reset, no end
			_ = conn.Close()
		}
		return 0
	case hanging:
		select {
		case <-time.After(10 * time.Second):
		case <-r.Context().Done(): // nobody waits any more
			return 0
		case <-z.quit.Done():
			return 0
		}
	}
	w.WriteHeader(status)
	return status
}

// receivers is the receivers' process, as the lab sees it.
type receivers struct {
	child *child
	in    io.WriteCloser
	url   string
}

// startReceivers starts this program with the verb Receivers.
func startReceivers(list []receiver, path string) (*receivers, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := newChild(self, Receivers, path)
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.cmd.Stderr = os.Stderr
	if err := c.start(); err != nil {
		return nil, err
	}
	r := &receivers{child: c, in: in}
	if err := json.NewEncoder(in).Encode(list); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the receivers do not say where they listen: %w", err), r.stop())
	}
	r.url = strings.TrimSpace(line)
	return r, nil
}

// heal lets all of them answer well from now on.
func (r *receivers) heal() error {
	_, err := io.WriteString(r.in, "heal\n")
	return err
}

// stop ends them; their journal is whole then.
func (r *receivers) stop() error {
	return errors.Join(r.in.Close(), r.child.wait(10*time.Second))
}

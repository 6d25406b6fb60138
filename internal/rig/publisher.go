package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// eventName is the one event type of a lab.
const eventName = "rig.event"

const (
	// callers is how many calls a publisher has under way at a time.
	callers = 16
	// insist is how long it goes on with an event that is not acknowledged; then
	// it is unsure.
	insist = 60 * time.Second
)

// publisher publishes events at a rate, each under a uid of its own, to any
// process that answers, and again until it is acknowledged.
type publisher struct {
	urls      []string
	resources func() string // the next event's
	journal   *journal
	http      *http.Client
	made      atomic.Int64 // events
	known     atomic.Int64 // of them acknowledged
	again     atomic.Int64 // calls that had to be repeated
	failed    atomic.Int64 // calls that no process answered well at the first try of all
	slowest   atomic.Int64 // microseconds until a call was answered, one way or the other
}

func newPublisher(urls []string, resources func() string, j *journal) *publisher {
	transport := &http.Transport{MaxIdleConnsPerHost: callers, IdleConnTimeout: 10 * time.Second}
	return &publisher{urls: urls, resources: resources, journal: j, http: &http.Client{Transport: transport}}
}

// run publishes until ctx is done, and then brings to an end what it has begun,
// as long as patience is not done.
func (p *publisher) run(ctx, patience context.Context, perSecond int) {
	batches := make(chan int) // this function sends and closes; how many events the next call has
	var calling sync.WaitGroup
	for range callers {
		calling.Go(func() {
			for n := range batches {
				p.publish(patience, n)
			}
		})
	}
	begin, sent := time.Now(), 0
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		due := int(time.Since(begin).Seconds() * float64(perSecond))
		if due-sent > perSecond { // what an outage held up does not come all at once
			sent = due - perSecond
		}
		for sent < due && ctx.Err() == nil {
			n := min(due-sent, 1+rand.IntN(2)*rand.IntN(30))
			select {
			case batches <- n:
				sent += n
			case <-ctx.Done():
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	close(batches)
	calling.Wait()
	p.http.CloseIdleConnections()
}

// input is an event as it is published.
type input struct {
	EventName  string          `json:"eventName"`
	Data       json.RawMessage `json:"data"`
	UID        string          `json:"uid"`
	ResourceID string          `json:"resourceId"`
	OccurredAt string          `json:"occurredAt"`
}

// publish makes events and publishes them in one call, again and again until
// they are acknowledged.
func (p *publisher) publish(ctx context.Context, n int) {
	ctx, cancel := context.WithTimeout(ctx, insist)
	defer cancel()
	list := make([]input, n)
	for i := range list {
		uid := fmt.Sprintf("e-%d", p.made.Add(1))
		list[i] = input{
			EventName:  eventName,
			Data:       json.RawMessage(fmt.Sprintf(`{"uid":%q,"filling":%q}`, uid, filling[:rand.IntN(len(filling))])),
			UID:        uid,
			ResourceID: p.resources(),
			OccurredAt: time.Now().UTC().Format(time.RFC3339Nano),
		}
		p.journal.write(published{At: now(), UID: uid, Resource: list[i].ResourceID, Process: -1})
	}
	first := rand.IntN(len(p.urls))
	for try := 0; ctx.Err() == nil; try++ {
		process := (first + try) % len(p.urls)
		ids, err := p.call(ctx, process, list)
		if err == nil {
			for i, in := range list {
				p.journal.write(published{At: now(), UID: in.UID, EventID: ids[i], Process: process})
			}
			p.known.Add(int64(n))
			return
		}
		p.again.Add(1)
		if try == len(p.urls)-1 {
			p.failed.Add(1)
		}
		if try >= len(p.urls)-1 {
			select {
			case <-time.After(time.Duration(20+rand.IntN(60)) * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

// filling makes events as long as real ones.
const filling = "The quick brown fox jumps over the lazy dog, and so does everything else in this text, which stands for what events are about and is as long as that may be, but no longer."

const (
	publishOne  = `mutation($input: PublishEventInput!) { publish: publishEvent(input: $input) { event { id uid } userErrors { code message } } }`
	publishMany = `mutation($input: PublishEventsInput!) { publish: publishEvents(input: $input) { events { id uid } userErrors { code message } } }`
)

// acknowledgement is what publishing answers.
type acknowledgement struct {
	Publish struct {
		Event      acknowledged
		Events     []acknowledged
		UserErrors []struct{ Code, Message string }
	}
}

type acknowledged struct{ ID, UID string }

// call publishes events at a process, and returns their ids.
func (p *publisher) call(ctx context.Context, process int, list []input) (ids []string, err error) {
	query, variables := publishOne, map[string]any{"input": list[0]}
	if len(list) > 1 {
		query, variables = publishMany, map[string]any{"input": map[string]any{"events": list}}
	}
	var answer acknowledgement
	begin := time.Now()
	err = graphQL(ctx, p.http, p.urls[process], query, variables, &answer)
	p.note(time.Since(begin))
	if err != nil {
		return nil, err
	}
	if mistakes := answer.Publish.UserErrors; len(mistakes) > 0 {
		return nil, fmt.Errorf("%s: %s", mistakes[0].Code, mistakes[0].Message)
	}
	got := answer.Publish.Events
	if len(list) == 1 {
		got = []acknowledged{answer.Publish.Event}
	}
	if len(got) != len(list) {
		return nil, fmt.Errorf("%d events were acknowledged of %d", len(got), len(list))
	}
	for i, e := range got {
		if e.UID != list[i].UID {
			return nil, fmt.Errorf("%s was acknowledged in the place of %s", e.UID, list[i].UID)
		}
		ids = append(ids, e.ID)
	}
	return ids, nil
}

// note remembers the call that was longest under way.
func (p *publisher) note(took time.Duration) {
	for {
		slowest := p.slowest.Load()
		if took.Microseconds() <= slowest || p.slowest.CompareAndSwap(slowest, took.Microseconds()) {
			return
		}
	}
}

// graphQL sends an operation and reads its data into dest. An answer with errors
// is an error.
func graphQL(ctx context.Context, c *http.Client, url, query string, variables, dest any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+operatorKey)
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("%s: %w: %.200s", res.Status, err, text)
	}
	if len(answer.Errors) > 0 {
		return fmt.Errorf("%s: %s", res.Status, answer.Errors[0].Message)
	}
	return json.Unmarshal(answer.Data, dest)
}

package resolvers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/payload"
	"github.com/hookql/hookql/internal/webhook"
)

const (
	// maxTypes is how many event types and recorded deliveries one run tests, and
	// maxTests how many tests it holds.
	maxTypes = 50
	maxTests = 200
	// testReserve is what of a request's time is left to keep a run and answer.
	testReserve = 10 * time.Second
)

// TestWebhook sends test events and reports on each.
func (r mutationResolver) TestWebhook(ctx context.Context, input graph.TestWebhookInput) (*graph.TestWebhookPayload, error) {
	run, err := r.testWebhook(ctx, input)
	payload := &graph.TestWebhookPayload{TestRun: run}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

func (r mutationResolver) testWebhook(ctx context.Context, input graph.TestWebhookInput) (*webhook.TestRun, error) {
	w, err := r.target(ctx, input.Target)
	if err == nil && w.ID == "" && or(input.Activate, false) {
		err = webhook.NewError(webhook.Invalid,
			"Only a registered webhook can be switched on. Leave `activate` out, or test a `webhookId`.", "activate")
	}
	if err != nil {
		return nil, err
	}
	payloads, err := r.payloads(ctx, w, input)
	if err != nil {
		return nil, err
	}
	key, err := idempotency(ctx, input.IdempotencyKey, input)
	if err != nil {
		return nil, err
	}
	plan := delivery.Plan{Webhook: w, Payloads: payloads, Idempotency: key}
	if err := r.choose(ctx, &plan, input); err != nil {
		return nil, err
	}
	if or(input.Activate, false) {
		plan.Succeeded = func(ctx context.Context) error { return r.activate(ctx, w) }
	}
	do := r.Engine.Start
	if or(input.Wait, true) {
		do = r.testAndWait
	}
	run, tests, err := do(ctx, plan)
	var earlier delivery.Repeated
	if errors.As(err, &earlier) {
		run, err := r.DB.TestRun(ctx, w.WorkspaceID, string(earlier))
		return run, orGone(err)
	}
	if run != nil {
		loadersOf(ctx).remember(run.ID, tests)
	}
	return run, err
}

// testAndWait takes a request's time for a test run but for what is needed to
// keep and answer what came of it.
func (r *Resolver) testAndWait(ctx context.Context, p delivery.Plan) (*webhook.TestRun, []webhook.Test, error) {
	request := requestOf(ctx)
	request.allow(testTime)
	ctx, cancel := context.WithDeadlineCause(ctx, request.began.Add(testTime-testReserve), errRequestTime)
	defer cancel()
	return r.Engine.Test(ctx, p)
}

// errRequestTime is why a test was cut off that stood behind another one.
var errRequestTime = errors.New("the time for the whole request was over")

// activate switches on the webhook that was tested, unless it is another by
// now.
func (r *Resolver) activate(ctx context.Context, tested *webhook.Webhook) error {
	_, err := r.changeWebhook(ctx, tested.ID, &tested.Version, func(w *webhook.Webhook) error {
		w.SetActive(true, webhook.ReasonTestPassed, webhook.Now())
		return nil
	})
	if errors.Is(err, webhook.Conflict) || errors.Is(err, webhook.NotFound) {
		return webhook.NewError(webhook.Conflict,
			"Every test succeeded, but the webhook was changed meanwhile, so it was not switched on. Test it again.", "activate")
	}
	return err
}

// target is the webhook to test: one that is registered, or one made of an
// endpoint for this run alone.
func (r *Resolver) target(ctx context.Context, input *graph.TestTarget) (*webhook.Webhook, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	if endpoint := input.Endpoint.Value(); endpoint != nil {
		if input.WebhookID.Value() != nil {
			return nil, errTarget()
		}
		catalogue, err := loadersOf(ctx).catalogue()
		if err != nil {
			return nil, err
		}
		w, errs := newEndpoint(workspaceID, endpoint)
		return w, below(r.check(catalogue, w, &webhook.Webhook{}, errs), "target", "endpoint")
	}
	id := or(input.WebhookID, "")
	if id == "" {
		return nil, errTarget()
	}
	w, err := r.DB.Webhook(ctx, workspaceID, id)
	if errors.Is(err, webhook.NotFound) {
		return nil, noWebhook(id, "target", "webhookId")
	}
	return w, err
}

// errTarget is what @oneOf forbids; gqlgen does not see it in variables.
func errTarget() *webhook.Error {
	return webhook.NewError(webhook.Invalid, "Give either `webhookId` or `endpoint`.", "target")
}

// newEndpoint makes a webhook of an endpoint that is not registered: it has no
// id, and is never kept.
func newEndpoint(workspaceID string, input *graph.TestEndpointInput) (*webhook.Webhook, webhook.Errors) {
	signing := webhook.SigningNone
	if input.Secret.Value() != nil {
		signing = webhook.SigningStandard
	}
	w, errs := newWebhook(workspaceID, graph.CreateWebhookInput{
		URL:           input.URL,
		Events:        input.Events,
		Secret:        input.Secret,
		Method:        input.Method,
		PayloadFormat: input.PayloadFormat,
		Headers:       input.Headers,
		TimeoutMs:     input.TimeoutMs,
	}, nil)
	w.ID = ""
	w.Signing = or(input.Signing, signing)
	return w, errs
}

// below puts the paths of mistakes under a field.
func below(err error, path ...string) error {
	var errs webhook.Errors
	if !errors.As(err, &errs) {
		return err
	}
	return errs.Under(path...)
}

// payloads are the event types to test, with the data to send for each, and
// what recorded deliveries delivered.
func (r *Resolver) payloads(ctx context.Context, w *webhook.Webhook, input graph.TestWebhookInput) ([]delivery.Payload, error) {
	own, recorded, err := r.givenPayloads(ctx, w, input)
	if err != nil {
		return nil, err
	}
	types, err := typesBeside(ctx, w, input.EventNames.Value(), own, recorded)
	if err != nil {
		return nil, err
	}
	list := make([]delivery.Payload, len(types))
	place := make(map[string]*delivery.Payload, len(types))
	for i, t := range types {
		list[i] = delivery.Payload{EventName: t.Name, Data: t.Example}
		place[t.Name] = &list[i]
	}
	errs := override(place, own)
	mismatches, err := r.mismatches(ctx, types, own)
	if err != nil {
		return nil, err
	}
	unknown, err := r.unknownResources(ctx, w, own)
	if err != nil {
		return nil, err
	}
	errs = append(append(errs, mismatches...), unknown...)
	for _, p := range list {
		errs = append(errs, checkData(w, p.EventName, p.Data, own)...)
	}
	for _, p := range recorded {
		list = append(list, p.Payload)
	}
	return list, errs.OrNil()
}

// override puts the caller's data in the place of the examples.
func override(place map[string]*delivery.Payload, inputs []ownPayload) (errs webhook.Errors) {
	seen := make(map[string]bool, len(inputs))
	for _, input := range inputs {
		path := []string{"payloads", input.at, "eventName"}
		switch p := place[input.eventName]; {
		case p == nil:
			errs = append(errs, webhook.NewError(webhook.NotSubscribed,
				fmt.Sprintf("%q is not among the event types of this run. Leave the payload out, or subscribe to the type and name it.", input.eventName), path...))
		case seen[input.eventName]:
			errs = append(errs, webhook.NewError(webhook.Invalid,
				fmt.Sprintf("%q has two payloads. Give each event type one; a second needs a run of its own.", input.eventName), path...))
		default:
			p.Data = input.data
		}
		seen[input.eventName] = true
	}
	return errs
}

// mismatches finds the caller's payloads that do not fit the schemas of their
// event types. The examples were checked when they were set.
func (r *Resolver) mismatches(ctx context.Context, types []*webhook.EventType, inputs []ownPayload) (errs webhook.Errors, err error) {
	for _, input := range inputs {
		at := slices.IndexFunc(types, func(t *webhook.EventType) bool { return t.Name == input.eventName })
		if at < 0 {
			continue // override says so
		}
		misfit, err := r.misfit(ctx, types[at], input.data)
		if err != nil {
			return nil, err
		}
		errs = append(errs, misfit.Under("payloads", input.at)...)
	}
	return errs, nil
}

// unknownResources finds the resources of the payloads that no event is about,
// or that the webhook wants no events about.
func (r *Resolver) unknownResources(ctx context.Context, w *webhook.Webhook, inputs []ownPayload) (errs webhook.Errors, err error) {
	var ids, known []string
	for _, input := range inputs {
		if id := input.resourceID; id != nil {
			ids = append(ids, *id)
		}
	}
	if ids == nil {
		return nil, nil
	}
	if known, err = r.DB.PublishedResources(ctx, w.WorkspaceID, ids); err != nil {
		return nil, err
	}
	for _, input := range inputs {
		path := []string{"payloads", input.at, "resourceId"}
		switch id := input.resourceID; {
		case id == nil:
		case !slices.Contains(known, *id):
			errs = append(errs, webhook.NewError(webhook.NotFound,
				fmt.Sprintf("No event about the resource %q was published in this workspace. Publish one first, or leave `resourceId` out.", *id), path...))
		case !w.Concerns(id):
			errs = append(errs, webhook.NewError(webhook.NotSubscribed,
				fmt.Sprintf("The webhook is limited to other resources than %q. Add it to the webhook's `resourceIds`, or leave it out.", *id), path...))
		}
	}
	return errs, nil
}

// misfit says how data do not fit the schema of their event type.
func (r *Resolver) misfit(ctx context.Context, t *webhook.EventType, data json.RawMessage) (webhook.Errors, error) {
	err := r.fits(ctx, t, data)
	var mistake *webhook.Error
	if !errors.As(err, &mistake) {
		return nil, err
	}
	return webhook.Errors{webhook.NewError(mistake.Code, fmt.Sprintf("This does not fit the schema of %q: %s", t.Name, mistake.Message), "data")}, nil
}

// fits says whether data fits the schema of its event type, where there is one.
func (r *Resolver) fits(ctx context.Context, t *webhook.EventType, data json.RawMessage) error {
	schema, err := r.schemaOf(ctx, t)
	if err != nil || schema == nil {
		return err
	}
	return schema.Check(data)
}

// schemaOf is the schema of an event type; nil where it has none.
func (r *Resolver) schemaOf(ctx context.Context, t *webhook.EventType) (*payload.Schema, error) {
	text, err := loadersOf(ctx).schema(ctx, t.ID)
	if err != nil || text == nil {
		return nil, err
	}
	schema, err := r.Schemas.Compile(text)
	if err != nil {
		// It was compiled before it was kept, so this is no mistake of the caller.
		return nil, fmt.Errorf("compile the schema of %s: %v", t.Name, err)
	}
	return schema, nil
}

// checkData says whether the data can be sent to the webhook at all, and
// blames the caller's payload or else the type's example.
func checkData(w *webhook.Webhook, eventName string, data json.RawMessage, inputs []ownPayload) webhook.Errors {
	err := delivery.CheckData(w, data)
	var mistake *webhook.Error
	if !errors.As(err, &mistake) {
		return nil
	}
	for _, input := range inputs {
		if input.eventName == eventName {
			return webhook.Errors{webhook.NewError(mistake.Code, mistake.Message, "payloads", input.at, "data")}
		}
	}
	return webhook.Errors{webhook.NewError(mistake.Code,
		fmt.Sprintf("The example of %q cannot be sent: %s Or give other data in `payloads`.", eventName, mistake.Message), "payloads")}
}

// testedTypes are the named event types, or all that the webhook subscribes to
// where none is named.
func testedTypes(ctx context.Context, w *webhook.Webhook, names []string) ([]*webhook.EventType, error) {
	all, err := loadersOf(ctx).catalogue()
	if err != nil {
		return nil, err
	}
	types := keep(all, func(t *webhook.EventType) bool { return w.Subscribes(t.Name) })
	if len(names) > 0 && len(names) <= maxTypes {
		types, err = named(w, names, all)
	}
	switch {
	case err != nil:
		return nil, err
	case len(types) == 0:
		return nil, webhook.NewError(webhook.UnknownEventType,
			"No event type of the catalogue fits what this webhook subscribes to, so there is nothing to test.", "eventNames")
	case max(len(types), len(names)) > maxTypes:
		return nil, webhook.NewError(webhook.TooLong,
			fmt.Sprintf("One run tests at most %d event types, this would be %d. Name those to test in `eventNames`.", maxTypes, max(len(types), len(names))), "eventNames")
	}
	return types, nil
}

// named finds the named event types, in the order named.
func named(w *webhook.Webhook, names []string, all []*webhook.EventType) (types []*webhook.EventType, err error) {
	byName := make(map[string]*webhook.EventType, len(all))
	for _, t := range all {
		byName[t.Name] = t
	}
	var errs webhook.Errors
	for i, name := range names {
		path := []string{"eventNames", strconv.Itoa(i)}
		switch {
		case slices.Contains(names[:i], name): // named before
		case byName[name] == nil:
			errs = append(errs, webhook.NewError(webhook.UnknownEventType, unknownEventType(name, all), path...))
		case !w.Subscribes(name):
			errs = append(errs, webhook.NewError(webhook.NotSubscribed,
				fmt.Sprintf("The webhook does not subscribe to %q. Add it to the webhook's `events`, or leave it out.", name), path...))
		default:
			types = append(types, byName[name])
		}
	}
	return types, errs.OrNil()
}

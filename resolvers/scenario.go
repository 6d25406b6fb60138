package resolvers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/99designs/gqlgen/graphql"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/delivery/probe"
	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/payload"
	"github.com/hookql/hookql/internal/webhook"
)

// maxVariants is how many events of one run are made from schemas.
const maxVariants = 500

// TestScenarios lists what a test can put an endpoint through.
func (r queryResolver) TestScenarios(_ context.Context, suite *webhook.TestSuite) ([]*graph.TestScenario, error) {
	list := probe.All()
	if suite != nil && *suite != webhook.SuiteConformance {
		list = keep(list, func(s *probe.Scenario) bool { return s.Suite == *suite })
	}
	shown := make([]*graph.TestScenario, len(list))
	for i, s := range list {
		shown[i] = testScenario(s)
	}
	return shown, nil
}

func testScenario(s *probe.Scenario) *graph.TestScenario {
	return &graph.TestScenario{Name: s.Name, Suite: s.Suite, Description: s.Description, Expectation: s.Expectation, Mend: s.Mend}
}

// choose fills in which scenarios a plan runs, and with which witness.
func (r *Resolver) choose(ctx context.Context, p *delivery.Plan, input graph.TestWebhookInput) (err error) {
	if p.Scenarios, err = scenarios(input); err != nil {
		return err
	}
	if p.Witness, err = r.witness(ctx, p.Webhook, input.Witness.Value()); err != nil {
		return err
	}
	if err := r.vary(ctx, p); err != nil {
		return err
	}
	if n := p.Tests(); n > maxTests {
		return webhook.NewError(webhook.TooLong,
			fmt.Sprintf("One run has at most %d tests, this would have %d. Name fewer event types or scenarios.", maxTests, n), "eventNames")
	}
	return nil
}

// scenarios are those that an input chooses, `valid` first.
func scenarios(input graph.TestWebhookInput) ([]*probe.Scenario, error) {
	names := input.Scenarios.Value()
	if names == nil {
		return probe.Suite(or(input.Suite, webhook.SuiteDelivery)), nil
	}
	var errs webhook.Errors
	for i, name := range names {
		if probe.Find(name) == nil {
			errs = append(errs, webhook.NewError(webhook.NotFound,
				fmt.Sprintf("There is no scenario %q. `testScenarios` lists them.", name), "scenarios", strconv.Itoa(i)))
		}
	}
	chosen := keep(probe.All(), func(s *probe.Scenario) bool {
		return s.Name == webhook.ScenarioValid || slices.Contains(names, s.Name)
	})
	return chosen, errs.OrNil()
}

// witness is the webhook through which a witness is asked; nil where there is
// none.
func (r *Resolver) witness(ctx context.Context, w *webhook.Webhook, input *graph.TestWitnessInput) (*webhook.Webhook, error) {
	if input == nil {
		return nil, nil
	}
	catalogue, err := loadersOf(ctx).catalogue()
	if err != nil {
		return nil, err
	}
	get := webhook.MethodGet
	asked, errs := newEndpoint(w.WorkspaceID, &graph.TestEndpointInput{
		URL:     input.URL,
		Events:  w.Events,
		Method:  graphql.OmittableOf(&get),
		Headers: input.Headers,
	})
	return asked, below(r.check(catalogue, asked, &webhook.Webhook{}, errs), "witness")
}

// variantsOf are the kinds of data that the scenarios about schemas send, by
// their names.
var variantsOf = map[string]payload.VariantKind{
	webhook.SchemaScenario + "minimal":          payload.VariantMinimal,
	webhook.SchemaScenario + "maximal":          payload.VariantMaximal,
	webhook.SchemaScenario + "optional-missing": payload.VariantMissing,
	webhook.SchemaScenario + "nulls":            payload.VariantNull,
	webhook.SchemaScenario + "long-strings":     payload.VariantLongStrings,
	webhook.SchemaScenario + "unicode":          payload.VariantUnicode,
	webhook.SchemaScenario + "large-numbers":    payload.VariantNumbers,
}

// vary makes the data of those scenarios of a plan that are about the schemas of
// event types.
func (r *Resolver) vary(ctx context.Context, p *delivery.Plan) error {
	varied := keep(p.Scenarios, func(s *probe.Scenario) bool { return variantsOf[s.Name] != "" })
	extra := slices.ContainsFunc(p.Scenarios, func(s *probe.Scenario) bool { return s.Name == webhook.ScenarioExtraField })
	if len(varied) == 0 && !extra {
		return nil
	}
	made := 0
	for i := range p.Payloads {
		schema, err := r.schemaNamed(ctx, p.Payloads[i].EventName)
		if err != nil {
			return err
		}
		if schema == nil {
			continue
		}
		p.Payloads[i].Closed = extra && i == 0 && isClosed(schema, p.Payloads[i].Data)
		n, err := varyPayload(ctx, &p.Payloads[i], schema, varied)
		if err != nil {
			return err
		}
		if made += n; made > maxVariants {
			return webhook.NewError(webhook.TooLong,
				fmt.Sprintf("One run sends at most %d events that are made from schemas, this would send more. Name fewer event types, or not all of the scenarios `schema.*`.", maxVariants), "eventNames")
		}
	}
	return nil
}

// isClosed says whether data that fit a schema would not with the member that
// webhook.ScenarioExtraField adds.
func isClosed(schema *payload.Schema, data json.RawMessage) bool {
	return schema.Check(data) == nil && schema.Check(probe.Extended(data)) != nil
}

// schemaNamed is the schema of the event type of a name; nil where there is none.
func (r *Resolver) schemaNamed(ctx context.Context, eventName string) (*payload.Schema, error) {
	t, err := findEventType(ctx, func(t *webhook.EventType) bool { return t.Name == eventName })
	if err != nil || t == nil {
		return nil, err
	}
	return r.schemaOf(ctx, t)
}

// varyPayload makes a payload's data for each of some scenarios, and says how
// many. A schema can make that seconds of work, so it ends with ctx.
func varyPayload(ctx context.Context, p *delivery.Payload, schema *payload.Schema, scenarios []*probe.Scenario) (made int, err error) {
	p.Variants = make(map[string][]probe.Variant)
	for _, s := range scenarios {
		if ctx.Err() != nil {
			return made, ctx.Err()
		}
		for _, v := range schema.Variants(variantsOf[s.Name], p.Data) {
			p.Variants[s.Name] = append(p.Variants[s.Name], probe.Variant(v))
			made++
		}
	}
	return made, nil
}

// orNull is a text, null where it is empty.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

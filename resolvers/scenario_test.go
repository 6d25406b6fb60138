package resolvers

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/delivery/probe"
	"github.com/hookql/hookql/internal/payload"
)

// Nobody waits for the data of a request that is over, and no more are made.
func TestVariantsEndWithTheirRequest(t *testing.T) {
	t.Parallel()
	schema, err := payload.Compile(json.RawMessage(`{"type": "object", "properties": {"a": {"type": "integer"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	scenarios := []*probe.Scenario{probe.Find("schema.minimal"), probe.Find("schema.large-numbers")}
	p := delivery.Payload{Data: json.RawMessage(`{"a": 1}`)}
	if made, err := varyPayload(t.Context(), &p, schema, scenarios); made < 2 || err != nil {
		t.Errorf("made %d, %v", made, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if made, err := varyPayload(over, &p, schema, scenarios); made > 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("made %d after the end, %v", made, err)
	}
}

package webhook

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"time"
)

// EventType is a kind of event that webhooks can subscribe to. The catalogue
// of event types is the installation's, the same for every workspace.
type EventType struct {
	ID string
	// Name is what events carry; it never changes.
	Name          string
	Title         string
	Category      string
	Description   string
	Documentation *string
	// Example is the data that tests send.
	Example   json.RawMessage
	CreatedAt time.Time
	UpdatedAt time.Time
}

//go:embed sample.json
var sample []byte

// SampleEventTypes is the catalogue that development mode begins with.
func SampleEventTypes() ([]EventType, error) {
	var entries []struct {
		Name, Title, Category, Description string
		Documentation                      *string
		Example                            json.RawMessage
	}
	if err := json.Unmarshal(sample, &entries); err != nil {
		return nil, fmt.Errorf("read the sample catalogue: %w", err)
	}
	now := Now()
	types := make([]EventType, len(entries))
	for i, e := range entries {
		example, err := CanonicalJSON(e.Example)
		if err != nil {
			return nil, fmt.Errorf("read the example of %s: %w", e.Name, err)
		}
		types[i] = EventType{
			ID:            NewID(EventTypePrefix),
			Name:          e.Name,
			Title:         e.Title,
			Category:      e.Category,
			Description:   e.Description,
			Documentation: e.Documentation,
			Example:       example,
			CreatedAt:     now,
			UpdatedAt:     now,
		}
	}
	return types, nil
}

package webhook

import (
	"encoding/json"
	"slices"
	"time"
)

// Event is something that happened and was published, once.
type Event struct {
	// ID is also the message id that receivers see.
	ID          string
	WorkspaceID string
	// UID is the publisher's own id, unique in the workspace.
	UID  *string `validate:"omitempty,eventuid"`
	Name string
	// ResourceID is the platform's resource that it is about.
	ResourceID *string `validate:"omitempty,resource"`
	// Data are the bytes that are signed and sent, fixed when it was accepted;
	// nil once retention removed them.
	Data        json.RawMessage
	OccurredAt  time.Time
	PublishedAt time.Time
}

// EventSuspended is the event type that HookQL itself publishes when it suspends
// a webhook.
const EventSuspended = ReservedPrefix + "suspended"

// Concerns says whether the webhook wants events about a resource: it is not
// limited to others. Events about none go to those without a limit.
func (w *Webhook) Concerns(resourceID *string) bool {
	return len(w.ResourceIDs) == 0 || resourceID != nil && slices.Contains(w.ResourceIDs, *resourceID)
}

// EventFilter says which events of a list to keep. Every member that is not nil
// must match.
type EventFilter struct {
	Names           []string
	ResourceID      *string
	PublishedAfter  *time.Time // or at
	PublishedBefore *time.Time
}

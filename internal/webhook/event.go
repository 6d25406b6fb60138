package webhook

import (
	"encoding/json"
	"strings"
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

// OperationalPrefix begins the names of the event types that HookQL itself
// publishes.
const OperationalPrefix = "webhook."

// EventSuspended is the operational event type of a webhook that HookQL
// suspended.
const EventSuspended = OperationalPrefix + "suspended"

// Operational says whether a name is reserved for the event types that HookQL
// publishes. Webhooks get them only where they name them whole.
func Operational(eventName string) bool { return strings.HasPrefix(eventName, OperationalPrefix) }

// Wants says whether the webhook is to get an event: it subscribes to the type
// and is not limited to other resources.
func (w *Webhook) Wants(e *Event) bool {
	if !w.Subscribes(e.Name) || len(w.ResourceIDs) == 0 {
		return w.Subscribes(e.Name)
	}
	for _, id := range w.ResourceIDs {
		if e.ResourceID != nil && *e.ResourceID == id {
			return true
		}
	}
	return false
}

// EventFilter says which events of a list to keep. Every member that is not nil
// must match.
type EventFilter struct {
	Names           []string
	ResourceID      *string
	PublishedAfter  *time.Time // or at
	PublishedBefore *time.Time
}

package webhook

import "time"

// Filter says which webhooks of a list to keep. Every member that is not nil
// must match.
type Filter struct {
	// EventName: it subscribes to this event type.
	EventName *string
	// Statuses: it has one of them.
	Statuses []Status
	// ResourceID: it is limited to this resource, or not limited.
	ResourceID *string
	// Search: its name, uid or URL contains this, whatever the case of A to Z.
	Search *string
}

// Order is how a list of webhooks is sorted.
type Order struct {
	By        OrderBy
	Ascending bool
}

// OrderBy is what a list of webhooks is sorted by.
type OrderBy string

// What a list of webhooks can be sorted by.
const (
	OrderByCreatedAt OrderBy = "CREATED_AT"
	OrderByUpdatedAt OrderBy = "UPDATED_AT"
	OrderByName      OrderBy = "NAME"
)

// Key is where a webhook stands in a list that is sorted so, beside its id:
// empty where its id alone says it.
func (by OrderBy) Key(w *Webhook) string {
	switch by {
	case OrderByUpdatedAt:
		return w.UpdatedAt.Format(time.RFC3339Nano)
	case OrderByName:
		return w.Name
	default:
		return ""
	}
}

// Subscriptions are all names and patterns that Match says an event type fits.
func Subscriptions(eventName string) []string {
	if Reserved(eventName) {
		return []string{eventName}
	}
	all := []string{eventName, "*"}
	for i := range len(eventName) {
		if eventName[i] == '.' {
			all = append(all, eventName[:i+1]+"*")
		}
	}
	return all
}

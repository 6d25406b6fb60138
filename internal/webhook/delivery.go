package webhook

import "time"

// Delivery is one event on its way to one webhook.
type Delivery struct {
	ID          string
	WorkspaceID string
	EventID     string
	// WebhookID stays when the webhook is deleted.
	WebhookID string
	Status    DeliveryStatus
	// AttemptCount counts the attempts that are recorded.
	AttemptCount int
	// NextAttemptAt is when the next attempt is due; nil while one is under way
	// and once the delivery is finished.
	NextAttemptAt *time.Time
	CreatedAt     time.Time
	// FinishedAt is when it succeeded, failed for good or was canceled.
	FinishedAt *time.Time
}

// DeliveryStatus says how a delivery stands.
type DeliveryStatus string

// The statuses of a delivery.
const (
	// DeliveryPending: it waits for its first attempt, or is under way.
	DeliveryPending DeliveryStatus = "PENDING"
	// DeliveryRetrying: an attempt failed, another is due.
	DeliveryRetrying  DeliveryStatus = "RETRYING"
	DeliverySucceeded DeliveryStatus = "SUCCEEDED"
	DeliveryFailed    DeliveryStatus = "FAILED"
	DeliveryCanceled  DeliveryStatus = "CANCELED"
)

// DeliveryFilter says which deliveries of a list to keep. Every member that is
// not nil must match.
type DeliveryFilter struct {
	WebhookID     *string // its id or uid
	EventID       *string // its id or uid
	EventNames    []string
	Statuses      []DeliveryStatus
	CreatedAfter  *time.Time // or at
	CreatedBefore *time.Time
}

// DeliveryCounts are numbers of deliveries by status.
type DeliveryCounts struct {
	Pending, Retrying, Succeeded, Failed, Canceled int
}

// Of is where the deliveries with a status are counted; nil for what is none.
func (c *DeliveryCounts) Of(s DeliveryStatus) *int {
	switch s {
	case DeliveryPending:
		return &c.Pending
	case DeliveryRetrying:
		return &c.Retrying
	case DeliverySucceeded:
		return &c.Succeeded
	case DeliveryFailed:
		return &c.Failed
	case DeliveryCanceled:
		return &c.Canceled
	}
	return nil
}

// Total is the number of all.
func (c *DeliveryCounts) Total() int {
	return c.Pending + c.Retrying + c.Succeeded + c.Failed + c.Canceled
}

// Attempt is one HTTP request of a delivery.
type Attempt struct {
	ID          string
	WorkspaceID string
	DeliveryID  string
	// Number is 1 for the first. Two have the same where a process died before
	// it could record that it had sent a request.
	Number  int
	Trigger Trigger
	// Message is the outcome in one sentence.
	Message string
	// Late says that it was recorded when another process had taken the delivery
	// over, so that it changed nothing.
	Late     bool
	Exchange Exchange
	// PayloadFormat is that of the webhook when it was sent.
	PayloadFormat PayloadFormat
}

// StartedAt is when it was sent.
func (a *Attempt) StartedAt() time.Time { return a.Exchange.StartedAt }

// Outcome is how the request ended.
func (a *Attempt) Outcome() Outcome { return a.Exchange.Outcome }

// Success says whether the endpoint accepted the event.
func (a *Attempt) Success() bool { return a.Exchange.Outcome == OutcomeDelivered }

// Trigger is what set off an attempt.
type Trigger string

// The triggers.
const (
	TriggerPublish Trigger = "PUBLISH"
	TriggerRetry   Trigger = "RETRY"
	TriggerManual  Trigger = "MANUAL"
	TriggerReplay  Trigger = "REPLAY"
)

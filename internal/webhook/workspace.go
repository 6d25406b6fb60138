package webhook

import (
	"encoding/json"
	"time"
)

// DefaultWorkspace is the uid of the workspace that operators work in who name
// none. There always is one.
const DefaultWorkspace = "default"

// Workspace is one customer of the platform. What is in it never sees what is
// in another.
type Workspace struct {
	ID string
	// UID is the platform's own id of the customer, unique in the
	// installation and accepted wherever ID is. It never begins as an ID does.
	UID       string          `validate:"workspaceuid"`
	Name      string          `validate:"required,max=256,text"`
	Metadata  json.RawMessage `validate:"metadata"`
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Validate finds every mistake in w but a uid that is taken.
func (w *Workspace) Validate() Errors { return tagErrors(w) }

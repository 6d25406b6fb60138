package webhook

// IsNode marks the types that the API's node(id) can find by their id.
func (*EventType) IsNode() {}

// IsNode marks the type as one that node(id) finds.
func (*Webhook) IsNode() {}

// IsNode marks the type as one that node(id) finds.
func (*TestRun) IsNode() {}

// IsNode marks the type as one that node(id) finds.
func (*TestResult) IsNode() {}

// IsNode marks the type as one that node(id) finds.
func (*Workspace) IsNode() {}

// IsNode marks the type as one that node(id) finds.
func (*APIKey) IsNode() {}

// IsNode marks the type as one that node(id) finds.
func (*Event) IsNode() {}

// IsNode marks the type as one that node(id) finds.
func (*Delivery) IsNode() {}

// IsNode marks the type as one that node(id) finds.
func (*Attempt) IsNode() {}

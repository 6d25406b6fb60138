package webhook

// Page asks for a stretch of a list, which is sorted newest first where nothing
// else is said.
type Page struct {
	// Limit is the most items, at least 1.
	Limit int
	// After and Before are the ids between which to look, both exclusive;
	// empty for no bound.
	After, Before string
	// AfterKey and BeforeKey are what the list is sorted by at After and Before,
	// as text; empty where it is sorted by the ids.
	AfterKey, BeforeKey string
	// Skip passes over so many items first, for pages with numbers.
	Skip int
	// FromEnd takes the last Limit items of the stretch, not the first.
	FromEnd bool
}

// Slice is one page of a list.
type Slice[T any] struct {
	Items []T
	// HasNext and HasPrevious say whether items follow or precede the page.
	HasNext, HasPrevious bool
}

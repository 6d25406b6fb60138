package webhook

// Idempotency is how a caller says that a request is the same as an earlier
// one. The zero Idempotency says nothing.
type Idempotency struct {
	// Key is the caller's, unique in the workspace for 24 hours.
	Key string
	// InputHash tells another input under the same key.
	InputHash [32]byte
}

// maxIdempotencyKey is the longest key in characters.
const maxIdempotencyKey = 256

// CheckIdempotencyKey says what is wrong with a caller's key, or nil.
func CheckIdempotencyKey(key string) *Error {
	if len(key) <= maxIdempotencyKey && isHeaderValue(key) && key != "" {
		return nil
	}
	return NewError(Invalid, "An idempotency key is 1 to 256 printable ASCII characters, with no space at its ends. A new UUID for each object to be made does well.", "idempotencyKey")
}

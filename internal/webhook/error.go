package webhook

import (
	"strings"
	"time"
)

// Code says what kind of mistake an error is. The codes are those of the
// schema's UserErrorCode; a code is an error itself, so that
// errors.Is(err, webhook.NotFound) finds it through any wrapping.
type Code string

// The codes. An error that is no *Error and no Errors is a fault of ours.
const (
	Invalid             Code = "INVALID"
	Required            Code = "REQUIRED"
	TooLong             Code = "TOO_LONG"
	Taken               Code = "TAKEN"
	NotFound            Code = "NOT_FOUND"
	UnknownEventType    Code = "UNKNOWN_EVENT_TYPE"
	NotSubscribed       Code = "NOT_SUBSCRIBED"
	InvalidURL          Code = "INVALID_URL"
	HTTPSRequired       Code = "HTTPS_REQUIRED"
	BlockedAddress      Code = "BLOCKED_ADDRESS"
	IdempotencyConflict Code = "IDEMPOTENCY_CONFLICT"
	WrongState          Code = "WRONG_STATE"
	PayloadMismatch     Code = "PAYLOAD_MISMATCH"
	Conflict            Code = "CONFLICT"
	LimitReached        Code = "LIMIT_REACHED"
	RateLimited         Code = "RATE_LIMITED"
	Overloaded          Code = "OVERLOADED"
)

func (c Code) Error() string { return string(c) }

// Error is a mistake that the caller can mend.
type Error struct {
	Code Code
	// Field is the path to the wrong field below the input, such as
	// events, 0. Empty when no one field is to blame.
	Field []string
	// Message says what is wrong and how to mend it, fit to show to a person.
	Message string
	// RetryAfter is when the same may be tried again, for Overloaded and
	// RateLimited; zero: nobody knows.
	RetryAfter time.Duration
}

// NewError makes an error about the field at path.
func NewError(code Code, message string, path ...string) *Error {
	return &Error{Code: code, Field: path, Message: message}
}

func (e *Error) Error() string {
	if len(e.Field) == 0 {
		return e.Message
	}
	return strings.Join(e.Field, ".") + ": " + e.Message
}

// Unwrap makes the code an errors.Is target.
func (e *Error) Unwrap() error { return e.Code }

// Errors are all mistakes of one input, so that a form can show them at once.
type Errors []*Error

func (e Errors) Error() string {
	messages := make([]string, len(e))
	for i, err := range e {
		messages[i] = err.Error()
	}
	return strings.Join(messages, "; ")
}

// Unwrap lets errors.Is and errors.As look at each.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}

// Under puts the path of each under a field and returns them.
func (e Errors) Under(path ...string) Errors {
	for _, err := range e {
		err.Field = append(append([]string{}, path...), err.Field...)
	}
	return e
}

// OrNil returns e as an error, nil where there are none.
func (e Errors) OrNil() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

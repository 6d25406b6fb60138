package graphqlhttp

import "github.com/99designs/gqlgen/graphql/errcode"

// Code says what kind an error of a whole request or field is, in
// extensions.code. Every such error has one of these; docs/errors.md explains
// them.
type Code string

// The codes.
const (
	// BadRequest is for what is no GraphQL request.
	BadRequest      Code = "BAD_REQUEST"
	Unauthenticated Code = "UNAUTHENTICATED"
	Forbidden       Code = "FORBIDDEN"
	RateLimited     Code = "RATE_LIMITED"
	// ParseFailed and ValidationFailed are set by gqlgen.
	ParseFailed      Code = errcode.ParseFailed
	ValidationFailed Code = errcode.ValidationFailed
	// TooComplex is for an operation that would cost too much.
	TooComplex   Code = "COMPLEXITY_LIMIT_EXCEEDED"
	BadUserInput Code = "BAD_USER_INPUT"
	Timeout      Code = "TIMEOUT"
	// ChangesMissed ends a subscription.
	ChangesMissed Code = "CHANGES_MISSED"
	// Internal is for faults of ours.
	Internal Code = "INTERNAL_SERVER_ERROR"
)

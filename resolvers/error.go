package resolvers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/webhook"
)

// sentences are what the codes say that come without a message of their own.
var sentences = map[webhook.Code]string{
	webhook.NotFound: "There is no such object in your workspace. Check the id.",
	webhook.Conflict: "The object was changed since it was read. Read it again, and decide whether your change still fits.",
}

// maxUserErrors is how many mistakes one mutation lists.
const maxUserErrors = 50

// userErrors lists what the caller can mend; its paths begin with at. A fault
// of ours is handed back as it is.
func userErrors(err error, at ...string) ([]*graph.UserError, error) {
	var many webhook.Errors
	var one *webhook.Error
	var code webhook.Code
	switch {
	case err == nil:
		return []*graph.UserError{}, nil
	case errors.As(err, &many):
	case errors.As(err, &one):
		many = webhook.Errors{one}
	case errors.As(err, &code):
		many = webhook.Errors{webhook.NewError(code, sentences[code])}
	default:
		return nil, err
	}
	if more := len(many) - maxUserErrors; more > 0 {
		many = append(many[:maxUserErrors:maxUserErrors],
			webhook.NewError(webhook.Invalid, fmt.Sprintf("There are %d more mistakes. Mend these first.", more)))
	}
	list := make([]*graph.UserError, len(many))
	for i, e := range many {
		path := append(append([]string{}, at...), e.Field...)
		list[i] = &graph.UserError{Code: e.Code, Message: e.Message, Field: path}
		if e.RetryAfter > 0 {
			ms := int(e.RetryAfter.Milliseconds())
			list[i].RetryAfterMs = &ms
		}
	}
	return list, nil
}

// presenter decides what a stranger may read of a top-level error, and logs
// what only the operator may.
func presenter(log *slog.Logger) graphql.ErrorPresenterFunc {
	return func(ctx context.Context, err error) *gqlerror.Error {
		var shown *gqlerror.Error
		if errors.As(err, &shown) && shown.Err == nil {
			return shown // gqlgen's own: the document or its variables do not fit the schema
		}
		var closed forbidden
		if errors.As(err, &closed) {
			return topLevel(ctx, graphqlhttp.Forbidden, closed.Error())
		}
		if errors.Is(err, delivery.ErrTooSlow) || errors.Is(err, delivery.ErrMissed) {
			return topLevel(ctx, graphqlhttp.ChangesMissed, "Some changes were missed. Subscribe again, and read what there is anew.")
		}
		var mistake *webhook.Error
		if errors.As(err, &mistake) {
			return topLevel(ctx, graphqlhttp.BadUserInput, mistake.Message)
		}
		id := requestID(ctx)
		if ctx.Err() != nil {
			log.InfoContext(ctx, "request stopped", "request_id", id, "path", graphql.GetPath(ctx).String(), "cause", context.Cause(ctx), "error", err)
			return stopped(ctx)
		}
		log.ErrorContext(ctx, "request failed", "request_id", id, "path", graphql.GetPath(ctx).String(), "error", err)
		return topLevel(ctx, graphqlhttp.Internal, "Something went wrong on our side. Tell the operator the request id "+id+".")
	}
}

// stopped says why a request came to no end.
func stopped(ctx context.Context) *gqlerror.Error {
	var late overtime
	if errors.As(context.Cause(ctx), &late) {
		return topLevel(ctx, graphqlhttp.Timeout, fmt.Sprintf(
			"Not done within %s, so it was stopped here; mutations of this request that were answered stay done. Ask for less at a time, or try again later.", time.Duration(late)))
	}
	return topLevel(ctx, graphqlhttp.Internal, "The request was given up before it was answered.")
}

func topLevel(ctx context.Context, code graphqlhttp.Code, message string) *gqlerror.Error {
	e := gqlerror.ErrorPathf(graphql.GetPath(ctx), "%s", message)
	errcode.Set(e, string(code))
	return e
}

// recovered turns a panic into an error that the presenter hides and logs.
func recovered(_ context.Context, cause any) error {
	return fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
}

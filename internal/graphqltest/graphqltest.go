// Package graphqltest is a small GraphQL schema, executed by hand, on which
// the transports are tested.
package graphqltest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

const text = `
type Query {
	hello(name: String): String
	"Waits until it is given up."
	wait: Boolean
	"Panics."
	fault: Boolean
}
type Mutation {
	"How often it was asked for."
	touch: Int!
}
type Subscription {
	"From 1 on to a number, and then the end."
	count(to: Int!): Int!
	"1, and then nothing more until it is given up."
	once: Int!
	"As many bytes as asked for, without end."
	flood(bytes: Int!): String!
	"Fails before the first result."
	refused: Int!
	"Gives one result, then an error and the end."
	breaks: Int!
	"Gives one result, then panics."
	fault: Int!
}`

// Schema is a graphql.ExecutableSchema. The zero Schema is usable once.
type Schema struct {
	// Open is how many operations are being executed.
	Open    atomic.Int64
	touched atomic.Int64
}

var parsed = gqlparser.MustLoadSchema(&ast.Source{Name: "graphqltest", Input: text})

// Schema implements graphql.ExecutableSchema.
func (*Schema) Schema() *ast.Schema { return parsed }

// Complexity implements graphql.ExecutableSchema.
func (*Schema) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

// Exec implements graphql.ExecutableSchema.
func (s *Schema) Exec(ctx context.Context) graphql.ResponseHandler {
	operation := graphql.GetOperationContext(ctx)
	field := operation.Operation.SelectionSet[0].(*ast.Field)
	args := field.ArgumentMap(operation.Variables)
	if operation.Operation.Operation == ast.Subscription {
		return s.subscribe(ctx, field, args)
	}
	return s.once(ctx, func(ctx context.Context) any {
		switch field.Name {
		case "hello":
			name, _ := args["name"].(string)
			return strings.TrimSpace("hello " + name)
		case "wait":
			<-ctx.Done()
		case "fault":
			panic("at fault")
		case "touch":
			return s.touched.Add(1)
		case "__typename":
			return "Query"
		}
		return nil
	}, field)
}

func (s *Schema) once(ctx context.Context, value func(context.Context) any, field *ast.Field) graphql.ResponseHandler {
	done := false
	return func(context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		s.Open.Add(1)
		defer s.Open.Add(-1)
		v := value(ctx)
		if ctx.Err() != nil {
			return nil
		}
		return &graphql.Response{Data: result(new(bytes.Buffer), field, v)}
	}
}

func (s *Schema) subscribe(ctx context.Context, field *ast.Field, args map[string]any) graphql.ResponseHandler {
	if field.Name == "refused" {
		graphql.AddError(ctx, errors.New("this is refused"))
		return nil
	}
	s.Open.Add(1)
	context.AfterFunc(ctx, func() { s.Open.Add(-1) })
	var buf bytes.Buffer // for all results, as gqlgen has it
	n := 0
	return func(ctx context.Context) *graphql.Response {
		n++
		switch {
		case ctx.Err() != nil:
			return nil
		case field.Name == "flood":
			size, _ := args["bytes"].(int64)
			return &graphql.Response{Data: result(&buf, field, strings.Repeat("x", int(size)))}
		case field.Name == "count":
			if to, _ := args["to"].(int64); int64(n) > to {
				return nil
			}
		case n == 2 && field.Name == "once":
			<-ctx.Done()
			return nil
		case n == 2 && field.Name == "breaks":
			return graphql.ErrorResponse(ctx, "it broke")
		case n == 2 && field.Name == "fault":
			panic("at fault")
		case n > 2:
			return nil
		}
		return &graphql.Response{Data: result(&buf, field, n)}
	}
}

// result has a line break in it, as JSON may.
func result(buf *bytes.Buffer, field *ast.Field, value any) json.RawMessage {
	buf.Reset()
	_ = json.NewEncoder(buf).Encode(map[string]any{field.Alias: value}) // a buffer takes all, and the values are plain
	return buf.Bytes()
}

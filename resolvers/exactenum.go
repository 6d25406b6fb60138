package resolvers

import (
	"context"
	"reflect"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/hookql/hookql/internal/graphqlhttp"
)

// exactEnums is a gqlgen extension that refuses variables with an enum value in
// other letters than the schema's: gqlparser takes "post" for POST, and nobody
// behind it does.
type exactEnums struct{ schema *ast.Schema }

// ExtensionName implements graphql.HandlerExtension.
func (exactEnums) ExtensionName() string { return "ExactEnums" }

// Validate implements graphql.HandlerExtension.
func (exactEnums) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext implements graphql.OperationContextMutator.
func (e exactEnums) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	for _, v := range op.Operation.VariableDefinitions {
		if err := e.check(v.Type, op.Variables[v.Variable], ast.Path{ast.PathName("variable"), ast.PathName(v.Variable)}); err != nil {
			errcode.Set(err, string(graphqlhttp.ValidationFailed))
			return err
		}
	}
	return nil
}

// check looks at a value of a type, which fits it but for letters.
func (e exactEnums) check(t *ast.Type, value any, at ast.Path) *gqlerror.Error {
	if value == nil {
		return nil
	}
	if t.Elem != nil {
		list := reflect.ValueOf(value) // []any, or []string where one text stood for a list
		if list.Kind() != reflect.Slice {
			return e.check(t.Elem, value, at)
		}
		for i := range list.Len() {
			if err := e.check(t.Elem, list.Index(i).Interface(), append(slices.Clip(at), ast.PathIndex(i))); err != nil {
				return err
			}
		}
		return nil
	}
	switch def := e.schema.Types[t.NamedType]; def.Kind {
	case ast.Enum:
		if name, ok := value.(string); ok && def.EnumValues.ForName(name) == nil {
			return gqlerror.ErrorPathf(at, "not a valid %s", def.Name)
		}
	case ast.InputObject:
		members, _ := value.(map[string]any) // it fits
		for _, f := range def.Fields {
			if err := e.check(f.Type, members[f.Name], append(slices.Clip(at), ast.PathName(f.Name))); err != nil {
				return err
			}
		}
	}
	return nil
}

package graph

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/99designs/gqlgen/graphql"
)

func TestMarshalList(t *testing.T) {
	t.Parallel()
	ctx := graphql.WithResponseContext(t.Context(), graphql.DefaultErrorPresenter, func(context.Context, any) error { return errors.New("recovered") })
	element := func(ctx context.Context, i int) graphql.Marshaler {
		if i == 2 {
			panic("the third")
		}
		return graphql.MarshalString(graphql.GetPath(ctx).String())
	}
	var got bytes.Buffer
	marshalList(ctx, 2, 0, false, element).MarshalGQL(&got)
	if errs := graphql.GetErrors(ctx); got.String() != `["[0]","[1]"]` || errs != nil {
		t.Errorf("two elements are %s, with the errors %v", &got, errs)
	}
	if list := marshalList(ctx, 3, 0, false, element); list != nil {
		t.Errorf("a list with a panic is %v", list)
	}
	if errs := graphql.GetErrors(ctx); len(errs) != 1 || errs[0].Message != "recovered" || errs[0].Path.String() != "[2]" {
		t.Errorf("a panic is reported as %v", errs)
	}
}

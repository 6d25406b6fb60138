package querylimit

import (
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"

	"github.com/hookql/hookql/internal/graphqltest"
)

// TestSubscription takes subscriptions of one field alone, which is so whatever
// the variables are.
func TestSubscription(t *testing.T) {
	t.Parallel()
	for document, good := range map[string]bool{
		`subscription { once }`:            true,
		`subscription { a: count(to: 1) }`: true,
		`subscription { ...f } fragment f on Subscription { ... on Subscription { once }}`:      true,
		`subscription { a: count(to: 1) b: count(to: 2) }`:                                      false,
		`subscription { once once }`:                                                            false,
		`subscription { ...f ...f } fragment f on Subscription { once }`:                        false,
		`subscription($a: Boolean!) { once @skip(if: $a) }`:                                     false,
		`subscription($a: Boolean!) { ... @include(if: $a) { once } }`:                          false,
		`subscription($a: Boolean!) { ...f @skip(if: $a) } fragment f on Subscription { once }`: false,
	} {
		doc, errs := gqlparser.LoadQueryWithRules((*graphqltest.Schema)(nil).Schema(), document, nil)
		if errs != nil {
			t.Fatalf("%s: %v", document, errs)
		}
		err := Default().MutateOperationContext(t.Context(), &graphql.OperationContext{Doc: doc, Operation: doc.Operations[0]})
		if (err == nil) != good {
			t.Errorf("%s: %v", document, err)
		}
	}
}

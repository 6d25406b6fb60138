package resolvers

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/webhook"
)

func loadSchema(t *testing.T) *ast.Schema {
	t.Helper()
	text, err := os.ReadFile("../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	return gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphqls", Input: string(text)})
}

// scopeOf is the scope that a field asks for, "" for none.
func scopeOf(f *ast.FieldDefinition) webhook.Scope {
	if d := f.Directives.ForName("hasScope"); d != nil {
		return webhook.Scope(d.Arguments.ForName("scope").Value.Raw)
	}
	return ""
}

// rootFields are all fields of queries and mutations.
func rootFields(s *ast.Schema) (fields []rootField) {
	for _, root := range []*ast.Definition{s.Query, s.Mutation} {
		for _, f := range root.Fields {
			if !strings.HasPrefix(f.Name, "__") {
				fields = append(fields, rootField{s, strings.ToLower(root.Name), f})
			}
		}
	}
	return fields
}

type rootField struct {
	schema    *ast.Schema
	operation string
	*ast.FieldDefinition
}

// document asks for the field with the least that it takes; where an id is
// wanted, it is the one given.
func (f rootField) document(id string) string {
	var arguments []string
	for _, a := range f.Arguments {
		if a.Type.NonNull || f.takesID(a.Type) {
			arguments = append(arguments, a.Name+": "+f.value(a.Type, id))
		}
	}
	document := f.operation + " { " + f.Name
	if len(arguments) > 0 {
		document += "(" + strings.Join(arguments, ", ") + ")"
	}
	return document + " { " + f.selection() + " } }"
}

// selection is what can be compared: what a mutation has to say, or else that
// something was found.
func (f rootField) selection() string {
	switch {
	case f.operation == "mutation":
		return "userErrors { code message field }"
	case strings.HasSuffix(f.Type.Name(), "Connection"):
		return "nodes { __typename }"
	}
	return "__typename"
}

// takesID says whether an input is an id, or holds one.
func (f rootField) takesID(t *ast.Type) bool {
	if t.Name() == "ID" {
		return true
	}
	input := f.schema.Types[t.Name()]
	return input.Kind == ast.InputObject && slices.ContainsFunc(input.Fields, func(m *ast.FieldDefinition) bool { return f.takesID(m.Type) })
}

func (f rootField) value(t *ast.Type, id string) string {
	if t.Elem != nil {
		return "[" + f.value(t.Elem, id) + "]"
	}
	switch input := f.schema.Types[t.Name()]; {
	case t.Name() == "ID":
		return fmt.Sprintf("%q", id)
	case input.Kind == ast.InputObject:
		var members []string
		for _, m := range input.Fields {
			if m.Type.NonNull || f.takesID(m.Type) && input.Directives.ForName("oneOf") == nil || m.Type.Name() == "ID" {
				members = append(members, m.Name+": "+f.value(m.Type, id))
			}
		}
		return "{" + strings.Join(members, ", ") + "}"
	case input.Kind == ast.Enum:
		return input.EnumValues[0].Name
	case t.Name() == "URL":
		return `"https://example.com/"`
	case t.Name() == "DateTime":
		return `"2030-01-01T00:00:00Z"`
	case t.Name() == "Int", t.Name() == "Float":
		return "1"
	case t.Name() == "Boolean":
		return "true"
	}
	return `"x"`
}

// TestScopes asks for every field of the schema's root that wants a scope, with
// all scopes but that one, and with that one alone.
func TestScopes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, f := range rootFields(loadSchema(t)) {
		scope := scopeOf(f.FieldDefinition)
		if scope == "" {
			continue
		}
		caller := func(scopes ...webhook.Scope) auth.Caller {
			return auth.Caller{Key: &webhook.APIKey{ID: "key_1", Scopes: scopes}, WorkspaceID: b.workspace}
		}
		others := slices.DeleteFunc(webhook.Scopes(), func(s webhook.Scope) bool { return s == scope })
		for _, c := range []struct {
			auth.Caller
			closed bool
		}{{caller(others...), true}, {caller(scope), false}, {auth.Caller{WorkspaceID: b.workspace}, true}} {
			b.caller = c.Caller
			a, statements := b.ask(t, f.document("absent"), nil)
			closed := len(a.Errors) == 1 && a.Errors[0].Extensions.Code == graphqlhttp.Forbidden && strings.Contains(a.Errors[0].Message, string(scope))
			if closed != c.closed || closed && len(statements) > 0 {
				t.Errorf("%s with the scopes %v: %+v, statements %v, want it closed: %t", f.document("absent"), c.Scopes(), a.Errors, statements, c.closed)
			}
		}
	}
}

// TestWaysToNounsHaveScopes goes along every field that leads to a noun from
// somewhere else: it asks for the noun's scope and may be null, so that a
// forbidden one never voids the rest.
func TestWaysToNounsHaveScopes(t *testing.T) {
	t.Parallel()
	nouns := map[string]webhook.Scope{
		"Webhook": webhook.ScopeWebhooksRead, "TestRun": webhook.ScopeWebhooksRead, "ApiKey": webhook.ScopeAPIKeysRead, "Workspace": webhook.ScopeWorkspacesRead,
		"Event": webhook.ScopeEventsRead, "Delivery": webhook.ScopeEventsRead, "DeliveryAttempt": webhook.ScopeEventsRead, "DeliveryStats": webhook.ScopeEventsRead,
	}
	// The caller's own, and what a resolver decides by the object.
	decided := []string{"Query.workspace", "Viewer.workspace", "Viewer.apiKey"}
	s := loadSchema(t)
	for _, from := range s.Types {
		if from.Kind != ast.Object || from.BuiltIn || strings.HasSuffix(from.Name, "Payload") {
			continue // a payload shows what the caller just made
		}
		for _, f := range from.Fields {
			noun := strings.TrimSuffix(strings.TrimSuffix(f.Type.Name(), "Connection"), "Edge")
			scope, isNoun := nouns[noun]
			name := from.Name + "." + f.Name
			if !isNoun || strings.HasPrefix(from.Name, noun) || slices.Contains(decided, name) {
				continue
			}
			alone := from.Name == "Subscription" // one field, which voids nothing else
			if scopeOf(f) != scope || f.Type.NonNull && !alone {
				t.Errorf("%s leads to %s with the scope %q and the type %s, want %s and nullable", name, noun, scopeOf(f), f.Type, scope)
			}
		}
	}
}

func TestNodesHaveScopes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.happened(t)
	var got testedRun
	b.must(t, testJobStatus, map[string]any{"id": "w", "data": map[string]any{}}, &got)
	run := got.TestWebhook.TestRun
	ids := []string{h.webhook, run.ID, run.Tests.Nodes[0].ID, b.key(t).ID, h.event, h.delivery, h.attempts[0]}
	const document = `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`
	var found struct{ Nodes []*struct{ ID string } }
	b.must(t, document, map[string]any{"ids": append(ids, b.workspace, "wh_absent", "nonsense")}, &found)
	for i, id := range append(ids, b.workspace) {
		if found.Nodes[i] == nil || found.Nodes[i].ID != id {
			t.Errorf("%s is not found", id)
		}
	}
	if n := len(ids); found.Nodes[n+1] != nil || found.Nodes[n+2] != nil {
		t.Error("something is found that is not there")
	}
	b.caller = auth.Caller{Key: &webhook.APIKey{}, WorkspaceID: b.workspace}
	a, statements := b.ask(t, document, map[string]any{"ids": ids})
	if len(a.Errors) != len(ids) || string(a.Data) != `{"nodes":[null,null,null,null,null,null,null]}` || len(statements) > 0 {
		t.Errorf("without a scope: %s, %+v, %v", a.Data, a.Errors, statements)
	}
	for i, e := range a.Errors {
		if e.Extensions.Code != graphqlhttp.Forbidden || len(e.Path) != 2 {
			t.Errorf("error %d: %+v", i, e)
		}
	}
}

// key makes a key of the bundle's workspace.
func (b *bundle) key(t *testing.T) *webhook.APIKey {
	t.Helper()
	key := &webhook.APIKey{ID: webhook.NewID(webhook.APIKeyPrefix), Name: "k", Scopes: []webhook.Scope{webhook.ScopeWebhooksRead}, CreatedAt: webhook.Now()}
	if err := b.db.InsertAPIKey(t.Context(), b.workspace, key, auth.NewToken().Hash()); err != nil {
		t.Fatal(err)
	}
	return key
}

// TestForeignIsLikeAbsent asks every field of the root that takes an id for
// another workspace's objects, and for ones that are not there: the answers
// and the statements are the same. The fields are taken from the schema, so a
// new one is tried the day it appears.
func TestForeignIsLikeAbsent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.happened(t)
	var got testedRun
	b.must(t, testJobStatus, map[string]any{"id": "w", "data": map[string]any{}}, &got)
	var w struct{ Webhook struct{ ID string } }
	key := b.key(t)
	foreign := map[string]string{ // by an id of the same length that is nobody's
		webhook.NewID(webhook.WebhookPrefix):        h.webhook,
		webhook.NewID(webhook.EventPrefix):          h.event,
		webhook.NewID(webhook.DeliveryPrefix):       h.delivery,
		webhook.NewID(webhook.AttemptPrefix):        h.attempts[0],
		"uid-" + webhook.NewID(webhook.EventPrefix): "uid-" + h.event,
		webhook.NewID(webhook.TestRunPrefix):        got.TestWebhook.TestRun.ID,
		webhook.NewID(webhook.TestPrefix):           got.TestWebhook.TestRun.Tests.Nodes[0].ID,
		webhook.NewID(webhook.APIKeyPrefix):         key.ID,
		webhook.NewID(webhook.WorkspacePrefix):      b.workspace,
		"q":                                         "w",
	}
	other, err := b.db.EnsureWorkspace(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	stranger := &webhook.APIKey{ID: "key_1", WorkspaceID: &other, Scopes: slices.DeleteFunc(webhook.Scopes(), webhook.Scope.OfOperators)}
	b.caller = auth.Caller{Key: stranger, WorkspaceID: other}
	tried := 0
	for _, f := range rootFields(loadSchema(t)) {
		for absent, id := range foreign {
			if f.document(id) == f.document(absent) {
				continue // it takes no id
			}
			tried++
			want, wantStatements := b.ask(t, f.document(absent), nil)
			had, statements := b.ask(t, f.document(id), nil)
			alike := func(a answer) string {
				return strings.ReplaceAll(fmt.Sprintf("%s %+v", a.Data, a.Errors), id, absent)
			}
			if alike(had) != alike(want) || !slices.Equal(statements, wantStatements) {
				t.Errorf("%s: (-absent +foreign)\n%s%s", f.document(id), cmp.Diff(alike(want), alike(had)), cmp.Diff(wantStatements, statements))
			}
			if strings.Contains(string(had.Data), `"__typename":"`) {
				t.Errorf("%s was answered: %s", f.document(id), had.Data)
			}
		}
	}
	t.Logf("%d forbidden calls, 0 opened", tried)
	if tried < 50 {
		t.Errorf("only %d calls were tried", tried)
	}
	b.caller = auth.Caller{Operator: true, WorkspaceID: b.workspace}
	b.must(t, `{ webhook(id: "w") { id version } }`, nil, &w)
}

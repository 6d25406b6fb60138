package resolvers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/webhook"
)

func TestUserErrors(t *testing.T) {
	t.Parallel()
	for code := range sentences {
		list, err := userErrors(fmt.Errorf("wrapped: %w", code), "input")
		if err != nil || len(list) != 1 || list[0].Code != code || list[0].Message == "" {
			t.Errorf("userErrors(%s) = %v, %v", code, list, err)
		}
	}
	fault := errors.New("disk on fire")
	if list, err := userErrors(fault); list != nil || !errors.Is(err, fault) {
		t.Errorf("userErrors of a fault = %v, %v, want the fault back", list, err)
	}
	if list, err := userErrors(nil); list == nil || len(list) > 0 || err != nil {
		t.Errorf("userErrors(nil) = %v, %v, want an empty list", list, err)
	}
	list, err := userErrors(webhook.Errors{webhook.NewError(webhook.Invalid, "a", "events", "0")}, "input")
	if err != nil || strings.Join(list[0].Field, " ") != "input events 0" {
		t.Errorf("path = %v, %v, want input events 0", list[0].Field, err)
	}
}

func TestUserErrorsAreFew(t *testing.T) {
	t.Parallel()
	var many webhook.Errors
	for range maxUserErrors + 7 {
		many = append(many, webhook.NewError(webhook.Invalid, "a", "events"))
	}
	list, err := userErrors(many, "input")
	if err != nil || len(list) != maxUserErrors+1 || list[maxUserErrors].Message != "There are 7 more mistakes. Mend these first." {
		t.Errorf("%d errors, %v, the last of them %+v", len(list), err, list[len(list)-1])
	}
}

// TestFaultsAreHidden breaks the database under the API: the client gets one
// sentence and a request id, the log gets the cause under the same id.
func TestFaultsAreHidden(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.db.Close(); err != nil {
		t.Fatal(err)
	}
	a, _ := b.ask(t, `{ webhooks { nodes { id } } }`, nil)
	if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != graphqlhttp.Internal {
		t.Fatalf("errors = %+v, want one %s", a.Errors, graphqlhttp.Internal)
	}
	message := a.Errors[0].Message
	if strings.Contains(message, "sql") || strings.Contains(message, "webhooks.") {
		t.Errorf("the message tells of our insides: %s", message)
	}
	id := message[strings.LastIndex(message, " ")+1 : len(message)-1]
	if log := b.log.String(); !strings.Contains(log, id) || !strings.Contains(log, "database is closed") {
		t.Errorf("the log does not tell the cause under %s:\n%s", id, log)
	}
}

func TestPanicsAreHidden(t *testing.T) {
	t.Parallel()
	err := recovered(context.Background(), "secret cause")
	shown := presenter(discard())(context.Background(), err)
	if strings.Contains(shown.Message, "secret") || shown.Extensions["code"] != string(graphqlhttp.Internal) {
		t.Errorf("a panic is shown as %q, %v", shown.Message, shown.Extensions)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a, _ := b.ask(t, "{ "+strings.Repeat("eventTypes { name } ", 300)+" }", nil)
	if len(a.Errors) == 0 || !strings.Contains(a.Errors[0].Message, "token limit") {
		t.Errorf("a document of more than %d tokens: %+v", maxTokens, a.Errors)
	}
}

// A value that is no time is the caller's mistake.
func TestWrongTimeIsAMistake(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, at := range []any{"tomorrow", 5} {
		a, _ := b.ask(t, `mutation($at: DateTime) { createApiKey(input: {name: "k", scopes: [WEBHOOKS_READ], expiresAt: $at}) { token } }`, object{"at": at})
		if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != graphqlhttp.BadUserInput || !strings.Contains(a.Errors[0].Message, "2022-02-17T08:47:11Z") {
			t.Errorf("%v: %+v", at, a.Errors)
		}
	}
}

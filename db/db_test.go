package db_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

func TestStatementsFitTheSchema(t *testing.T) {
	t.Parallel()
	db.PrepareStatements(t, pgtest.URL(t))
}

func TestArraysAreReadAsTheyAre(t *testing.T) {
	t.Parallel()
	db.CheckArrays(t, pgtest.URL(t))
}

// open returns a database with a workspace in it.
func open(t *testing.T) (d *db.DB, workspaceID string) {
	t.Helper()
	d = pgtest.New(t)
	workspaceID, err := d.EnsureWorkspace(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	return d, workspaceID
}

// newWebhook is a valid webhook that is not registered yet.
func newWebhook(uid string) *webhook.Webhook {
	now := webhook.Now()
	description := "orders, \u20ac, and \"quotes\""
	return &webhook.Webhook{
		ID:                 webhook.NewID(webhook.WebhookPrefix),
		UID:                uid,
		Name:               "a name",
		Description:        &description,
		URL:                "https://example.com/hook?a=1",
		Events:             []string{"job.status", "Payout.*"},
		ResourceIDs:        []string{"dc-1", "dépôt, \"2\""},
		StatusReason:       webhook.ReasonOwner,
		StatusChangedAt:    now,
		Method:             webhook.MethodPost,
		PayloadFormat:      webhook.FormatEnvelope,
		Signing:            webhook.SigningStandard,
		Secret:             webhook.NewSecret(),
		Headers:            []webhook.Header{{Name: "X-B", Value: "2"}, {Name: "X-A", Value: "1"}},
		TimeoutMs:          15_000,
		RateLimitPerSecond: new(7),
		RetryPolicy:        webhook.RetryPolicy{MaxAttempts: 3, InitialDelaySeconds: 60, BackoffFactor: 1.5, MaxDelaySeconds: 3600},
		Metadata:           json.RawMessage(`{"a":1}`),
		Version:            1,
		CreatedAt:          now,
		UpdatedAt:          now,
	}
}

func insert(t *testing.T, d *db.DB, workspaceID string, w *webhook.Webhook) *webhook.Webhook {
	t.Helper()
	w.WorkspaceID = workspaceID
	if _, err := d.InsertWebhook(t.Context(), workspaceID, w, webhook.Idempotency{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestMigrateTwice(t *testing.T) {
	t.Parallel()
	applied, err := pgtest.New(t).Migrate(t.Context())
	if err != nil || len(applied) > 0 {
		t.Errorf("Migrate of a migrated database = %v, %v, want nothing to do", applied, err)
	}
}

func TestMigrateSideBySide(t *testing.T) {
	t.Parallel()
	db.MigrateSideBySide(t, pgtest.EmptyURL(t))
}

func TestMigrateTwoAtOnce(t *testing.T) {
	t.Parallel()
	empty := pgtest.EmptyURL(t)
	errs := make(chan error)
	for range 2 {
		go func() {
			d, err := db.Open(context.Background(), empty, pgtest.MasterKey)
			if err == nil {
				_, err = d.Migrate(context.Background())
				err = errors.Join(err, d.Close())
			}
			errs <- err
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestWebhookReadsBackAsWritten(t *testing.T) {
	t.Parallel()
	d, workspaceID := open(t)
	want := newWebhook("mine")
	want.RotateSecret(webhook.NewSecret(), time.Hour, want.CreatedAt)
	insert(t, d, workspaceID, want)
	for _, key := range []string{want.ID, want.UID} {
		got, err := d.Webhook(t.Context(), workspaceID, key)
		if err != nil {
			t.Fatalf("Webhook(%q): %v", key, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Webhook(%q) (-written +read):\n%s", key, diff)
		}
	}
}

func TestWebhooksOfAnotherWorkspaceAreNotFound(t *testing.T) {
	t.Parallel()
	d, ours := open(t)
	theirs, err := d.EnsureWorkspace(t.Context(), "another")
	if err != nil {
		t.Fatal(err)
	}
	w := insert(t, d, ours, newWebhook("mine"))
	run := insertRun(t, d, w)

	if _, err := d.Webhook(t.Context(), theirs, w.ID); !errors.Is(err, webhook.NotFound) {
		t.Errorf("Webhook from another workspace: %v, want NOT_FOUND", err)
	}
	if _, err := d.TestRun(t.Context(), theirs, run.ID); !errors.Is(err, webhook.NotFound) {
		t.Errorf("TestRun from another workspace: %v, want NOT_FOUND", err)
	}
	if _, err := d.ChangeWebhook(t.Context(), theirs, w.ID, rename("theirs")); !errors.Is(err, webhook.NotFound) {
		t.Errorf("ChangeWebhook from another workspace: %v, want NOT_FOUND", err)
	}
	if _, err := d.DeleteWebhook(t.Context(), theirs, w.ID, nothingAgainst); !errors.Is(err, webhook.NotFound) {
		t.Errorf("DeleteWebhook from another workspace: %v, want NOT_FOUND", err)
	}
	if found, err := d.WebhooksByID(t.Context(), theirs, []string{w.ID}); err != nil || len(found) > 0 {
		t.Errorf("WebhooksByID from another workspace = %v, %v, want none", found, err)
	}
	if found, err := d.TestResults(t.Context(), theirs, []string{run.ID}); err != nil || len(found) > 0 {
		t.Errorf("TestResults from another workspace = %v, %v, want none", found, err)
	}
	if pages, err := d.TestRuns(t.Context(), theirs, []string{w.ID}, webhook.Page{Limit: 5}); err != nil || len(pages[w.ID].Items) > 0 {
		t.Errorf("TestRuns from another workspace = %v, %v, want none", pages, err)
	}
}

func TestUidIsUniqueInItsWorkspace(t *testing.T) {
	t.Parallel()
	d, ours := open(t)
	theirs, err := d.EnsureWorkspace(t.Context(), "another")
	if err != nil {
		t.Fatal(err)
	}
	insert(t, d, ours, newWebhook("mine"))
	insert(t, d, theirs, newWebhook("mine"))
	var mistake *webhook.Error
	if _, err := d.InsertWebhook(t.Context(), ours, newWebhook("mine"), webhook.Idempotency{}); !errors.As(err, &mistake) || mistake.Code != webhook.Taken {
		t.Errorf("InsertWebhook with a uid that is there = %v, want TAKEN", err)
	}
}

// TestUniqueURLs lets many register the same URL at once: one gets it.
func TestUniqueURLs(t *testing.T) {
	t.Parallel()
	d, ours := open(t)
	old := insert(t, d, ours, newWebhook("old"))
	twin := insert(t, d, ours, newWebhook("twin")) // from before the choice
	d.UniqueURLs = true
	theirs, err := d.EnsureWorkspace(t.Context(), "another")
	if err != nil {
		t.Fatal(err)
	}
	insert(t, d, theirs, newWebhook("theirs"))

	move := func(to string) func(*webhook.Webhook) error {
		return func(w *webhook.Webhook) error {
			w.URL = to
			return nil
		}
	}
	const racers = 30
	done := make(chan struct{})
	for i := range racers {
		go func() {
			var err error
			if i%2 == 0 {
				w := newWebhook(fmt.Sprint("racer-", i))
				w.URL = "https://example.com/goal"
				_, err = d.InsertWebhook(context.Background(), ours, w, webhook.Idempotency{})
			} else {
				_, err = d.ChangeWebhook(context.Background(), ours, []string{"old", "twin"}[i/2%2], move("https://example.com/goal"))
			}
			if err != nil && !errors.Is(err, webhook.Taken) {
				t.Error(err)
			}
			done <- struct{}{}
		}()
	}
	for range racers {
		<-done
	}
	n, err := d.CountWebhooks(t.Context(), ours, webhook.Filter{Search: new("/goal")})
	if err != nil || n != 1 {
		t.Errorf("%d webhooks have the URL, %v, want 1", n, err)
	}

	for _, w := range []*webhook.Webhook{old, twin} {
		if _, err := d.ChangeWebhook(t.Context(), ours, w.ID, rename("whatever its URL")); err != nil {
			t.Errorf("a change of something else: %v", err)
		}
	}
}

func rename(name string) func(*webhook.Webhook) error {
	return func(w *webhook.Webhook) error {
		w.Name = name
		return nil
	}
}

func nothingAgainst(*webhook.Webhook) error { return nil }

func TestChangeWebhook(t *testing.T) {
	t.Parallel()
	d, workspaceID := open(t)
	w := insert(t, d, workspaceID, newWebhook("mine"))
	for _, step := range []struct {
		name    string
		change  func(*webhook.Webhook) error
		version int
	}{
		{"name", rename("new"), 2},
		{"nothing", rename("new"), 2},
		{"everything that can be empty", func(w *webhook.Webhook) error {
			w.Description, w.RateLimitPerSecond, w.Headers, w.ResourceIDs = nil, nil, []webhook.Header{}, []string{}
			return nil
		}, 3},
		{"its uid", func(w *webhook.Webhook) error { w.UID = "mine-too"; return nil }, 4},
	} {
		changed, err := d.ChangeWebhook(t.Context(), workspaceID, w.ID, step.change)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Webhook(t.Context(), workspaceID, w.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(changed, got); diff != "" || got.Version != step.version {
			t.Errorf("%s: version %d, want %d (-returned +kept):\n%s", step.name, got.Version, step.version, diff)
		}
	}
	refused := errors.New("refused")
	if _, err := d.ChangeWebhook(t.Context(), workspaceID, "mine-too", func(*webhook.Webhook) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("a change that is refused: %v", err)
	}
	if _, err := d.DeleteWebhook(t.Context(), workspaceID, "mine-too", func(*webhook.Webhook) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("a deletion that is refused: %v", err)
	}
	if got, err := d.Webhook(t.Context(), workspaceID, w.ID); err != nil || got.Version != 4 {
		t.Errorf("after refusals: %+v, %v", got, err)
	}
	insert(t, d, workspaceID, newWebhook("another"))
	if _, err := d.ChangeWebhook(t.Context(), workspaceID, w.ID, func(w *webhook.Webhook) error { w.UID = "another"; return nil }); !errors.Is(err, webhook.Taken) {
		t.Errorf("a uid that is there: %v, want TAKEN", err)
	}
}

// TestChangesWaitForEachOther makes many more changes at once than there are
// connections: each sees what the one before it made.
func TestChangesWaitForEachOther(t *testing.T) {
	t.Parallel()
	d, workspaceID := open(t)
	w := insert(t, d, workspaceID, newWebhook("mine"))
	const changes = 200
	errs := make(chan error)
	for range changes {
		go func() {
			_, err := d.ChangeWebhook(context.Background(), workspaceID, "mine", func(w *webhook.Webhook) error {
				w.Name += "!"
				return nil
			})
			errs <- err
		}()
	}
	for range changes {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	got, err := d.Webhook(t.Context(), workspaceID, w.ID)
	if err != nil || got.Version != 1+changes || len(got.Name) != len(w.Name)+changes {
		t.Errorf("after %d changes: version %d, name %q, %v", changes, got.Version, got.Name, err)
	}
}

func TestWebhookPages(t *testing.T) {
	t.Parallel()
	d, workspaceID := open(t)
	var all []string // newest first
	for i := range 7 {
		all = append([]string{insert(t, d, workspaceID, newWebhook(fmt.Sprint("w", i))).ID}, all...)
	}
	for name, test := range map[string]struct {
		page     webhook.Page
		want     []string
		next, up bool
	}{
		"first":            {webhook.Page{Limit: 3}, all[:3], true, false},
		"first after":      {webhook.Page{Limit: 3, After: all[2]}, all[3:6], true, true},
		"last page":        {webhook.Page{Limit: 3, After: all[5]}, all[6:], false, true},
		"past the end":     {webhook.Page{Limit: 3, After: all[6]}, nil, false, true},
		"all":              {webhook.Page{Limit: 7}, all, false, false},
		"last":             {webhook.Page{Limit: 3, FromEnd: true}, all[4:], false, true},
		"last before":      {webhook.Page{Limit: 3, Before: all[4], FromEnd: true}, all[1:4], true, true},
		"last reaches top": {webhook.Page{Limit: 3, Before: all[2], FromEnd: true}, all[:2], true, false},
		"between":          {webhook.Page{Limit: 9, After: all[1], Before: all[4]}, all[2:4], false, true},
	} {
		slice, err := d.Webhooks(t.Context(), workspaceID, webhook.Filter{}, webhook.Order{By: webhook.OrderByCreatedAt}, test.page)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range slice.Items {
			got = append(got, w.ID)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if slice.HasNext != test.next || slice.HasPrevious != test.up {
			t.Errorf("%s: next, previous = %t, %t, want %t, %t", name, slice.HasNext, slice.HasPrevious, test.next, test.up)
		}
	}
	if n, err := d.CountWebhooks(t.Context(), workspaceID, webhook.Filter{}); err != nil || n != 7 {
		t.Errorf("CountWebhooks = %d, %v, want 7", n, err)
	}
}

// insertRun keeps a run of one webhook with everything a receiver may answer.
func insertRun(t *testing.T, d *db.DB, w *webhook.Webhook) *webhook.TestRun {
	t.Helper()
	run, tests := newRun(w)
	keepRun(t, d, run, tests)
	return run
}

// keepRun keeps a run from its beginning to its end.
func keepRun(t *testing.T, d *db.DB, run *webhook.TestRun, tests []webhook.Test) {
	t.Helper()
	if _, err := d.BeginTestRun(t.Context(), run.WorkspaceID, run, tests, webhook.Idempotency{}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.KeepTestRun(t.Context(), run.WorkspaceID, run, tests); err != nil {
		t.Fatal(err)
	}
}

func newRun(w *webhook.Webhook) (*webhook.TestRun, []webhook.Test) {
	now := webhook.Now()
	run := &webhook.TestRun{
		ID:             webhook.NewID(webhook.TestRunPrefix),
		WorkspaceID:    w.WorkspaceID,
		WebhookID:      &w.ID,
		URL:            w.URL,
		Status:         webhook.TestRunFinished,
		StartedAt:      now,
		FinishedAt:     &now,
		TestsTotal:     2,
		TestsSucceeded: 1,
		TestsFailed:    1,
	}
	request := webhook.Request{Method: "POST", URL: w.URL, Headers: []webhook.Header{{Name: "Host", Value: "example.com"}}, Body: []byte(`{"a":"\u0000"}`), BodySize: 14}
	return run, []webhook.Test{{
		TestResult: webhook.TestResult{
			ID:        webhook.NewID(webhook.TestPrefix),
			RunID:     run.ID,
			EventName: "job.status",
			Scenario:  webhook.ScenarioValid,
			StartedAt: &now,
			Verdict:   webhook.VerdictPass,
			Message:   "Answered 200 OK.",
			Checks:    []webhook.TestCheck{{Name: "status is 2xx", Success: true, Required: true, Expected: "2xx", Actual: "200 \x00"}, {Name: "advice"}},
			Deciding:  1,
		},
		Exchanges: []webhook.Exchange{{
			Outcome:   webhook.OutcomeDelivered,
			StartedAt: now,
			Timing:    webhook.Timing{Connect: 12 * time.Microsecond, Total: time.Millisecond},
			Request:   request,
			Response: &webhook.Response{
				StatusCode:    200,
				StatusText:    "OK",
				Headers:       []webhook.Header{{Name: "X-Odd", Value: "\x00"}},
				Body:          []byte("\x00\xff<script>"),
				BodyTruncated: true,
			},
		}},
	}, {
		TestResult: webhook.TestResult{
			ID:        webhook.NewID(webhook.TestPrefix),
			RunID:     run.ID,
			EventName: "Payout.created",
			Scenario:  webhook.ScenarioValid,
			Verdict:   webhook.VerdictFail,
			Message:   "Nobody listens.",
			Checks:    []webhook.TestCheck{},
			Deciding:  1,
		},
		Exchanges: []webhook.Exchange{{Outcome: webhook.OutcomeRefused, Detail: "connection refused", StartedAt: now, Request: request}},
	}}
}

func TestTestRunReadsBackAsWritten(t *testing.T) {
	t.Parallel()
	d, workspaceID := open(t)
	w := insert(t, d, workspaceID, newWebhook("mine"))
	run, tests := newRun(w)
	keepRun(t, d, run, tests)
	readBack := func(what string, want, got any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-written +read):\n%s", what, diff)
		}
	}
	got, err := d.TestRun(t.Context(), workspaceID, run.ID)
	readBack("run", run, got, err)
	byRun, err := d.TestResults(t.Context(), workspaceID, []string{run.ID, "run_absent"})
	readBack("results", map[string][]*webhook.TestResult{run.ID: {&tests[0].TestResult, &tests[1].TestResult}}, byRun, err)
	one, err := d.TestResult(t.Context(), workspaceID, tests[1].ID)
	readBack("result", &tests[1].TestResult, one, err)

	first, second := tests[0].ID, tests[1].ID
	bodies, err := d.TestBodies(t.Context(), workspaceID, []string{first, second}, 1<<20)
	readBack("bodies", map[string][]webhook.Bodies{
		first:  {{Request: tests[0].Exchanges[0].Request.Body, Response: tests[0].Exchanges[0].Response.Body}},
		second: {{Request: tests[1].Exchanges[0].Request.Body}},
	}, bodies, err)
	few, err := d.TestBodies(t.Context(), workspaceID, []string{first, second}, 30)
	if err != nil || len(few[first]) != 1 || len(few[second]) != 0 {
		t.Errorf("bodies of at most 30 bytes: %v, %v, want those of the first exchange", few, err)
	}
	exchanges, err := d.TestExchanges(t.Context(), workspaceID, []string{first, second})
	for _, test := range tests {
		test.Exchanges[0].Request.Body = nil
	}
	tests[0].Exchanges[0].Response.Body = nil
	readBack("exchanges", map[string][]webhook.Exchange{first: tests[0].Exchanges, second: tests[1].Exchanges}, exchanges, err)
}

func TestOddTextIsKept(t *testing.T) {
	t.Parallel()
	d, workspaceID := open(t)
	w := insert(t, d, workspaceID, newWebhook("mine"))
	run, results := newRun(w)
	results[0].Message = "NUL \x00 and \xff"
	results[0].Exchanges[0].Detail = "\x00"
	results[0].Exchanges[0].Response.StatusText = "\x00\xfe"
	keepRun(t, d, run, results)
	one, err := d.TestResult(t.Context(), workspaceID, results[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := one.Message, "NUL \uFFFD and \uFFFD"; got != want {
		t.Errorf("message = %q, want %q", got, want)
	}
}

func TestRunsOutliveTheirWebhook(t *testing.T) {
	t.Parallel()
	d, workspaceID := open(t)
	w := insert(t, d, workspaceID, newWebhook("mine"))
	before := insertRun(t, d, w)
	if _, err := d.DeleteWebhook(t.Context(), workspaceID, w.ID, nothingAgainst); err != nil {
		t.Fatal(err)
	}
	after := insertRun(t, d, w) // it was deleted while it was tested
	for _, run := range []*webhook.TestRun{before, after} {
		got, err := d.TestRun(t.Context(), workspaceID, run.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.WebhookID != nil {
			t.Errorf("run of a deleted webhook has the webhook %s", *got.WebhookID)
		}
	}
}

func TestTestRunPages(t *testing.T) {
	t.Parallel()
	d, workspaceID := open(t)
	busy := insert(t, d, workspaceID, newWebhook("busy"))
	idle := insert(t, d, workspaceID, newWebhook("idle"))
	var runs []string
	for range 3 {
		runs = append([]string{insertRun(t, d, busy).ID}, runs...)
	}
	pages, err := d.TestRuns(t.Context(), workspaceID, []string{busy.ID, idle.ID}, webhook.Page{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got := pages[busy.ID]; len(got.Items) != 2 || got.Items[0].ID != runs[0] || !got.HasNext || got.HasPrevious {
		t.Errorf("first page = %+v, want the two newest of %v", got, runs)
	}
	if got, there := pages[idle.ID]; !there || len(got.Items) != 0 || got.HasNext {
		t.Errorf("page of a webhook without runs = %+v, %t", got, there)
	}
	pages, err = d.TestRuns(t.Context(), workspaceID, []string{busy.ID}, webhook.Page{Limit: 2, FromEnd: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := pages[busy.ID]; len(got.Items) != 2 || got.Items[1].ID != runs[2] || !got.HasPrevious {
		t.Errorf("last page = %+v, want the two oldest of %v", got, runs)
	}
	counts, err := d.CountTestRuns(t.Context(), workspaceID, []string{busy.ID, idle.ID})
	if err != nil || counts[busy.ID] != 3 || counts[idle.ID] != 0 {
		t.Errorf("CountTestRuns = %v, %v, want 3 and none", counts, err)
	}
}

func TestSampleCatalogue(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	sample, err := webhook.SampleEventTypes()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := d.EnsureEventTypes(t.Context(), sample); err != nil {
			t.Fatal(err)
		}
	}
	types, err := d.EventTypes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(types) != len(sample) {
		t.Fatalf("the catalogue has %d types, want %d", len(types), len(sample))
	}
	for i := 1; i < len(types); i++ {
		a, b := types[i-1], types[i]
		if a.Category > b.Category || a.Category == b.Category && a.Name >= b.Name {
			t.Errorf("%s/%s comes before %s/%s", a.Category, a.Name, b.Category, b.Name)
		}
	}
}

func TestOnlyOneFirstOperatorKey(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	const racers = 8
	inserted := make(chan bool)
	for i := range racers {
		go func() {
			key := &webhook.APIKey{ID: webhook.NewID(webhook.APIKeyPrefix), Name: "operator"}
			ok, err := d.InsertOperatorKey(context.Background(), key, [32]byte{byte(i)})
			if err != nil {
				t.Error(err)
			}
			inserted <- ok
		}()
	}
	var n int
	for range racers {
		if <-inserted {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of %d racers inserted a key, want 1", n, racers)
	}
}

// TestRevokedOperatorKeysAreReplaced revokes operators' keys, all but one and one
// by its id: a new one is made once none opens, and workspaces' keys stay.
func TestRevokedOperatorKeysAreReplaced(t *testing.T) {
	t.Parallel()
	d, workspaceID := open(t)
	now := webhook.Now()
	first, second := [32]byte{1}, [32]byte{2}
	issue := func(hash [32]byte) (id string, made bool) {
		t.Helper()
		id = webhook.NewID(webhook.APIKeyPrefix)
		made, err := d.InsertOperatorKey(t.Context(), &webhook.APIKey{ID: id, Name: "operator"}, hash)
		if err != nil {
			t.Fatal(err)
		}
		return id, made
	}
	opens := func(hash [32]byte) bool {
		t.Helper()
		k, err := d.APIKeyByHash(t.Context(), hash)
		return err == nil && k.Usable(now)
	}
	customers := &webhook.APIKey{ID: webhook.NewID(webhook.APIKeyPrefix), WorkspaceID: &workspaceID, Name: "x", CreatedAt: now}
	if err := d.InsertAPIKey(t.Context(), workspaceID, customers, [32]byte{9}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.RevokeOperatorKey(t.Context(), customers.ID, now); !errors.Is(err, webhook.NotFound) {
		t.Errorf("RevokeOperatorKey of a workspace's key = %v, want NOT_FOUND", err)
	}
	issue(first)
	if n, err := d.RevokeOtherOperatorKeys(t.Context(), first, now); n != 0 || err != nil || !opens(first) {
		t.Errorf("the key that is to stay was revoked: %d, %v", n, err)
	}
	if n, err := d.RevokeOtherOperatorKeys(t.Context(), [32]byte{3}, now); n != 1 || err != nil || opens(first) {
		t.Errorf("RevokeOtherOperatorKeys = %d, %v, want 1 that opens no more", n, err)
	}
	id, made := issue(second)
	if _, again := issue([32]byte{4}); !made || again || !opens(second) {
		t.Errorf("made %t, and again %t; want one key where none opened", made, again)
	}
	if k, err := d.RevokeOperatorKey(t.Context(), id, now); err != nil || k.RevokedAt == nil || opens(second) {
		t.Errorf("RevokeOperatorKey = %+v, %v", k, err)
	}
	if !opens([32]byte{9}) {
		t.Error("a workspace's key was revoked with the operator's")
	}
}

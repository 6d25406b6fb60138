package main

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/seal"
)

// canary is a text that can be told apart wherever it shows.
type canary struct {
	name, text string
	// in are the places where it may stand, and has to: a session in which it
	// does not come there has not tried what it should. A place is
	//
	//	stdout, stderr    what the program and its verbs print and log
	//	errors of STEP    what an answer says is wrong, and all of one that is no JSON
	//	data of STEP      the rest of an answer; "data" for any step's
	//	TABLE.COLUMN      the database
	in []string
}

// The canaries are letters and digits alone, which no encoding of texts changes.
const (
	operatorKey   = "canaryOperatorKey5b8e1f7a90c34d26"
	masterKey     = "canaryMasterKeyOf32BytesInAll7d2"
	wrongKey      = "canaryOfAWrongKey91c1"
	firstSecret   = "canaryFirstSecret2f6b"
	rotatedSecret = "canaryRotatedSecretOf24Bytes83aa"
	updatedSecret = "canaryUpdatedSecret44d0"
	lastSecret    = "canaryLastSecretc7e9"
	formSecret    = "canarySecretOfAForm1b0f"
	headerValue   = "canaryHeaderValue6a3d"
	urlToken      = "canaryUrlToken0e57"
	userInfo      = "canaryUserInfo9f42"
	payloadText   = "canaryPayload3c88"
	queryPayload  = "canaryPayloadOfAGet5d19"
	wrongPayload  = "canaryWrongPayloade2b4"
	inputKey      = "canaryIdempotencyKey70ab"
	headerKey     = "canaryIdempotencyHeader1dd6"
	metadataText  = "canaryMetadataf83e"
	received      = "canaryReceivedRequest2c05"
	mistaken      = "canaryInAMistake8e6fb1"
)

func canaries(issued, made string) []canary {
	return []canary{
		{"the operator's key", operatorKey, nil},
		{"the operator's key that was made", made, []string{"stdout"}},
		{"the master key", masterKey, nil},
		{"an API key", issued, []string{"data of issue"}},
		{"a wrong key", wrongKey, nil},
		{"the secret", firstSecret, []string{"data of secret"}},
		{"the secret it was rotated to", rotatedSecret, []string{"data of rotate"}},
		{"the secret it was updated to", updatedSecret, nil},
		{"the secret it was replaced with", lastSecret, nil},
		{"the secret of a form", formSecret, nil},
		{"a header's value", headerValue, []string{"data of secret"}},
		{"a URL's parameter", urlToken, []string{"data", "webhooks.url", "test_runs.url", "test_exchanges.request_url",
			"test_exchanges.response_headers", "test_results.message"}}, // where a receiver redirects to itself
		{"a URL's user", userInfo, nil},
		{"a payload", payloadText, []string{"data", "test_exchanges.request_body"}},
		{"a payload in a query", queryPayload, []string{"data of GET", "test_exchanges.request_url"}},
		{"a payload that does not fit", wrongPayload, nil},
		{"an idempotency key", inputKey, []string{"idempotency_keys.key"}},
		{"an Idempotency-Key", headerKey, []string{"idempotency_keys.key"}},
		{"metadata", metadataText, []string{"data", "webhooks.metadata"}},
		{"a request that is to be verified", received, nil},
		{"a mistake", mistaken, nil},
	}
}

// TestCanaries uses the program in every way with canaries for all that a
// customer or operator may want to keep, and looks for them in what it prints,
// answers and keeps.
func TestCanaries(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	s.start(s.env)
	s.useWebhook()
	s.test()
	s.fail()
	s.askForHelp()
	s.mistake()
	s.sendWrongly()
	s.crash()

	// The next process makes an operator's key, and is stopped as it should be.
	s.start(slices.DeleteFunc(slices.Clone(s.env), func(v string) bool { return strings.HasPrefix(v, "HOOKQL_OPERATOR_KEY=") }))
	made := keyOf(s.server.stdout.String())
	s.key = made
	s.must("after the crash", `{ webhook(id: "w") { id } }`, nil)
	s.stop(syscall.SIGTERM)
	for _, verb := range []string{"config", "migrate", "keys rotate", "export"} {
		s.run(verb)
	}
	s.readDatabase()
	for _, column := range []string{"secret", "previous_secret", "headers"} {
		if text := s.seen["webhooks."+column]; !strings.Contains(text, "sealed:") {
			t.Errorf("webhooks.%s holds nothing sealed: %s", column, text)
		}
	}

	for _, c := range canaries(s.issued, made) {
		if len(c.text) < 16 {
			t.Fatalf("%s is too short to be told apart: %q", c.name, c.text)
		}
		s.check(c)
	}
}

// check compares where a canary stands with where it may.
func (s *session) check(c canary) {
	met := make(map[string]bool)
	for _, place := range slices.Sorted(maps.Keys(s.seen)) {
		if !slices.ContainsFunc(forms(c.text), func(form string) bool { return strings.Contains(s.seen[place], form) }) {
			continue
		}
		kind, _, _ := strings.Cut(place, " of ")
		if !slices.Contains(c.in, place) && !slices.Contains(c.in, kind) {
			s.t.Errorf("%s stands in %s: %s", c.name, place, around(s.seen[place], c.text))
		}
		met[place], met[kind] = true, true
	}
	for _, place := range c.in {
		if !met[place] {
			s.t.Errorf("%s does not stand in %s: it was not tried", c.name, place)
		}
	}
}

// forms are a text as it may be written: as it is, in hexadecimal, and within
// base64, where it may begin at any of three bits.
func forms(text string) []string {
	list := []string{text, hex.EncodeToString([]byte(text))}
	for before, cut := range []int{0, 2, 3} {
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + text))
		list = append(list, encoded[cut:len(encoded)-1])
	}
	return list
}

func around(text, what string) string {
	i := max(strings.Index(text, what), 0)
	return text[max(i-150, 0):min(i+150, len(text))]
}

func keyOf(text string) string {
	_, rest, _ := strings.Cut(text, "hookql_")
	key, _, _ := strings.Cut("hookql_"+rest, " ")
	return key
}

// session is a use of the program, with all that was seen of it.
type session struct {
	t        *testing.T
	env      []string
	database string
	server   *process
	receiver *httptest.Server
	slow     chan struct{} // gets one for each request to /slow
	key      string
	issued   string
	seen     map[string]string // by the place
}

func newSession(t *testing.T) *session {
	s := &session{t: t, database: pgtest.URL(t), slow: make(chan struct{}, 10), seen: make(map[string]string), key: operatorKey}
	s.env = append(os.Environ(), "HOOKQL_ADDR=127.0.0.1:0", "HOOKQL_DEV=false", "HOOKQL_ALLOW_HTTP=true", "HOOKQL_ALLOW_NETWORKS=127.0.0.0/8",
		"HOOKQL_MASTER_KEY="+seal.Key([]byte(masterKey)).Text(), "HOOKQL_OPERATOR_KEY="+operatorKey, "DATABASE_URL="+s.database, "GOTRACEBACK=system")
	s.receiver = httptest.NewServer(http.HandlerFunc(s.receive))
	t.Cleanup(s.receiver.Close)
	return s
}

// receive is a receiver that fails in as many ways as it has paths.
func (s *session) receive(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	switch r.URL.Path {
	case "/fails":
		http.Error(w, "no", http.StatusInternalServerError)
	case "/moved":
		http.Redirect(w, r, "/moved/?"+r.URL.RawQuery, http.StatusPermanentRedirect)
	case "/slow":
		s.slow <- struct{}{}
		<-r.Context().Done()
	case "/broken", "/garbage":
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err) // net/http's server always can
		}
		if r.URL.Path == "/garbage" {
			_, _ = io.WriteString(conn, "HELLO\r\n\r\n")
		}
		_ = conn.Close()
	}
}

func (s *session) start(env []string) {
	server, err := start(env, "hookql")
	if err != nil {
		s.t.Fatal(err)
	}
	s.server = server
	s.t.Cleanup(func() { server.end(syscall.SIGKILL) }) // where the test ended before
}

func (s *session) stop(signal syscall.Signal) {
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	s.server.end(signal)
	s.saw("stdout", s.server.stdout.String())
	s.saw("stderr", s.server.stderr.String())
}

func (s *session) saw(place, text string) { s.seen[place] += text + "\n" }

// run runs a verb to its end.
func (s *session) run(verb string) {
	cmd := exec.Command("hookql", strings.Fields(verb)...)
	cmd.Env = s.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		s.t.Errorf("%s: %v: %s", verb, err, &stderr)
	}
	s.saw("stdout", stdout.String())
	s.saw("stderr", stderr.String())
}

// readDatabase sees every value of every table.
func (s *session) readDatabase() {
	own := s.open()
	rows, err := own.Query("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'")
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			s.t.Fatal(err)
		}
		var text sql.NullString
		if err := own.QueryRow(fmt.Sprintf("SELECT string_agg(%q::text, ' ') FROM %q", column, table)).Scan(&text); err != nil {
			s.t.Fatal(err)
		}
		s.saw(table+"."+column, text.String)
	}
}

// open is a connection to the database that shows bytes as text.
func (s *session) open() *sql.DB {
	u, err := url.Parse(s.database)
	if err != nil {
		s.t.Fatal(err)
	}
	query := u.Query()
	query.Set("bytea_output", "escape")
	u.RawQuery = query.Encode()
	own, err := sql.Open("postgres", u.String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = own.Close() })
	return own
}

type object = map[string]any

// ask sends a document and sees the answer: its data, and all that it says is
// wrong.
func (s *session) ask(step, document string, variables object, headers ...string) (data object, wrong string) {
	s.t.Helper()
	body, err := json.Marshal(object{"query": document, "variables": variables})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.send(step, http.MethodPost, "/graphql", string(body), headers...)
}

// must is ask for what has to succeed.
func (s *session) must(step, document string, variables object, headers ...string) (data object) {
	s.t.Helper()
	data, wrong := s.ask(step, document, variables, headers...)
	if wrong != "" {
		s.t.Fatalf("%s: %s", step, wrong)
	}
	return data
}

// refused is ask for what must not succeed.
func (s *session) refused(step, document string, variables object) {
	s.t.Helper()
	if _, wrong := s.ask(step, document, variables); wrong == "" {
		s.t.Errorf("%s: %s is taken, with %v", step, document, variables)
	}
}

func (s *session) send(step, method, target, body string, headers ...string) (data object, wrong string) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.server.url+target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+s.key)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatalf("%s: %v", step, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatalf("%s: %v", step, err)
	}
	s.saw("headers of "+step, fmt.Sprint(response.Header))
	data, wrong = halves(text)
	s.saw("errors of "+step, wrong)
	rest, err := json.Marshal(data)
	if err != nil {
		s.t.Fatal(err)
	}
	s.saw("data of "+step, string(rest))
	return data, wrong
}

// halves are an answer's data, and all that it says is wrong.
func halves(text []byte) (data object, wrong string) {
	var answer struct {
		Errors json.RawMessage
		Data   object
	}
	if json.Unmarshal(text, &answer) != nil {
		return nil, string(text)
	}
	wrong = string(answer.Errors)
	for _, field := range answer.Data {
		payload, ok := field.(object)
		if !ok {
			continue
		}
		if list, ok := payload["userErrors"].([]any); ok && len(list) > 0 {
			wrong += fmt.Sprint(list)
		}
		delete(payload, "userErrors")
	}
	return answer.Data, wrong
}

const (
	createDocument  = `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { webhook { id url metadata headers { name value } } secret userErrors { message field } } }`
	updateDocument  = `mutation($input: UpdateWebhookInput!) { updateWebhook(input: $input) { webhook { id url } userErrors { message field } } }`
	replaceDocument = `mutation($input: ReplaceWebhookInput!) { replaceWebhook(input: $input) { webhook { id url } secret userErrors { message field } } }`
	rotateDocument  = `mutation($input: RotateWebhookSecretInput!) { rotateWebhookSecret(input: $input) { secret userErrors { message field } } }`
	testDocument    = `mutation($input: TestWebhookInput!) { testWebhook(input: $input) { testRun { id url tests { nodes { outcome message request { url body curl headers { name value } } response { body headers { name value } } } } } userErrors { message field } } }`
	keyDocument     = `mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id prefix } token userErrors { message field } } }`
)

// useWebhook registers a webhook and changes it in every way.
func (s *session) useWebhook() {
	s.must("types", `mutation { createEventType(input: {name: "a.b", schema: {type: "object", properties: {
		text: {type: "string", maxLength: 40}, date: {type: "string", format: "date"}, code: {type: "string", pattern: "^[0-9]+$"},
		color: {enum: ["red"]}, one: {const: 1}, count: {type: "integer"}}, additionalProperties: false}}) { userErrors { message } } }`, nil)
	key := s.must("issue", keyDocument, object{"input": object{"name": "k", "scopes": []string{"WEBHOOKS_READ", "WEBHOOKS_WRITE", "WEBHOOKS_TEST", "API_KEYS_READ"}}})
	s.issued = key["createApiKey"].(object)["token"].(string)
	s.key = s.issued
	s.must("keys", `{ viewer { apiKey { id name prefix } workspace { apiKeys { nodes { id prefix lastUsedAt } } } } }`, nil)
	s.must("create", createDocument, object{"input": object{
		"uid": "w", "url": s.target("/hook"), "events": []string{"a.b"}, "secret": firstSecret, "idempotencyKey": inputKey,
		"headers": []object{{"name": "X-Api-Key", "value": headerValue}}, "metadata": object{"note": metadataText},
	}})
	s.must("create by header", createDocument, object{"input": object{"uid": "get", "url": s.target("/hook"), "events": []string{"*"}, "method": "GET"}}, "Idempotency-Key: "+headerKey)
	s.refused("the same key", createDocument, object{"input": object{"url": s.target("/other"), "events": []string{"*"}, "secret": firstSecret, "idempotencyKey": inputKey}})
	s.must("list", `{ webhooks { nodes { id url secret metadata headers { name value } } } webhookPage { results { url secret } } }`, nil)
	s.key = operatorKey
	s.must("secret", `{ webhook(id: "w") { url secret headers { name value } } }`, nil)
	s.must("update", updateDocument, object{"input": object{"id": "w", "secret": updatedSecret}})
	s.must("replace", replaceDocument, object{"input": object{
		"id": "w", "url": s.target("/hook"), "events": []string{"a.b"}, "secret": lastSecret,
		"headers": []object{{"name": "X-Api-Key", "value": headerValue}}, "metadata": object{"note": metadataText},
	}})
	s.must("rotate", rotateDocument, object{"input": object{"id": "w", "secret": "whsec_" + base64.StdEncoding.EncodeToString([]byte(rotatedSecret))}})
	s.must("test while two secrets sign", testDocument, object{"input": object{"target": object{"webhookId": "w"}}})
}

// target is a URL of the receiver that only its owner knows.
func (s *session) target(path string) string { return s.receiver.URL + path + "?token=" + urlToken }

// test sends to receivers that succeed and that fail in every way.
func (s *session) test() {
	s.key = s.issued
	payloads := []object{{"eventName": "a.b", "data": object{"text": payloadText}}}
	s.must("test", testDocument, object{"input": object{"target": object{"webhookId": "w"}, "payloads": payloads}})
	s.must("GET", testDocument, object{"input": object{"target": object{"webhookId": "get"}, "payloads": []object{{"eventName": "a.b", "data": object{"text": queryPayload}}}}})
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	_ = gone.Close() // and nobody listens there any more
	for name, target := range map[string]string{
		"REJECTED": s.target("/fails"), "REDIRECTED": s.target("/moved"), "RESET": s.target("/broken"), "MALFORMED": s.target("/garbage"), "TIMED_OUT": s.target("/slow"),
		"REFUSED": "http://" + gone.Addr().String() + "/?token=" + urlToken, "TLS_FAILED": strings.Replace(s.target("/hook"), "http:", "https:", 1),
	} {
		timeoutMs := patient
		if name == "TIMED_OUT" {
			timeoutMs = 1000
		}
		data := s.must("test", testDocument, object{"input": object{"target": s.endpoint(target, timeoutMs), "payloads": payloads}})
		if text := fmt.Sprint(data); !strings.Contains(text, "outcome:"+name) {
			s.t.Errorf("a test of %s is not %s: %s", target, name, text)
		}
	}
	<-s.slow
	s.later()
	// How this fails depends on the machine's name servers.
	s.must("test", testDocument, object{"input": object{"target": s.endpoint("http://canary.invalid/?token="+urlToken, 1000), "payloads": payloads}})
	s.refused("test", testDocument, object{"input": object{"target": s.endpoint("http://10.0.0.1/?token="+urlToken, patient)}})
	s.must("history", `{ webhook(id: "w") { testRuns(first: 3) { nodes { url tests(first: 1) { nodes { message exchanges { request { url body curl headers { name value } } response { body headers { name value } } } } } } } } }`, nil)
}

// patient is how long a receiver may take on a busy machine, in milliseconds.
const patient = 30_000

// later lets an hour pass for the test runs, of which only so many may begin
// within a minute.
func (s *session) later() {
	if _, err := s.open().Exec("UPDATE test_runs SET started_at = started_at - interval '1 hour'"); err != nil {
		s.t.Fatal(err)
	}
}

// endpoint is one that is not registered; only what is slow is given up soon.
func (s *session) endpoint(target string, timeoutMs int) object {
	return object{"endpoint": object{
		"url": target, "events": []string{"a.b"}, "secret": formSecret, "timeoutMs": timeoutMs,
		"headers": []object{{"name": "X-Api-Key", "value": headerValue}},
	}}
}

// askForHelp has requests built, verified and explained.
func (s *session) askForHelp() {
	const preview = `query($input: PreviewDeliveryInput!) { previewDelivery(input: $input) { signedContent request { url body curl headers { name value } } } }`
	s.must("preview", preview, object{"input": object{"target": object{"webhookId": "w"}, "eventName": "a.b", "data": object{"text": payloadText}}})
	s.must("preview", preview, object{"input": object{"target": s.endpoint(s.target("/hook"), patient), "eventName": "a.b"}})
	s.must("snippets", `{ webhook(id: "w") { verificationSnippets { language install code } } }`, nil)
	const verify = `query($input: VerifySignatureInput!) { verifySignature(input: $input) { valid message } }`
	for _, headers := range [][]object{
		{},
		{{"name": "webhook-id", "value": "m"}, {"name": "webhook-timestamp", "value": received}, {"name": "webhook-signature", "value": "v1," + received}},
		{{"name": "webhook-id", "value": received}, {"name": "webhook-timestamp", "value": "1700000000"}, {"name": "webhook-signature", "value": "v1," + base64.StdEncoding.EncodeToString([]byte(received))}},
		{{"name": "webhook-id", "value": "m"}, {"name": "webhook-timestamp", "value": "1700000000"}, {"name": "webhook-signature", "value": received}},
	} {
		s.must("verify", verify, object{"input": object{"webhookId": "w", "headers": headers, "body": received}})
	}
}

// mistake sends documents and variables that do not fit, with what should have
// fitted elsewhere.
func (s *session) mistake() {
	const m = mistaken
	input := func(name string, value any) object {
		o := object{"url": "https://example.com/", "events": []string{"*"}}
		o[name] = value
		return object{"input": o}
	}
	for name, values := range map[string][]any{
		"secret":             {m[:15] + "\n" + m, "whsec_" + m, "whsk_" + m, []string{m}, object{"a": m}, strings.Repeat(m, 20)},
		"headers":            {m, []string{m}, object{"X-Api-Key": m}, []object{{"name": "X-Api-Key: " + m, "value": m}}, []object{{"name": "X-A", "value": m + "\n"}}, []object{{"name": "Host", "value": m}}, []object{{"name": "X-A", "value": m}, {"name": "x-a", "value": m}}},
		"url":                {m, "https://" + m + "@example.com/", "https://u:" + m + "@example.com/", "https://example.com:" + m + "/", "https://example.com/ ?a=" + m, "https://example.com/#" + m, "ftp://example.com/?" + m, object{"a": m}},
		"signing":            {m, []string{m}},
		"timeoutMs":          {m},
		"active":             {m},
		"rateLimitPerSecond": {m},
		"retryPolicy":        {m, object{"maxAttempts": m}},
		"metadata":           {m, []string{m}, object{"a": strings.Repeat(m, 2000)}},
		"idempotencyKey":     {m + "\n", strings.Repeat(m, 20), object{"a": m}},
		"description":        {m + "\x00"},
		"resourceIds":        {[]string{m + "\x00"}},
	} {
		for _, value := range values {
			s.refused("a wrong "+name, createDocument, input(name, value))
			literal, err := json.Marshal(value)
			if err != nil {
				s.t.Fatal(err)
			}
			if o, isObject := value.(object); isObject {
				for member, text := range o {
					literal = fmt.Appendf(nil, "{%s: %q}", strings.ReplaceAll(member, "-", "_"), text)
				}
			}
			s.ask("a wrong "+name, fmt.Sprintf(`mutation { createWebhook(input: {url: "https://example.com/", events: ["*"], %s: %s}) { userErrors { message } } }`, name, literal), nil)
		}
	}
	for _, document := range []string{
		`{ webhook(id: "` + m + `) { id } }`,
		`{ webhook(id: "` + m + `\u12`,
		`{ webhook(id: "\q` + m + `") { id } }`,
		`{ webhook(id: '` + m + `') { id } }`,
		`{ "` + m + `" }`,
		`{ """` + m + `""" }`,
		`"` + m + `"`,
		`query "` + m + `" { webhook(id: "w") { id } }`,
		`{ ... "` + m + `" { id } }`,
		`{ webhook("` + m + `") { id } }`,
		`{ webhook(id: "w", secret: "` + m + `") { id } }`,
		`{ webhooks(first: "` + m + `") { totalCount } }`,
		`{ webhooks(first: ` + m + `) { totalCount } }`,
		`{ webhooks(filter: {status: ["` + m + `"]}) { totalCount } }`,
		`{ webhooks(filter: {status: [` + m + `]}) { totalCount } }`,
		`{ webhooks(filter: "` + m + `") { totalCount } }`,
		`{ webhooks(after: "` + m + `") { totalCount nodes { id } } }`,
		`{ webhook(id: ["` + m + `"]) { id } }`,
		`{ eventTypes(includeArchived: "` + m + `") @skip(if: "` + m + `") { name } }`,
		`query($a: String = ["` + m + `"]) { eventTypes(category: $a) { name } }`,
		`mutation { createWebhook(input: {url: "https://example.com/", events: ["*"], secret: ` + m + `}) { userErrors { message } } }`,
		`mutation { createApiKey(input: {name: "k", scopes: [WEBHOOKS_READ], expiresAt: "` + m + `"}) { userErrors { message } } }`,
		`mutation { updateWebhook(input: {id: "w", expectedVersion: "` + m + `"}) { userErrors { message } } }`,
	} {
		s.refused("a wrong document", document, nil)
	}
	s.refused("a wrong variable", createDocument, object{"input": m})
	s.refused("a wrong variable", createDocument, input("nonsense", m))
	s.refused("a wrong rotation", rotateDocument, object{"input": object{"id": "w", "secret": "whsec_" + m}})
	s.refused("a wrong update", updateDocument, object{"input": object{"id": "w", "secret": m + "\n"}})
	s.refused("a wrong update", updateDocument, object{"input": object{"id": "w", "url": "https://" + userInfo + ":" + userInfo + "@example.com/"}})
	for member, value := range map[string]any{
		"text": strings.Repeat(wrongPayload, 4), "date": wrongPayload, "code": wrongPayload, "color": wrongPayload, "one": wrongPayload, "count": wrongPayload, "": []string{wrongPayload},
	} {
		s.refused("a wrong payload", testDocument, object{"input": object{"target": object{"webhookId": "w"}, "payloads": []object{{"eventName": "a.b", "data": object{member: value}}}}})
	}
}

// sendWrongly sends what is no request, or by whom it may not be.
func (s *session) sendWrongly() {
	const m = mistaken
	for _, body := range []string{
		`{"query": "{ __typename }", "variables": {"a": "` + m, `{"query": "{ __typename }", "variables": {"a": ` + m + `}}`, `"` + m + `"`, `["` + m + `"]`, m, `{"` + m + `": 1, "` + m + `": 2}`,
		`{"query": ["` + m + `"]}`, `{"query": "{ __typename }", "variables": "` + m + `"}`, `{"query": "{ __typename }", "extensions": "` + m + `"}`, `{"query": "{ __typename }"} ` + m,
	} {
		s.send("a broken body", http.MethodPost, "/graphql", body)
	}
	s.send("a form", http.MethodPost, "/graphql", "secret="+m, "Content-Type: application/x-www-form-urlencoded")
	s.send("another charset", http.MethodPost, "/graphql", m, "Content-Type: application/json; charset="+m)
	s.send("no media type", http.MethodPost, "/graphql", m, "Accept: text/"+m)
	s.send("PUT", http.MethodPut, "/graphql?secret="+m, m)
	s.send("another path", http.MethodPost, "/nowhere?secret="+m, m)
	s.send("another page", http.MethodPost, "/graphiql/nowhere.js?secret="+m, m)
	for _, query := range []string{"query={__typename}&variables=" + m, "query=%zz" + m, "query={__typename}&query=" + m, "query=" + url.QueryEscape(`{ webhook(id: "`+m+`") { id } }`),
		"variables=" + url.QueryEscape(`{"id":"`+m+`"}`) + "&query=" + url.QueryEscape(`query($id: ID!) { webhook(id: $id) { id } }`),
		"query=" + url.QueryEscape(`mutation { deleteWebhook(input: {id: "`+m+`"}) { userErrors { message } } }`)} {
		s.send("GET with a query", http.MethodGet, "/graphql?"+query, "")
	}
	s.send("GET with a cookie", http.MethodGet, "/graphql?query={__typename}", "", "Cookie: a="+m)
	for _, authorization := range []string{"Bearer " + wrongKey, "Bearer hookql_" + wrongKey, wrongKey, "Basic " + wrongKey, "Bearer " + string(auth.NewToken()) + wrongKey} {
		if _, wrong := s.send("a wrong key", http.MethodPost, "/graphql", `{"query": "{ __typename }"}`, "Authorization: "+authorization); !strings.Contains(wrong, "UNAUTHENTICATED") {
			s.t.Errorf("Authorization: %s is answered %s", authorization, wrong)
		}
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.server.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "POST /graphql HTTP/1.1\r\nHost: a\r\nAuthorization Bearer "+m+"\r\n\r\n")
	text, _ := io.ReadAll(conn) // it is closed somehow
	s.saw("errors of no HTTP", string(text))
}

// fail has the database refuse what is written to it: its errors hold whole rows.
func (s *session) fail() {
	s.later()
	own := s.open()
	for _, statement := range []string{
		"ALTER TABLE webhooks ADD CHECK (name <> 'broken')",
		"ALTER TABLE test_exchanges ADD CHECK (request_url NOT LIKE '%/broken-%')",
	} {
		if _, err := own.Exec(statement); err != nil {
			s.t.Fatal(err)
		}
	}
	s.key = operatorKey
	const fault = "INTERNAL_SERVER_ERROR"
	if _, wrong := s.ask("a fault", updateDocument, object{"input": object{"id": "w", "name": "broken"}}); !strings.Contains(wrong, fault) {
		s.t.Errorf("a row that cannot be written: %s", wrong)
	}
	input := object{"target": s.endpoint(s.target("/broken-row"), patient), "payloads": []object{{"eventName": "a.b", "data": object{"text": payloadText}}}}
	if _, wrong := s.ask("a fault", testDocument, object{"input": input}); !strings.Contains(wrong, fault) {
		s.t.Errorf("a run that cannot be kept: %s", wrong)
	}
	input["wait"] = false
	s.must("a fault that nobody waits for", testDocument, object{"input": input})
}

// crash ends the program with the stacks of all that it does, in the middle of
// test runs.
func (s *session) crash() {
	input := object{"target": s.endpoint(s.target("/slow"), patient), "payloads": []object{{"eventName": "a.b", "data": object{"text": payloadText}}}, "wait": false}
	s.must("a run in the background", testDocument, object{"input": input})
	s.must("a run in the background", testDocument, object{"input": input})
	<-s.slow
	<-s.slow
	s.stop(syscall.SIGQUIT)
	if log := s.seen["stderr"]; !strings.Contains(log, "goroutine ") || !strings.Contains(log, "request failed") || !strings.Contains(log, "nobody waits for") {
		s.t.Errorf("the log tells of no fault, or no stacks: %.2000s", log)
	}
}

// A URL of the database that does not work is told without its password,
// whatever is wrong with it.
func TestDatabasePassword(t *testing.T) {
	t.Parallel()
	const password = "canaryPasswordb61f"
	good, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	nowhere := func(change func(*url.URL)) string {
		u := url.URL{Scheme: "postgres", User: url.UserPassword("hookql", password), Host: "127.0.0.1:1", Path: "/hookql"}
		change(&u)
		return u.String()
	}
	with := func(parameter, value string) string {
		u := *good
		query := u.Query()
		query.Set(parameter, value)
		u.RawQuery = query.Encode()
		return u.String()
	}
	for name, test := range map[string]struct {
		url  string
		says string // by serve
	}{
		"nobody listens":        {nowhere(func(*url.URL) {}), "connect to the database"},
		"no such host":          {nowhere(func(u *url.URL) { u.Host = "canary.invalid" }), "connect to the database"},
		"no such user":          {nowhere(func(u *url.URL) { u.Host, u.RawQuery = good.Host, good.RawQuery }), "connect to the database"},
		"a parameter":           {nowhere(func(u *url.URL) { u.User, u.RawQuery = nil, "password="+password }), "connect to the database"},
		"a parameter's value":   {nowhere(func(u *url.URL) { u.RawQuery = "sslmode=" + password }), `"sslmode": what is given is not supported`},
		"a number":              {nowhere(func(u *url.URL) { u.RawQuery = "connect_timeout=" + password }), `"connect_timeout"`},
		"a setting":             {with("work_mem", password), `"work_mem": what is given`},
		"an unknown parameter":  {with("pasword", password), `"pasword"`},
		"a wrong port":          {"postgres://hookql:" + password + "@127.0.0.1:99999/hookql", "database"},
		"a port that is none":   {"postgres://hookql:@127.0.0.1:" + password + "/hookql", "DATABASE_URL"},
		"an @ in it":            {"postgres://hookql:a@" + password + "@127.0.0.1:1/hookql", "database"},
		"a slash in it":         {"postgres://hookql:a/" + password + "@127.0.0.1:1/hookql", "DATABASE_URL"},
		"a percent sign in it":  {"postgres://hookql:%zz" + password + "@127.0.0.1:1/hookql", "DATABASE_URL"},
		"a control character":   {"postgres://hookql:\x01" + password + "@127.0.0.1:1/hookql", "DATABASE_URL"},
		"another scheme":        {"mysql://hookql:" + password + "@127.0.0.1:1/hookql", "DATABASE_URL"},
		"keywords":              {"host=127.0.0.1 port=1 user=hookql password=" + password, "DATABASE_URL"},
		"an unfinished bracket": {"postgres://hookql:" + password + "@[::1/hookql", "DATABASE_URL"},
		"a certificate's": {nowhere(func(u *url.URL) {
			u.RawQuery = "sslmode=require&sslpassword=" + password
		}), "database"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, args := range [][]string{{"serve"}, {"migrate"}, {"keys", "rotate"}, {"config"}, {"config", "-database-url=" + test.url}} {
				cmd := exec.CommandContext(t.Context(), "hookql", args...)
				cmd.Env = append(os.Environ(), "HOOKQL_ADDR=127.0.0.1:0", "HOOKQL_MASTER_KEY="+pgtest.MasterKey.Text(), "DATABASE_URL="+test.url)
				out, err := cmd.CombinedOutput()
				if strings.Contains(string(out), password) {
					t.Errorf("%s prints the password: %s", args[0], out)
				}
				if args[0] == "serve" && (err == nil || !strings.Contains(string(out), test.says)) {
					t.Errorf("%s: %v, %s, want %q", args[0], err, out, test.says)
				}
			}
		})
	}
}

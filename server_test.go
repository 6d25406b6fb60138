package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/webhooktest"
)

// patienceOfTests is how long a scenario waits for anything.
const patienceOfTests = 20 * time.Second

type tests struct{ *testing.M }

func (t tests) Run() int { return pgtest.Run(t.M) }

// TestMain lets the test binary act as the program and as a receiver, so that
// scenarios run each in a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){
		"hookql":         main,
		"serve-receiver": serveReceiver,
		"count-arrivals": countArrivals,
	})
}

// serveReceiver answers by the rules in its arguments (webhooktest.Script)
// until it is told to stop, and prints its address.
func serveReceiver() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	answer, err := webhooktest.Script(os.Args[1:]...)
	listener, listenErr := net.Listen("tcp", "127.0.0.1:0")
	if err != nil || listenErr != nil {
		fmt.Fprintln(os.Stderr, err, listenErr)
		os.Exit(1)
	}
	server := &http.Server{Handler: &webhooktest.Receivers{Answer: answer}}
	fmt.Printf("http://%s\n", listener.Addr())
	go func() { _ = server.Serve(listener) }()
	<-ctx.Done()
}

// TestScripts runs the scenarios of testdata/script. Besides testscript's own
// commands they use
//
//	serve [VAR=VALUE...]     start HookQL; a database per scenario, whose URL
//	                         is in $DATABASE_URL, or with embedded=1 its own
//	                         PostgreSQL
//	restart [-kill] [VAR=VALUE...]
//	                         stop it, or kill it with -9, and start it again
//	gql FILE [NAME=VALUE...] ["HEADER: VALUE"...]
//	                         send a document; the answer is on stdout
//	json PATH WANT           compare a value of the last answer
//	json PATH -> VAR         keep it in an environment variable
//	eventually PATH WANT FILE [NAME=VALUE...]
//	                         send a document until the answer has a value
//	receiver NAME [RULE...]  start a receiver; its URL is in $NAME
//	received NAME N          it got N requests; they are on stdout
//	answer FILE              the last answer is that of the file, times and
//	                         the server's address aside
//	http METHOD PATH [H: V]  send a plain request; status, headers and body
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			s := &scenario{t: env.T().(testing.TB)}
			env.Values["scenario"] = s
			env.Defer(s.end)
			return copyReadme(env.WorkDir)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": func(ts *testscript.TestScript, _ bool, args []string) { of(ts).serve(ts, args) },
			"restart": func(ts *testscript.TestScript, _ bool, args []string) {
				of(ts).restart(ts, args)
			},
			"gql":        func(ts *testscript.TestScript, _ bool, args []string) { of(ts).gql(ts, args) },
			"json":       func(ts *testscript.TestScript, _ bool, args []string) { of(ts).json(ts, args) },
			"eventually": func(ts *testscript.TestScript, _ bool, args []string) { of(ts).eventually(ts, args) },
			"answer":     func(ts *testscript.TestScript, _ bool, args []string) { of(ts).is(ts, args[0]) },
			"receiver":   func(ts *testscript.TestScript, _ bool, args []string) { of(ts).receiver(ts, args) },
			"received":   func(ts *testscript.TestScript, _ bool, args []string) { of(ts).received(ts, args) },
			"http":       func(ts *testscript.TestScript, _ bool, args []string) { of(ts).http(ts, args) },
		},
	})
}

// scenario is what one script has running.
type scenario struct {
	t         testing.TB
	env       []string
	url       string
	key       string
	server    *process
	receivers map[string]*process
	answer    any
}

func of(ts *testscript.TestScript) *scenario { return ts.Value("scenario").(*scenario) }

func (s *scenario) end() {
	if s.server != nil {
		s.server.end(syscall.SIGTERM)
		if s.t.Failed() {
			s.t.Logf("the server said:\n%s", s.server.stderr)
		}
	}
	for _, r := range s.receivers {
		r.end(syscall.SIGTERM)
	}
}

func (s *scenario) serve(ts *testscript.TestScript, args []string) {
	settings := map[string]string{"HOOKQL_ADDR": "127.0.0.1:0", "HOOKQL_DEV": "true", "HOOKQL_MASTER_KEY": pgtest.MasterKey.Text(), "TMPDIR": os.TempDir(), "PATH": os.Getenv("PATH")}
	embedded := false
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		if name == "embedded" {
			embedded = true
			continue
		}
		settings[name] = value
	}
	if embedded {
		// Root hands PostgreSQL to another user, who cannot enter the script's folder.
		dir, err := os.MkdirTemp("", "hookql-scenario-")
		ts.Check(err)
		ts.Check(os.Chmod(dir, 0o755))
		s.t.Cleanup(func() { _ = os.RemoveAll(dir) })
		settings["HOOKQL_DATA_DIR"] = filepath.Join(dir, "data")
		delete(settings, "HOOKQL_MASTER_KEY")
		ts.Setenv("DATA", settings["HOOKQL_DATA_DIR"])
	} else {
		settings["DATABASE_URL"] = pgtest.URL(s.t)
		ts.Setenv("DATABASE_URL", settings["DATABASE_URL"])
		ts.Setenv("HOOKQL_MASTER_KEY", settings["HOOKQL_MASTER_KEY"])
	}
	s.env = nil
	for name, value := range settings {
		s.env = append(s.env, name+"="+value)
	}
	s.run(ts)
}

func (s *scenario) run(ts *testscript.TestScript) {
	var err error
	s.server, err = start(s.env, "hookql")
	ts.Check(err)
	s.url = s.server.url
	ts.Setenv("URL", s.url)
	if key := regexp.MustCompile(`hookql_\w+`).FindString(s.server.stdout.String()); key != "" {
		s.key = key
		ts.Setenv("KEY", key)
	}
}

func (s *scenario) restart(ts *testscript.TestScript, args []string) {
	signal := syscall.SIGTERM
	if len(args) > 0 && args[0] == "-kill" {
		signal, args = syscall.SIGKILL, args[1:]
	}
	s.server.end(signal)
	s.env = append(s.env, args...) // the last of a name counts
	s.run(ts)
}

func (s *scenario) gql(ts *testscript.TestScript, args []string) {
	variables := make(map[string]any)
	headers := []string{"Content-Type: application/json"}
	if s.key != "" {
		headers = append(headers, "Authorization: Bearer "+s.key)
	}
	for _, arg := range args[1:] {
		if strings.Contains(arg, ": ") {
			headers = append(headers, arg) // the last of a name counts
			continue
		}
		name, value, _ := strings.Cut(arg, "=")
		variables[name] = value
	}
	document := strings.ReplaceAll(ts.ReadFile(args[0]), readmeURL, s.url)
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	ts.Check(err)
	response := s.send(ts, http.MethodPost, "/graphql", headers, body)
	text, err := io.ReadAll(response.Body)
	ts.Check(err)
	ts.Check(json.Unmarshal(text, &s.answer))
	var pretty bytes.Buffer
	ts.Check(json.Indent(&pretty, text, "", "  "))
	_, _ = fmt.Fprintln(ts.Stdout(), pretty.String())
}

// eventually asks until the answer is as wanted, which the last comparison says.
func (s *scenario) eventually(ts *testscript.TestScript, args []string) {
	path, want := args[0], args[1]
	for patience := time.Now().Add(patienceOfTests); ; time.Sleep(50 * time.Millisecond) {
		s.gql(ts, args[2:])
		if s.value(ts, path) == want || time.Now().After(patience) {
			s.json(ts, args[:2])
			return
		}
	}
}

func (s *scenario) json(ts *testscript.TestScript, args []string) {
	got := s.value(ts, args[0])
	if args[1] == "->" {
		ts.Setenv(args[2], got)
	} else if got != args[1] {
		ts.Fatalf("%s is %s, want %s", args[0], got, args[1])
	}
}

// value is what stands at a path of the last answer: a text as it is, anything
// else as JSON.
func (s *scenario) value(ts *testscript.TestScript, path string) string {
	value := s.answer
	for _, step := range strings.Split(path, ".") {
		switch at := value.(type) {
		case map[string]any:
			member, ok := at[step]
			if !ok {
				ts.Fatalf("%s: there is no %s", path, step)
			}
			value = member
		case []any:
			i, err := strconv.Atoi(step)
			ts.Check(err)
			if i >= len(at) {
				ts.Fatalf("%s: there are %d items only", path, len(at))
			}
			value = at[i]
		default:
			ts.Fatalf("%s: nothing is at %s", path, step)
		}
	}
	if text, isText := value.(string); isText {
		return text
	}
	text, err := json.Marshal(value)
	ts.Check(err)
	return string(text)
}

func (s *scenario) receiver(ts *testscript.TestScript, args []string) {
	if s.receivers == nil {
		s.receivers = make(map[string]*process)
	}
	r, err := start(os.Environ(), "serve-receiver", args[1:]...)
	ts.Check(err)
	s.receivers[args[0]] = r
	ts.Setenv(args[0], r.url+"/"+args[0])
}

func (s *scenario) received(ts *testscript.TestScript, args []string) {
	response, err := http.Get(s.receivers[args[0]].url + "/" + args[0] + "/requests")
	ts.Check(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	ts.Check(err)
	var got struct{ Requests []any }
	ts.Check(json.Unmarshal(text, &got))
	_, _ = fmt.Fprintln(ts.Stdout(), string(text))
	if strconv.Itoa(len(got.Requests)) != args[1] {
		ts.Fatalf("%s received %d requests, want %s", args[0], len(got.Requests), args[1])
	}
}

func (s *scenario) http(ts *testscript.TestScript, args []string) {
	response := s.send(ts, args[0], args[1], args[2:], []byte(`{"query":"{ __typename }"}`))
	text, err := httpText(response)
	ts.Check(err)
	_, _ = fmt.Fprintln(ts.Stdout(), text)
}

func (s *scenario) send(ts *testscript.TestScript, method, path string, headers []string, body []byte) *http.Response {
	request, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	ts.Check(err)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if name == "Host" {
			request.Host = value
		}
		request.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	ts.Check(err)
	return response
}

func httpText(response *http.Response) (string, error) {
	var text bytes.Buffer
	fmt.Fprintln(&text, response.Status)
	if err := response.Header.Write(&text); err != nil {
		return "", err
	}
	_, err := io.Copy(&text, response.Body)
	return text.String(), err
}

// readmeURL is where the README's server is.
const readmeURL = "http://127.0.0.1:8080"

// copyReadme puts the README's mutation and its answer into a script's folder.
func copyReadme(dir string) error {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		return err
	}
	for language, file := range map[string]string{"graphql": "readme.graphql", "json": "readme.json"} {
		_, block, _ := strings.Cut(string(readme), "```"+language+"\n")
		block, _, _ = strings.Cut(block, "```")
		if err := os.WriteFile(filepath.Join(dir, file), []byte(block), 0o644); err != nil {
			return err
		}
	}
	return nil
}

var duration = regexp.MustCompile(`in [0-9.]+ ms`)

// is compares the last answer with that of a file.
func (s *scenario) is(ts *testscript.TestScript, file string) {
	var want any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &want))
	wanted, err := json.MarshalIndent(want, "", "  ")
	ts.Check(err)
	answer, err := json.MarshalIndent(s.answer, "", "  ")
	ts.Check(err)
	address := strings.TrimPrefix(s.url, "http://")
	answer = bytes.ReplaceAll(answer, []byte(address), []byte(strings.TrimPrefix(readmeURL, "http://")))
	if got, want := duration.ReplaceAllString(string(answer), "in N ms"), duration.ReplaceAllString(string(wanted), "in N ms"); got != want {
		ts.Fatalf("the answer is\n%s\nwant\n%s", got, want)
	}
}

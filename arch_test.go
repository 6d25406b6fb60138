package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hookql/hookql"

// imports is who may import whom, our packages and others', tests aside. One
// way: main → resolvers → {graph, db, delivery} → internal/webhook.
var imports = map[string][]string{
	"":                     {"db", "db/embedded", "delivery", "internal/auth", "internal/catalogue", "internal/config", "internal/graphiql", "internal/graphqlhttp", "internal/origin", "internal/seal", "internal/webhook", "resolvers", "webhooktest", "github.com/prometheus/client_golang", "golang.org/x/sync"},
	"db":                   {"internal/faults", "internal/seal", "internal/webhook", "github.com/jmoiron/sqlx", "github.com/lib/pq", "github.com/pressly/goose"},
	"db/embedded":          {"github.com/lib/pq"},
	"delivery":             {"delivery/probe", "internal/faults", "internal/webhook"},
	"delivery/probe":       {"internal/webhook"},
	"graph":                {"graph/scalar", "internal/webhook", "github.com/99designs/gqlgen", "github.com/vektah/gqlparser"},
	"graph/scalar":         {"internal/webhook", "github.com/99designs/gqlgen"},
	"internal/auth":        {"internal/graphqlhttp", "internal/webhook", "github.com/hashicorp/golang-lru"},
	"internal/catalogue":   {"internal/payload", "internal/webhook", "github.com/goccy/go-yaml"},
	"internal/config":      {"internal/seal", "internal/similar"},
	"internal/faults":      {},
	"internal/golden":      {"github.com/google/go-cmp"},
	"internal/graphiql":    {},
	"internal/graphqlhttp": {"github.com/99designs/gqlgen", "github.com/vektah/gqlparser"},
	"internal/graphqltest": {"github.com/99designs/gqlgen", "github.com/vektah/gqlparser"},
	"internal/graphqlws":   {"internal/graphqlhttp", "github.com/99designs/gqlgen", "github.com/coder/websocket", "github.com/vektah/gqlparser"},
	"internal/bounded":     {"github.com/hashicorp/golang-lru"},
	"internal/querycache":  {"internal/bounded", "github.com/vektah/gqlparser"},
	"internal/querylimit":  {"internal/graphqlhttp", "github.com/99designs/gqlgen", "github.com/vektah/gqlparser"},
	"internal/origin":      {"internal/graphqlhttp"},
	"internal/payload":     {"internal/bounded", "internal/webhook", "github.com/santhosh-tekuri/jsonschema", "golang.org/x/text"},
	"internal/pgtest":      {"db", "db/embedded", "internal/seal"},
	"internal/rig":         {"db/embedded", "internal/faults", "internal/seal", "webhooktest", "github.com/lib/pq"},
	"internal/rig/crash":   {"internal/rig"},
	"internal/seal":        {},
	"internal/similar":     {"github.com/agnivade/levenshtein"},
	"internal/snippet":     {"internal/webhook"},
	"internal/webhook":     {"github.com/go-playground/validator", "github.com/google/uuid"},
	"internal/zoo":         {"internal/webhook", "github.com/standard-webhooks/standard-webhooks"},
	"resolvers": {"db", "delivery", "delivery/probe", "graph", "internal/auth", "internal/catalogue", "internal/graphqlhttp", "internal/graphqlws", "internal/payload", "internal/querycache", "internal/querylimit", "internal/similar", "internal/snippet", "internal/webhook", "github.com/99designs/gqlgen",
		"github.com/google/uuid", "github.com/vektah/gqlparser"},
	"webhooktest": {},
}

// mayStart are the packages that may start goroutines: a service there owns
// them and ends when they have ended. A request in internal/graphqlhttp and
// internal/graphqlws does where it waits for its client and for subscriptions
// at once. internal/rig, which is never in the program, plays many callers and
// receivers at once.
var mayStart = []string{"", "delivery", "db/embedded", "internal/graphqlhttp", "internal/graphqlws", "internal/rig", "webhooktest"}

// mayDial are the packages that may reach out: db to its PostgreSQL, delivery,
// whose client guards every address. internal/rig calls the program, and stands
// between it and its database, on loopback.
var mayDial = []string{"db", "delivery", "internal/rig"}

type goPackage struct {
	Dir        string
	ImportPath string
	GoFiles    []string
	Imports    []string
}

func (p goPackage) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// packages lists the packages of the module.
func packages(t *testing.T) (list []goPackage) {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=Dir,ImportPath,GoFiles,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		allowed, known := imports[p.name()]
		if !known {
			t.Errorf("package %s is not in the table: say in arch_test.go what it may import", p.name())
		}
		for _, path := range p.Imports {
			if !strings.Contains(strings.SplitN(path, "/", 2)[0], ".") {
				continue // the standard library
			}
			path = strings.TrimPrefix(path, module+"/")
			if !slices.ContainsFunc(allowed, func(a string) bool {
				return path == a || strings.Contains(a, ".") && strings.HasPrefix(path, a+"/")
			}) {
				t.Errorf("%s imports %s: the table in arch_test.go does not allow it. Move what you need to where both may reach it, or change the design first", p.ImportPath, path)
			}
		}
	}
}

// TestGoroutinesAndDialers keeps goroutines, environment variables and network
// connections to the packages that are there for them.
func TestGoroutinesAndDialers(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if p.name() == "graph" {
			continue // gqlgen's
		}
		for _, file := range p.GoFiles {
			files := token.NewFileSet()
			tree, err := parser.ParseFile(files, filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				if n == nil {
					return false
				}
				if what := forbidden(p.name(), n); what != "" {
					t.Errorf("%s: %s", files.Position(n.Pos()), what)
				}
				return true
			})
		}
	}
}

// forbidden says what a package must not do at a node, or "".
func forbidden(pkg string, n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		if !slices.Contains(mayStart, pkg) {
			return "only " + strings.Join(mayStart, ", ") + " (main) may start goroutines"
		}
	case *ast.SelectorExpr:
		of, isName := n.X.(*ast.Ident)
		if !isName {
			return ""
		}
		switch name := of.Name + "." + n.Sel.Name; name {
		case "net.Dial", "net.DialTimeout", "net.Dialer", "tls.Dial", "tls.Dialer", "tls.Client",
			"http.Client", "http.Transport", "http.DefaultClient", "http.DefaultTransport", "http.Get", "http.Post", "http.Head", "http.PostForm":
			if !slices.Contains(mayDial, pkg) {
				return name + ": only delivery's guarded client may reach out"
			}
		case "extension.ComplexityLimit", "extension.FixedComplexityLimit":
			return name + ": it takes seconds for a document of 1 kB; internal/querylimit does its work"
		case "os.Getenv", "os.LookupEnv", "os.Environ":
			if pkg != "" && pkg != "internal/pgtest" {
				return name + ": internal/config reads the environment, once, from what main hands it"
			}
		case "slog.Default", "log.Print", "log.Printf", "log.Println", "log.Fatal", "log.Fatalf":
			return name + ": loggers are passed in"
		}
	}
	return ""
}

// TestWorkspaceComesFirst keeps a customer's data apart: every method of db.DB
// that takes an id or reads a customer's table takes the workspace's id right
// after the context.
func TestWorkspaceComesFirst(t *testing.T) {
	t.Parallel()
	installation := []string{
		"Ping", "Migrate", "MakePartitions", "EnsureEventTypes", "InsertEventType", "ChangeEventType", "ChangeEventTypes", "EventTypes", "FullEventTypes", "EventTypeSchemas",
		"EnsureWorkspace", "InsertWorkspace", "UpdateWorkspace", "DeleteWorkspace", "Workspace", "Workspaces", "CountWorkspaces",
		"InsertOperatorKey", "RevokeOtherOperatorKeys", "RevokeOperatorKey", "APIKeyByHash", "TouchAPIKeys", "StillOpen", "Notify", "Listen", "CheckSealing", "RotateSealing",
		"EndLeftTestRuns", "Check", "QueueDepth",
		"Ingest", "ClaimDue", "ClaimParked", "Parked", "Settle", "JoinNodes", "FreeLeft", "WebhooksVersions",
	}
	for _, p := range packages(t) {
		if p.name() != "db" {
			continue
		}
		for _, file := range p.GoFiles {
			tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range tree.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if !ok || !isMethodOf(f, "DB") || !f.Name.IsExported() || slices.Contains(installation, f.Name.Name) {
					continue
				}
				if names := parameters(f); len(names) > 0 && names[0] == "ctx" && (len(names) < 2 || names[1] != "workspaceID") {
					t.Errorf("db.%s: the second parameter must be workspaceID, or the method be listed as the installation's", f.Name.Name)
				}
			}
		}
	}
}

// isMethodOf says whether a function is a method of a type, by pointer.
func isMethodOf(f *ast.FuncDecl, name string) bool {
	if f.Recv == nil {
		return false
	}
	pointer, ok := f.Recv.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	of, ok := pointer.X.(*ast.Ident)
	return ok && of.Name == name
}

func parameters(f *ast.FuncDecl) (names []string) {
	for _, field := range f.Type.Params.List {
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	return names
}

package resolvers

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"

	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/golden"
	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/webhook"
)

// advice is what docs/errors.md says to do about the codes of user errors, in
// the order of the schema, which says what they mean.
var advice = map[webhook.Code]string{
	webhook.Invalid:             "Correct the value as `message` says.",
	webhook.Required:            "Give a value. In an update, leave the field out to keep the value it has.",
	webhook.TooLong:             "Shorten it; `message` names the limit.",
	webhook.Taken:               "Choose another, or change the object that has it: an earlier try of yours may have made it.",
	webhook.NotFound:            "Check the id, and that the key is one of the same workspace. A deletion that is sent twice gets it, too.",
	webhook.UnknownEventType:    "Choose a name from the query `eventTypes`; `message` tells a similar one.",
	webhook.NotSubscribed:       "Add the event type to the webhook's `events`, or test one that is there.",
	webhook.InvalidURL:          "Give a URL that begins with `https://`.",
	webhook.HTTPSRequired:       "Give a URL that begins with `https://`. Operators can permit http with `HOOKQL_ALLOW_HTTP`.",
	webhook.BlockedAddress:      "Give a public address. Operators can permit others with `HOOKQL_ALLOW_NETWORKS` and `HOOKQL_ALLOW_PORTS`.",
	webhook.WrongState:          "Read the object again; `message` says which state it takes.",
	webhook.PayloadMismatch:     "Correct the member that `message` names, or the event type's schema.",
	webhook.Conflict:            "Read the object again, decide whether the change still fits, and send it with the new `version`.",
	webhook.IdempotencyConflict: "Give every new request a key of its own, and repeat one only as it was.",
	webhook.LimitReached:        "`message` names the limit: end or delete some of what it counts, or try again when some are done.",
	webhook.RateLimited:         "Send the same again after `retryAfterMs`.",
	webhook.Overloaded:          "Send the same again in a moment.",
}

// meaning is a row of docs/errors.md.
type meaning struct {
	Code              string
	Status, Means, Do string
}

// topLevelCodes are the codes in extensions.code, in the order in which a
// request meets them.
var topLevelCodes = []struct {
	code graphqlhttp.Code
	meaning
}{
	{graphqlhttp.Unauthenticated, meaning{Status: "401", Means: "The request has no key, or one that does not open: mistyped, expired or revoked.",
		Do: "Get a new key and ask again; the same key will not do."}},
	{graphqlhttp.RateLimited, meaning{Status: "429; 503 for a socket", Means: "Too many wrong keys came from this address; or the key has 100 subscriptions by events open, or a socket 20 operations.",
		Do: "Wait as many seconds as the header `Retry-After` says, or end some of what is open."}},
	{graphqlhttp.Forbidden, meaning{Status: "200 for a field; 403 for a request", Means: "The key lacks the scope of this field, or opens no such workspace. In development mode: the request came from elsewhere than this machine and its pages.",
		Do: "Use a key with the scope that `message` names; `viewer { scopes }` lists those of yours."}},
	{graphqlhttp.BadRequest, meaning{Status: "400, 405, 406, 408, 413 or 415", Means: "This is no GraphQL request: wrong method, media type, size or JSON.",
		Do: "Correct the client; the same request fails again. After 408, send faster."}},
	{graphqlhttp.ParseFailed, meaning{Status: "200 or 400", Means: "The document is no GraphQL, or has more than 1,000 tokens.",
		Do: "Correct the document where `locations` points."}},
	{graphqlhttp.ValidationFailed, meaning{Status: "200 or 400", Means: "The document, or its variables, do not fit the schema.",
		Do: "Correct the document; compare it with the schema of the installation that you ask."}},
	{graphqlhttp.TooComplex, meaning{Status: "200 or 400", Means: "The operation is over a limit of size, depth or cost. Nothing of it was run.",
		Do: "Ask for less at a time: a smaller `first`, fewer fields. The schema's head says how cost is counted."}},
	{graphqlhttp.BadUserInput, meaning{Status: "200", Means: "An argument cannot be used, such as a cursor of another list or a time that is none.",
		Do: "Correct it as `message` says."}},
	{graphqlhttp.Timeout, meaning{Status: "200, or 503 where nothing was answered", Means: "The request took longer than it may. Mutations in it that were answered are done.",
		Do: "Ask for less at a time, or later. Look first whether a mutation was done."}},
	{graphqlhttp.ChangesMissed, meaning{Status: "none: it ends a subscription", Means: "More than 20,000 changes waited for the client to read, or those of another process could not be heard for a while.",
		Do: "Subscribe again, and read the list anew."}},
	{graphqlhttp.Internal, meaning{Status: "200 for a field; 503 where keys cannot be looked up", Means: "A fault of ours, or the request was given up because the service stops.",
		Do: "Try again later. Tell the operator the request id in `message`: the log has the cause under it."}},
}

// TestDocs keeps docs/errors.md in step with the schema and the code.
func TestDocs(t *testing.T) {
	t.Parallel()
	var rows struct{ User, TopLevel []meaning }
	for _, v := range loadSchema(t).Types["UserErrorCode"].EnumValues {
		rows.User = append(rows.User, meaning{Code: v.Name, Means: v.Description, Do: advice[webhook.Code(v.Name)]})
	}
	for _, c := range topLevelCodes {
		c.Code = string(c.code)
		rows.TopLevel = append(rows.TopLevel, c.meaning)
	}
	var want bytes.Buffer
	if err := template.Must(template.ParseFiles("testdata/errors.md.tmpl")).Execute(&want, rows); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "../docs/errors.md", want.String())
}

// TestEveryCodeIsExplained compares the codes that the program can say with
// the schema's enum, the schema's head and the tables above.
func TestEveryCodeIsExplained(t *testing.T) {
	t.Parallel()
	declared := codesOf(t)
	s := loadSchema(t)
	var enum, advised, explained []string
	for _, v := range s.Types["UserErrorCode"].EnumValues {
		enum = append(enum, v.Name)
	}
	for code := range advice {
		advised = append(advised, string(code))
	}
	for _, c := range topLevelCodes {
		explained = append(explained, string(c.code))
		if !strings.Contains(s.Description, "`"+string(c.code)+"`") {
			t.Errorf("%s is missing in the schema's head", c.code)
		}
	}
	user, topLevel := declared["internal/webhook"], append(declared["internal/graphqlhttp"], errcode.ParseFailed, errcode.ValidationFailed)
	for _, list := range [][]string{enum, advised, explained, user, topLevel} {
		slices.Sort(list)
	}
	if diff := cmp.Diff(user, enum); diff != "" {
		t.Errorf("UserErrorCode: (-code +schema)\n%s", diff)
	}
	if diff := cmp.Diff(user, advised); diff != "" {
		t.Errorf("advice: (-code +docs)\n%s", diff)
	}
	if diff := cmp.Diff(topLevel, explained); diff != "" {
		t.Errorf("topLevelCodes: (-code +docs)\n%s", diff)
	}
}

// codesOf finds the constants of the types named Code, by folder, in all of
// our Go files but tests. Whatever takes such a code must be given a constant.
func codesOf(t *testing.T) map[string][]string {
	t.Helper()
	codes := make(map[string][]string)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		tree, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), ".."+string(filepath.Separator)))
		ast.Inspect(tree, func(n ast.Node) bool {
			codes[folder] = append(codes[folder], constants(n)...)
			if literal := codeLiteral(n); literal != nil {
				t.Errorf("%s: %s is no constant: name it among the codes", files.Position(literal.Pos()), literal.Value)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return codes
}

// constants are the texts of the constants of a type named Code that a node
// declares.
func constants(n ast.Node) (values []string) {
	spec, isSpec := n.(*ast.ValueSpec)
	if !isSpec {
		return nil
	}
	if of, isName := spec.Type.(*ast.Ident); !isName || of.Name != "Code" {
		return nil
	}
	for _, v := range spec.Values {
		if literal := text(v); literal != nil {
			value, _ := strconv.Unquote(literal.Value)
			values = append(values, value)
		}
	}
	return values
}

// codeLiteral is a text that stands where a code is taken; nil for none.
func codeLiteral(n ast.Node) *ast.BasicLit {
	takes := map[string]int{"NewError": 0, "Code": 0, "coded": 0, "topLevel": 1, "Set": 1, "Refuse": 2}
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		if key, isName := n.Key.(*ast.Ident); isName && strings.EqualFold(key.Name, "code") {
			return text(n.Value)
		}
	case *ast.CallExpr:
		name := ""
		switch f := n.Fun.(type) {
		case *ast.Ident:
			name = f.Name
		case *ast.SelectorExpr:
			name = f.Sel.Name
			if of, isName := f.X.(*ast.Ident); name == "Set" && (!isName || of.Name != "errcode") {
				return nil
			}
		}
		if at, takesCode := takes[name]; takesCode && at < len(n.Args) {
			return text(n.Args[at])
		}
	}
	return nil
}

func text(e ast.Expr) *ast.BasicLit {
	if literal, isLiteral := e.(*ast.BasicLit); isLiteral && literal.Kind == token.STRING {
		return literal
	}
	return nil
}

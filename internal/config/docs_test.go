package config

import (
	"bytes"
	"flag"
	"os"
	"testing"
	"text/template"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md")

// TestDocs keeps docs/configuration.md in step with the table.
func TestDocs(t *testing.T) {
	t.Parallel()
	const file = "../../docs/configuration.md"
	want := docs(t)
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date: run `go test ./internal/config -update`", file)
	}
}

// docs fills the template from the table.
func docs(t *testing.T) []byte {
	t.Helper()
	type row struct{ Variable, Flag, Default, Doc string }
	data := struct {
		Options  []row
		Secrets  []string
		ExitCode int
	}{ExitCode: ExitCode}
	for _, o := range options() {
		fallback := o.fallback()
		if o.initial != "" {
			fallback = "`" + fallback + "`"
		}
		data.Options = append(data.Options, row{o.name, o.flag(), fallback, o.doc})
		if o.secret {
			data.Secrets = append(data.Secrets, o.name)
		}
	}
	var out bytes.Buffer
	if err := template.Must(template.ParseFiles("testdata/configuration.md.tmpl")).Execute(&out, data); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

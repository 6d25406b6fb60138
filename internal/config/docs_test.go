package config

import (
	"bytes"
	"testing"
	"text/template"

	"github.com/hookql/hookql/internal/golden"
)

// TestDocs keeps docs/configuration.md in step with the table.
func TestDocs(t *testing.T) {
	t.Parallel()
	golden.Check(t, "../../docs/configuration.md", string(docs(t)))
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

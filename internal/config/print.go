package config

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
)

// Usage is the list of options for the program's help.
func Usage() string {
	var out strings.Builder
	for _, o := range options() {
		fmt.Fprintf(&out, "  -%s, %s\n    \t%s (default: %s)\n", o.flag(), o.name, o.doc, o.fallback())
	}
	return out.String()
}

// String shows every option, what is in force and who said so, one on a line.
// It tells of a secret only that it is set.
func (c Config) String() string {
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, o := range options() {
		fmt.Fprintf(table, "%s\t%s\t%s\n", o.name, c.show(o), c.sources[o.name])
	}
	_ = table.Flush() // a strings.Builder takes everything
	return out.String()
}

// Format implements fmt.Formatter: no verb shows a secret.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// MarshalText keeps secrets out of JSON.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// LogValue implements slog.LogValuer.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, o := range options() {
		attrs = append(attrs, slog.String(strings.ToLower(o.name), c.show(o)))
	}
	return slog.GroupValue(attrs...)
}

// show is what an option is set to, or in brackets what holds while it is not.
func (c Config) show(o option) string {
	if text := o.value(&c).String(); text != "" {
		return text
	}
	return "(" + o.unset + ")"
}

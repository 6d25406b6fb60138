package delivery

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/hookql/hookql/internal/webhook"
)

// Curl returns a command line for a POSIX shell that sends r again: the same
// method, URL, headers and body bytes. Host and Content-Length are left to
// curl, which derives the same.
func Curl(r webhook.Request) string {
	var line strings.Builder
	body := r.Body
	if !fitsArgument(body) {
		fmt.Fprintf(&line, "printf %%b %s | ", shellQuote(octal(body)))
	}
	line.WriteString("curl")
	if strings.ContainsAny(r.URL, "[]{}") {
		line.WriteString(" --globoff") // they are no patterns
	}
	if strings.Contains(r.URL, "/.") {
		line.WriteString(" --path-as-is") // "/../" stays
	}
	if r.Method != impliedMethod(body) {
		line.WriteString(" --request " + r.Method)
	}
	line.WriteString(" " + shellQuote(r.URL))
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, "Host") || strings.EqualFold(h.Name, "Content-Length") {
			continue
		}
		line.WriteString(" --header " + shellQuote(curlHeader(h)))
	}
	if len(body) > 1024 {
		line.WriteString(" --header 'Expect:'") // older curls would ask first with "100-continue"
	}
	switch {
	case len(body) == 0:
	case fitsArgument(body):
		line.WriteString(" --data-raw " + shellQuote(string(body)))
	default:
		line.WriteString(" --data-binary @-")
	}
	return line.String()
}

// impliedMethod is what curl chooses by itself.
func impliedMethod(body []byte) string {
	if len(body) == 0 {
		return "GET"
	}
	return "POST"
}

// curlHeader is a header as curl wants it: one without a value ends in a
// semicolon, as with a colon curl would take the header out.
func curlHeader(h webhook.Header) string {
	if h.Value == "" {
		return h.Name + ";"
	}
	return h.Name + ": " + h.Value
}

// shellQuote quotes s for a POSIX shell, where nothing but another quote has a
// meaning between single quotes.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// fitsArgument says whether a body can be an argument: text without NUL, and
// half as long at most as Linux lets one argument be (128 KiB). Others are
// piped, by a printf that is part of the shell.
func fitsArgument(body []byte) bool {
	return len(body) <= 64<<10 && utf8.Valid(body) && bytes.IndexByte(body, 0) < 0
}

// octal writes bytes for printf's %b: printable ASCII as it is, all else as \0ooo.
func octal(body []byte) string {
	var out strings.Builder
	for _, c := range body {
		if c < ' ' || c > '~' || c == '\\' {
			fmt.Fprintf(&out, `\0%03o`, c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

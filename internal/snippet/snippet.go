// Package snippet writes receivers: small programs that verify the signature
// of one webhook's requests, for a developer to begin with. They are in texts/,
// a file for each language and scheme.
package snippet

import (
	"embed"
	"strings"
	"text/template"

	"github.com/hookql/hookql/internal/webhook"
)

// Language is what a snippet is written in.
type Language string

// The languages. JavaScript is for Node.js.
const (
	Go         Language = "GO"
	JavaScript Language = "JAVASCRIPT"
	Python     Language = "PYTHON"
)

// Snippet is a receiver.
type Snippet struct {
	Language Language
	// Install is the command that gets the library; "" where none is needed.
	Install string
	// Code is the program. It listens on port 3000, and answers 204 where a
	// signature fits and 401 otherwise. It holds no secret: it reads that
	// from the environment variable WEBHOOK_SECRET.
	Code string
}

//go:embed texts
var files embed.FS

var texts = template.Must(template.ParseFS(files, "texts/*"))

// values are what the texts differ by.
type values struct {
	// Get says that the raw query is signed, not a body.
	Get bool
	// Own says that the secret is its own key, byte for byte.
	Own       bool
	PublicKey string
}

// text is a file of texts/.
type text struct {
	language      Language
	install, name string
}

// For writes a receiver for a webhook in each language; none where its
// requests are not signed.
func For(w *webhook.Webhook) ([]Snippet, error) {
	snippets := []Snippet{}
	v := values{
		Get: w.Method == webhook.MethodGet,
		Own: !strings.HasPrefix(string(w.Secret), webhook.SecretPrefix),
	}
	if key := w.PublicKey(); key != nil {
		v.PublicKey = *key
	}
	for _, t := range textsOf(w) {
		var code strings.Builder
		if err := texts.ExecuteTemplate(&code, t.name, v); err != nil {
			return nil, err
		}
		snippets = append(snippets, Snippet{t.language, t.install, code.String()})
	}
	return snippets, nil
}

// textsOf are the files for a webhook. The official libraries do not check
// Ed25519, and Python's takes nothing but JSON.
func textsOf(w *webhook.Webhook) []text {
	switch w.Signing {
	case webhook.SigningStandard:
		python := text{Python, "pip install standardwebhooks", "standard.py.tmpl"}
		if w.Method == webhook.MethodGet {
			python = text{Python, "", "standard_get.py.tmpl"}
		}
		return []text{
			{Go, "go get github.com/standard-webhooks/standard-webhooks/libraries", "standard.go.tmpl"},
			{JavaScript, "npm install standardwebhooks@1", "standard.js.tmpl"},
			python,
		}
	case webhook.SigningEd25519:
		return []text{
			{Go, "", "ed25519.go.tmpl"},
			{JavaScript, "", "ed25519.js.tmpl"},
			{Python, "pip install cryptography", "ed25519.py.tmpl"},
		}
	}
	return nil
}

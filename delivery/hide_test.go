package delivery

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hookql/hookql/delivery/probe"
	"github.com/hookql/hookql/internal/webhook"
)

// Wherever an answer holds the secret, and however it writes it: it is found, and
// neither it nor the value of a header of the webhook's own is shown.
func TestSecretsOfAnAnswerAreHidden(t *testing.T) {
	t.Parallel()
	const secret, token = "whsec_MfKQ9r8G+YqrTwjU/D8ILPZIo2LaLaSw8+4=", "Bearer t0ken/+of=mine"
	key, err := webhook.Secret(secret).Key()
	if err != nil {
		t.Fatal(err)
	}
	inBody := func(write func(string) string) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, s string) {
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, write(s))
		}
	}
	for name, c := range map[string]func(http.ResponseWriter, string){
		"as it is":        inBody(func(s string) string { return s }),
		"in JSON":         inBody(func(s string) string { return strings.ReplaceAll(s, "/", `\/`) }),
		"in JSON of .NET": inBody(func(s string) string { return strings.ReplaceAll(s, "+", `\u002B`) }),
		"in a URL":        inBody(url.QueryEscape),
		"in HTML":         inBody(func(s string) string { return strings.ReplaceAll(html.EscapeString(s), "+", "&#43;") }),
		"in a header": func(w http.ResponseWriter, s string) {
			w.Header().Set("X-Debug", s)
			w.WriteHeader(http.StatusUnauthorized)
		},
		"as a redirect": func(w http.ResponseWriter, s string) {
			w.Header().Set("Location", "/?key="+url.QueryEscape(s))
			w.WriteHeader(http.StatusFound)
		},
		"in the status": func(w http.ResponseWriter, s string) {
			raw(w, "HTTP/1.1 401 wanted "+s+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for what, shown := range map[string]string{"secret": strings.TrimPrefix(secret, "whsec_"), "key": hex.EncodeToString(key), "token": token} {
				a := answerOf(t, secret, token, func(w http.ResponseWriter) { c(w, shown) })
				all, _ := json.Marshal(a)
				text := string(all) + string(a.Response.Body)
				if read, _ := url.QueryUnescape(text); strings.Contains(text+read, shown[:14]) {
					t.Errorf("%s is shown: %s", what, text)
				}
				if a.Secret != (what != "token") {
					t.Errorf("%s: found a secret: %t", what, a.Secret)
				}
			}
		})
	}
}

func raw(w http.ResponseWriter, answer string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		fmt.Fprint(conn, answer)
		conn.Close()
	}
}

// answerOf is the answer to a test of a webhook with a secret and a token.
func answerOf(t *testing.T, secret webhook.Secret, token string, answer func(http.ResponseWriter)) probe.Answer {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w)
	}))
	defer server.Close()
	w := postWebhook(server.URL)
	w.Secret, w.Headers = secret, []webhook.Header{{Name: "Authorization", Value: token}}
	l := line{engine: devEngine(), webhook: w, hidden: hiddenOf(w), payload: payloads("job.status")[0], sent: new(sent)}
	return l.Send(t.Context(), "test_1", probe.Shot{})[0]
}

// What a witness answers is told where it is no count, without its token.
func TestTokenOfAWitnessIsHidden(t *testing.T) {
	t.Parallel()
	const token = "t0ken-of-the-witness"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/login?was="+url.QueryEscape(r.Header.Get("Authorization")), http.StatusFound)
	}))
	t.Cleanup(server.Close)
	witness := &webhook.Webhook{URL: server.URL, Method: webhook.MethodGet, PayloadFormat: webhook.FormatData, Signing: webhook.SigningNone,
		Headers: []webhook.Header{{Name: "Authorization", Value: token}}}
	l := line{engine: devEngine(), witness: witness}
	if _, err := l.Count(t.Context(), "test_1"); err == nil || !strings.Contains(err.Error(), "302 Found") || strings.Contains(err.Error(), token) {
		t.Errorf("got %v", err)
	}
}

package zoo

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookql/hookql/internal/webhook"
)

const signatureHeader = "webhook-signature"

// verifier verifies a request with a library that knows the webhook's secret.
type verifier func(library *standardwebhooks.Webhook, header http.Header, content []byte) error

// verifies is an animal whose fault is in how it verifies.
func verifies(name, what, scenario string, verify verifier) *Animal {
	return &Animal{Name: name, What: what, Scenario: scenario, Verdict: webhook.VerdictFail, is: func(r *Receiver) {
		r.verify = func(header http.Header, content []byte) error { return verify(r.library, header, content) }
	}}
}

// around is an animal whose fault stands between the server and the receiver.
func around(name, what, scenario string, verdict webhook.Verdict, fault func(http.Handler) http.Handler) *Animal {
	return &Animal{Name: name, What: what, Scenario: scenario, Verdict: verdict, is: func(r *Receiver) { r.around = fault }}
}

func signatures() []*Animal {
	return []*Animal{
		verifies("corrects letters", "takes a body in which one letter or digit is wrong, as one that was garbled on its way", "signature.tampered-body", correctLetters),
		verifies("id from the body", "verifies with the id that stands in the body, and never looks at the header's", "signature.tampered-id", idFromBody),
		verifies("guesses seconds", "tries each second of the minute around the timestamp, for the sake of bad clocks", "signature.tampered-timestamp", guessSeconds),
		verifies("example secret", "still knows the secret of the documentation that it was tried out with", "signature.wrong-key", knowExample),
		verifies("only if signed", "verifies a signature only where there is one", "signature.missing",
			func(library *standardwebhooks.Webhook, header http.Header, content []byte) error {
				if len(header.Values(signatureHeader)) == 0 {
					return nil
				}
				return library.Verify(content, header)
			}),
		verifies("none is wrong", "refuses a request if one of its signatures is wrong, so that an empty list is right", "signature.empty",
			func(library *standardwebhooks.Webhook, header http.Header, content []byte) error {
				if header.Values(signatureHeader) != nil && len(strings.Fields(header.Get(signatureHeader))) == 0 {
					return nil
				}
				return library.Verify(content, header)
			}),
		verifies("old scheme", "takes a signature with a semicolon for one of an old scheme that it checks no more", "signature.garbage",
			func(library *standardwebhooks.Webhook, header http.Header, content []byte) error {
				if strings.Contains(header.Get(signatureHeader), ";") {
					return nil
				}
				return library.Verify(content, header)
			}),
		verifies("compares beginnings", "compares only as much of a signature as came", "signature.malformed", compareBeginnings),
		verifies("needs no version", "takes a signature without its version for one of v1", "signature.malformed",
			func(library *standardwebhooks.Webhook, header http.Header, content []byte) error {
				signature := header.Get(signatureHeader)
				if signature != "" && !strings.Contains(signature, ",") {
					signature = "v1," + signature
				}
				return library.Verify(content, with(header, signatureHeader, signature))
			}),
		around("fails on base64", "answers 500 to a signature that it cannot decode", "signature.malformed", webhook.VerdictFail, failOnBase64),
		verifies("knows v1 alone", "gives up at the first signature that is not of v1", "signature.unknown-version-first",
			func(library *standardwebhooks.Webhook, header http.Header, content []byte) error {
				if !strings.HasPrefix(header.Get(signatureHeader), "v1,") {
					return errors.New("an unknown version")
				}
				return library.Verify(content, header)
			}),
		verifies("first signature", "checks the first signature of v1 and no other", "signature.rotation",
			func(library *standardwebhooks.Webhook, header http.Header, content []byte) error {
				for _, signature := range strings.Fields(header.Get(signatureHeader)) {
					if strings.HasPrefix(signature, "v1,") {
						return library.Verify(content, with(header, signatureHeader, signature))
					}
				}
				return errors.New("no signature")
			}),
		verifies("writes JSON anew", "parses the body, and verifies the JSON that it writes of it", "signature.raw-body",
			func(library *standardwebhooks.Webhook, header http.Header, content []byte) error {
				var anew bytes.Buffer
				if err := json.Compact(&anew, content); err != nil {
					return err
				}
				return library.Verify(anew.Bytes(), header)
			}),
		{Name: "one spelling", What: "finds its headers in lower case only", Scenario: "signature.header-case", Verdict: webhook.VerdictFail,
			listens: func(d *Den) {
				d.server.Listener = oneSpelling{d.server.Listener}
				d.server.Start()
			}},
	}
}

// with is a header with another value.
func with(header http.Header, name, value string) http.Header {
	header = header.Clone()
	header.Set(name, value)
	return header
}

func correctLetters(library *standardwebhooks.Webhook, header http.Header, content []byte) error {
	err := library.Verify(content, header)
	for i := 0; err != nil && i < min(len(content), 1000); i++ {
		better := slices.Clone(content)
		better[i]--
		if library.Verify(better, header) == nil {
			return nil
		}
	}
	return err
}

func idFromBody(library *standardwebhooks.Webhook, header http.Header, content []byte) error {
	var sent struct{ MessageID string }
	if err := json.Unmarshal(content, &sent); err != nil {
		return err
	}
	return library.Verify(content, with(header, "webhook-id", sent.MessageID))
}

func guessSeconds(library *standardwebhooks.Webhook, header http.Header, content []byte) error {
	err := library.Verify(content, header)
	stamp, _ := strconv.ParseInt(header.Get(timestampHeader), 10, 64)
	for shift := int64(-30); err != nil && shift <= 30; shift++ {
		if library.Verify(content, with(header, timestampHeader, strconv.FormatInt(stamp+shift, 10))) == nil {
			return nil
		}
	}
	return err
}

// exampleSecret is the one of the Standard Webhooks documentation.
const exampleSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func knowExample(library *standardwebhooks.Webhook, header http.Header, content []byte) error {
	err := library.Verify(content, header)
	if err == nil {
		return nil
	}
	if example, _ := standardwebhooks.NewWebhook(exampleSecret); example.Verify(content, header) == nil {
		return nil
	}
	return err
}

func compareBeginnings(library *standardwebhooks.Webhook, header http.Header, content []byte) error {
	stamp, err := strconv.ParseInt(header.Get(timestampHeader), 10, 64)
	if err != nil {
		return err
	}
	right, err := library.Sign(header.Get("webhook-id"), time.Unix(stamp, 0), content)
	if err != nil {
		return err
	}
	for _, signature := range strings.Fields(header.Get(signatureHeader)) {
		if strings.HasPrefix(signature, "v1,") && strings.HasPrefix(right, signature) {
			return library.Verify(content, with(header, signatureHeader, right))
		}
	}
	return library.Verify(content, header)
}

func failOnBase64(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, signature := range strings.Fields(r.Header.Get(signatureHeader)) {
			encoded, isV1 := strings.CutPrefix(signature, "v1,")
			if _, err := base64.StdEncoding.DecodeString(encoded); isV1 && err != nil {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// oneSpelling drops the headers of webhooks that are not written in lower case.
type oneSpelling struct{ net.Listener }

func (l oneSpelling) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &spelled{Conn: conn}, err
}

// spelled is a connection of oneSpelling.
type spelled struct {
	net.Conn
	line   []byte // of a request's head, as far as it came
	out    []byte // what is to be read
	length int    // of the request's body
	body   int    // what is left of it, once the head is read
}

func (s *spelled) Read(p []byte) (int, error) {
	for len(s.out) == 0 {
		if s.body > 0 {
			n, err := s.Conn.Read(p[:min(len(p), s.body)])
			s.body -= n
			return n, err
		}
		var letter [1]byte
		if _, err := s.Conn.Read(letter[:]); err != nil {
			return 0, err
		}
		if s.line = append(s.line, letter[0]); letter[0] == '\n' {
			s.next()
		}
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

// next takes a line in.
func (s *spelled) next() {
	name, value, _ := strings.Cut(string(s.line), ":")
	lower := strings.ToLower(name)
	if lower == "content-length" {
		s.length, _ = strconv.Atoi(strings.TrimSpace(value)) // the sender's own
	}
	if strings.TrimSpace(name) == "" {
		s.body, s.length = s.length, 0
	}
	if !strings.HasPrefix(lower, "webhook-") || name == lower {
		s.out = append(s.out, s.line...)
	}
	s.line = s.line[:0]
}

package zoo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookql/hookql/internal/webhook"
)

const timestampHeader = "webhook-timestamp"

// age is how old a request says that it is.
func age(header http.Header) time.Duration {
	stamp, _ := strconv.ParseInt(header.Get(timestampHeader), 10, 64)
	return time.Since(time.Unix(stamp, 0))
}

// within verifies that a request is not older, and not further ahead, than it
// may be.
func within(oldest, furthest time.Duration) verifier {
	return func(library *standardwebhooks.Webhook, header http.Header, content []byte) error {
		if err := library.VerifyIgnoringTimestamp(content, header); err != nil {
			return err
		}
		if age := age(header); age > oldest || -age > furthest {
			return errors.New("of another time")
		}
		return nil
	}
}

func timeless() *Animal {
	a := verifies("timeless", "verifies the signature and never asks for the time", "timestamp.stale",
		func(library *standardwebhooks.Webhook, header http.Header, content []byte) error {
			return library.VerifyIgnoringTimestamp(content, header)
		})
	a.Also = map[string]webhook.Verdict{"timestamp.future": webhook.VerdictFail}
	return a
}

func timestamps() []*Animal {
	const tolerance, ever = 5 * time.Minute, math.MaxInt64
	return []*Animal{
		verifies("replays", "refuses requests of the future and never asks how old one is", "timestamp.stale", within(ever, tolerance)),
		verifies("future", "refuses requests that are old and never asks whether one is ahead of its time", "timestamp.future", within(tolerance, ever)),
		timeless(),
		verifies("impatient", "allows three minutes between the sender's clock and its own", "timestamp.tolerance", within(3*time.Minute, 3*time.Minute)),
		verifies("impatient ahead", "allows five minutes behind its own clock and three ahead of it", "timestamp.tolerance", within(tolerance, 3*time.Minute)),
		unread("no number", "leaves the time alone where the timestamp is no number", func(stamp string) bool { return stamp != "" }),
		unread("no time", "leaves the time alone where the timestamp is empty", func(stamp string) bool { return stamp == "" }),
	}
}

// unread is an animal that leaves the time alone for some of the timestamps that
// it cannot read.
func unread(name, what string, lets func(stamp string) bool) *Animal {
	return &Animal{Name: name, What: what, Scenario: "timestamp.malformed", Verdict: webhook.VerdictFail, is: func(r *Receiver) {
		right := r.verify
		r.verify = func(header http.Header, content []byte) error {
			stamp := header.Get(timestampHeader)
			if _, err := strconv.ParseInt(stamp, 10, 64); err == nil || !lets(stamp) {
				return right(header, content)
			}
			key, _ := r.webhook.Secret.Key() // which the receiver was made with
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(header.Get("webhook-id") + "." + stamp + "."))
			mac.Write(content)
			if !strings.Contains(header.Get(signatureHeader), base64.StdEncoding.EncodeToString(mac.Sum(nil))) {
				return errors.New("another signature")
			}
			return nil
		}
	}}
}

package webhooktest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Tolerance is how far a request's timestamp may be from now, either way, so
// that nobody can send an old request again.
const Tolerance = 5 * time.Minute

// ErrUnsigned is the error of a request without a signature.
var ErrUnsigned = errors.New("the request has no webhook-signature header")

// Verify says whether header signs content with secret by Standard Webhooks
// v1: nil, or what is wrong in words for a developer. The content is the body
// as it came; of a GET request, which has none, it is the raw query.
//
// A secret that begins with "whsec_" is base64 behind that; any other is its
// own key, byte for byte.
func Verify(secret string, header http.Header, content []byte, now time.Time) error {
	given := header.Get("webhook-signature")
	if given == "" {
		return ErrUnsigned
	}
	id, stamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	if id == "" || stamp == "" {
		return errors.New("the signature needs the headers webhook-id and webhook-timestamp beside it")
	}
	key, err := keyOf(secret)
	if err != nil {
		return err
	}
	if err := checkTimestamp(stamp, now); err != nil {
		return err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(content)
	return matchAny(given, mac.Sum(nil))
}

// matchAny looks for sum among signatures such as "v1,base64 v1,base64".
func matchAny(signatures string, sum []byte) error {
	known := false
	for signature := range strings.FieldsSeq(signatures) {
		encoded, ok := strings.CutPrefix(signature, "v1,")
		if !ok {
			continue
		}
		known = true
		if given, err := base64.StdEncoding.DecodeString(encoded); err == nil && hmac.Equal(given, sum) {
			return nil
		}
	}
	if !known {
		return errors.New("there is no signature of version v1")
	}
	return errors.New("no signature matches: the secret or the content is another than was signed")
}

func checkTimestamp(stamp string, now time.Time) error {
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errors.New("webhook-timestamp is no number of seconds since 1970")
	}
	switch at := time.Unix(seconds, 0); {
	case at.Before(now.Add(-Tolerance)):
		return fmt.Errorf("webhook-timestamp is more than %s old", Tolerance)
	case at.After(now.Add(Tolerance)):
		return fmt.Errorf("webhook-timestamp is more than %s ahead", Tolerance)
	}
	return nil
}

func keyOf(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	if !ok {
		return []byte(secret), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("what follows whsec_ in the secret is not base64")
	}
	return key, nil
}

package webhooktest

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tolerance is how far a request's timestamp may be from now, either way, so
// that nobody can send an old request again.
const Tolerance = 5 * time.Minute

// ErrUnsigned is the error of a request without a signature.
var ErrUnsigned = errors.New("the request has no webhook-signature header")

// Verify says whether header signs content with secret by Standard Webhooks:
// nil, or what is wrong in words for a developer. The content is the body as it
// came; of a GET request, which has none, it is the raw query.
//
// A secret that begins with "whpk_" is an Ed25519 public key, and one with
// "whsk_" a private one, for version v1a; one that begins with "whsec_" is
// base64 behind that, and any other is its own key, byte for byte, for v1.
func Verify(secret string, header http.Header, content []byte, now time.Time) error {
	given := header.Get("webhook-signature")
	if given == "" {
		return ErrUnsigned
	}
	id, stamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	if id == "" || stamp == "" {
		return errors.New("the signature needs the headers webhook-id and webhook-timestamp beside it")
	}
	check, err := checkOf(secret)
	if err != nil {
		return err
	}
	if err := checkTimestamp(stamp, now); err != nil {
		return err
	}
	return check.any(given, slices.Concat([]byte(id+"."+stamp+"."), content))
}

// check is how a signature of one version is verified.
type check struct {
	version string
	fits    func(message, signature []byte) bool
}

// any looks for a signature that fits among those such as "v1,base64 v1,base64".
func (c check) any(signatures string, message []byte) error {
	known := false
	for signature := range strings.FieldsSeq(signatures) {
		encoded, ok := strings.CutPrefix(signature, c.version+",")
		if !ok {
			continue
		}
		known = true
		if given, err := base64.StdEncoding.DecodeString(encoded); err == nil && c.fits(message, given) {
			return nil
		}
	}
	if !known {
		return errors.New("there is no signature of version " + c.version)
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

func checkOf(secret string) (check, error) {
	for prefix, size := range map[string]int{"whpk_": ed25519.PublicKeySize, "whsk_": ed25519.SeedSize} {
		if encoded, ok := strings.CutPrefix(secret, prefix); ok {
			return checkEd25519(encoded, prefix, size)
		}
	}
	key := []byte(secret)
	if encoded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return check{}, errors.New("what follows whsec_ in the secret is not base64")
		}
	}
	return check{"v1", func(message, signature []byte) bool {
		mac := hmac.New(sha256.New, key)
		mac.Write(message)
		return hmac.Equal(signature, mac.Sum(nil))
	}}, nil
}

// checkEd25519 takes a public key, or a private one, whose first bytes are
// enough.
func checkEd25519(encoded, prefix string, size int) (check, error) {
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) < size {
		return check{}, fmt.Errorf("what follows %s in the key is not the base64 of %d bytes", prefix, size)
	}
	public := ed25519.PublicKey(key[:size])
	if prefix == "whsk_" {
		public = ed25519.NewKeyFromSeed(key[:size]).Public().(ed25519.PublicKey)
	}
	return check{"v1a", func(message, signature []byte) bool { return ed25519.Verify(public, message, signature) }}, nil
}

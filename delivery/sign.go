package delivery

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// signatures returns the value of webhook-signature by Standard Webhooks: a
// signature by each secret that signs at the time, the newest first, so that
// receivers may know either. "" where requests are not signed.
//
// The content is the body, and for GET, which has none, the raw query as it is
// sent. The error is a *webhook.Error.
func signatures(w *webhook.Webhook, id string, at time.Time, content []byte) (string, error) {
	for _, secret := range w.SecretsAt(at) {
		if mistake := w.Signing.CheckSecret(secret); mistake != nil {
			return "", mistake
		}
	}
	return signaturesOver(w, id, strconv.FormatInt(at.Unix(), 10), at, content), nil
}

// signaturesOver signs with the secrets of a time, which are known to fit,
// whatever the timestamp says.
func signaturesOver(w *webhook.Webhook, id, stamp string, at time.Time, content []byte) string {
	message := signedMessage(id, stamp, content)
	var all []string
	for _, secret := range w.SecretsAt(at) {
		all = append(all, sign(w.Signing, secret, message))
	}
	return strings.Join(all, " ")
}

// signedMessage is what a signature is made over.
func signedMessage(id, stamp string, content []byte) []byte {
	return slices.Concat([]byte(id+"."+stamp+"."), content)
}

// sign signs with a secret that fits the scheme.
func sign(scheme webhook.Signing, secret webhook.Secret, message []byte) string {
	if scheme == webhook.SigningEd25519 {
		key, _ := secret.PrivateKey()
		return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(key, message))
	}
	key, _ := secret.Key()
	return "v1," + base64.StdEncoding.EncodeToString(hmacSHA256(key, message))
}

func hmacSHA256(key, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return mac.Sum(nil)
}

package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// SecretPrefix begins a secret whose rest is base64, as Standard Webhooks
// writes it. A secret without it is its own key, byte for byte.
const SecretPrefix = "whsec_"

// Sizes of a secret: the first two count the decoded bytes after the prefix
// (as Standard Webhooks asks), the others the characters of a secret without it.
const (
	minKeyBytes  = 24
	maxKeyBytes  = 64
	minOwnSecret = 16
	maxOwnSecret = 256
)

// NewSecret makes a secret of 32 random bytes.
func NewSecret() Secret {
	var key [32]byte
	rand.Read(key[:]) // never fails: it ends the process where the system has no randomness
	return Secret(SecretPrefix + base64.StdEncoding.EncodeToString(key[:]))
}

// Key is what the secret signs with, or an error that says what is wrong with
// the secret.
func (s Secret) Key() ([]byte, error) {
	encoded, ok := strings.CutPrefix(string(s), SecretPrefix)
	if !ok {
		return ownKey(string(s))
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("what follows `whsec_` must be standard base64 with padding; without `whsec_` the text itself is the key")
	}
	if len(key) < minKeyBytes || len(key) > maxKeyBytes {
		return nil, fmt.Errorf("what follows `whsec_` must be the base64 of %d to %d bytes, it is that of %d", minKeyBytes, maxKeyBytes, len(key))
	}
	return key, nil
}

func ownKey(s string) ([]byte, error) {
	if strings.HasPrefix(s, "whsk_") || strings.HasPrefix(s, "whpk_") {
		return nil, errors.New("`whsk_` and `whpk_` are keys of the asymmetric scheme; for `STANDARD_WEBHOOKS` give `whsec_` and base64, or a text of your own")
	}
	if len(s) < minOwnSecret || len(s) > maxOwnSecret {
		return nil, fmt.Errorf("give %d to %d printable ASCII characters, or `whsec_` and base64; leave it out to have one generated", minOwnSecret, maxOwnSecret)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return nil, fmt.Errorf("only printable ASCII characters may stand in it; the byte at position %d is another", i+1)
		}
	}
	return []byte(s), nil
}

package webhook

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Prefixes of secrets whose rest is base64, as Standard Webhooks writes them.
// A secret without any is its own key, byte for byte.
const (
	SecretPrefix     = "whsec_"
	privateKeyPrefix = "whsk_"
	publicKeyPrefix  = "whpk_"
)

// Sizes of a secret: the first two count the decoded bytes after the prefix
// (as Standard Webhooks asks), the others the characters of a secret without it.
const (
	minKeyBytes  = 24
	maxKeyBytes  = 64
	minOwnSecret = 16
	maxOwnSecret = 256
)

// NewSecret makes a secret for the scheme, "" where nothing is signed.
func (s Signing) NewSecret() Secret {
	switch s {
	case SigningNone:
		return ""
	case SigningEd25519:
		_, key, _ := ed25519.GenerateKey(nil) // fails with its source of randomness only, which ends the process instead
		return Secret(privateKeyPrefix + base64.StdEncoding.EncodeToString(key))
	default:
		return NewSecret()
	}
}

// NewSecret makes a secret of 32 random bytes for SigningStandard.
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
	if strings.HasPrefix(s, privateKeyPrefix) || strings.HasPrefix(s, publicKeyPrefix) {
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

// PrivateKey is what the secret signs with by SigningEd25519, or an error that
// says what is wrong with the secret. Programs write such a key as its 32 bytes
// or as 64, of which the second half is the public key.
func (s Secret) PrivateKey() (ed25519.PrivateKey, error) {
	encoded, ok := strings.CutPrefix(string(s), privateKeyPrefix)
	if !ok {
		return nil, errors.New("`STANDARD_WEBHOOKS_ED25519` signs with a private key: give `whsk_` and its base64, or leave it out to have one generated")
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("what follows `whsk_` must be standard base64 with padding")
	}
	if len(raw) != ed25519.SeedSize && len(raw) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("what follows `whsk_` must be the base64 of %d bytes, or of %d with the public key, it is that of %d",
			ed25519.SeedSize, ed25519.PrivateKeySize, len(raw))
	}
	key := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
	if len(raw) == ed25519.PrivateKeySize && !key.Equal(ed25519.PrivateKey(raw)) {
		return nil, errors.New("the second half of what follows `whsk_` is not the public key of the first; give the first 32 bytes alone")
	}
	return key, nil
}

// encodePublicKey writes the public half of a key as Standard Webhooks does.
func encodePublicKey(key ed25519.PrivateKey) string {
	return publicKeyPrefix + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

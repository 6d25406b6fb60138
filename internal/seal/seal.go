// Package seal makes secrets unreadable to whoever has the database alone. A
// text is sealed with a data key, which lies beside it in the database, sealed
// itself with a master key that does not.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// KeySize is the size of a key in bytes, for AES-256.
const KeySize = 32

// Key is what a Cipher is made from. It prints as "[key]" wherever it is logged or formatted.
type Key [KeySize]byte

const redacted = "[key]"

// NewKey makes a key that nobody can guess.
func NewKey() (k Key) {
	rand.Read(k[:]) // never fails: it ends the process where the system has no randomness
	return k
}

// ParseKey reads a key from base64, as `openssl rand -base64 32` writes it.
func ParseKey(text string) (k Key, err error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != KeySize {
		return k, errors.New("a key is the base64 of 32 bytes, as `openssl rand -base64 32` makes it")
	}
	return Key(raw), nil
}

// Text is the key as ParseKey reads it.
func (k Key) Text() string { return base64.StdEncoding.EncodeToString(k[:]) }

// Format implements fmt.Formatter.
func (Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// ErrWrongKey is the error of a text that was sealed with another key, for
// another place, or that was changed since.
var ErrWrongKey = errors.New("the key does not open it")

// Cipher seals and opens with one key. It is safe for concurrent use.
type Cipher struct{ aead cipher.AEAD }

// Cipher makes the cipher of the key.
func (k Key) Cipher() Cipher {
	block, _ := aes.NewCipher(k[:])                // fails for another size of key only
	aead, _ := cipher.NewGCMWithRandomNonce(block) // fails for another cipher only
	return Cipher{aead}
}

// Seal makes a text that only the same key opens, and only at the same place,
// such as the id of the row that it lies in. Its random nonces do for 2^32
// texts.
func (c Cipher) Seal(text []byte, place string) []byte {
	return c.aead.Seal(nil, nil, text, []byte(place))
}

// Open is the text that was sealed.
func (c Cipher) Open(sealed []byte, place string) ([]byte, error) {
	text, err := c.aead.Open(nil, nil, sealed, []byte(place))
	if err != nil {
		return nil, ErrWrongKey
	}
	return text, nil
}

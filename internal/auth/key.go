package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/big"
	"strings"
)

// A token that NewToken made is this prefix, 256 random bits and their CRC-32,
// both in base 62 at full width. The prefix and the checksum let scanners find
// keys that were published by accident.
const (
	tokenPrefix   = "hookql_"
	randomWidth   = 43 // 62^43 > 2^256
	checksumWidth = 6  // 62^6 > 2^32
)

// Token is a key as its holder sends it. It prints as "[key]" wherever it is
// logged, formatted or encoded; string(t) is the only way to its text. Keep it
// out of unexported fields, where fmt cannot see that it has methods.
type Token string

const redacted = "[key]"

// NewToken makes a token that nobody can guess.
func NewToken() Token {
	var bits [32]byte
	rand.Read(bits[:]) // never fails: it ends the process where the system has no randomness
	random := base62(new(big.Int).SetBytes(bits[:]), randomWidth)
	return Token(tokenPrefix + random + checksum(random))
}

// Hash is what is kept of a token. One round of SHA-256 is enough, and quick,
// since a token has too many bits to be found by trying.
func (t Token) Hash() [sha256.Size]byte { return sha256.Sum256([]byte(t)) }

// Prefix is enough of a token to tell it from others, and too little to guess it.
func (t Token) Prefix() string { return string(t[:min(len(t), len(tokenPrefix)+4)]) }

// Mistyped says whether a token began as one of NewToken's but was not copied
// whole. It tells nothing about keys that operators made up.
func (t Token) Mistyped() bool {
	rest, ours := strings.CutPrefix(string(t), tokenPrefix)
	if !ours {
		return false
	}
	return len(rest) != randomWidth+checksumWidth || rest[randomWidth:] != checksum(rest[:randomWidth])
}

// Format implements fmt.Formatter.
func (Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps the token out of JSON.
func (Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

func checksum(s string) string {
	return base62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(s)))), checksumWidth)
}

// base62 writes n with the digits 0-9, a-z and A-Z, at least width of them.
func base62(n *big.Int, width int) string {
	digits := n.Text(62)
	return strings.Repeat("0", width-len(digits)) + digits
}

package auth

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"regexp"
	"strings"
	"testing"
)

func TestNewToken(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^hookql_[0-9A-Za-z]{49}$`)
	seen := make(map[Token]bool)
	for range 1000 {
		token := NewToken()
		if !form.MatchString(string(token)) || token.Mistyped() || seen[token] {
			t.Fatalf("%s is malformed, mistyped or not new", string(token))
		}
		seen[token] = true
	}
}

func TestMistyped(t *testing.T) {
	t.Parallel()
	const whole Token = "hookql_00000000000000000000000000000000000000000002czCLJ"
	for token, want := range map[Token]bool{
		whole:                  false,
		whole[:len(whole)-1]:   true,
		whole + "0":            true,
		"hookql_":              true,
		"hookql_1" + whole[8:]: true,
		"hookql_00000000000000000000000000000000000000000002CZCLJ": true,
		"":                                 false,
		"0123456789abcdef0123456789abcdef": false, // an operator's own
	} {
		if got := token.Mistyped(); got != want {
			t.Errorf("%s: got mistyped %t, want %t", string(token), got, want)
		}
	}
}

func TestBase62(t *testing.T) {
	t.Parallel()
	largest := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	for _, tt := range []struct {
		n     *big.Int
		width int
		want  string
	}{
		{big.NewInt(0), checksumWidth, "000000"},
		{big.NewInt(61), checksumWidth, "00000Z"},
		{big.NewInt(1<<32 - 1), checksumWidth, "4GFfc3"},
		{largest, randomWidth, largest.Text(62)},
	} {
		if got := base62(tt.n, tt.width); got != tt.want || len(got) != tt.width {
			t.Errorf("base62(%d, %d) = %s, want %s", tt.n, tt.width, got, tt.want)
		}
	}
}

// The vector is that of FIPS 180-2 for "abc".
func TestHash(t *testing.T) {
	t.Parallel()
	hash := Token("abc").Hash()
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := hex.EncodeToString(hash[:]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTokenKeepsItself(t *testing.T) {
	t.Parallel()
	token := NewToken()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb, token, struct{ Key Token }{token})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "key", token)
	slog.New(slog.NewTextHandler(&out, nil)).Info("key", "key", token)
	if err := json.NewEncoder(&out).Encode(map[string]Token{"key": token}); err != nil {
		t.Fatal(err)
	}
	text := string(token)
	for _, form := range []string{text, hex.EncodeToString([]byte(text))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the key is in the output:\n%s", out.String())
		}
	}
}

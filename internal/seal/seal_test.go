package seal

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestSeal(t *testing.T) {
	t.Parallel()
	key, other := NewKey().Cipher(), NewKey().Cipher()
	for _, text := range []string{"", "a", strings.Repeat("long", 1000)} {
		sealed := key.Seal([]byte(text), "wh_1/secret")
		if again := key.Seal([]byte(text), "wh_1/secret"); bytes.Equal(sealed, again) {
			t.Error("the same text is sealed alike, which shows that it is the same")
		}
		got, err := key.Open(sealed, "wh_1/secret")
		if err != nil || string(got) != text {
			t.Errorf("Open = %q, %v, want %q", got, err, text)
		}
		changed := bytes.Clone(sealed)
		changed[len(changed)-1] ^= 1
		for name, open := range map[string]func() ([]byte, error){
			"another key":   func() ([]byte, error) { return other.Open(sealed, "wh_1/secret") },
			"another place": func() ([]byte, error) { return key.Open(sealed, "wh_2/secret") },
			"a bit changed": func() ([]byte, error) { return key.Open(changed, "wh_1/secret") },
			"a part":        func() ([]byte, error) { return key.Open(sealed[:5], "wh_1/secret") },
			"nothing":       func() ([]byte, error) { return key.Open(nil, "wh_1/secret") },
		} {
			if got, err := open(); !errors.Is(err, ErrWrongKey) {
				t.Errorf("%s opens %q, %v", name, got, err)
			}
		}
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	key := NewKey()
	if got, err := ParseKey(key.Text() + "\n"); err != nil || got != key {
		t.Errorf("ParseKey of a key's text: %v", err)
	}
	for _, text := range []string{"", "x", key.Text()[:40], key.Text() + "AAAA"} {
		if _, err := ParseKey(text); err == nil {
			t.Errorf("%q is taken for a key", text)
		}
	}
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%x"} {
		if got := fmt.Sprintf(verb, key); got != redacted {
			t.Errorf("Sprintf(%s) = %s", verb, got)
		}
	}
}

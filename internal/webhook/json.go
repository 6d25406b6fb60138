package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// EncodeJSON writes a decoded value as the bytes that are stored, signed and
// sent: members sorted by name, no spaces, no HTML escapes, and each
// json.Number digit by digit as it came.
func EncodeJSON(v any) (json.RawMessage, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// CanonicalJSON is EncodeJSON for JSON text.
func CanonicalJSON(text []byte) (json.RawMessage, error) {
	v, err := DecodeJSON(text)
	if err != nil {
		return nil, err
	}
	return EncodeJSON(v)
}

// DecodeJSON reads JSON text and keeps numbers digit by digit.
func DecodeJSON(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	return v, nil
}

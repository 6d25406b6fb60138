package graphqlhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// Limits of a JSON value: of the parameters, whose variables lie one level
// deeper, and of the variables of a GET.
const (
	maxDepth  = 33
	maxNodes  = 10_000
	maxNumber = 1_000 // digits
)

// DecodeJSON reads one JSON value so that no two readers understand it
// differently: UTF-8 only, no member twice, no half of a surrogate pair, nothing
// behind it. Numbers are kept digit by digit as json.Number. Errors hold nothing
// of the text.
func DecodeJSON(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not valid UTF-8")
	}
	if hasLoneSurrogate(text) {
		return nil, errors.New("an escape such as \\ud800 stands for half a character")
	}
	r := jsonReader{dec: json.NewDecoder(bytes.NewReader(text))}
	r.dec.UseNumber()
	value, err := r.value(0)
	if err != nil {
		return nil, plain(err)
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something stands behind the value")
	}
	return value, nil
}

// plain puts the decoder's errors into words that hold nothing of the input.
func plain(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("there is a mistake near byte %d", syntax.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends too early")
	}
	return err
}

type jsonReader struct {
	dec   *json.Decoder
	nodes int
}

// value reads the next value, which lies at the given depth.
func (r *jsonReader) value(depth int) (any, error) {
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	if r.nodes++; r.nodes > maxNodes {
		return nil, fmt.Errorf("it has more than %d values", maxNodes)
	}
	switch token := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			return nil, fmt.Errorf("it is nested deeper than %d levels", maxDepth)
		}
		if token == '{' {
			return r.object(depth)
		}
		return r.array(depth)
	case json.Number:
		if len(token) > maxNumber {
			return nil, fmt.Errorf("a number has more than %d digits", maxNumber)
		}
	}
	return token, nil
}

func (r *jsonReader) object(depth int) (map[string]any, error) {
	object := make(map[string]any)
	for r.dec.More() {
		token, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string) // the decoder takes nothing else for a name
		if _, twice := object[name]; twice {
			return nil, errors.New("an object has a member twice")
		}
		if object[name], err = r.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := r.dec.Token() // the brace
	return object, err
}

func (r *jsonReader) array(depth int) ([]any, error) {
	array := []any{}
	for r.dec.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		array = append(array, item)
	}
	_, err := r.dec.Token() // the bracket
	return array, err
}

// hasLoneSurrogate finds an escaped half of a surrogate pair without the other,
// which the decoder would silently replace.
func hasLoneSurrogate(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		unit, ok := escapedUnit(text[i:])
		switch {
		case !ok:
			i++ // another escape: skip what it escapes
		case unit >= 0xDC00 && unit <= 0xDFFF:
			return true
		case unit >= 0xD800 && unit < 0xDC00:
			low, ok := escapedUnit(text[min(i+6, len(text)):])
			if !ok || low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 11
		default:
			i += 5
		}
	}
	return false
}

// escapedUnit reads the escape \uXXXX at the start of text.
func escapedUnit(text []byte) (uint64, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return unit, err == nil
}

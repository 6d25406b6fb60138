package db

import (
	"encoding/binary"
	"time"

	"github.com/lib/pq/oid"
)

// binaryArray is an array of one dimension as PostgreSQL keeps it, for what is
// written by the hundred: to write it as a text and to read that takes both
// sides several times as long.
type binaryArray []byte

// BinaryValue is what lib/pq sends where BinaryParameters are on.
func (a binaryArray) BinaryValue() ([]byte, error) { return a, nil }

// newArray makes an array of elements that take about so many bytes together.
// Encode appends one to b, and returns nil for null.
func newArray[T any](element oid.Oid, list []T, size int, encode func(b []byte, v T) []byte) binaryArray {
	b := make([]byte, 0, 20+4*len(list)+size)
	for _, n := range []int{
		1, // dimensions
		1, // there may be nulls
		int(element),
		len(list),
		1, // where it begins to count
	} {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	for _, v := range list {
		at := len(b)
		b = append(b, 0xff, 0xff, 0xff, 0xff) // the length of null
		if longer := encode(b, v); longer != nil {
			b = longer
			binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
		}
	}
	return b
}

func textArray(list []string) binaryArray { return newTextArray(oid.T_text, list) }

func jsonArray(list []string) binaryArray { return newTextArray(oid.T_json, list) }

func newTextArray(element oid.Oid, list []string) binaryArray {
	size := 0
	for _, s := range list {
		size += len(s)
	}
	return newArray(element, list, size, func(b []byte, s string) []byte { return append(b, s...) })
}

// nullableTextArray has a null for nil.
func nullableTextArray(list []*string) binaryArray {
	return newArray(oid.T_text, list, 0, func(b []byte, s *string) []byte {
		if s == nil {
			return nil
		}
		return append(b, *s...)
	})
}

// byteaArray has a null for nil.
func byteaArray(list [][]byte) binaryArray {
	return newArray(oid.T_bytea, list, 0, func(b, v []byte) []byte {
		if v == nil {
			return nil
		}
		return append(b, v...)
	})
}

func bigintArray(list []int64) binaryArray {
	return newArray(oid.T_int8, list, 8*len(list), func(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) })
}

func booleanArray(list []bool) binaryArray {
	return newArray(oid.T_bool, list, len(list), func(b []byte, v bool) []byte {
		if v {
			return append(b, 1)
		}
		return append(b, 0)
	})
}

// timeArray counts microseconds from where PostgreSQL does.
func timeArray(list []time.Time) binaryArray {
	epoch := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	return newArray(oid.T_timestamptz, list, 8*len(list), func(b []byte, t time.Time) []byte {
		return binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro()-epoch))
	})
}

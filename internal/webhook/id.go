package webhook

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Prefixes of ids. An id is its prefix, an underscore and a UUIDv7 in 26
// characters of base 32, as the TypeID specification (v0.3) writes it. Ids of
// one prefix therefore sort by the time they were made, as text too, and are
// kept in the database exactly as the API shows them.
const (
	WorkspacePrefix = "ws"
	WebhookPrefix   = "wh"
	EventTypePrefix = "et"
	APIKeyPrefix    = "key"
	TestRunPrefix   = "run"
	EventPrefix     = "evt"
	DeliveryPrefix  = "dlv"
	AttemptPrefix   = "att"
	// SealingKeyPrefix begins the ids of keys that never leave the database.
	SealingKeyPrefix = "seal"
	// TestPrefix begins the id of a test result, which is also the message id
	// that the receiver sees: it is signed, so nobody can pass a test off as
	// a real event.
	TestPrefix = "test"
)

// NewID makes a new id with the given prefix.
func NewID(prefix string) string {
	id := uuid.Must(uuid.NewV7()) // fails only where the system has no randomness
	return prefix + "_" + encode(id)
}

// FirstID is the smallest id with the given prefix that is made at t: ids made
// before it are smaller. None is made before 1970.
func FirstID(prefix string, t time.Time) string {
	var id uuid.UUID
	for i, ms := 5, max(t.UnixMilli(), 0); i >= 0; i, ms = i-1, ms>>8 {
		id[i] = byte(ms)
	}
	return prefix + "_" + encode(id)
}

// TimeOf is when an id was made, to the millisecond; 1970 for what is no id.
func TimeOf(id string) time.Time {
	_, encoded, _ := strings.Cut(id, "_")
	if len(encoded) != 26 {
		return time.UnixMilli(0)
	}
	var ms int64
	for i := range 10 { // 48 bits: the first digit holds three
		ms = ms<<5 | int64(max(strings.IndexByte(digits, encoded[i]), 0))
	}
	return time.UnixMilli(ms)
}

// IsID says whether a text looks like an id with the given prefix.
func IsID(prefix, text string) bool {
	encoded, is := strings.CutPrefix(text, prefix+"_")
	return is && len(encoded) == 26 && strings.Trim(encoded, digits) == ""
}

// PrefixOf returns the prefix of an id, "" where it has none.
func PrefixOf(id string) string {
	prefix, _, found := strings.Cut(id, "_")
	if !found {
		return ""
	}
	return prefix
}

const digits = "0123456789abcdefghjkmnpqrstvwxyz"

// encode writes 128 bits as 26 digits of Crockford's base 32, most significant
// first; the first digit holds three bits only.
func encode(id uuid.UUID) string {
	var out [26]byte
	var bits, have uint
	next := len(id) - 1
	for i := len(out) - 1; i >= 0; i-- {
		if have < 5 && next >= 0 {
			bits |= uint(id[next]) << have
			have += 8
			next--
		}
		out[i] = digits[bits&31]
		bits >>= 5
		have -= min(have, 5)
	}
	return string(out[:])
}

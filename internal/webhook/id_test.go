package webhook

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// The vectors are those of the TypeID specification's valid.yml.
func TestEncode(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"00000000-0000-0000-0000-000000000000": "00000000000000000000000000",
		"00000000-0000-0000-0000-000000000001": "00000000000000000000000001",
		"00000000-0000-0000-0000-00000000000a": "0000000000000000000000000a",
		"00000000-0000-0000-0000-000000000010": "0000000000000000000000000g",
		"00000000-0000-0000-0000-000000000020": "00000000000000000000000010",
		"ffffffff-ffff-ffff-ffff-ffffffffffff": "7zzzzzzzzzzzzzzzzzzzzzzzzz",
		"0110c853-1d09-52d8-d73e-1194e95b5f19": "0123456789abcdefghjkmnpqrs",
		"01890a5d-ac96-774b-bcce-b302099a8057": "01h455vb4pex5vsknk084sn02q",
	} {
		if got := encode(uuid.MustParse(id)); got != want {
			t.Errorf("encode(%s) = %s, want %s", id, got, want)
		}
	}
}

func TestNewIDSortsByTime(t *testing.T) {
	t.Parallel()
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = NewID(WebhookPrefix)
	}
	if !slices.IsSorted(ids) {
		t.Error("ids made one after the other are not in order")
	}
	if got := PrefixOf(ids[0]); got != WebhookPrefix {
		t.Errorf("PrefixOf(%s) = %q, want %q", ids[0], got, WebhookPrefix)
	}
	if got := PrefixOf("no-underscore"); got != "" {
		t.Errorf("PrefixOf(no-underscore) = %q, want none", got)
	}
}

func TestFirstID(t *testing.T) {
	t.Parallel()
	now := time.Now()
	before, id, after := FirstID(EventPrefix, now.Add(-time.Second)), NewID(EventPrefix), FirstID(EventPrefix, now.Add(time.Second))
	if before >= id || id >= after || len(before) != len(id) {
		t.Errorf("%s, %s, %s are not in order", before, id, after)
	}
}

func TestIsID(t *testing.T) {
	t.Parallel()
	id := NewID(DeliveryPrefix)
	if !IsID(DeliveryPrefix, id) || IsID(EventPrefix, id) {
		t.Errorf("%s is not told from others", id)
	}
	for _, text := range []string{"", "dlv_", id[:len(id)-1], id + "0", strings.ToUpper(id), id[:10] + "\x00" + id[11:], id[4:]} {
		if IsID(DeliveryPrefix, text) {
			t.Errorf("%q is taken for an id", text)
		}
	}
}

func TestTimeOf(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{time.UnixMilli(0), time.UnixMilli(1), time.Now().Truncate(time.Millisecond), time.UnixMilli(1<<48 - 1)} {
		if got := TimeOf(FirstID(DeliveryPrefix, at)); !got.Equal(at) {
			t.Errorf("TimeOf the first id of %s = %s", at, got)
		}
	}
	before := time.Now().Truncate(time.Millisecond)
	if got := TimeOf(NewID(EventPrefix)); got.Before(before) || got.After(time.Now()) {
		t.Errorf("TimeOf a new id = %s, want now", got)
	}
	for _, id := range []string{"", "evt_", "evt_short", "w", FirstID(EventPrefix, time.Unix(-1, 0)), "evt_\x00\xff________________________"} {
		if got := TimeOf(id); got.Year() != 1970 {
			t.Errorf("TimeOf(%q) = %s, want 1970", id, got)
		}
	}
}

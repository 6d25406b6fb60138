package db

import (
	"testing"
	"time"
)

// CheckArrays lets PostgreSQL say how it reads arrays of each kind.
func CheckArrays(t *testing.T, url string) {
	pool, err := newPool(url, statementTimeout, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close() //nolint:errcheck // the test's own
	for _, test := range []struct {
		kind  string
		array binaryArray
		want  string
	}{
		{"text", textArray([]string{"a", "", `"{,}\`, "NULL", "é"}), `{a,"","\"{,}\\","NULL",é}`},
		{"text", textArray(nil), "{}"},
		{"text", nullableTextArray([]*string{nil, new("b"), new("")}), `{NULL,b,""}`},
		{"json", jsonArray([]string{`{"a": [1]}`}), `{"{\"a\": [1]}"}`},
		{"bytea", byteaArray([][]byte{{0, 255}, nil, {}}), `{"\\x00ff",NULL,"\\x"}`},
		{"bigint", bigintArray([]int64{-1, 0, 1 << 62}), "{-1,0,4611686018427387904}"},
		{"boolean", booleanArray([]bool{true, false}), "{t,f}"},
		{"timestamptz", timeArray([]time.Time{time.Date(1999, 12, 31, 23, 59, 59, 999_999_000, time.UTC), time.Date(2026, 11, 21, 1, 0, 0, 1000, time.FixedZone("", 3600))}),
			`{"1999-12-31 23:59:59.999999+00","2026-11-21 00:00:00.000001+00"}`},
	} {
		var got string
		if err := pool.Get(&got, "SELECT $1::"+test.kind+"[]::text FROM set_config('TimeZone', 'UTC', false)", test.array); err != nil || got != test.want {
			t.Errorf("%s: %s, %v, want %s", test.kind, got, err, test.want)
		}
	}
}

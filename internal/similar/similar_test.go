package similar

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	t.Parallel()
	names := []string{"job.status", "job.state", "Payout.created", "a.b", "A.B.C", "a.b.c", strings.Repeat("a", 48) + "B", strings.Repeat("a", 49)}
	for name, want := range map[string]string{
		"job.stauts": "job.status", "job.statu": "job.status", "JOB.STATE": "job.state", "payout.creatd": "Payout.created", "job.statr": "job.state",
		strings.Repeat("a", 48) + "b": strings.Repeat("a", 48) + "B", strings.Repeat("a", 49) + "c": "",
		"job.stop": "", "a.c": "", "A.B": "a.b", "a.b.cc": "a.b.c", "A.B.CC": "A.B.C", "order.status": "", "": "",
	} {
		if got := Name(name, names, strings.ToLower); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

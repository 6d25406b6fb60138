package similar

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	t.Parallel()
	names := []string{"job.status", "job.state", "Payout.created", "a.b"}
	for name, want := range map[string]string{
		"job.stauts": "job.status", "job.statu": "job.status", "JOB.STATE": "job.state", "payout.creatd": "Payout.created", "job.statr": "job.state",
		"job.stop": "", "a.c": "", "A.B": "a.b", "order.status": "", "": "",
	} {
		if got := Name(name, names, strings.ToLower); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

package config

import (
	"slices"
	"strings"
	"testing"
)

func TestUnknown(t *testing.T) {
	t.Parallel()
	for variable, want := range map[string]string{
		"HOOKQL_ALLOW_NETWORK=10.0.0.0/8":    "HOOKQL_ALLOW_NETWORK, so it is ignored; did you mean HOOKQL_ALLOW_NETWORKS?",
		"HOOKQL_ALLOWED_NETWORKS=10.0.0.0/8": "did you mean HOOKQL_ALLOW_NETWORKS?",
		"HOOKQL_MASTERKEY=hunter2":           "did you mean HOOKQL_MASTER_KEY?",
		"HOOKQL_DATABASE_URL=hunter2":        "did you mean DATABASE_URL?",
		"hookql_addr=:80":                    "did you mean HOOKQL_ADDR?",
		"HOOKQL_PORT=8080":                   "HOOKQL_PORT, so it is ignored",
		"HOOKQL_FLY=1":                       "HOOKQL_FLY, so it is ignored",

		"HOOKQL_ADDR=:80":        "",
		"DATABASE_URL=x":         "",
		"TEST_DATABASE_URL=x":    "",
		"MY_HOOKQL_ADDR=x":       "",
		"HOOKQL_METRICS_ADDR=:9": "",
		// What Kubernetes sets for the services hookql and hookql-metrics.
		"HOOKQL_SERVICE_HOST=10.0.0.1":                    "",
		"HOOKQL_SERVICE_PORT=80":                          "",
		"HOOKQL_SERVICE_PORT_HTTP=80":                     "",
		"HOOKQL_PORT=tcp://10.0.0.1:80":                   "",
		"HOOKQL_PORT_80_TCP=tcp://10.0.0.1:80":            "",
		"HOOKQL_PORT_80_TCP_ADDR=10.0.0.1":                "",
		"HOOKQL_METRICS_SERVICE_HOST=10.0.0.1":            "",
		"HOOKQL_METRICS_PORT=tcp://10.0.0.1:9090":         "",
		"HOOKQL_METRICS_PORT_9090_TCP=tcp://10.0.0.1:909": "",
	} {
		got := Unknown([]string{"PATH=/bin", variable})
		switch {
		case want == "" && len(got) > 0:
			t.Errorf("%s: %q, want nothing", variable, got)
		case want != "" && (len(got) != 1 || !strings.HasSuffix(got[0], want)):
			t.Errorf("%s: %q, want %q", variable, got, want)
		}
		if strings.Contains(strings.Join(got, ""), "hunter2") {
			t.Errorf("%s: the value is shown: %q", variable, got)
		}
	}
	if got := Unknown([]string{"HOOKQL_B=1", "HOOKQL_A=1"}); len(got) != 2 || !slices.IsSorted(got) {
		t.Errorf("two: %q", got)
	}
}

package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

const goodKey = "0123456789abcdef0123456789abcdef"

// parse reads a command line and an environment, both split at spaces.
func parse(args, env string) (Config, error) {
	vars := make(map[string]string)
	for _, pair := range strings.Fields(env) {
		name, text, _ := strings.Cut(pair, "=")
		vars[name] = text
	}
	return Parse(strings.Fields(args), func(name string) string { return vars[name] })
}

func TestParse(t *testing.T) {
	t.Parallel()
	const local = "127.0.0.1:8080"
	const remote = "postgres://u:p@db/hookql"
	for name, tt := range map[string]struct {
		args, env string
		want      Config
	}{
		"nothing given": {
			want: Config{Addr: local, Dev: true},
		},
		"everything by environment": {
			env: "HOOKQL_ADDR=:80 HOOKQL_DATA_DIR=/d DATABASE_URL=" + remote + " HOOKQL_DEV=0 " +
				"HOOKQL_ALLOWED_ORIGINS=https://a.example,http://localhost:3000 HOOKQL_ALLOW_NETWORKS=10.0.0.0/8,fd00::1,192.0.2.7 " +
				"HOOKQL_ALLOW_PORTS=22,6666 HOOKQL_HIDE_SCHEMA=true HOOKQL_UNIQUE_URLS=true HOOKQL_ALLOW_HTTP=true HOOKQL_POSTGRES_BIN=/b " +
				"HOOKQL_LEASE_MARGIN=2m HOOKQL_SUSPEND_AFTER=36h HOOKQL_RETENTION=90d HOOKQL_BODY_RETENTION=36h HOOKQL_METRICS_ADDR=10.0.0.1:9090 HOOKQL_OPERATOR_KEY=" + goodKey,
			want: Config{
				Addr: ":80", DataDir: "/d", DatabaseURL: remote, AllowHTTP: true, OperatorKey: goodKey, PostgresBin: "/b",
				Retention: 90 * 24 * time.Hour, BodyRetention: 36 * time.Hour, MetricsAddr: "10.0.0.1:9090", LeaseMargin: 2 * time.Minute, SuspendAfter: 36 * time.Hour, HideSchema: true, UniqueURLs: true, AllowPorts: []uint16{22, 6666},
				AllowedOrigins: []string{"https://a.example", "http://localhost:3000"},
				AllowNetworks: []netip.Prefix{
					netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::1/128"), netip.MustParsePrefix("192.0.2.7/32"),
				},
			},
		},
		"everything by flag": {
			args: "-addr [::1]:0 -data-dir /d -database-url " + remote + " -dev -allowed-origins https://a.example, " +
				"-allow-networks 10.0.0.0/8 -allow-http -postgres-bin=/b --operator-key=" + goodKey,
			want: Config{
				Addr: "[::1]:0", DataDir: "/d", DatabaseURL: remote, Dev: true, AllowHTTP: true, OperatorKey: goodKey, PostgresBin: "/b",
				AllowedOrigins: []string{"https://a.example"},
				AllowNetworks:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			},
		},
		"a flag wins":                     {args: "-addr :81", env: "HOOKQL_ADDR=:82", want: Config{Addr: ":81"}},
		"a flag takes a choice back":      {args: "-database-url=", env: "DATABASE_URL=" + remote, want: Config{Addr: local, Dev: true}},
		"empty is the default":            {env: "HOOKQL_ADDR= HOOKQL_DEV= HOOKQL_OPERATOR_KEY=", want: Config{Addr: local, Dev: true}},
		"development by name":             {env: "HOOKQL_ADDR=LocalHost:9", want: Config{Addr: "LocalHost:9", Dev: true}},
		"development on 127/8":            {env: "HOOKQL_ADDR=127.9.9.9:9", want: Config{Addr: "127.9.9.9:9", Dev: true}},
		"development on mapped loopback":  {env: "HOOKQL_ADDR=[::ffff:127.0.0.1]:9", want: Config{Addr: "[::ffff:127.0.0.1]:9", Dev: true}},
		"no development on all addresses": {env: "HOOKQL_ADDR=:9", want: Config{Addr: ":9"}},
		"no development on 0.0.0.0":       {env: "HOOKQL_ADDR=0.0.0.0:9", want: Config{Addr: "0.0.0.0:9"}},
		"no development on a name":        {env: "HOOKQL_ADDR=localhost.example:9", want: Config{Addr: "localhost.example:9"}},
		"no development with a database":  {env: "DATABASE_URL=" + remote, want: Config{Addr: local, DatabaseURL: remote}},
		"development switched off":        {args: "-dev=false", want: Config{Addr: local}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(tt.args, tt.env)
			if err != nil {
				t.Fatal(err)
			}
			got.sources = nil
			if tt.want.SuspendAfter == 0 {
				tt.want.SuspendAfter = 5 * 24 * time.Hour
			}
			if tt.want.Retention == 0 {
				tt.want.Retention = 30 * 24 * time.Hour
			}
			if !reflect.DeepEqual(got, tt.want) {
				// Not %v: a Config prints without its secrets.
				t.Errorf("got\n%s%q\nwant\n%s%q", got, got.DatabaseURL, tt.want, tt.want.DatabaseURL)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args, env string
		want      string // must be in the message
	}{
		{env: "HOOKQL_ADDR=8080", want: `HOOKQL_ADDR="8080": write host:port`},
		{args: "-addr ::1:80", want: `-addr="::1:80": write host:port`},
		{env: "HOOKQL_ADDR=localhost:http", want: "number from 0 to 65535"},
		{env: "HOOKQL_ADDR=localhost:65536", want: "number from 0 to 65535"},
		{env: "HOOKQL_ADDR=localhost:", want: "number from 0 to 65535"},
		{env: "HOOKQL_DEV=yes", want: `HOOKQL_DEV="yes": write true or false`},
		{args: "-allow-http=2", want: `-allow-http="2": write true or false`},
		{env: "HOOKQL_DEV=true HOOKQL_ADDR=:80", want: `HOOKQL_DEV: development mode asks for no key, so it runs on a loopback address only, and HOOKQL_ADDR is ":80"`},
		{args: "-dev -addr 192.0.2.1:80", want: `and -addr is "192.0.2.1:80"; listen on 127.0.0.1, or`},
		{env: "HOOKQL_ALLOWED_ORIGINS=*", want: `"*" is no origin`},
		{env: "HOOKQL_ALLOWED_ORIGINS=null", want: `"null" is no origin`},
		{env: "HOOKQL_ALLOWED_ORIGINS=app.example.com", want: "is no origin"},
		{env: "HOOKQL_ALLOWED_ORIGINS=localhost:3000", want: "is no origin"},
		{env: "HOOKQL_ALLOWED_ORIGINS=ftp://a.example", want: "is no origin"},
		{env: "HOOKQL_ALLOWED_ORIGINS=https://", want: "is no origin"},
		{env: "HOOKQL_ALLOWED_ORIGINS=https://*.example.com", want: "is no origin"},
		{env: "HOOKQL_ALLOWED_ORIGINS=https://bücher.example", want: "is no origin"},
		{env: "HOOKQL_ALLOWED_ORIGINS=https://a.example/", want: "write https://a.example"},
		{env: "HOOKQL_ALLOWED_ORIGINS=https://u:p@A.example:443/path?q#f", want: "write https://a.example"},
		{env: "HOOKQL_ALLOWED_ORIGINS=http://a.example:80", want: "write http://a.example"},
		{env: "HOOKQL_ALLOW_PORTS=22,https", want: `"https" is no port`},
		{env: "HOOKQL_ALLOW_PORTS=65536", want: "from 1 to 65535"},
		{env: "HOOKQL_HIDE_SCHEMA=perhaps", want: "HOOKQL_HIDE_SCHEMA"},
		{env: "HOOKQL_LEASE_MARGIN=1s", want: `HOOKQL_LEASE_MARGIN="1s": write a time from 2s to 10m`},
		{env: "HOOKQL_LEASE_MARGIN=15", want: "write a time from 2s to 10m, such as 15s"},
		{env: "HOOKQL_ALLOW_NETWORKS=intranet", want: `"intranet" is no network`},
		{env: "HOOKQL_ALLOW_NETWORKS=10.0.0.0/33", want: "is no network"},
		{env: "HOOKQL_ALLOW_NETWORKS=fe80::1%eth0", want: "is no network"},
		{env: "HOOKQL_ALLOW_NETWORKS=10.0.0.1/8", want: "write 10.0.0.0/8 for the network, or 10.0.0.1 for the one address"},
		{env: "HOOKQL_ALLOW_NETWORKS=::ffff:10.0.0.0/104", want: "write 10.0.0.0/8"},
		{env: "HOOKQL_ALLOW_NETWORKS=::ffff:10.0.0.1", want: "write 10.0.0.1/32"},
		{env: "HOOKQL_RETENTION=30", want: `HOOKQL_RETENTION="30": write a number of days or hours, such as 30d or 36h`},
		{env: "HOOKQL_RETENTION=d", want: "such as 30d"},
		{env: "HOOKQL_RETENTION=-3d", want: "such as 30d"},
		{env: "HOOKQL_RETENTION=1.5d", want: "such as 30d"},
		{env: "HOOKQL_RETENTION=23h", want: "at least 1d and at most 3650d"},
		{env: "HOOKQL_RETENTION=4000000000d", want: "at most 3650d"},
		{args: "-body-retention=0h", want: "at least 1h"},
		{args: "-colour red", want: "-colour; -h lists the options"},
		{args: "-addr", want: "flag needs an argument: -addr"},
		{args: "-dev false", want: `unexpected argument "false"; write options as -name=value`},
	} {
		_, err := parse(tt.args, tt.env)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: got error %v, want %q in it", tt.env, tt.args, err, tt.want)
		}
	}
}

func TestMistakesAreToldTogether(t *testing.T) {
	t.Parallel()
	_, err := parse("-allow-http=x -dev", "HOOKQL_ADDR=:1 HOOKQL_ALLOW_NETWORKS=a,10.0.0.0/8,b HOOKQL_OPERATOR_KEY=short")
	if err == nil {
		t.Fatal("got no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 4 || !strings.Contains(lines[0], `"a" is no network`) || !strings.Contains(lines[0], `"b" is no network`) {
		t.Errorf("got\n%v\nwant a line each on networks, http, the key and development mode", err)
	}
}

func TestSecretsStayOutOfMistakes(t *testing.T) {
	t.Parallel()
	for env, want := range map[string]string{
		"HOOKQL_OPERATOR_KEY=hunter2":                         "too short to be safe with 7 characters",
		"HOOKQL_OPERATOR_KEY=hunter2hunter2hunter2hunter2hü2": "printable ASCII",
		"DATABASE_URL=host=db password=hunter2":               "write postgres://",
		"DATABASE_URL=mysql://u:hunter2@db":                   "write postgres://",
		"DATABASE_URL=postgres://u:hunter2%@db":               "write @ as %40",
		"DATABASE_URL=postgres://u:hunter2/x@db":              "write @ as %40",
		"DATABASE_URL=postgres://u:5432/hunter2@db":           "write @ as %40",
		"DATABASE_URL=postgres://u:5432#hunter2@db":           "write @ as %40",
		"DATABASE_URL=postgres://u:5432?hunter2@db":           "write @ as %40",
		"DATABASE_URL=postgres://u:x@hunter2/y@db":            "write @ as %40",
	} {
		name, text, _ := strings.Cut(env, "=")
		_, err := Parse(nil, func(n string) string {
			if n == name {
				return text
			}
			return ""
		})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got error %v, want %q in it and no secret", env, err, want)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"-h", "-help", "--help"} {
		if _, err := parse(args, ""); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("Parse(%s): got error %v, want flag.ErrHelp", args, err)
		}
	}
	for _, want := range []string{
		"  -data-dir, HOOKQL_DATA_DIR\n", "  -database-url, DATABASE_URL\n", "(default: 127.0.0.1:8080)\n", "(default: none)\n",
	} {
		if !strings.Contains(Usage(), want) {
			t.Errorf("Usage() has no %q:\n%s", want, Usage())
		}
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	c, err := parse("-addr=:80", "DATABASE_URL=postgres://u:hunter2@db:5432/x?sslmode=require&password=hunter2 HOOKQL_ALLOW_NETWORKS=10.0.0.1 HOOKQL_OPERATOR_KEY="+goodKey)
	if err != nil {
		t.Fatal(err)
	}
	const want = `
HOOKQL_ADDR             :80                                      flag
HOOKQL_DATA_DIR         (./data, as root /var/lib/hookql)        default
DATABASE_URL            postgres://u@db:5432/x                   environment
HOOKQL_DEV              false                                    default
HOOKQL_ALLOWED_ORIGINS  (none)                                   default
HOOKQL_ALLOW_NETWORKS   10.0.0.1/32                              environment
HOOKQL_ALLOW_PORTS      (none)                                   default
HOOKQL_ALLOW_HTTP       false                                    default
HOOKQL_UNIQUE_URLS      false                                    default
HOOKQL_HIDE_SCHEMA      false                                    default
HOOKQL_OPERATOR_KEY     set                                      environment
HOOKQL_MASTER_KEY       (made in the data directory)             default
HOOKQL_TRUSTED_PROXIES  (none)                                   default
HOOKQL_LEASE_MARGIN     (15s)                                    default
HOOKQL_SUSPEND_AFTER    5d                                       default
HOOKQL_RETENTION        30d                                      default
HOOKQL_BODY_RETENTION   (as long as the rest)                    default
HOOKQL_METRICS_ADDR     (none)                                   default
HOOKQL_POSTGRES_BIN     (looked for where systems install them)  default
`
	if got := "\n" + c.String(); got != want {
		t.Errorf("got%s\nwant%s", got, want)
	}
}

func TestConfigKeepsItsSecrets(t *testing.T) {
	t.Parallel()
	c, err := parse("", "DATABASE_URL=postgres://u:hunter2@db/x?sslpassword=hunter2 HOOKQL_OPERATOR_KEY="+goodKey)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb, c, &c)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("start", "config", c)
	slog.New(slog.NewTextHandler(&out, nil)).Info("start", "config", &c)
	if err := json.NewEncoder(&out).Encode(map[string]any{"config": c}); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", goodKey} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is in the output:\n%s", secret, out.String())
		}
	}
}

package config

import (
	"flag"
	"fmt"
	"strings"
	"time"
)

// option is one row of the table.
type option struct {
	// name is that of the environment variable; the flag's follows from it.
	name string
	// initial is the default, as a user would write it.
	initial string
	// unset says in words what holds where initial is empty.
	unset string
	doc   string
	// secret keeps the text out of error messages.
	secret bool
	// value is the option's place in a Config: Set reads a text into it,
	// String shows what is in it without giving a secret away.
	value func(*Config) flag.Value
}

// The options that development mode depends on.
const (
	addrName = "HOOKQL_ADDR"
	devName  = "HOOKQL_DEV"
)

// options is the table. A new row's empty text must mean what programs
// without the row did, so that an old deployment runs a new binary.
func options() []option {
	return []option{
		{
			name:    addrName,
			initial: "127.0.0.1:8080",
			doc:     "Address to listen on as host:port; an empty host is every interface, port 0 any free port.",
			value:   func(c *Config) flag.Value { return (*address)(&c.Addr) },
		},
		{
			name:  "HOOKQL_DATA_DIR",
			unset: "./data, as root /var/lib/hookql",
			doc:   "Directory of the private PostgreSQL.",
			value: func(c *Config) flag.Value { return (*text)(&c.DataDir) },
		},
		{
			name:   "DATABASE_URL",
			unset:  "the private PostgreSQL",
			doc:    "PostgreSQL to use, as postgres://user:password@host:5432/database.",
			secret: true,
			value:  func(c *Config) flag.Value { return (*databaseURL)(&c.DatabaseURL) },
		},
		{
			name:  devName,
			unset: "true with the private PostgreSQL on a loopback address, else false",
			doc:   "Development mode: requests need no key, and webhooks may call this machine and use http.",
			value: func(c *Config) flag.Value { return (*toggle)(&c.Dev) },
		},
		{
			name:  "HOOKQL_ALLOWED_ORIGINS",
			unset: "none",
			doc:   "Origins of web pages that may use the API, comma separated, each as scheme://host[:port].",
			value: func(c *Config) flag.Value { return (*origins)(&c.AllowedOrigins) },
		},
		{
			name:  "HOOKQL_ALLOW_NETWORKS",
			unset: "none",
			doc:   "Networks that may be sent to besides public addresses, comma separated, such as 10.1.0.0/16.",
			value: func(c *Config) flag.Value { return (*networks)(&c.AllowNetworks) },
		},
		{
			name:  "HOOKQL_ALLOW_PORTS",
			unset: "none",
			doc:   "Ports that may be sent to although they belong to another protocol than HTTP (docs/security.md lists them), comma separated.",
			value: func(c *Config) flag.Value { return (*ports)(&c.AllowPorts) },
		},
		{
			name:    "HOOKQL_ALLOW_HTTP",
			initial: "false",
			doc:     "Let webhooks have http URLs, whose requests anybody on the way can read.",
			value:   func(c *Config) flag.Value { return (*toggle)(&c.AllowHTTP) },
		},
		{
			name:    "HOOKQL_UNIQUE_URLS",
			initial: "false",
			doc:     "Refuse a second webhook with the same URL, letter by letter, in a workspace; those that are there already stay.",
			value:   func(c *Config) flag.Value { return (*toggle)(&c.UniqueURLs) },
		},
		{
			name:    "HOOKQL_HIDE_SCHEMA",
			initial: "false",
			doc:     "Refuse introspection, which GraphiQL and code generators need, and name no fields in errors about others.",
			value:   func(c *Config) flag.Value { return (*toggle)(&c.HideSchema) },
		},
		{
			name:   "HOOKQL_OPERATOR_KEY",
			unset:  "made and printed at the first start",
			doc:    "Key that opens the API outside development mode, at least 32 characters.",
			secret: true,
			value:  func(c *Config) flag.Value { return (*key)(&c.OperatorKey) },
		},
		{
			name:   "HOOKQL_MASTER_KEY",
			unset:  "made in the data directory",
			doc:    "Key that seals the secrets in the database: the base64 of 32 random bytes. It must be set with DATABASE_URL outside development mode. While it is replaced: the new one, a comma, the old one.",
			secret: true,
			value:  func(c *Config) flag.Value { return (*masterKeys)(&c.MasterKeys) },
		},
		{
			name:  "HOOKQL_TRUSTED_PROXIES",
			unset: "none",
			doc:   "Networks of the proxies in front, whose X-Forwarded-For says where a request comes from, to count wrong keys and waiting sockets by address, comma separated.",
			value: func(c *Config) flag.Value { return (*networks)(&c.TrustedProxies) },
		},
		{
			name:  "HOOKQL_LEASE_MARGIN",
			unset: "15s",
			doc:   "How much longer than an attempt may take a process keeps a delivery to itself, 2s to 10m. A process that stands still for longer is overtaken. For tests; the default is right.",
			value: func(c *Config) flag.Value { return (*margin)(&c.LeaseMargin) },
		},
		{
			name:    "HOOKQL_SUSPEND_AFTER",
			initial: "5d",
			doc:     "For how long every attempt at a webhook must have failed before it is suspended, in days (5d) or hours (36h), at least 1h.",
			value:   func(c *Config) flag.Value { return span{&c.SuspendAfter, time.Hour} },
		},
		{
			name:    "HOOKQL_RETENTION",
			initial: "30d",
			doc:     "How long events, deliveries, attempts and test runs are kept, in days (30d) or hours (36h), at least 1d. They are removed by the day, so what is older than a day more is gone.",
			value:   func(c *Config) flag.Value { return span{&c.Retention, 24 * time.Hour} },
		},
		{
			name:  "HOOKQL_BODY_RETENTION",
			unset: "as long as the rest",
			doc:   "How long the data of events and the bodies of receivers' answers are kept, where that is shorter, at least 1h. An event's data stay until all its deliveries are finished.",
			value: func(c *Config) flag.Value { return span{&c.BodyRetention, time.Hour} },
		},
		{
			name:  "HOOKQL_METRICS_ADDR",
			unset: "none",
			doc:   "Address for /metrics alone, as host:port. It asks for no key, so let it be one that only your own machines can reach. In development mode /metrics is at HOOKQL_ADDR as well.",
			value: func(c *Config) flag.Value { return (*address)(&c.MetricsAddr) },
		},
		{
			name:  "HOOKQL_POSTGRES_BIN",
			unset: "looked for where systems install them",
			doc:   "Directory of the programs initdb and postgres, which the private PostgreSQL runs.",
			value: func(c *Config) flag.Value { return (*text)(&c.PostgresBin) },
		},
	}
}

// flag is the name of the option's flag: HOOKQL_DATA_DIR is -data-dir.
func (o option) flag() string {
	name := strings.ToLower(strings.TrimPrefix(o.name, "HOOKQL_"))
	return strings.ReplaceAll(name, "_", "-")
}

// isSwitch says whether the flag may stand without a value.
func (o option) isSwitch() bool {
	_, ok := o.value(new(Config)).(*toggle)
	return ok
}

// fallback says what holds where nobody sets the option.
func (o option) fallback() string {
	if o.initial != "" {
		return o.initial
	}
	return o.unset
}

// lookUp finds the option's text and who gave it.
func (o option) lookUp(flags map[string]string, getenv func(string) string) (string, source) {
	text, given := flags[o.flag()]
	from := fromFlag
	if !given {
		text, from = getenv(o.name), fromEnvironment
	}
	if text == "" {
		return o.initial, fromDefault
	}
	return text, from
}

// mistake puts an error of Set into the words of the user.
func (o option) mistake(text string, from source, err error) error {
	if o.secret {
		return fmt.Errorf("%s: %w", spelling(o.name, from), err)
	}
	return fmt.Errorf("%s=%q: %w", spelling(o.name, from), text, err)
}

// source is who gave an option its text.
type source string

// The sources, the strongest first.
const (
	fromFlag        source = "flag"
	fromEnvironment source = "environment"
	fromDefault     source = "default"
)

// spelling is an option's name as the user wrote it.
func spelling(name string, from source) string {
	if from == fromFlag {
		return "-" + option{name: name}.flag()
	}
	return name
}

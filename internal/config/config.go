// Package config reads HookQL's options from flags and the environment. One
// table (option.go) says what they are; the program's help, `hookql config`
// and docs/configuration.md all come from it.
package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/hookql/hookql/internal/seal"
)

// ExitCode is what the program ends with when its configuration must be
// mended before it can run: EX_CONFIG of sysexits.h.
const ExitCode = 78

// Config is what the operator chose, checked. It prints and logs without its
// secrets, which are plain strings once taken out.
type Config struct {
	// Addr is the host:port to listen on; an empty host is every interface.
	Addr string
	// DataDir is the directory of the private PostgreSQL, "" for the launcher's choice.
	DataDir string
	// DatabaseURL is the PostgreSQL to use, "" for the private one.
	DatabaseURL string
	// Dev is development mode: requests need no key.
	Dev bool
	// AllowedOrigins are the web pages that may use the API, as browsers
	// write their origins.
	AllowedOrigins []string
	// AllowNetworks may be sent to besides public addresses.
	AllowNetworks []netip.Prefix
	// AllowPorts may be sent to although they belong to other protocols.
	AllowPorts []uint16
	// AllowHTTP lets webhooks have http URLs.
	AllowHTTP bool
	// UniqueURLs lets a workspace have one webhook per URL.
	UniqueURLs bool
	// HideSchema refuses introspection.
	HideSchema bool
	// TrustedProxies are believed when they say for whom they ask.
	TrustedProxies []netip.Prefix
	// MasterKeys seal the secrets in the database, none for the one in DataDir.
	// The first seals, all open.
	MasterKeys []seal.Key
	// OperatorKey opens the API, "" for the one that was made at the first start.
	OperatorKey string
	// LeaseMargin is how much longer a process has a delivery in hand than an
	// attempt may take, zero for the engine's choice.
	LeaseMargin time.Duration
	// SuspendAfter is for how long a webhook may fail.
	SuspendAfter time.Duration
	// Retention is how long events and what became of them are kept.
	Retention time.Duration
	// BodyRetention is how long their data and the bodies of answers are kept,
	// 0 for as long as the rest.
	BodyRetention time.Duration
	// MetricsAddr is the host:port of the metrics, "" for none of their own.
	MetricsAddr string
	// PostgresBin is the directory of initdb and postgres, "" to look for them.
	PostgresBin string

	sources map[string]source // by the name of the option
}

// Parse reads the options from the arguments that follow the verb, then from
// the environment, then from the defaults. An empty text stands for the
// default. The error has one line for each mistake; it is flag.ErrHelp where
// help was asked for.
func Parse(args []string, getenv func(string) string) (Config, error) {
	flags, err := parseFlags(args)
	if err != nil {
		return Config{}, err
	}
	c := Config{sources: make(map[string]source)}
	var mistakes []error
	for _, o := range options() {
		text, from := o.lookUp(flags, getenv)
		c.sources[o.name] = from
		if text == "" {
			continue
		}
		if err := o.value(&c).Set(text); err != nil {
			mistakes = append(mistakes, o.mistake(text, from, err))
		}
	}
	if err := c.decideDev(); err != nil {
		mistakes = append(mistakes, err)
	}
	if len(mistakes) > 0 {
		return Config{}, errors.Join(mistakes...)
	}
	return c, nil
}

// parseFlags returns the text of each flag given, by its name. It does not
// read the texts, so that Parse finds all mistakes and not just the first.
func parseFlags(args []string) (map[string]string, error) {
	texts := make(map[string]string)
	flags := flag.NewFlagSet("hookql", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, o := range options() {
		keep := func(text string) error {
			texts[o.flag()] = text
			return nil
		}
		if o.isSwitch() {
			flags.BoolFunc(o.flag(), o.doc, keep)
		} else {
			flags.Func(o.flag(), o.doc, keep)
		}
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w; -h lists the options", err)
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q; write options as -name=value, -h lists them", flags.Arg(0))
	}
	return texts, nil
}

// decideDev turns development mode on where it is safe and nobody chose, and
// refuses it where it would open the API to the network.
func (c *Config) decideDev() error {
	if c.Addr == "" {
		return nil // it was mistaken; more cannot be said
	}
	local := isLoopback(c.Addr)
	if c.sources[devName] == fromDefault {
		c.Dev = c.DatabaseURL == "" && local
		return nil
	}
	if c.Dev && !local {
		addr := spelling(addrName, c.sources[addrName])
		return fmt.Errorf("%s: development mode asks for no key, so it runs on a loopback address only, and %s is %q; "+
			"listen on 127.0.0.1, or leave development mode off and use a key",
			spelling(devName, c.sources[devName]), addr, c.Addr)
	}
	return nil
}

// isLoopback says whether only this machine can reach a host:port.
func isLoopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr) // "" where it is not host:port: not loopback
	ip, _ := netip.ParseAddr(host)        // zero where it is a name: not loopback
	return strings.EqualFold(host, "localhost") || ip.Unmap().IsLoopback()
}

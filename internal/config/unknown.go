package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hookql/hookql/internal/similar"
)

// prefix begins the names of all variables that are HookQL's alone.
const prefix = "HOOKQL_"

// injected are the variables that Kubernetes sets for services whose names begin
// with "hookql", which nobody wrote.
var injected = regexp.MustCompile(`^\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=|^\w+_PORT=\w+://`)

// Unknown has a sentence for each variable of an environment (NAME=VALUE) that
// looks as if it were an option and is none, and so is ignored. That is no
// mistake that keeps a program from starting: others may set it for themselves.
func Unknown(environ []string) (warnings []string) {
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(strings.ToUpper(name), prefix) || isOption(name) || injected.MatchString(variable) {
			continue
		}
		warning := fmt.Sprintf("warning: there is no option %s, so it is ignored", name)
		if meant := similarOption(name); meant != "" {
			warning += "; did you mean " + meant + "?"
		}
		warnings = append(warnings, warning)
	}
	slices.Sort(warnings)
	return warnings
}

func isOption(name string) bool {
	return slices.ContainsFunc(options(), func(o option) bool { return o.name == name })
}

// similarOption is the option that was meant by a name; "" where none is similar.
func similarOption(name string) string {
	var names []string
	for _, o := range options() {
		names = append(names, o.name)
	}
	return similar.Name(name, names, func(name string) string { return strings.TrimPrefix(strings.ToUpper(name), prefix) })
}

//go:build unix

package embedded

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
)

// logLinePrefix puts the kind of process first, such as "client backend".
const logLinePrefix = "%b: "

var logLine = regexp.MustCompile(`^(?:(.*?): )?(DEBUG|INFO|LOG|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|CONTEXT|QUERY|STATEMENT):  (.*)$`)

const clientBackend = "client backend"

// serverLog returns a function that logs the lines of PostgreSQL's log, in their
// order, at a level that fits:
//
//	PANIC; ERROR and FATAL outside of client sessions      error
//	WARNING; a process killed                              warn
//	the rest                                               debug
//
// What fails in a client's session the client is told. Only the message of that
// is logged: DETAIL, CONTEXT and STATEMENT may hold whole rows of customers.
func serverLog(log *slog.Logger) func(line string) {
	level, hidden := slog.LevelDebug, false
	return func(line string) {
		process, severity, text := "", "", strings.TrimSpace(line)
		// A line without severity continues the one before.
		if m := logLine.FindStringSubmatch(line); m != nil {
			process, severity, text = m[1], m[2], m[3]
			switch severity {
			case "DETAIL", "HINT", "CONTEXT", "QUERY", "STATEMENT":
				hidden = process == clientBackend // and at the level of what they explain
			default:
				level, hidden = logLevel(process, severity, text), false
			}
		}
		if !hidden && text != "" {
			log.Log(context.Background(), level, "postgres", "process", process, "severity", severity, "text", text)
		}
	}
}

func logLevel(process, severity, text string) slog.Level {
	switch severity {
	case "PANIC":
		return slog.LevelError
	case "ERROR", "FATAL":
		if process == clientBackend {
			return slog.LevelDebug
		}
		return slog.LevelError
	case "WARNING":
		return slog.LevelWarn
	case "LOG":
		if strings.Contains(text, "was terminated by signal") {
			return slog.LevelWarn
		}
	}
	return slog.LevelDebug
}

package graphqlhttp

import "regexp"

// values are gqlparser's messages that say back a value of the document or of a
// variable: a secret may stand where it does not fit. Names are said back.
var values = []struct {
	pattern *regexp.Regexp
	plain   string
}{
	{regexp.MustCompile(`(?s)^([^:]+ cannot represent [^:]*value): .*?( Did you mean the enum value [^?]*\?)?$`), "$1.$2"},
	{regexp.MustCompile(`(?s)^(Expected value of type "[^"]*"), found .*$`), "$1."},
	{regexp.MustCompile(`(?s)^Value ".*" does not exist in ("[^"]*" enum\..*)$`), "Value does not exist in $1"},
	{regexp.MustCompile(`(?s)^.* is not a valid (\w+)$`), "not a valid $1"},
	{regexp.MustCompile(`(?s)^((?:Unexpected|Expected .*, found) (?:String|BlockString|Int|Float)) ".*"$`), "$1"},
	{regexp.MustCompile(`(?s)^(Invalid character escape sequence).*$`), "$1."},
}

// withoutValue is a message of gqlparser without the value that it says back.
// Where that is, the error's location or path tells.
func withoutValue(message string) string {
	for _, v := range values {
		if v.pattern.MatchString(message) {
			return v.pattern.ReplaceAllString(message, v.plain)
		}
	}
	return message
}

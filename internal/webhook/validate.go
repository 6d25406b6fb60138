package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"net/textproto"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"
)

// MaxEvents is how many event types and patterns a webhook names at most; the
// tag of Webhook.Events says the same.
const MaxEvents = 100

// MaxMetadata is the largest metadata object, in bytes of its JSON.
const MaxMetadata = 16 << 10

// maxResourceID is how many characters the id of a resource has at most.
const maxResourceID = 128

// Validate finds every mistake in w, but for those that only the catalogue
// (unknown event types), the other webhooks (a uid that is taken) or the
// network's rules (the URL) can tell.
func (w *Webhook) Validate() Errors {
	errs := tagErrors(w)
	seen := make(map[string]bool, len(w.Headers))
	for i, h := range w.Headers {
		name := strings.ToLower(h.Name)
		if seen[name] {
			errs = append(errs, NewError(Invalid,
				fmt.Sprintf("The header %q is given twice. Give each name once, whatever its case.", h.Name),
				"headers", strconv.Itoa(i), "name"))
		}
		seen[name] = true
	}
	if w.Method == MethodGet && w.PayloadFormat != FormatData {
		errs = append(errs, NewError(Invalid,
			"A GET webhook carries the event's data as query parameters, so its format can only be `DATA`. Leave `payloadFormat` out, or choose the method `POST`.",
			"payloadFormat"))
	}
	if mistake := w.Signing.CheckSecret(w.Secret); mistake != nil {
		errs = append(errs, Errors{mistake}.Under("secret")...)
	}
	return errs
}

// Validate finds the mistakes of a policy by itself.
func (p *RetryPolicy) Validate() Errors { return tagErrors(p) }

// Validate finds the mistakes of an event, besides those of its type and data.
func (e *Event) Validate() Errors { return tagErrors(e) }

// CheckSecret says what is wrong with a secret for the scheme, or nil. The error
// has no field.
func (s Signing) CheckSecret(secret Secret) *Error {
	var err error
	switch s {
	case SigningNone:
		if secret == "" {
			return nil
		}
		return NewError(Invalid, "An unsigned webhook has no secret. Leave the secret out, or choose the signing `STANDARD_WEBHOOKS`.")
	case SigningEd25519:
		_, err = secret.PrivateKey()
	default:
		_, err = secret.Key()
	}
	if err == nil {
		return nil
	}
	return NewError(Invalid, "This secret cannot sign: "+err.Error()+".")
}

// ValidateEventName says what is wrong with an event type's name, or nil.
func ValidateEventName(name string) *Error {
	if eventName.MatchString(name) {
		return nil
	}
	return NewError(Invalid, "An event type's name is "+eventNameRule+".")
}

const eventNameRule = "1 to 128 letters, digits, `_`, `-` and `.`, such as `job.status`"

var (
	eventName    = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)
	eventPattern = regexp.MustCompile(`^(\*|[A-Za-z0-9_.-]{1,127}\.\*)$`)
	uidPattern   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)
)

// rule is one check that a struct tag names, with its error in words.
type rule struct {
	tag   string
	check validator.Func
	code  Code
	say   func(validator.FieldError) string
}

// rules returns the rules that are ours; those of the validator library are
// put into words by say.
func rules() []rule {
	return []rule{
		uidRule("uid", WebhookPrefix),
		uidRule("workspaceuid", WorkspacePrefix),
		uidRule("eventuid", EventPrefix),
		{"text", func(f validator.FieldLevel) bool {
			return isText(f.Field().String())
		}, Invalid, func(validator.FieldError) string {
			return "Control characters other than line breaks and tabs cannot be kept. Remove them."
		}},
		{"event", func(f validator.FieldLevel) bool {
			event := f.Field().String()
			return eventName.MatchString(event) || eventPattern.MatchString(event)
		}, Invalid, func(e validator.FieldError) string {
			return eventMistake(e.Value().(string))
		}},
		{"resource", func(f validator.FieldLevel) bool {
			id := f.Field().String()
			return id != "" && utf8.RuneCountInString(id) <= maxResourceID && isText(id) && strings.TrimSpace(id) == id
		}, Invalid, func(validator.FieldError) string {
			return "A resource's id is 1 to 128 characters, none of them a control character, with no space at its ends."
		}},
		{"eventname", func(f validator.FieldLevel) bool {
			return eventName.MatchString(f.Field().String())
		}, Invalid, func(validator.FieldError) string {
			return "An event type's name is " + eventNameRule + "."
		}},
		{"link", func(f validator.FieldLevel) bool {
			return isLink(f.Field().String())
		}, InvalidURL, func(validator.FieldError) string {
			return "A link is an absolute http or https URL of at most 2,048 characters, such as `https://docs.example.com/events`."
		}},
		{"headername", func(f validator.FieldLevel) bool {
			return headerNameMistake(f.Field().String()) == ""
		}, Invalid, func(e validator.FieldError) string {
			return headerNameMistake(e.Value().(string))
		}},
		{"headervalue", func(f validator.FieldLevel) bool {
			return isHeaderValue(f.Field().String())
		}, Invalid, func(validator.FieldError) string {
			return "A header's value is printable ASCII on one line, with no space at its ends."
		}},
		{"metadata", func(f validator.FieldLevel) bool {
			raw := f.Field().Bytes()
			return len(raw) <= MaxMetadata && bytes.HasPrefix(raw, []byte("{"))
		}, Invalid, func(validator.FieldError) string {
			return "Metadata is a JSON object of at most 16 KiB, such as `{\"team\": \"payments\"}`."
		}},
	}
}

// uidRule is that of a caller's own id, which must not look like one of ours.
func uidRule(tag, prefix string) rule {
	return rule{tag, func(f validator.FieldLevel) bool {
		uid := f.Field().String()
		return uidPattern.MatchString(uid) && PrefixOf(uid) != prefix
	}, Invalid, func(validator.FieldError) string {
		message := fmt.Sprintf("A uid is 1 to 128 letters, digits, `_`, `-` and `.`, and does not begin with `%s_`.", prefix)
		if prefix != EventPrefix {
			message += " Leave it out to have a UUID."
		}
		return message
	}}
}

// validate is made once: the library caches what it learns of each struct.
var validate = sync.OnceValue(func() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string { return inputName(f.Name) })
	for _, r := range rules() {
		if err := v.RegisterValidation(r.tag, r.check); err != nil {
			panic(err) // an empty tag or a nil check: a mistake in the table above
		}
	}
	return v
})

// tagErrors checks the validate tags of a struct.
func tagErrors(s any) Errors {
	err := validate().Struct(s)
	var found validator.ValidationErrors
	if !errors.As(err, &found) {
		return nil
	}
	errs := make(Errors, len(found))
	for i, f := range found {
		code, message := say(f)
		errs[i] = NewError(code, message, inputPath(f.Namespace())...)
	}
	return errs
}

// say puts a failed rule into words.
func say(f validator.FieldError) (Code, string) {
	for _, r := range rules() {
		if r.tag == f.Tag() {
			return r.code, r.say(f)
		}
	}
	switch f.Tag() {
	case "required":
		return Required, fmt.Sprintf("`%s` must not be empty.", f.Field())
	case "min":
		if f.Kind() == reflect.Slice {
			return Required, fmt.Sprintf("`%s` needs at least %s. Name event types such as `job.status`, or `*` for all.", f.Field(), f.Param())
		}
		return Invalid, fmt.Sprintf("`%s` must be at least %s.", f.Field(), f.Param())
	case "max":
		switch f.Kind() {
		case reflect.Slice:
			return TooLong, fmt.Sprintf("`%s` takes at most %s items.", f.Field(), f.Param())
		case reflect.String:
			return TooLong, fmt.Sprintf("`%s` takes at most %s characters.", f.Field(), f.Param())
		}
		return Invalid, fmt.Sprintf("`%s` must be at most %s.", f.Field(), f.Param())
	}
	return Invalid, fmt.Sprintf("`%s` breaks the rule %q.", f.Field(), f.Tag())
}

// eventMistake says what is wrong with one entry of a webhook's events.
func eventMistake(event string) string {
	if names := strings.FieldsFunc(event, isSeparator); len(names) > 1 {
		return fmt.Sprintf("%q holds several names in one text. Give each as an item of its own: %s.", event, quoteList(names))
	}
	if strings.Contains(event, "*") {
		return "`*` stands alone for all event types, or after a dot for all that begin so, such as `job.*`."
	}
	return "An event type's name is " + eventNameRule + "."
}

func quoteList(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = strconv.Quote(name)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func isSeparator(r rune) bool { return r == ',' || r == ';' || unicode.IsSpace(r) }

// headerNameMistake says what is wrong with the name of an extra header, or "".
func headerNameMistake(name string) string {
	switch lower := strings.ToLower(name); {
	case !isToken(name):
		return "A header's name is 1 to 128 ASCII letters, digits and `-`, `_`, `.`, such as `X-Api-Key`."
	case reservedHeaders[lower], slices.ContainsFunc(reservedPrefixes, func(p string) bool { return strings.HasPrefix(lower, p) }):
		return fmt.Sprintf("The header %q is set by HookQL or belongs to the connection. Choose another name.", textproto.CanonicalMIMEHeaderKey(name))
	}
	return ""
}

// reservedHeaders are those that the request sets itself, and those that
// change how a message is framed or who reads it (RFC 9110 §7.6.1, RFC 9112).
var reservedHeaders = map[string]bool{
	"accept-encoding": true, "connection": true, "content-encoding": true, "content-length": true,
	"content-type": true, "date": true, "expect": true, "host": true, "http2-settings": true,
	"keep-alive": true, "te": true, "trailer": true, "transfer-encoding": true, "upgrade": true,
	"user-agent": true, "forwarded": true, "via": true, "x-real-ip": true,
}

// reservedPrefixes begin the names that are ours, and those by which proxies
// speak to servers.
var reservedPrefixes = []string{"webhook-", "hookql-", "proxy-", "x-forwarded-"}

func isToken(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func isHeaderValue(s string) bool {
	for i := range len(s) {
		if (s[i] < ' ' || s[i] > '~') && s[i] != '\t' {
			return false
		}
	}
	return strings.Trim(s, " \t") == s
}

func isLink(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= 2048 && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

func isText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' {
			return false
		}
	}
	return true
}

// inputName turns a Go field's name into the schema's: TimeoutMs to timeoutMs,
// URL to url, ResourceIDs to resourceIds.
func inputName(field string) string {
	if strings.ToUpper(field) == field {
		return strings.ToLower(field)
	}
	field = strings.Replace(field, "ID", "Id", 1)
	return strings.ToLower(field[:1]) + field[1:]
}

// inputPath turns "Webhook.headers[0].name" into headers, 0, name.
func inputPath(namespace string) []string {
	_, path, _ := strings.Cut(namespace, ".")
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}

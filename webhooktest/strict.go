package webhooktest

import (
	"encoding/json"
	"net/http"
)

// Strict is an Answer function: that of a receiver as it should be. It refuses
// what does not verify with 401, and with 400, 405 and 413 what it cannot use;
// whatever else comes is answered 200, once or again.
func Strict(r Request) Answer {
	switch {
	case r.Method != http.MethodPost && r.Method != http.MethodGet:
		return refuse(http.StatusMethodNotAllowed, "only POST and GET are taken")
	case r.Truncated:
		return refuse(http.StatusRequestEntityTooLarge, "the body is too large")
	case r.Signature.Verdict != Valid:
		return refuse(http.StatusUnauthorized, r.Signature.Reason)
	case r.Method == http.MethodPost && !json.Valid(r.Body):
		return refuse(http.StatusBadRequest, "the body is no JSON")
	default:
		return Answer{}
	}
}

func refuse(status int, why string) Answer {
	return Answer{Status: status, Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, Body: []byte(why + "\n")}
}

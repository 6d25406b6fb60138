package graphqlhttp

import (
	"net/http"
	"strconv"
	"strings"
)

// negotiate chooses the media type of the answer by the header Accept. Without
// one it is application/json, as the specification asks. Where both are equally
// welcome, the one whose status codes say more is chosen, if it is named.
func negotiate(h http.Header) (media string, ok bool) {
	offers := strings.Join(h.Values("Accept"), ",")
	if strings.TrimSpace(offers) == "" {
		return mediaJSON, true
	}
	older, newer := preference{}, preference{}
	for offer := range strings.SplitSeq(offers, ",") {
		pattern, q := parseOffer(offer)
		older.weigh(mediaJSON, pattern, q)
		newer.weigh(mediaGraphQL, pattern, q)
	}
	switch {
	case newer.q > older.q, newer.q == older.q && newer.q > 0 && newer.named == exact:
		return mediaGraphQL, true
	case older.q > 0:
		return mediaJSON, true
	}
	return "", false
}

// preference is how welcome a media type is: the most specific offer that
// covers it decides (RFC 9110 §12.5.1).
type preference struct {
	named specificity
	q     float64
}

type specificity int

const (
	uncovered specificity = iota
	anything              // */*
	anyOfType             // application/*
	exact
)

func (p *preference) weigh(media, pattern string, q float64) {
	named := uncovered
	switch pattern {
	case media:
		named = exact
	case "application/*":
		named = anyOfType
	case "*/*":
		named = anything
	}
	if named > p.named {
		p.named, p.q = named, q
	}
}

// parseOffer reads one element of Accept. One that is malformed is no offer.
func parseOffer(offer string) (pattern string, q float64) {
	pattern, parameters, _ := strings.Cut(offer, ";")
	q = 1
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		weight, err := strconv.ParseFloat(value, 64)
		if err != nil || !(weight >= 0 && weight <= 1) {
			return "", 0
		}
		q = weight
	}
	return strings.ToLower(strings.TrimSpace(pattern)), q
}

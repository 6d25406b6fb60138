package graphqlhttp

import (
	"net/http"
	"strconv"
	"strings"
)

// welcome is what a client takes for an answer.
type welcome struct {
	// media is the type of an answer that is one document; "": none is taken.
	media string
	// events says whether a stream of events is taken, preferEvents whether
	// it is taken rather than one document.
	events, preferEvents bool
}

// negotiate reads the header Accept. Without one an answer is application/json,
// as the specification asks. Where both types are equally welcome, the one
// whose status codes say more is chosen, if it is named.
func negotiate(h http.Header) welcome {
	offers := strings.Join(h.Values("Accept"), ",")
	if strings.TrimSpace(offers) == "" {
		return welcome{media: mediaJSON, events: true}
	}
	older, newer, events := preference{}, preference{}, preference{}
	for offer := range strings.SplitSeq(offers, ",") {
		pattern, q := parseOffer(offer)
		older.weigh(mediaJSON, pattern, q)
		newer.weigh(mediaGraphQL, pattern, q)
		events.weigh(mediaEvents, pattern, q)
	}
	w := welcome{events: events.q > 0, preferEvents: events.q > max(older.q, newer.q)}
	switch {
	case newer.q > older.q, newer.q == older.q && newer.q > 0 && newer.named == exact:
		w.media = mediaGraphQL
	case older.q > 0:
		w.media = mediaJSON
	}
	return w
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
	anyOfType             // such as application/*
	exact
)

func (p *preference) weigh(media, pattern string, q float64) {
	named := uncovered
	switch pattern {
	case media:
		named = exact
	case media[:strings.IndexByte(media, '/')] + "/*":
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

// Package similar finds the name that was meant by one that does not exist.
package similar

import "github.com/agnivade/levenshtein"

// Name is the one of some names that comes next to a name; "" where it takes more
// than two letters, or every fourth, to make one of the other. Fold makes equal
// what must not count.
func Name(name string, names []string, fold func(string) string) (similar string) {
	folded := fold(name)
	least := min(len(folded)/4, 2) + 1
	for _, n := range names {
		other := fold(n)
		if len(other)-len(folded) >= least || len(folded)-len(other) >= least {
			continue
		}
		if distance := levenshtein.ComputeDistance(folded, other); distance < least {
			similar, least = n, distance
		}
	}
	return similar
}

// Package similar finds the name that was meant by one that does not exist.
package similar

import "github.com/agnivade/levenshtein"

// longest is how long a name may be to be compared letter by letter, which takes
// time by the square of its length.
const longest = 48

// Name is the one of some names that comes next to a name; "" where it takes more
// than two letters, or every fourth, to make one of the other. Fold makes equal
// what must not count. Of long names only those that are equal then are found.
func Name(name string, names []string, fold func(string) string) (similar string) {
	folded := fold(name)
	least := min(len(folded)/4, 2) + 1
	if len(folded) > longest {
		least = 1
	}
	for _, n := range names {
		other := fold(n)
		if len(other)-len(folded) >= least || len(folded)-len(other) >= least || least == 1 && other != folded {
			continue
		}
		if distance := levenshtein.ComputeDistance(folded, other); distance < least {
			similar, least = n, distance
		}
	}
	return similar
}

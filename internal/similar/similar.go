// Package similar finds the name that was meant by one that does not exist.
package similar

import "github.com/agnivade/levenshtein"

// longest is how long a name may be to be compared letter by letter, which takes
// time by the square of its length.
const longest = 48

// Name is the one of some names that comes next to a name; "" where it takes more
// than two letters, or every fourth, to make one of the other. Fold makes equal
// what counts only between names that come equally near. Of long names only those
// that fold makes equal are found.
func Name(name string, names []string, fold func(string) string) (similar string) {
	folded := fold(name)
	most := min(len(folded)/4, 2)
	if len(folded) > longest {
		most = 0
	}
	least := most + 1
	for _, n := range names {
		other := fold(n)
		if len(other)-len(folded) > most || len(folded)-len(other) > most || most == 0 && other != folded {
			continue
		}
		distance := levenshtein.ComputeDistance(folded, other)
		if distance < least || distance == least && similar != "" && nearer(name, n, similar) {
			similar, least = n, distance
		}
	}
	return similar
}

func nearer(name, one, other string) bool {
	return levenshtein.ComputeDistance(name, one) < levenshtein.ComputeDistance(name, other)
}

package config

import (
	"fmt"
	"strings"
)

// didYouMean ends a message on a name that is not known.
func didYouMean(name string, known []string) string {
	if n := nearest(name, known); n != "" {
		return fmt.Sprintf("; did you mean %s?", n)
	}
	return "; there are " + strings.Join(known, ", ")
}

// nearest returns the candidate that text is most likely to mean, or "".
func nearest(text string, candidates []string) string {
	best, least := "", max(2, len(text)/3)+1
	for _, c := range candidates {
		if d := distance(fold(text), fold(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// fold makes http_port and httpPort the same.
func fold(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }

// distance returns how many letters must be put in, taken out or changed to make
// b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

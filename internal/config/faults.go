package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	Setting string // as its author wrote it, and where: "pimsd.yaml:3 listen", "PIMSD_LISTEN", "--listen"
	Problem string // what is wrong and what to do; never a secret
}

func (f Fault) String() string { return f.Setting + " " + f.Problem }

// Faults is the error of Load: everything that is wrong, in the order of file, environment and flags.
type Faults []Fault

// Error returns one line for each fault.
func (f Faults) Error() string {
	lines := []string{"the configuration cannot be used:"}
	for _, fault := range f {
		lines = append(lines, "  "+fault.String())
	}
	return strings.Join(lines, "\n")
}

func (l *loader) fault(setting, format string, args ...any) {
	l.faults = append(l.faults, Fault{Setting: setting, Problem: fmt.Sprintf(format, args...)})
}

// nearest returns the name with the smallest edit distance to name.
func nearest(name string, names []string) string {
	return slices.MinFunc(names, func(a, b string) int { return cmp.Compare(distance(name, a), distance(name, b)) })
}

// maxTypos is the largest edit distance at which one name is likely to be a misspelling of the other.
const maxTypos = 2

// Meant returns the name of which text is likely to be a misspelling; empty when there is none.
func Meant(text string, names []string) string {
	if len(names) > 0 {
		if name := nearest(text, names); distance(text, name) <= maxTypos {
			return name
		}
	}
	return ""
}

// distance is the one of Levenshtein, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

//go:build !unix

package app

import "math"

// openFileLimit is how many files this process may have open.
func openFileLimit() (uint64, error) { return math.MaxUint64, nil }

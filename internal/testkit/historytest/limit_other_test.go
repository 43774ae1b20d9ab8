//go:build !linux

package historytest

import (
	"math"
	"testing"
)

const unlimited = math.MaxUint64

// limitFiles does nothing: a full disk is driven on Linux alone.
func limitFiles(testing.TB, uint64) {}

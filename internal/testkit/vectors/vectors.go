// Package vectors reads the recorded exchanges that several packages replay. It is test support, and imports nothing of pimsd.
package vectors

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Read reads the recorded exchanges in dir, by the names of their files. T has the fields that the test needs.
func Read[T any](tb testing.TB, dir string) map[string]T {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no vectors to replay: %v", err)
	}
	all := make(map[string]T)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		var v T
		if err := json.Unmarshal(text, &v); err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
		all[filepath.Base(file)] = v
	}
	return all
}

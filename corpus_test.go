package pimsd_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var fuzzTarget = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// Every fuzz target has inputs that were found before, which every `go test` tries: a target that has none tries next to
// nothing there, and more than a few only repeat what the others reach.
func TestEveryFuzzTargetHasASmallCorpus(t *testing.T) {
	t.Parallel()
	const least, most = 8, 8 // targets, inputs
	targets := 0
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range fuzzTarget.FindAllStringSubmatch(string(text), -1) {
			targets++
			corpus := filepath.Join(filepath.Dir(path), "testdata", "fuzz", found[1])
			switch inputs, _ := filepath.Glob(filepath.Join(corpus, "*")); {
			case len(inputs) == 0:
				t.Errorf("%s is empty: run `make fuzz`, and keep what it finds with scripts/keep-corpus", corpus)
			case len(inputs) > most:
				t.Errorf("%s has %d inputs: keep the %d that reach the most statements together", corpus, len(inputs), most)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if targets < least {
		t.Errorf("there are %d fuzz targets, want %d or more", targets, least)
	}
}

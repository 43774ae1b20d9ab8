package pimsd_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// concurrent matches code that starts goroutines, or shares values between them.
var concurrent = regexp.MustCompile(`"sync(?:/atomic)?"|(?m:^\s*go [\w.]+\()|\.Go\(`)

// The race detector of `make test` sees every internal package whose code is concurrent. What cmd/pimsd adds runs in processes of its
// own, which `make test-all` starts with the detector where they have goroutines.
func TestConcurrentPackagesAreTestedForRaces(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(makefile), "\nRACED := ")
	list, _, _ = strings.Cut(list, "\n#")
	raced := strings.Fields(strings.ReplaceAll(list, "\\\n", " "))
	found := map[string]bool{}
	for path, text := range readTexts(t) {
		dir := "./" + filepath.ToSlash(filepath.Dir(path))
		isCode := strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
		if isCode && strings.HasPrefix(dir, "./internal/") && !strings.HasPrefix(dir, "./internal/testkit/") && concurrent.MatchString(text) {
			found[dir] = true
		}
	}
	if len(found) == 0 {
		t.Error("no package is concurrent: the expression finds them no more")
	}
	for dir := range found {
		if !slices.Contains(raced, dir) {
			t.Errorf("%s is concurrent, and RACED of the Makefile lacks it", dir)
		}
	}
	for _, dir := range raced {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("RACED of the Makefile: %v", err)
		}
	}
}

// No test looks at -short: what runs where is said by the Makefile.
func TestNoTestLooksAtShort(t *testing.T) {
	t.Parallel()
	const call = "testing." + "Short()"
	for path, text := range readTexts(t) {
		if strings.Contains(text, call) {
			t.Errorf("%s calls %s", path, call)
		}
	}
}

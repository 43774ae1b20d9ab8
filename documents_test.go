package pimsd_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	citation    = regexp.MustCompile(`(docs/[\w/-]+\.md)((?:(?: |, | and )§+[0-9–]+(?:, [0-9]+\b)*)*)`)
	sectionSpan = regexp.MustCompile(`([0-9]+)(?:–([0-9]+))?`)
	heading     = regexp.MustCompile(`(?m)^## ([0-9]+)\. `)
)

// Code and documents cite the contract and the protocol by section. Every document and every section that is cited exists.
func TestCitedSectionsExist(t *testing.T) {
	t.Parallel()
	sections := map[string][]string{} // of each document that is cited
	citations := 0
	for path, text := range readTexts(t) {
		for _, found := range citation.FindAllStringSubmatch(text, -1) {
			document, cited := found[1], found[2]
			if _, known := sections[document]; !known {
				sections[document] = numbersOf(document)
			}
			if sections[document] == nil {
				t.Errorf("%s cites %s, and there is no such document", path, document)
				continue
			}
			for _, span := range sectionSpan.FindAllStringSubmatch(cited, -1) {
				citations++
				for _, number := range span[1:] {
					if number != "" && !slices.Contains(sections[document], number) {
						t.Errorf("%s cites section %s of %s, and there is no such section", path, number, document)
					}
				}
			}
		}
	}
	const least = 60 // citations: with fewer, the expression does not find them any more
	if citations < least {
		t.Errorf("%d sections are cited, want %d or more", citations, least)
	}
}

// numbersOf returns the numbers of a document's sections, or nil when there is no such document.
func numbersOf(document string) []string {
	text, err := os.ReadFile(filepath.FromSlash(document))
	if err != nil {
		return nil
	}
	numbers := []string{}
	for _, found := range heading.FindAllStringSubmatch(string(text), -1) {
		numbers = append(numbers, found[1])
	}
	return numbers
}

// readTexts returns the texts of the code and the documents by their paths, testdata aside.
func readTexts(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || path != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.IsDir() || !slices.Contains([]string{".go", ".md", ".yaml", ".sql", ".json"}, filepath.Ext(path)):
			return nil
		}
		text, err := os.ReadFile(path)
		texts[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

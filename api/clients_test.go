package openapi_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	openapi "github.com/pimsd/pimsd/api"
	"github.com/pimsd/pimsd/internal/errcodes"
)

// The Kotlin and Swift examples of docs/clients.md, which no test runs, use only reasons, advice values and headers that exist.
func TestExamplesUseKnownReasons(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, entry := range errcodes.All() {
		for _, cause := range entry.Causes {
			known[string(cause.Reason)], known[string(cause.Advice)] = true, true
		}
	}
	decision := regexp.MustCompile(`(?m)^ *(?:case \((?:"(\w+)"|_), (?:"(\w+)"|_)\):|"(\w+)" ->)`)
	header := regexp.MustCompile(`"(X-Pims-[\w-]+|Idempotency-Key|Retry-After)"`)
	for _, language := range []string{"kotlin", "swift"} {
		_, block, _ := strings.Cut(string(text), "```"+language+"\n")
		block, _, _ = strings.Cut(block, "```")
		decisions := decision.FindAllStringSubmatch(block, -1)
		for _, found := range decisions {
			if word := found[1] + found[2] + found[3]; !known[word] {
				t.Errorf("%s decides by %q, which is no reason and no advice", language, word)
			}
		}
		if len(decisions) != 7 { // three reasons and four advices
			t.Errorf("%s has %d decisions", language, len(decisions))
		}
		for _, found := range header.FindAllStringSubmatch(block, -1) {
			if !strings.Contains(openapi.Document(), found[1]) {
				t.Errorf("%s has the header %s, which the contract does not", language, found[1])
			}
		}
	}
}

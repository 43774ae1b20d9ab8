package main

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// documents returns the texts that people read, by name.
func documents(t *testing.T) map[string]string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"../../docs/*.md", "../../docs/alerts/*.md", "../../deploy/*/*.md", "../../deploy/helm/*/*.md"} {
		some, err := filepath.Glob(pattern)
		if err != nil || len(some) == 0 {
			t.Fatalf("no documents %s: %v", pattern, err)
		}
		found = append(found, some...)
	}
	texts := map[string]string{}
	for _, name := range append(found, "../../README.md", "../../ARCHITECTURE.md", "../../CHANGELOG.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[strings.TrimPrefix(name, "../../")] = string(text)
	}
	return texts
}

var (
	link     = regexp.MustCompile(`\]\(([^)\s:#]*)(?:#([^)\s]+))?\)`) // to a file, a heading of it, or one of the same document
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noAnchor = regexp.MustCompile(`[^\pL\pN_ -]`)
)

// Links of the documents lead to files and headings that exist.
func TestDocumentsLinkToWhatExists(t *testing.T) {
	t.Parallel()
	texts, links := documents(t), 0
	for name, text := range texts {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			target, anchor := name, found[2]
			if found[1] != "" {
				target = filepath.Join(filepath.Dir(name), found[1])
			}
			if links++; anchor == "" {
				if _, err := os.Stat("../../" + target); err != nil {
					t.Errorf("%s links to %s: %v", name, found[1], err)
				}
				continue
			}
			if !slices.ContainsFunc(heading.FindAllStringSubmatch(texts[target], -1), func(h []string) bool {
				return strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-") == anchor
			}) {
				t.Errorf("%s links to %s#%s, which is no heading", name, target, anchor)
			}
		}
	}
	if links == 0 {
		t.Error("no document has a link: the expression finds them no more")
	}
}

// codeSpan is code in Markdown: between backquotes, or a line that is indented or in a fence.
var codeSpan = regexp.MustCompile("`[^`\n]+`|(?m:^    .*$)|(?s:```sh\n.*?```)")

// commandLine is a call of pimsd in code; a PIMSD_ name or a package path is none.
var commandLine = regexp.MustCompile(`(?:^|[\s(/` + "`" + `])pimsd((?: +[a-z][a-z-]*)*)((?: +(?:--[a-z-]+|[A-Z][A-Za-z-]*|'[^']*'))*)`)

func TestDocumentsNameCommandsThatExist(t *testing.T) {
	seen := 0
	for name, text := range documents(t) {
		for _, code := range codeSpan.FindAllString(text, -1) {
			for _, call := range commandLine.FindAllStringSubmatch(code, -1) {
				seen++
				checkCall(t, name, strings.Fields(call[1]), strings.Fields(call[2]))
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d calls of pimsd were found in the documents: the test looks at the wrong places", seen)
	}
}

func checkCall(t *testing.T, document string, words, rest []string) {
	t.Helper()
	root := newRoot(process{})
	command, left, err := root.Find(words)
	if err != nil || len(words) > 0 && command == root || len(left) > 0 && command.HasSubCommands() {
		t.Errorf("%s: pimsd has no command %q", document, strings.Join(words, " "))
		return
	}
	for _, word := range rest {
		if flag, is := strings.CutPrefix(word, "--"); is && !hasFlag(command, flag) {
			t.Errorf("%s: pimsd %s has no flag %s", document, strings.Join(words, " "), word)
		}
	}
}

func hasFlag(command *cobra.Command, name string) bool {
	return name == "help" || command.Flags().Lookup(name) != nil
}

func TestDocumentsNameSettingsThatExist(t *testing.T) {
	known := []string{config.EnvFile}
	for _, setting := range config.Default().Effective() {
		env := "PIMSD_" + strings.ToUpper(strings.ReplaceAll(setting.Key, ".", "_"))
		known = append(known, env, env+"_FILE")
	}
	for document, text := range documents(t) {
		for _, name := range regexp.MustCompile(`PIMSD_[A-Z_]*[A-Z]`).FindAllString(text, -1) {
			if !slices.Contains(known, name) {
				t.Errorf("%s: there is no setting %s", document, name)
			}
		}
	}
}

func TestDocumentsNameMetricsThatExist(t *testing.T) {
	metrics := telemetry.NewMetrics("test", []string{"0"})
	metrics.WatchEpoch(func(context.Context) (int, error) { return 1, nil })
	metrics.WatchUnreadAnswers(func(context.Context) (int, error) { return 0, nil })
	metrics.WatchCertificate(time.Now)
	metrics.WatchConnections("api")
	metrics.WatchLog(func() uint64 { return 0 })
	metrics.WatchSealingKeys(func() bool { return true })
	none := func() uint64 { return 0 }
	metrics.WatchEmbeddedStore(none, none, func() int64 { return 0 }, time.Now)
	metrics.WatchAccountStats([]string{"enrolled"})
	metrics.WatchThrottles([]string{"quota"})
	metrics.CountCommit("lease", "done")
	metrics.CountPanic("settle")
	metrics.ObserveExchange("otp_setup", "ok", 0)
	metrics.ObserveRequest("none", "0", 0)
	scrape := httptest.NewRecorder()
	telemetry.OpsHandler(metrics).ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	exported := scrape.Body.String()
	for document, text := range documents(t) {
		for _, name := range regexp.MustCompile(`\bpimsd_[a-z_]+[a-z]`).FindAllString(text, -1) {
			const example = "pimsd_otp" // a module of examples/python
			if name != example && !strings.Contains(exported, "# HELP "+name+" ") {
				t.Errorf("%s: there is no metric %s", document, name)
			}
		}
	}
}

// The gate runs the first commands of the README, and the other commands that CONTRIBUTING.md lists.
func TestTheGateRunsTheREADME(t *testing.T) {
	readme := documents(t)["README.md"]
	gate, err := os.ReadFile("../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(readme, "```sh\n")
	block, _, _ = strings.Cut(block, "```")
	commands := 0
	for lines := bufio.NewScanner(strings.NewReader(block)); lines.Scan(); commands++ {
		command, _, _ := strings.Cut(lines.Text(), "#")
		if command = strings.TrimSpace(command); !strings.Contains(string(gate), "step "+command+"\n") {
			t.Errorf("the README promises %q, and .ci/run does not run it", command)
		}
	}
	if commands != 2 {
		t.Errorf("the README's first block has %d commands, not two", commands)
	}
	contributing, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range regexp.MustCompile(`\bmake ([a-z]+(?:-[a-z]+)*)`).FindAllStringSubmatch(readme+string(contributing), -1) {
		if !strings.Contains(string(makefile), "\n"+target[1]+":") {
			t.Errorf("make %s is named, and is no target", target[1])
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(make [a-z-]+)` \\|").FindAllStringSubmatch(string(contributing), -1) {
		if !strings.Contains(string(gate), "step "+row[1]+"\n") {
			t.Errorf("CONTRIBUTING.md says that .ci/run runs %q, and it does not", row[1])
		}
	}
}

// testName is the name of a test or a fuzz target, as the documents have them in code.
var testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9_]*)`")

func TestDocumentsNameTestsThatExist(t *testing.T) {
	known := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range declared.FindAllStringSubmatch(string(text), -1) {
			known[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for name, text := range documents(t) {
		for _, found := range testName.FindAllStringSubmatch(text, -1) {
			if named++; !known[found[1]] {
				t.Errorf("%s names %s, which there is not", name, found[1])
			}
		}
	}
	if named < 30 {
		t.Errorf("the documents name %d tests: is docs/security.md still there?", named)
	}
}

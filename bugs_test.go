package pimsd_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// bugs names the patches that TestBugs tries: none, "all", or some, separated by commas.
var bugs = flag.String("bugs", "", "the patches of bugs/ that TestBugs tries: all, or names separated by commas")

var (
	testLine   = regexp.MustCompile(`(?m)^Test: (\./\S+) (\S+)((?: \S+)*)$`)
	patched    = regexp.MustCompile(`(?m)^\+\+\+ b/(\S+)`)
	logLine    = regexp.MustCompile(`(?m)^\s+\w+_test\.go:\d+: .*$`)
	failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	againLine  = regexp.MustCompile(`(?m)to let it happen again: .*$`)
	passedTest = regexp.MustCompile(`(?m)^\s*--- PASS: (\S+)`)
)

// A bug is a fault that a patch file brings back, and the tests that guard against it. See bugs/README.md.
type bug struct {
	name, file string // the file is an absolute path
	text       string
	tests      []guard
}

// A guard is a test that must fail because of a bug.
type guard struct {
	pkg, run string
	flags    []string
}

func (g guard) String() string { return strings.Join(append([]string{g.pkg, g.run}, g.flags...), " ") }

// changed returns the files that the bug changes.
func (b bug) changed() (files []string) {
	for _, file := range patched.FindAllStringSubmatch(b.text, -1) {
		files = append(files, file[1])
	}
	return files
}

// name returns the full name of the test that the guard's expression names.
func (g guard) name() string { return strings.NewReplacer("^", "", "$", "").Replace(g.run) }

func readBugs(t *testing.T) (found []bug) {
	t.Helper()
	files, err := filepath.Glob("bugs/*.patch")
	if err != nil || len(files) == 0 {
		t.Fatalf("bugs/*.patch: %d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		absolute, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		b := bug{name: strings.TrimSuffix(filepath.Base(file), ".patch"), file: absolute, text: string(text)}
		for _, line := range testLine.FindAllStringSubmatch(b.text, -1) {
			b.tests = append(b.tests, guard{pkg: line[1], run: line[2], flags: strings.Fields(line[3])})
		}
		found = append(found, b)
	}
	return found
}

// Each patch of bugs/ applies to the tree as it is, changes production code alone, and names tests that exist.
func TestBugsApply(t *testing.T) {
	t.Parallel()
	for _, b := range readBugs(t) {
		if err := command(".", "git", "apply", "--check", b.file); err != nil {
			t.Errorf("%s does not apply; bugs/README.md says how to make it again: %v", b.name, err)
		}
		if i := strings.Index(b.text, "Test: "); i <= 0 || len(b.tests) == 0 {
			t.Errorf("%s must say what the fault cost whom, and name a test in a line of the form `Test: ./internal/x ^TestName$`", b.name)
		}
		for _, file := range b.changed() {
			if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "internal/testkit/") {
				t.Errorf("%s changes %s, which is no production code", b.name, file)
			}
		}
		for _, g := range b.tests {
			if top, _, _ := strings.Cut(g.name(), "/"); !declares(g.pkg, top) {
				t.Errorf("%s names %s, and %s has no such test", b.name, top, g.pkg)
			}
		}
	}
}

// declares reports whether a test file of the package declares the test.
func declares(pkg, test string) bool {
	files, _ := filepath.Glob(filepath.Join(pkg, "*_test.go"))
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && bytes.Contains(text, []byte("\nfunc "+test+"("))
	})
}

// Each bug that -bugs names is applied to a copy of the tree, and is found there: the tests that its patch names fail, and pass without it.
func TestBugs(t *testing.T) {
	if *bugs == "" {
		t.Skip("make bugs")
	}
	chosen := readBugs(t)
	if *bugs != "all" {
		names := strings.Split(*bugs, ",")
		chosen = slices.DeleteFunc(chosen, func(b bug) bool { return !slices.Contains(names, b.name) })
		if len(chosen) != len(names) {
			t.Fatalf("of the bugs %v there are %d in bugs/", names, len(chosen))
		}
	}
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir()) // git apply in the copies concerns no repository around them
	museum := &museum{built: newBuilt(t), passes: map[string]error{}}
	trees := make(chan *testTree, 2) // for so many bugs at a time
	for range cap(trees) {
		trees <- newTestTree(t, museum.built)
	}
	t.Run("each", func(t *testing.T) {
		for _, b := range chosen {
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				tree := <-trees
				defer func() { trees <- tree }()
				museum.try(t, tree, b)
			})
		}
	})
}

// museum tries bugs.
type museum struct {
	built *built

	mu     sync.Mutex
	passes map[string]error // the result of each guard without a bug
}

// try applies the bug to the tree, runs its guards, and takes the bug away.
func (m *museum) try(t *testing.T, tree *testTree, b bug) {
	for _, g := range b.tests {
		if err := m.passesWithout(g); err != nil {
			t.Fatalf("without the bug, %s: %v", g, err)
		}
	}
	if err := tree.change("git", "apply", b.file); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tree.change("git", "apply", "--reverse", b.file); err != nil {
			t.Error(err)
		}
	}()
	for _, g := range b.tests {
		began := time.Now()
		output, err := tree.test(g, b.changed())
		complaint, err := fails(g, output, err)
		if err != nil {
			t.Errorf("%s does not find it: %v", g, err)
			continue
		}
		t.Logf("found by %s in %.1f s, compiled and run: %s", g, time.Since(began).Seconds(), complaint)
	}
}

// passesWithout returns nil if the guard's test passes on the tree as it is. It usually tries that once.
func (m *museum) passesWithout(g guard) error {
	m.mu.Lock()
	err, known := m.passes[g.String()]
	m.mu.Unlock()
	if !known {
		output, failed := m.built.test(g)
		err = passes(g, output, failed)
		m.mu.Lock()
		m.passes[g.String()] = err
		m.mu.Unlock()
	}
	return err
}

// passes returns nil if the guard's test has run and passed, by its output and its error.
func passes(g guard, output string, err error) error {
	if err == nil && !names(passedTest, output, g.name()) {
		err = errors.New("does not run, or is skipped")
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, tail(output))
	}
	return nil
}

// fails returns what the guard's test complains of if it has failed by itself, and otherwise an error.
func fails(g guard, output string, err error) (complaint string, _ error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		err = errors.New("passes")
	case !errors.As(err, &exit):
	case strings.Contains(output, "panic: test timed out"):
		err = errors.New("times out")
	case names(failedTest, output, g.name()):
		return firstComplaint(output), nil
	default:
		err = fmt.Errorf("the test itself does not fail: %w", err)
	}
	return "", fmt.Errorf("%w\n%s", err, tail(output))
}

// names reports whether a line of the output that the expression matches names the test.
func names(line *regexp.Regexp, output, test string) bool {
	return slices.ContainsFunc(line.FindAllStringSubmatch(output, -1), func(found []string) bool { return found[1] == test })
}

// firstComplaint returns the beginning of the first line that a failed test logged, which usually is what it complains of, and the history
// that lets it happen again, if the test found one.
func firstComplaint(output string) string {
	const most = 200
	line := strings.TrimSpace(logLine.FindString(output))
	return strings.TrimSpace(line[:min(most, len(line))] + " " + againLine.FindString(output))
}

func tail(output string) string {
	const most = 4000
	return output[max(0, len(output)-most):]
}

// command runs a command in the directory; its error has what it printed.
func command(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, text)
	}
	return nil
}

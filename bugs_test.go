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
		for _, file := range patched.FindAllStringSubmatch(b.text, -1) {
			if strings.HasSuffix(file[1], "_test.go") || strings.HasPrefix(file[1], "internal/testkit/") {
				t.Errorf("%s changes %s, which is no production code", b.name, file[1])
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
	tree := newTestTree(t)
	passes := map[string]error{} // the result of each guard without a bug
	for _, b := range chosen {
		for _, g := range b.tests {
			if _, known := passes[g.String()]; !known {
				passes[g.String()] = tree.passes(g)
			}
		}
	}
	for _, b := range chosen {
		t.Run(b.name, func(t *testing.T) {
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
				complaint, err := tree.fails(g)
				switch {
				case passes[g.String()] != nil:
					t.Errorf("without the bug, %s: %v", g, passes[g.String()])
				case err != nil:
					t.Errorf("%s does not find it: %v", g, err)
				default:
					t.Logf("found by %s in %.1f s, compiled and run: %s", g, time.Since(began).Seconds(), complaint)
				}
			}
		})
	}
}

// testTree is a copy of the tree, and the tests that are compiled of it as it is.
type testTree struct {
	path     string
	binaries map[string]string // by package
}

// newTestTree copies the files that git knows of, as they are, to a directory of the test.
func newTestTree(t *testing.T) *testTree {
	t.Helper()
	tree := &testTree{path: t.TempDir()}
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(tree.path)) // git apply in the copy concerns no repository around it
	const copyFiles = `git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -cf - -T - | tar -xf - -C "$1"`
	if err := command(".", "sh", "-c", copyFiles, "sh", tree.path); err != nil {
		t.Fatal(err)
	}
	return tree
}

// change runs a command that changes the tree.
func (tree *testTree) change(name string, args ...string) error {
	tree.binaries = nil
	return command(tree.path, name, args...)
}

// passes returns nil if the guard's test runs and passes.
func (tree *testTree) passes(g guard) error {
	output, err := tree.test(g)
	if err == nil && !names(passedTest, output, g.name()) {
		err = errors.New("does not run, or is skipped")
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, tail(output))
	}
	return nil
}

// fails returns what the guard's test complains of if it fails by itself, and otherwise an error.
func (tree *testTree) fails(g guard) (complaint string, err error) {
	output, err := tree.test(g)
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

// test runs the guard's test, and compiles its package unless that was done since the last change. The error is an *exec.ExitError only
// if the test was run.
func (tree *testTree) test(g guard) (output string, err error) {
	binary := tree.binaries[g.pkg]
	if binary == "" {
		binary = filepath.Join(tree.path, strings.ReplaceAll(g.pkg[len("./"):], "/", "-")+".test")
		// -trimpath lets the copy and the tree share what is compiled; no debugger needs the tables that -w leaves out.
		if err := command(tree.path, "go", "test", "-trimpath", "-ldflags=-w", "-c", "-o", binary, g.pkg); err != nil {
			return "", fmt.Errorf("does not compile: %s", err.Error()) // not the ExitError of the compiler
		}
		if tree.binaries == nil {
			tree.binaries = map[string]string{}
		}
		tree.binaries[g.pkg] = binary
	}
	run := exec.Command(binary, append([]string{"-test.v", "-test.timeout=15m", "-test.run=" + g.run}, g.flags...)...)
	run.Dir = filepath.Join(tree.path, g.pkg)
	text, err := run.CombinedOutput()
	return string(text), err
}

// names reports whether a line of the output that the expression matches names the test.
func names(line *regexp.Regexp, output, test string) bool {
	return slices.ContainsFunc(line.FindAllStringSubmatch(output, -1), func(found []string) bool { return found[1] == test })
}

// firstComplaint returns the beginning of the first line that a failed test logged, which usually is what it complains of.
func firstComplaint(output string) string {
	const most = 200
	line := strings.TrimSpace(logLine.FindString(output))
	return line[:min(most, len(line))]
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

package pimsd_test

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mutantPlan names the file that tells TestOneMutant how to try a mutant.
var mutantPlan = flag.String("mutant-plan", "", "a file that TestMutants writes: how to try the mutant in the working directory")

// mutantTimeout is how long all tests of a package may take.
const mutantTimeout = 3 * time.Minute

// A plan is how TestOneMutant tries a mutant of a package.
type plan struct {
	Package  string // relative to the tree
	Packages []builtPackage
	Folders  []string // of the packages, relative to the tree

	Original string         // a tree without mutants
	Binary   string         // the tests of the package that has all mutants
	Switches map[string]int // which MUTANT turns one on, by the names that switchName returns
	Tests    []measuredTest // the quickest first
}

// A measuredTest is a test of a package, the time that it took, and the mutants that it reached.
type measuredTest struct {
	Name    string
	Took    time.Duration
	Reached []int
}

// The results of a try, as gremlins reads them from the status of `go test`.
const (
	mutantLives = iota
	mutantIsFound
	mutantDoesNotCompile
)

// fakeGo makes a folder with a command that gremlins runs instead of go, and returns it. It differs from go in three ways. It compiles few
// mutants, since addSwitches has compiled the others before, and of those the changed package alone. It reports a mutant that does not
// compile, which gremlins takes for one that is found. And it reports every line as covered: to gremlins no condition of a case is.
func fakeGo(t *testing.T, pkg string) (folder string) {
	t.Helper()
	b := newBuilt(t)
	packages, err := b.packages("./" + pkg)
	if err != nil {
		t.Fatal(err)
	}
	p := plan{Package: pkg, Packages: packages}
	for _, one := range packages {
		p.Folders = append(p.Folders, one.folder)
	}
	p.Original = b.tree
	p.buildSwitches(t)
	p.measure(t)
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	realGo, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	file := filepath.Join(folder, "plan.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	profile := filepath.Join(folder, "profile")
	covered := "mode: set\n"
	for _, name := range p.files() {
		covered += fmt.Sprintf("%s%s:1.1,1000000.1 1 1\n", module, name)
	}
	if err := os.WriteFile(profile, []byte(covered), 0o600); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`#!/bin/sh
PATH='%s':$PATH
case "$1 $2" in
"test -timeout") exec '%s' -test.run='^TestOneMutant$' -mutant-plan='%s' ;;
"test -cover") sleep 1 && exec cp '%s' "$4" ;; # gremlins takes this for the time of all tests
*) exec '%s' "$@" ;;
esac
`, filepath.Dir(realGo), self, file, profile, realGo)
	if err := os.WriteFile(filepath.Join(folder, "go"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestOneMutant tries the mutant in the working directory, a package of a copy of the tree that gremlins has made, and ends the process with
// the result.
func TestOneMutant(t *testing.T) {
	if *mutantPlan == "" {
		t.Skip("make mutants")
	}
	text, err := os.ReadFile(*mutantPlan)
	if err != nil {
		t.Fatal(err)
	}
	var p plan
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	for i, folder := range p.Folders {
		p.Packages[i].folder = folder
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSuffix(dir, "/"+p.Package)
	os.Exit(p.try(root))
}

// files returns the files that the package is compiled of on this system, relative to the tree.
func (p plan) files() (names []string) {
	for i, folder := range p.Folders {
		if folder != p.Package {
			continue
		}
		for _, name := range p.Packages[i].GoFiles {
			if filepath.IsAbs(name) || strings.HasSuffix(name, "_test.go") { // the main function of the tests is made elsewhere
				continue
			}
			if name = folder + "/" + name; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// buildSwitches compiles the tests of the package with all its mutants.
func (p *plan) buildSwitches(t *testing.T) {
	t.Helper()
	tree, pkg := copyTree(t), "./"+p.Package
	numbers, err := addSwitches(tree, p.Package, p.files(), p.Packages)
	if err != nil {
		t.Fatal(err)
	}
	p.Switches, p.Binary = numbers, filepath.Join(tree, binaryOf(pkg))
	if err := command(tree, "go", append([]string{"test", "-vet=off", "-c", "-o", p.Binary}, append(buildFlags, pkg)...)...); err != nil {
		t.Fatal(err)
	}
}

// measure runs each test of the package alone and without a mutant.
func (p *plan) measure(t *testing.T) {
	t.Helper()
	folder := filepath.Join(p.Original, p.Package)
	list := exec.Command(p.Binary, "-test.list=^(Test|Fuzz|Example)")
	list.Dir = folder
	names, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range strings.Fields(string(names)) {
		reached := filepath.Join(t.TempDir(), fmt.Sprint(i))
		run := exec.Command(p.Binary, "-test.run=^"+name+"$", "-test.timeout="+mutantTimeout.String())
		run.Dir, run.Env = folder, append(os.Environ(), "MUTANTS_REACHED="+reached)
		began := time.Now()
		if text, err := run.CombinedOutput(); err != nil {
			t.Fatalf("%s fails without a mutant: %v\n%s", name, err, text)
		}
		measured := measuredTest{Name: name, Took: time.Since(began)}
		text, err := os.ReadFile(reached)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for number := range strings.FieldsSeq(string(text)) {
			n, _ := strconv.Atoi(number) // it was written from a number
			measured.Reached = append(measured.Reached, n)
		}
		p.Tests = append(p.Tests, measured)
	}
	slices.SortFunc(p.Tests, func(a, b measuredTest) int { return cmp.Compare(a.Took, b.Took) })
}

// try returns what becomes of the mutant in the tree.
func (p plan) try(root string) (result int) {
	name, err := p.difference(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return mutantDoesNotCompile
	}
	if number, ok := p.Switches[name]; ok {
		return p.trySwitch(number)
	}
	pkg := "./" + p.Package
	tree := &testTree{path: root, built: &built{tests: map[string][]builtPackage{pkg: p.Packages}}}
	binary := filepath.Join(root, binaryOf(pkg))
	if tree.compile(binary, pkg, p.files()) != nil {
		return mutantDoesNotCompile
	}
	return runMutant(binary, 0, mutantTimeout)
}

// trySwitch tries the mutant of that number. Tests that do not reach it are not run, and the slowest last.
func (p plan) trySwitch(number int) (result int) {
	const atOnce = time.Second // the time of tests that are run together
	var names []string
	var took time.Duration
	for i, test := range p.Tests {
		if slices.Contains(test.Reached, number) {
			names, took = append(names, test.Name), took+test.Took
		}
		if len(names) > 0 && (took > atOnce || i == len(p.Tests)-1) {
			if runMutant(p.Binary, number, time.Minute+20*took, "-test.run=^("+strings.Join(names, "|")+")$") == mutantIsFound {
				return mutantIsFound
			}
			names, took = nil, 0
		}
	}
	return mutantLives
}

// runMutant runs tests of a package in the working directory until one of them fails: others that run at that time may hang. Tests that
// take longer than the timeout hang, too, and so find the mutant.
func runMutant(binary string, number int, timeout time.Duration, args ...string) (result int) {
	run := exec.Command(binary, append(args, "-test.failfast", "-test.timeout="+timeout.String())...)
	run.Env = append(os.Environ(), fmt.Sprint("MUTANT=", number))
	output, err := run.StdoutPipe()
	if err == nil {
		err = run.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return mutantDoesNotCompile
	}
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "--- FAIL") {
			_ = run.Process.Kill() // what remains is of no interest
			break
		}
	}
	if run.Wait() != nil {
		return mutantIsFound
	}
	return mutantLives
}

// difference returns the name of the mutant in the tree: gremlins changes one token, and prints the file again.
func (p plan) difference(root string) (name string, err error) {
	for _, file := range p.files() {
		original, err := tokensOf(filepath.Join(p.Original, file))
		if err != nil {
			return "", err
		}
		changed, err := tokensOf(filepath.Join(root, file))
		if err != nil {
			return "", err
		}
		for i := range min(len(original), len(changed)) {
			if original[i].is != changed[i].is {
				return switchName(file, original[i].at, changed[i].is), nil
			}
		}
	}
	return "", errors.New("there is no mutant")
}

// A placedToken is a token of a file.
type placedToken struct {
	at token.Position
	is token.Token
}

func tokensOf(name string) (all []placedToken, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	positions := token.NewFileSet()
	var s scanner.Scanner
	s.Init(positions.AddFile(name, -1, len(text)), text, nil, 0)
	for {
		at, is, _ := s.Scan()
		if is == token.EOF {
			return all, nil
		}
		all = append(all, placedToken{positions.Position(at), is})
	}
}

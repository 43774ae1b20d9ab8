package pimsd_test

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/testkit"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// mutantPlan names the file that tells TestOneMutant how to try a mutant.
var mutantPlan = flag.String("mutant-plan", "", "a file that TestMutants writes: how to try the mutant in the working directory")

// mutantTimeout is how long all tests of a package may take.
const mutantTimeout = 3 * time.Minute

const (
	mutantWorkers = 2 // so many mutants are tried at a time
	mutantTests   = 4 // so many tests of each, because many of them wait
)

// A plan is how TestOneMutant tries a mutant of a package.
type plan struct {
	Package  string // relative to the tree
	Packages []builtPackage

	Original string         // a tree without mutants
	Binary   string         // the tests of the package that has all mutants
	Switches map[string]int // which MUTANT turns one on, by the names that switchName returns
	Startup  time.Duration  // of the binary without a test
	Tests    []measuredTest // the quickest first
	Servers  []string       // the folders of PostgreSQL servers, one for each worker; none if the tests use no server
	Memory   string         // a folder for temporary files; gremlins has one that other users cannot reach
	Results  string         // a folder with a file for each mutant that was tried: its result, and the tests that had it
}

// A measuredTest is a test of a package, the time that it took after the start of the binary, and the mutants that it reached.
type measuredTest struct {
	Name    string
	Took    time.Duration
	Reached []int
}

// The results of a try. gremlins reads the first three from the status of `go test`.
const (
	mutantLives = iota
	mutantIsFound
	mutantDoesNotCompile
	mutantHangs // which finds it
)

const (
	noSwitch = 0  // the number of a mutant that is compiled into its binary, and that of none
	noMutant = -1 // that of one that does not compile: texts have no difference
)

var resultNames = []string{"lives", "found", "uncompilable", "hangs"}

// fakeGo makes a folder with a command that gremlins runs instead of go, and returns it with a copy of the tree. It differs from go in three
// ways. It compiles few mutants, since addSwitches has compiled the others before, and of those the changed package alone. It reports a
// mutant that does not compile, which gremlins takes for one that is found. And it reports every line as covered: to gremlins no condition
// of a case is.
func fakeGo(t *testing.T, pkg string) (folder, tree string) {
	t.Helper()
	b := newBuilt(t)
	packages, err := b.packages("./" + pkg)
	if err != nil {
		t.Fatal(err)
	}
	p := plan{Package: pkg, Packages: packages}
	p.Original = b.tree
	if p.Memory, err = os.MkdirTemp(testkit.MemoryDir(), "mutants-"); err != nil { //nolint:usetesting // in memory, for servers of another user
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(p.Memory) })
	if err := os.Chmod(p.Memory, 0o711); err != nil { // servers of tests can run as another user
		t.Fatal(err)
	}
	p.buildSwitches(t)
	p.keepResults(t)
	p.startServers(t)
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
	return folder, p.Original
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
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSuffix(dir, "/"+p.Package)
	result := p.try(root)
	if result == mutantHangs {
		result = mutantIsFound
	}
	os.Exit(result)
}

// files returns the files that the package is compiled of on this system, relative to the tree.
func (p plan) files() (names []string) {
	for _, built := range p.Packages {
		if built.Folder != p.Package {
			continue
		}
		for _, name := range built.GoFiles {
			if filepath.IsAbs(name) || strings.HasSuffix(name, "_test.go") { // the main function of the tests is made elsewhere
				continue
			}
			if name = built.Folder + "/" + name; !slices.Contains(names, name) {
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

// keepResults chooses the folder of results by what they depend on: the package, its tests and the files that these read. A run that was
// interrupted goes on with the results that it has.
func (p *plan) keepResults(t *testing.T) {
	t.Helper()
	hash := sha256.New()
	add := func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		if err == nil {
			hash.Write(text)
		}
		return nil // a folder
	}
	testdata := filepath.Join(p.Original, p.Package, "testdata")
	err := errors.Join(add(p.Binary, nil, nil), filepath.WalkDir(testdata, add))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	p.Results, err = filepath.Abs(filepath.Join("bin", "mutants", p.Package, fmt.Sprintf("%.8x", hash.Sum(nil))))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(p.Results, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d operators can be switched; results are in %s", len(p.Switches), p.Results)
}

// startServers starts a PostgreSQL server for each worker, if the tests use one: to start one for each run would take most of the time.
func (p *plan) startServers(t *testing.T) {
	t.Helper()
	const support = "/internal/testkit/pgtest"
	if !slices.ContainsFunc(p.Packages, func(b builtPackage) bool { return strings.HasSuffix(b.ImportPath, support) }) {
		return
	}
	for range mutantWorkers {
		server, err := pgtest.StartShared(p.Memory, p.template())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := server.Remove(); err != nil {
				t.Error(err)
			}
		})
		p.Servers = append(p.Servers, server.Dir())
	}
}

func (p *plan) template() string { return filepath.Join(p.Memory, "cluster") }

// takeServer waits for a server that no other process uses, and returns its folder, or "" if the tests need none.
func (p *plan) takeServer() (folder string, release func(), err error) {
	for len(p.Servers) > 0 {
		for _, folder := range p.Servers {
			lock, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
			if err != nil {
				return "", nil, err
			}
			if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
				return folder, func() { _ = lock.Close() }, nil
			}
			_ = lock.Close() // another process has it
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "", func() {}, nil
}

// measure runs each test of the package alone and without a mutant. An interrupted run goes on with what was measured.
func (p *plan) measure(t *testing.T) {
	t.Helper()
	file, before := filepath.Join(p.Results, "measured"), plan{}
	if text, err := os.ReadFile(file); err == nil && json.Unmarshal(text, &before) == nil {
		p.Startup, p.Tests = before.Startup, before.Tests
		return
	}
	folder := filepath.Join(p.Original, p.Package)
	list := exec.Command(p.Binary, "-test.list=^(Test|Fuzz|Example)")
	list.Dir = folder
	names, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	p.Startup, _ = p.measureTest(t, "none")
	for name := range strings.FieldsSeq(string(names)) {
		took, reached := p.measureTest(t, name)
		p.Tests = append(p.Tests, measuredTest{Name: name, Took: max(0, took-p.Startup), Reached: reached})
	}
	slices.SortFunc(p.Tests, func(a, b measuredTest) int { return cmp.Compare(a.Took, b.Took) })
	text, err := json.Marshal(plan{Startup: p.Startup, Tests: p.Tests})
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// measureTest returns how long the test takes, and which mutants it reaches.
func (p *plan) measureTest(t *testing.T, name string) (took time.Duration, mutants []int) {
	t.Helper()
	reached := filepath.Join(p.Memory, "reached")
	err := os.WriteFile(reached, nil, 0o666)
	if err == nil {
		err = os.Chmod(reached, 0o666) // processes of the test can run as another user
	}
	if err != nil {
		t.Fatal(err)
	}
	server, release, err := p.takeServer()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	run := exec.Command(p.Binary, "-test.run=^"+name+"$", "-test.timeout="+mutantTimeout.String())
	run.Dir, run.Env = filepath.Join(p.Original, p.Package), append(p.environment(server), "MUTANTS_REACHED="+reached)
	began := time.Now()
	if text, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%s fails without a mutant: %v\n%s", name, err, text)
	}
	took = time.Since(began)
	text, err := os.ReadFile(reached)
	if err != nil {
		t.Fatal(err)
	}
	for number := range strings.FieldsSeq(string(text)) {
		n, _ := strconv.Atoi(number) // it was written from a number
		mutants = append(mutants, n)
	}
	return took, mutants
}

// environment returns the variables of a run that uses the server in that folder.
func (p *plan) environment(server string) []string {
	return append(os.Environ(), pgtest.TemplateVariable+"="+p.template(), pgtest.SharedVariable+"="+server)
}

// try returns what becomes of the mutant in the tree, and keeps it.
func (p plan) try(root string) (result int) {
	name, err := p.difference(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return mutantDoesNotCompile
	}
	file := filepath.Join(p.Results, url.PathEscape(name))
	if text, err := os.ReadFile(file); err == nil {
		kept, _, _ := strings.Cut(string(text), " ")
		if i := slices.Index(resultNames, kept); i >= 0 {
			return i
		}
	}
	inFile, _, _ := strings.Cut(name, ":")
	finders := filepath.Join(filepath.Dir(p.Results), inFile+".finders")
	found, _ := os.ReadFile(finders) // there is none at first
	finder := p.preferTests(string(found), name)
	binary, number := p.Binary, p.Switches[name]
	switch number {
	case noMutant:
		result = mutantDoesNotCompile
	case noSwitch:
		pkg := "./" + p.Package
		tree := &testTree{path: root, built: &built{tests: map[string][]builtPackage{pkg: p.Packages}}}
		binary = filepath.Join(root, binaryOf(pkg))
		if tree.compile(binary, pkg, p.files()) != nil {
			result = mutantDoesNotCompile
		}
	}
	if result != mutantDoesNotCompile {
		result, finder = p.runTests(binary, number, finder)
	}
	if result == mutantIsFound {
		err = appendLine(finders, finder+" "+name)
	}
	if err = errors.Join(err, os.WriteFile(file, []byte(resultNames[result]+" "+finder+"\n"), 0o600)); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return result
}

// appendLine adds a line to a file that other processes may add to at the same time.
func appendLine(name, line string) error {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(line + "\n")
	return errors.Join(err, file.Close())
}

// preferTests moves quick tests that have found other mutants of a file to the front, the last of them first. It returns the test that found
// the mutant of that name in an earlier version of the package or of its tests, or "".
func (p *plan) preferTests(found, name string) (before string) {
	const quick = 2 * time.Second
	place := map[string]int{} // from the end; 0 for any other
	for line := range strings.Lines(found) {
		finder, mutant, _ := strings.Cut(strings.TrimSpace(line), " ")
		finder = strings.Trim(finder, "^$")
		place[finder] = -len(place) - 1
		if mutant == name {
			before = finder
		}
	}
	slices.SortStableFunc(p.Tests, func(a, b measuredTest) int {
		if a.Took > quick || b.Took > quick {
			return cmp.Compare(a.Took, b.Took)
		}
		return cmp.Compare(place[a.Name], place[b.Name])
	})
	return before
}

// reaches reports whether the test may have reached the mutant of that number.
func (m measuredTest) reaches(number int) bool {
	return number == noSwitch || slices.Contains(m.Reached, number)
}

// runTests tries the mutant of that number, or that of a binary without switches, and returns the test that decided, or those that hang. Tests
// that do not reach a switch are not run, the test that is named first, if any, is run first, and the slowest last.
func (p plan) runTests(binary string, number int, first string) (result int, finder string) {
	atOnce := 400 * time.Millisecond // the time of tests that are run together
	var some batch
	for _, test := range p.Tests {
		if test.Name == first && test.reaches(number) {
			if result, finder = p.run(binary, number, some.with(test)); result != mutantLives {
				return result, finder
			}
		}
	}
	for i, test := range p.Tests {
		if test.Name != first && test.reaches(number) {
			some = some.with(test)
		}
		if len(some.names) > 0 && (some.took > atOnce || i == len(p.Tests)-1) {
			if result, finder = p.run(binary, number, some); result != mutantLives {
				return result, finder
			}
			some, atOnce = batch{}, 2*atOnce
		}
	}
	return mutantLives, ""
}

// A batch is tests that are run together. took and longest are the times without a mutant of all of them and of the longest.
type batch struct {
	names         []string
	took, longest time.Duration
}

func (b batch) with(test measuredTest) batch {
	return batch{append(b.names, test.Name), b.took + test.Took, max(b.longest, test.Took)}
}

// run runs tests of the binary. A test that fails finds the mutant if it fails again alone, and not without the mutant. Tests that take twenty
// times as long as without it, or the longest of them while none begins or ends, hang, which finds it too, if all take less than a third of
// that without it at that time.
func (p plan) run(binary string, number int, some batch) (result int, finder string) {
	tests := "^(" + strings.Join(some.names, "|") + ")$"
	timeout := 10*time.Second + 20*(p.Startup+some.took)
	silence := 10*time.Second + 20*(p.Startup+some.longest)
	for ; timeout < time.Hour; timeout, silence = 2*timeout, 2*silence {
		result, finder = p.runOnce(binary, number, timeout, silence, tests)
		again := mutantLives
		switch result {
		case mutantIsFound:
			without, _ := p.runOnce(p.Binary, noSwitch, timeout, silence, finder)
			if without == mutantLives {
				again, _ = p.runOnce(binary, number, timeout, silence, finder)
			}
		case mutantHangs:
			if without, _ := p.runOnce(p.Binary, noSwitch, timeout/3, silence/3, tests); without == mutantLives {
				again = mutantHangs
			}
		default:
			return result, ""
		}
		if again != mutantLives {
			return result, finder
		}
	}
	return mutantLives, ""
}

// runOnce runs tests of the binary in the working directory until one of them fails: others that run at that time may hang. They hang after
// timeout, or when they print nothing for as long as silence; each prints when it begins and when it ends.
func (p plan) runOnce(binary string, number int, timeout, silence time.Duration, tests string) (result int, finder string) {
	folder, err := os.MkdirTemp(p.Memory, "mutant-") // a process that is killed leaves files
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return mutantDoesNotCompile, ""
	}
	defer func() { _ = os.RemoveAll(folder) }()
	_ = os.Chmod(folder, 0o711)
	server, release, err := p.takeServer()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return mutantDoesNotCompile, ""
	}
	defer release()
	parallel := fmt.Sprint("-test.parallel=", mutantTests)
	run := exec.Command(binary, "-test.v", "-test.run="+tests, "-test.failfast", parallel, "-test.timeout="+timeout.String())
	run.Env = append(p.environment(server), fmt.Sprint("MUTANT=", number), "TMPDIR="+folder, "GOTMPDIR="+folder)
	// The processes that its tests have started end with it, and it ends with this process, which gremlins may end.
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	output, err := run.StdoutPipe()
	if err == nil {
		run.Stderr = run.Stdout
		err = run.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return mutantDoesNotCompile, ""
	}
	kill := func() { _ = syscall.Kill(-run.Process.Pid, syscall.SIGKILL) }
	defer kill()
	silent := time.AfterFunc(silence, kill)
	result, finder = mutantIsFound, tests
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		silent.Reset(silence)
		failed, fails := strings.CutPrefix(lines.Text(), "--- FAIL: ")
		hangs := strings.HasPrefix(lines.Text(), "panic: test timed out")
		if fails {
			name, _, _ := strings.Cut(failed, " ")
			finder = "^" + name + "$"
		} else if hangs {
			result = mutantHangs
		}
		if fails || hangs {
			kill() // what remains is of no interest
			break
		}
	}
	if !silent.Stop() {
		result = mutantHangs
	}
	unmount(folder)
	if run.Wait() != nil {
		return result, finder
	}
	return mutantLives, ""
}

// unmount thaws and unmounts what a test that was killed has left in the folder: no process ends that waits for a frozen file system.
func unmount(folder string) {
	mounts, _ := os.ReadFile("/proc/self/mounts") // one a line, its place second
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], folder+"/") {
			_ = exec.Command("fsfreeze", "--unfreeze", fields[1]).Run() // it fails where nothing is frozen
			_ = exec.Command("umount", "--lazy", fields[1]).Run()
		}
	}
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

// tokensOf returns the tokens of a file, without parentheses.
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
		if is != token.LPAREN && is != token.RPAREN { // gremlins prints those that the tree of the expression needs
			all = append(all, placedToken{positions.Position(at), is})
		}
	}
}

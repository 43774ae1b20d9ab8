package pimsd_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// mutantPlan names the file that tells TestOneMutant how to try a mutant.
var mutantPlan = flag.String("mutant-plan", "", "a file that TestMutants writes: how to try the mutant in the working directory")

// slowTests are those of a package that are tried against a mutant only if all others have passed.
var slowTests = map[string]string{
	"internal/otp":        "^(TestEnrollmentsCutAnywhere|TestAnswersCutAnywhere|TestDrainUnderLoad|TestOneDeviceManyCallers|TestWrongPINsNeverCost.*|.*Property|Fuzz.*)$",
	"internal/store/seal": "^(TestKeyFileThatDoesNotAnswer|TestRotateKilledAndResumed)$",
	"internal/store/sqlite": "^(TestFull|TestReplac.*|TestNoMigrationUnderAnothersFeet|TestUnused|TestRightDatabaseIsNeverRefused|TestAQuietDirectory|" +
		"TestSeveralProcesses|TestKilledUnderLoad|TestHousekeepingKeepsUp|TestFrozenFileSystem)$",
	"internal/store/postgres": "^(TestHousekeepingKeepsUp|TestLockedRowsStopNoOtherAccount|TestARepeatWaitsForTheStandbyToo|" +
		"TestAProcessThatStopsInATransaction|TestAServerThatIsDemoted|TestASettleDoesNotWaitForLookups|TestSilentConnections|" +
		"TestALockedResponseStopsNoOtherAccount|TestADumpOnAnotherServer|TestPgBouncer.*|TestPromotion.*|TestSeveralHosts|TestCrashOfTheServer)$",
	"internal/authn": "^(TestBadCredentialsOverHTTP|Fuzz.*)$",
}

// mutantTimeout is how long the tests of a mutant may take; one that takes longer hangs, and so is found.
const mutantTimeout = 3 * time.Minute

// A plan is how TestOneMutant tries a mutant of a package.
type plan struct {
	Package  string // relative to the tree
	Packages []builtPackage
	Folders  []string // of the packages, relative to the tree
}

// The results of a try, as gremlins reads them from the status of `go test`.
const (
	mutantLives = iota
	mutantIsFound
	mutantDoesNotCompile
)

// fakeGo makes a folder with a command that gremlins runs instead of go, and returns it. It differs from go in three ways. It compiles the
// package of the mutant alone, because compiling all that imports it takes several times as long as the tests. It reports a mutant that
// does not compile, which gremlins takes for one that is found. And it reports every line as covered: to gremlins no condition of a case is.
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
	os.Exit(p.try(root, p.files()))
}

// files returns the files that the package is compiled of on this system, relative to the tree.
func (p plan) files() (names []string) {
	for i, folder := range p.Folders {
		if folder != p.Package {
			continue
		}
		for _, name := range p.Packages[i].GoFiles {
			if name = folder + "/" + name; !strings.HasSuffix(name, "_test.go") && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// try returns what becomes of the mutant: quick tests look for it first.
func (p plan) try(root string, changed []string) (result int) {
	pkg := "./" + p.Package
	tree := &testTree{path: root, built: &built{tests: map[string][]builtPackage{pkg: p.Packages}}}
	binary := filepath.Join(root, binaryOf(pkg))
	if tree.compile(binary, pkg, changed) != nil {
		return mutantDoesNotCompile
	}
	selections := [][]string{{}}
	if slow := slowTests[p.Package]; slow != "" {
		selections = [][]string{{"-test.skip=" + slow}, {"-test.run=" + slow}}
	}
	for _, selection := range selections {
		run := exec.Command(binary, append(selection, "-test.failfast", "-test.timeout="+mutantTimeout.String())...)
		if run.Run() != nil {
			return mutantIsFound
		}
	}
	return mutantLives
}

package pimsd_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
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

// fakeGo makes a folder with a command that gremlins runs instead of go, and returns it. What gremlins tests takes the compiler, which
// compiles all that use the package, several times as long as the tests; and gremlins takes a mutant for found that does not compile.
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
	script := "#!/bin/sh\n" +
		`[ "$1 $2" = "test -timeout" ] || exec '` + realGo + `' "$@"` + "\n" +
		"PATH='" + filepath.Dir(realGo) + `':$PATH exec '` + self + "' -test.run='^TestOneMutant$' -mutant-plan='" + file + "'\n"
	if err := os.WriteFile(filepath.Join(folder, "go"), []byte(script), 0o700); err != nil { //nolint:gosec // it must be executable
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
	var changed []string
	for i, folder := range p.Folders {
		p.Packages[i].folder = folder
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSuffix(dir, "/"+p.Package)
	for _, f := range functionsOf(t, root, p.Package) {
		if f.file != "" {
			changed = append(changed, p.Package+"/"+f.file)
		}
	}
	os.Exit(p.try(root, changed))
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

package pimsd_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mutants names the packages that TestMutants changes: none, or some, separated by commas.
var mutants = flag.String("mutants", "", "the packages that TestMutants changes, separated by commas: internal/authn,internal/store/seal")

const (
	survivorsFile = "tools/mutants.txt"
	leastEfficacy = 90 // percent of the mutants that tests run: those that a test finds
)

// A mutant is one kind of change to one function: gremlins changes one operator at a time.
type mutant struct{ pkg, function, kind string }

func (m mutant) String() string { return m.pkg + " " + m.function + " " + m.kind }

// A survivor is a mutant that no test finds.
type survivor struct {
	count  int // how many operators of the function
	reason string
}

var survivorLine = regexp.MustCompile(`^(\S+) (\S+) ([A-Z_]+) ([1-9]\d*): (\S.*)$`)

// readSurvivors returns the explained survivors, of which each line of the file has one kind.
func readSurvivors(t *testing.T) map[mutant]survivor {
	t.Helper()
	text, err := os.ReadFile(survivorsFile)
	if err != nil {
		t.Fatal(err)
	}
	found, last := map[mutant]survivor{}, ""
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := survivorLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if fields == nil || line <= last {
			t.Errorf("%s: each line is `package function KIND count: reason`, in sorted order: %s", survivorsFile, line)
			continue
		}
		last = line
		count, _ := strconv.Atoi(fields[4]) // survivorLine has made sure
		found[mutant{fields[1], fields[2], fields[3]}] = survivor{count, fields[5]}
	}
	return found
}

// The functions of the survivors that are explained exist.
func TestSurvivorsExist(t *testing.T) {
	t.Parallel()
	functions := map[string][]function{}
	for m := range readSurvivors(t) {
		if functions[m.pkg] == nil {
			functions[m.pkg] = functionsOf(t, ".", m.pkg)
		}
		if !slices.ContainsFunc(functions[m.pkg], func(f function) bool { return f.name == m.function }) {
			t.Errorf("%s explains survivors of %s in %s, and there is no such function", survivorsFile, m.function, m.pkg)
		}
	}
}

// Of each package that -mutants names, tests find nearly every mutant, and the others are explained.
func TestMutants(t *testing.T) {
	if *mutants == "" {
		t.Skip("make mutants")
	}
	explained := readSurvivors(t)
	for pkg := range strings.SplitSeq(*mutants, ",") {
		t.Run(pkg, func(t *testing.T) {
			killed, lived, survivors := mutate(t, pkg)
			efficacy := 100 * float64(killed) / float64(max(1, killed+lived))
			t.Logf("%d mutants are killed, %d live: efficacy %.1f %%", killed, lived, efficacy)
			if efficacy < leastEfficacy {
				t.Errorf("efficacy %.1f %%, want %d or more", efficacy, leastEfficacy)
			}
			for m, places := range survivors {
				if len(places) > explained[m].count {
					t.Errorf("%s: %d live, and %d are explained: %s", m, len(places), explained[m].count, strings.Join(places, ", "))
				}
			}
			for m, e := range explained {
				if m.pkg == pkg && len(survivors[m]) < e.count {
					t.Errorf("%s: %d are explained in %s, and %d live", m, e.count, survivorsFile, len(survivors[m]))
				}
			}
		})
	}
}

// mutate lets gremlins loose on the package. It returns how many of the mutants that tests run are killed and how many live, and the places
// of all that no test has found, those that no test of the package runs included.
func mutate(t *testing.T, pkg string) (killed, lived int, survivors map[mutant][]string) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	path, err := exec.Command("go", "tool", "-n", "-modfile=tools/gremlins.mod", "gremlins").Output()
	if err != nil {
		t.Fatal(err)
	}
	// TestOneMutant gives up a mutant that makes a test wait, not gremlins, which would leave the test running.
	gremlins := exec.Command(strings.TrimSpace(string(path)), "unleash", "./"+pkg,
		fmt.Sprint("--workers=", mutantWorkers), "--invert-logical", "--timeout-coefficient=1200", "--output="+report)
	folder, tree := fakeGo(t, pkg)
	gremlins.Dir = tree // gremlins reads each file when it changes it, and this tree may be edited meanwhile
	gremlins.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"))
	gremlins.Stdout, gremlins.Stderr = os.Stdout, os.Stderr // each mutant when it was tried
	if err := gremlins.Run(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Files []struct {
			Name      string `json:"file_name"`
			Mutations []struct {
				Type, Status string
				Line, Column int
			}
		}
	}
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	functions := functionsOf(t, ".", pkg)
	survivors = map[mutant][]string{}
	for _, file := range result.Files {
		for _, m := range file.Mutations {
			switch m.Status {
			case "KILLED", "TIMED OUT":
				killed++
				continue
			case "LIVED":
				lived++
			case "NOT COVERED":
			default: // a mutant that does not compile is none
				continue
			}
			name := filepath.Base(file.Name)
			of := mutant{pkg, functionAt(functions, name, m.Line), m.Type}
			survivors[of] = append(survivors[of], fmt.Sprintf("%s:%d:%d (%s)", name, m.Line, m.Column, strings.ToLower(m.Status)))
		}
	}
	return killed, lived, survivors
}

// A function is one of a package, or "-" for what is outside of functions.
type function struct {
	file        string
	name        string // Type.Name for a method
	first, last int    // lines
}

// functionsOf returns the functions of the production code of a package of the tree.
func functionsOf(t *testing.T, root, pkg string) (all []function) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	positions := token.NewFileSet()
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(positions, file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range parsed.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok {
				first, last := positions.Position(f.Pos()).Line, positions.Position(f.End()).Line
				all = append(all, function{file: filepath.Base(file), name: receiver(f) + f.Name.Name, first: first, last: last})
			}
		}
	}
	return append(all, function{name: "-"})
}

// receiver returns "Type." for a method, and otherwise nothing.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	switch generic := of.(type) {
	case *ast.IndexExpr:
		of = generic.X
	case *ast.IndexListExpr:
		of = generic.X
	}
	name, _ := of.(*ast.Ident)
	return name.Name + "."
}

// functionAt returns the name of the function that has the line of the file.
func functionAt(functions []function, file string, line int) string {
	i := slices.IndexFunc(functions, func(f function) bool { return f.file == file && f.first <= line && line <= f.last })
	if i < 0 {
		return "-"
	}
	return functions[i].name
}

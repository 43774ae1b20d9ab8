package pimsd_test

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module       = "github.com/pimsd/pimsd/"
	maxFileLines = 300
)

// pkg is a package of this module with production code, named by its path below the module.
type pkg struct {
	imports     []string // of production code, whole paths
	testImports []string // of its tests
	commented   bool     // has a package comment
}

// row is a line of the table in ARCHITECTURE.md.
type row struct {
	imports  []string
	anything bool // scaffolding: imports are not listed
}

func TestImportsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parseTable(string(text))
	if err != nil {
		t.Fatal(err)
	}
	packages, _ := readModule(t)
	for _, fault := range checkImports(rows, packages) {
		t.Error(fault)
	}
}

// A service that holds secrets serves no profiles of itself. Without the package, Go does not sample the heap either, which takes memory.
func TestCommandHasNoProfiler(t *testing.T) {
	t.Parallel()
	imports, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/pimsd").Output()
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(strings.Fields(string(imports)), "net/http/pprof") {
		t.Error("pimsd imports net/http/pprof: `go list -deps -f '{{.ImportPath}} {{.Imports}}' ./cmd/pimsd` shows the package that does")
	}
}

func TestFilesKeepTheHouseRules(t *testing.T) {
	t.Parallel()
	packages, faults := readModule(t)
	for name, p := range packages {
		if !p.commented {
			t.Errorf("%s has no package comment: say what it is for and what it must never do", name)
		}
	}
	for _, fault := range faults {
		t.Error(fault)
	}
}

// readModule reads every Go file of the module, whatever its build constraints, and returns the packages
// and what is wrong with single files. It reads the folders itself, so that `go test` knows when its cached result is stale.
func readModule(t *testing.T) (packages map[string]*pkg, faults []string) {
	t.Helper()
	packages = map[string]*pkg{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && isOutside(path):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go" || filepath.Dir(path) == ".":
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(filepath.Dir(path))
		p := cmp.Or(packages[name], &pkg{})
		packages[name] = p
		if strings.HasSuffix(path, "_test.go") {
			p.testImports = append(p.testImports, importsOf(file)...)
			return nil
		}
		p.imports = append(p.imports, importsOf(file)...)
		p.commented = p.commented || file.Doc != nil
		faults = append(faults, checkFile(path, src, file)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages, faults
}

// isOutside reports whether a folder is no part of the module.
func isOutside(folder string) bool {
	base := filepath.Base(folder)
	if folder == "." {
		return false
	}
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil || base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")
}

func importsOf(file *ast.File) (paths []string) {
	for _, spec := range file.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, "`\""))
	}
	return paths
}

var (
	tableHead = "| package | what it is for | imports of ours |"
	tableRow  = regexp.MustCompile("^\\| `([^`]+)` \\| [^|]+ \\| ([^|]+) \\|$")
	quoted    = regexp.MustCompile("`([^`]+)`")
)

func parseTable(text string) (map[string]row, error) {
	_, table, found := strings.Cut(text, tableHead+"\n|---|---|---|\n")
	if !found {
		return nil, fmt.Errorf("ARCHITECTURE.md has no table that starts with %q", tableHead)
	}
	rows := map[string]row{}
	for line := range strings.Lines(table) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			break
		}
		cells := tableRow.FindStringSubmatch(line)
		if cells == nil {
			return nil, fmt.Errorf("ARCHITECTURE.md: not a row of the form | `package` | sentence | imports |: %s", line)
		}
		r := row{anything: cells[2] == "anything"}
		for _, m := range quoted.FindAllStringSubmatch(cells[2], -1) {
			r.imports = append(r.imports, m[1])
		}
		if len(r.imports) == 0 && !r.anything && cells[2] != "–" {
			return nil, fmt.Errorf("ARCHITECTURE.md: the imports of %s are neither `packages` nor – nor anything: %s", cells[1], cells[2])
		}
		if _, twice := rows[cells[1]]; twice {
			return nil, fmt.Errorf("ARCHITECTURE.md has two rows for %s: keep one", cells[1])
		}
		rows[cells[1]] = r
	}
	return rows, nil
}

// checkImports says in sentences where the packages and the table differ.
func checkImports(rows map[string]row, packages map[string]*pkg) (faults []string) {
	report := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for name, p := range packages {
		r, ok := rows[name]
		if !ok {
			report("%s has no row in the table of ARCHITECTURE.md: add one that says what it is for and what it imports", name)
			continue
		}
		for _, other := range ours(p.imports, p.testImports) {
			if other != name && isSibling(rows, name) && isSibling(rows, other) {
				report("%s imports its sibling %s, be it in a test: move what both need to a package below them", name, other)
			}
		}
		if r.anything {
			continue
		}
		imports := ours(p.imports)
		for _, other := range imports {
			if !slices.Contains(r.imports, other) {
				report("%s imports %s, which ARCHITECTURE.md does not allow: drop the import, or change the table and say why", name, other)
			}
		}
		for _, other := range r.imports {
			if !slices.Contains(imports, other) {
				report("ARCHITECTURE.md lets %s import %s, which it does not: delete that from its row", name, other)
			}
			if rows[other].anything {
				report("ARCHITECTURE.md lets %s import the scaffolding %s: production code must not", name, other)
			}
		}
	}
	for name := range rows {
		if packages[name] == nil {
			report("ARCHITECTURE.md has a row for %s, which is no package: delete the row, or write the package", name)
		}
	}
	slices.Sort(faults)
	return faults
}

// isSibling reports whether a package is one of those that must not lean on each other.
func isSibling(rows map[string]row, name string) bool {
	store := strings.HasPrefix(name, "internal/store/") && !rows[name].anything
	return store || name == "internal/api" || name == "internal/inwebosim"
}

// ours returns the packages of this module among import paths, once each.
func ours(lists ...[]string) (names []string) {
	for _, path := range slices.Concat(lists...) {
		if name, ok := strings.CutPrefix(path, module); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// checkFile says in sentences what a production file does that no file may.
func checkFile(path string, src []byte, file *ast.File) (faults []string) {
	if lines := bytes.Count(src, []byte("\n")); lines > maxFileLines {
		faults = append(faults, fmt.Sprintf("%s has %d lines, more than %d: split it by what its parts are for", path, lines, maxFileLines))
	}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			faults = append(faults, path+" has an init function: build what it builds where it is used, or in app")
		}
	}
	return faults
}

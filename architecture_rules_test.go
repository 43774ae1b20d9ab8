package pimsd_test

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// The rules themselves, held against worlds that break them one at a time.

const smallTable = tableIntro + "| `internal/a` | one | – |\n" +
	"| `internal/b` | two | `internal/a` |\n" +
	"| `internal/api` | face | – |\n" +
	"| `internal/inwebosim` | other side | – |\n" +
	"| `internal/store/x` | store | `internal/b` |\n" +
	"| `internal/testkit/storetest` | suite | anything |\n\nMore text.\n"

const tableIntro = "# Title\n\n| package | what it is for | imports of ours |\n|---|---|---|\n"

func smallWorld() map[string]*pkg {
	return map[string]*pkg{
		"internal/a":         {imports: []string{"fmt"}},
		"internal/b":         {imports: []string{module + "internal/a", "fmt"}},
		"internal/api":       {},
		"internal/inwebosim": {},
		"internal/store/x": {
			imports:     []string{module + "internal/b"},
			testImports: []string{module + "internal/testkit/storetest", module + "internal/a"},
		},
		"internal/testkit/storetest": {imports: []string{module + "internal/b"}},
	}
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		breakIt func(map[string]*pkg)
		want    string // part of the only fault; empty: none
	}{
		"all is well": {func(map[string]*pkg) {}, ""},
		"forbidden import": {
			func(w map[string]*pkg) { w["internal/a"].imports = []string{module + "internal/api"} },
			"internal/a imports internal/api, which ARCHITECTURE.md does not allow",
		},
		"package without a row": {
			func(w map[string]*pkg) { w["internal/new"] = &pkg{} },
			"internal/new has no row",
		},
		"row without a package": {
			func(w map[string]*pkg) { delete(w, "internal/api") },
			"has a row for internal/api, which is no package",
		},
		"unused allowance": {
			func(w map[string]*pkg) { w["internal/b"].imports = nil },
			"lets internal/b import internal/a, which it does not",
		},
		"sibling in a test": {
			func(w map[string]*pkg) { w["internal/store/x"].testImports = []string{module + "internal/inwebosim"} },
			"internal/store/x imports its sibling internal/inwebosim",
		},
		"scaffolding in production": {
			func(w map[string]*pkg) { w["internal/a"].imports = []string{module + "internal/testkit/storetest"} },
			"internal/a imports internal/testkit/storetest, which ARCHITECTURE.md does not allow",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, err := parseTable(smallTable)
			if err != nil {
				t.Fatal(err)
			}
			world := smallWorld()
			tc.breakIt(world)
			expectFault(t, checkImports(rows, world), tc.want)
		})
	}
}

func TestScaffoldingIsNotAllowedByTheTableEither(t *testing.T) {
	t.Parallel()
	rows, err := parseTable(tableIntro + "| `internal/a` | one | `internal/t` |\n| `internal/t` | suite | anything |\n")
	if err != nil {
		t.Fatal(err)
	}
	expectFault(t, checkImports(rows, map[string]*pkg{
		"internal/a": {imports: []string{module + "internal/t"}},
		"internal/t": {},
	}), "scaffolding internal/t")
}

func TestTablesThatAreNotOne(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no table":        "# Title\n",
		"bare name":       tableIntro + "| internal/a | one | – |\n",
		"bare import":     tableIntro + "| `internal/a` | one | secret |\n",
		"row given twice": tableIntro + "| `internal/a` | one | – |\n| `internal/a` | one | – |\n",
	} {
		if rows, err := parseTable(text); err == nil {
			t.Errorf("%s: read as %v", name, rows)
		}
	}
}

func TestFileRules(t *testing.T) {
	t.Parallel()
	longest := "package p" + strings.Repeat("\n", maxFileLines)
	for _, tc := range []struct {
		src, want string // want: part of the only fault; empty: none
	}{
		{"package p\n\nfunc f() {}\n\ntype t int\n\nfunc (t) init() {}\n", ""},
		{"package p\n\nfunc init() {}\n", "init function"},
		{longest, ""},
		{longest + "\n", "301 lines, more than 300"},
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "p.go", tc.src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		expectFault(t, checkFile("p.go", []byte(tc.src), file), tc.want)
	}
}

// expectFault fails unless there is one fault that says want, or none when want is empty.
func expectFault(t *testing.T, faults []string, want string) {
	t.Helper()
	if want == "" && len(faults) == 0 || want != "" && len(faults) == 1 && strings.Contains(faults[0], want) {
		return
	}
	t.Errorf("faults are %q, want one that says %q", faults, want)
}

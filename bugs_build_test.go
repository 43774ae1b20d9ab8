package pimsd_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// buildFlags let the copy and the tree share what is compiled; no debugger needs the tables that linkerFlags leave out.
var (
	buildFlags  = []string{"-trimpath"}
	linkerFlags = []string{"-s", "-w"}
)

// testTree is a copy of the tree that bugs are applied to, one at a time.
type testTree struct {
	path     string
	built    *built            // of the tree as it is
	binaries map[string]string // the tests that are compiled of the changed tree, by package
}

// newTestTree makes a copy of the tree.
func newTestTree(t *testing.T, built *built) *testTree {
	t.Helper()
	return &testTree{path: copyTree(t), built: built}
}

// copyTree copies the files that git knows of, as they are, to a directory of the test.
func copyTree(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	const copyFiles = `git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -cf - -T - | tar -xf - -C "$1"`
	if err := command(".", "sh", "-c", copyFiles, "sh", dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// change runs a command that changes the tree.
func (tree *testTree) change(name string, args ...string) error {
	tree.binaries = map[string]string{}
	return command(tree.path, name, args...)
}

// test runs the guard's test, compiled of the tree with the changed files. The error is an *exec.ExitError only if the test was run.
func (tree *testTree) test(g guard, changed []string) (output string, err error) {
	if tree.binaries[g.pkg] == "" {
		binary := filepath.Join(tree.path, binaryOf(g.pkg))
		if err := tree.compile(binary, g.pkg, changed); err != nil {
			return "", fmt.Errorf("does not compile: %s", err.Error()) // not the ExitError of the compiler
		}
		tree.binaries[g.pkg] = binary
	}
	return g.test(tree.path, tree.binaries[g.pkg])
}

// binaryOf returns the name of the test binary of a package.
func binaryOf(pkg string) string { return strings.ReplaceAll(pkg[len("./"):], "/", "-") + ".test" }

// test runs the guard's test of the binary, in a tree.
func (g guard) test(tree, binary string) (output string, err error) {
	run := exec.Command(binary, append([]string{"-test.v", "-test.timeout=15m", "-test.run=" + g.run}, g.flags...)...)
	run.Dir = filepath.Join(tree, g.pkg)
	text, err := run.CombinedOutput()
	return string(text), err
}

// compile makes the test binary of the package. It compiles the packages of the changed files alone, and links them with the others as they
// are built of the tree without changes. The linker refuses that if a change shows outside of its package, in what others inline too; then
// all are compiled.
func (tree *testTree) compile(binary, pkg string, changed []string) error {
	packages, err := tree.built.packages(pkg)
	if err != nil {
		return err
	}
	if tree.relink(packages, binary, changed) == nil {
		return nil
	}
	args := append([]string{"test", "-vet=off", "-ldflags=" + strings.Join(linkerFlags, " ")}, buildFlags...)
	return command(tree.path, "go", append(args, "-c", "-o", binary, pkg)...)
}

// relink compiles the packages of the changed files and links them with the others.
func (tree *testTree) relink(packages []builtPackage, binary string, changed []string) error {
	if slices.ContainsFunc(changed, func(file string) bool { return path.Ext(file) != ".go" }) {
		return errors.New("more than Go has changed")
	}
	objects := map[string]string{}
	for _, p := range packages {
		if !slices.ContainsFunc(changed, p.has) {
			continue
		}
		object := filepath.Join(tree.path, path.Base(p.path())+".a")
		if err := tree.compilePackage(p, object, packages, objects); err != nil {
			return err
		}
		objects[p.ImportPath] = object
	}
	return link(binary, tree.path, packages, objects)
}

// link makes a test binary of its packages, some of which are in other objects than those of the tree as it is. It has a folder for a file.
func link(binary, folder string, packages []builtPackage, objects map[string]string) error {
	config, err := writeImports(folder, packages, objects)
	if err != nil {
		return err
	}
	main := packages[len(packages)-1]
	args := append([]string{"tool", "link", "-o", binary, "-importcfg", config, "-X=testing.testBinary=1"}, linkerFlags...)
	if main.DefaultGODEBUG != "" {
		args = append(args, "-X=runtime.godebugDefault="+main.DefaultGODEBUG)
	}
	return command(folder, "go", append(args, main.Export)...)
}

// writeImports writes the file that tells compiler and linker where the packages are, and returns its name.
func writeImports(folder string, packages []builtPackage, objects map[string]string) (file string, err error) {
	var text bytes.Buffer
	for _, p := range packages {
		fmt.Fprintf(&text, "packagefile %s=%s\n", p.path(), cmp.Or(objects[p.ImportPath], p.Export))
	}
	file = filepath.Join(folder, "importcfg")
	return file, os.WriteFile(file, text.Bytes(), 0o600)
}

// compilePackage compiles one package of the tree to the object file.
func (tree *testTree) compilePackage(p builtPackage, object string, packages []builtPackage, objects map[string]string) error {
	imports, err := writeImports(tree.path, packages, objects)
	if err != nil {
		return err
	}
	embed, err := tree.embedConfig(p)
	if err != nil {
		return err
	}
	dir := filepath.Join(tree.path, p.Folder)
	args := []string{
		"tool", "compile", "-o", object, "-p", p.path(), "-lang=go" + p.Module.language(), "-complete", "-pack",
		"-trimpath", dir + "=>" + p.path(), "-importcfg", imports,
	}
	if embed != "" {
		args = append(args, "-embedcfg", embed)
	}
	return command(dir, "go", append(args, p.GoFiles...)...)
}

// embedConfig writes a file that tells the compiler where the embedded files of a package are. It returns its name, or "" if there are none.
func (tree *testTree) embedConfig(p builtPackage) (file string, err error) {
	if len(p.EmbedPatterns) == 0 {
		return "", nil
	}
	var config struct {
		Patterns map[string][]string
		Files    map[string]string
	}
	config.Patterns, config.Files = map[string][]string{}, map[string]string{}
	for _, embedded := range p.EmbedFiles {
		config.Files[embedded] = filepath.Join(tree.path, p.Folder, embedded)
		for _, pattern := range p.EmbedPatterns {
			if matches, _ := path.Match(pattern, embedded); matches || strings.HasPrefix(embedded, pattern+"/") {
				config.Patterns[pattern] = append(config.Patterns[pattern], embedded)
			}
		}
	}
	text, err := json.Marshal(config)
	if err != nil {
		return "", err
	}
	file = filepath.Join(tree.path, "embedcfg")
	return file, os.WriteFile(file, text, 0o600)
}

// built has what is compiled of the tree as it is.
type built struct {
	tree string // a copy that nothing changes

	mu       sync.Mutex
	tests    map[string][]builtPackage // what the test binary of a package is linked of
	binaries map[string]string         // the test binaries of packages
}

func newBuilt(t *testing.T) *built {
	t.Helper()
	return &built{tree: copyTree(t), tests: map[string][]builtPackage{}, binaries: map[string]string{}}
}

// test runs the guard's test as it is.
func (b *built) test(g guard) (output string, err error) {
	binary, err := b.binary(g.pkg)
	if err != nil {
		return "", fmt.Errorf("does not compile: %s", err.Error()) // not the ExitError of the compiler
	}
	return g.test(b.tree, binary)
}

// binary returns the test binary of a package.
func (b *built) binary(pkg string) (string, error) {
	packages, err := b.packages(pkg)
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.binaries[pkg] == "" {
		binary := filepath.Join(b.tree, binaryOf(pkg))
		if err := link(binary, b.tree, packages, nil); err != nil {
			return "", err
		}
		b.binaries[pkg] = binary
	}
	return b.binaries[pkg], nil
}

// A builtPackage is what `go list -export` says of one.
type builtPackage struct {
	ImportPath, Dir, Export, DefaultGODEBUG  string
	GoFiles, EmbedPatterns, EmbedFiles, Deps []string
	Module                                   *ofModule

	Folder string // relative to the tree, if it is of the tree; go list leaves it empty
}

type ofModule struct{ GoVersion string }

// language returns the version of the language, as the compiler wants it: 1.26 of 1.26.0.
func (m *ofModule) language() string {
	return strings.Join(strings.SplitN(m.GoVersion, ".", 3)[:2], ".")
}

// path returns the path by which others import the package, whichever test it was compiled for.
func (p builtPackage) path() string {
	name, _, _ := strings.Cut(p.ImportPath, " ")
	return name
}

// has reports whether the package is compiled of the file, whose name is relative to the tree. Tests outside of a package are another one.
func (p builtPackage) has(file string) bool {
	return path.Dir(file) == p.Folder && slices.Contains(p.GoFiles, path.Base(file))
}

// packages returns those that the test binary of a package is linked of, each after those that it imports; the last is its main package.
func (b *built) packages(pkg string) ([]builtPackage, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if packages := b.tests[pkg]; packages != nil {
		return packages, nil
	}
	args := append([]string{"list", "-deps", "-test", "-export", "-json=ImportPath,Dir,Export,DefaultGODEBUG,GoFiles,EmbedPatterns,EmbedFiles,Deps,Module"}, buildFlags...)
	list := exec.Command("go", append(args, pkg)...)
	list.Dir = b.tree
	var problems bytes.Buffer
	list.Stderr = &problems
	text, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, problems.Bytes())
	}
	var all []builtPackage
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var p builtPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		p.Folder, _ = filepath.Rel(b.tree, p.Dir)
		all = append(all, p)
	}
	main := all[len(all)-1]
	linked := slices.DeleteFunc(all, func(p builtPackage) bool {
		return p.Export == "" || p.ImportPath != main.ImportPath && !slices.Contains(main.Deps, p.ImportPath)
	})
	b.tests[pkg] = linked
	return linked, nil
}

package pimsd_test

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// switches rewrites a package so that it has all mutants of its operators, of which the environment variable MUTANT turns one on. To
// compile that once is much quicker than to compile each mutant. Operators of texts are left as they are, and those of constants where
// the language or a test needs a constant.
type switches struct {
	positions  *token.FileSet
	info       *types.Info
	declared   map[types.Object]ast.Expr // of which expressions constants are declared
	numbers    map[string]int            // of the mutants, by the name that switchName returns
	incomplete map[string]bool           // mutants that the rewritten package does not have everywhere
	text       []byte                    // of the file that is being rewritten
	edits      []edit                    // of it
}

// An edit replaces a part of a text.
type edit struct {
	from, to int
	text     string
}

// A rewriting is what is written around the operands of an operator: $1 and $2 are the numbers of the mutants with other operators.
type rewriting struct {
	others                 []token.Token
	before, between, after string
}

// rewritings has the operators that gremlins changes. Of a comparison, the second mutant is its negation.
var rewritings = map[token.Token]rewriting{
	token.EQL:  {others: []token.Token{token.NEQ}, before: "((", between: "==", after: ") != mutant($1))"},
	token.NEQ:  {others: []token.Token{token.EQL}, before: "((", between: "!=", after: ") != mutant($1))"},
	token.LSS:  {others: []token.Token{token.LEQ, token.GEQ}, before: "(mutantLSS($1, ", between: ",", after: ") != mutant($2))"},
	token.LEQ:  {others: []token.Token{token.LSS, token.GTR}, before: "(mutantLEQ($1, ", between: ",", after: ") != mutant($2))"},
	token.GTR:  {others: []token.Token{token.GEQ, token.LEQ}, before: "(mutantGTR($1, ", between: ",", after: ") != mutant($2))"},
	token.GEQ:  {others: []token.Token{token.GTR, token.LSS}, before: "(mutantGEQ($1, ", between: ",", after: ") != mutant($2))"},
	token.LAND: {others: []token.Token{token.LOR}, before: "mutantLAND($1, ", between: ", func() bool { return (", after: ") })"},
	token.LOR:  {others: []token.Token{token.LAND}, before: "mutantLOR($1, ", between: ", func() bool { return (", after: ") })"},
	token.ADD:  {others: []token.Token{token.SUB}, before: "mutantADD($1, ", between: ",", after: ")"},
	token.SUB:  {others: []token.Token{token.ADD}, before: "mutantSUB($1, ", between: ",", after: ")"},
	token.MUL:  {others: []token.Token{token.QUO}, before: "mutantMUL($1, ", between: ",", after: ")"},
	token.QUO:  {others: []token.Token{token.MUL}, before: "mutantQUO($1, ", between: ",", after: ")"},
	token.REM:  {others: []token.Token{token.MUL}, before: "mutantREM($1, ", between: ",", after: ")"},
}

// switchName names the mutant that has another token at a place of a file.
func switchName(file string, place token.Position, other token.Token) string {
	return fmt.Sprintf("%s:%d:%d %s", filepath.Base(file), place.Line, place.Column, other)
}

// addSwitches rewrites the files of a package of the tree, which are named relative to it. packages are those that it imports, and others.
// It returns the numbers of the mutants by their names.
func addSwitches(tree, pkg string, files []string, packages []builtPackage) (map[string]int, error) {
	s := &switches{
		positions: token.NewFileSet(), declared: map[types.Object]ast.Expr{}, numbers: map[string]int{}, incomplete: map[string]bool{},
		info: &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
		},
	}
	var parsed []*ast.File
	for _, name := range files {
		file, err := parser.ParseFile(s.positions, filepath.Join(tree, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, file)
	}
	config := types.Config{Importer: importer.ForCompiler(s.positions, "gc", func(path string) (io.ReadCloser, error) {
		i := slices.IndexFunc(packages, func(p builtPackage) bool { return p.ImportPath == path })
		if i < 0 {
			return nil, fmt.Errorf("package %s is not built", path)
		}
		return os.Open(packages[i].Export)
	})}
	if _, err := config.Check(pkg, s.positions, parsed, s.info); err != nil {
		return nil, err
	}
	for _, file := range parsed {
		s.findConstants(file)
	}
	if err := s.keepTested(filepath.Join(tree, pkg)); err != nil {
		return nil, err
	}
	for i, file := range parsed {
		if err := s.rewriteFile(filepath.Join(tree, files[i]), file); err != nil {
			return nil, err
		}
	}
	for name := range s.incomplete {
		delete(s.numbers, name)
	}
	helpers := strings.Replace(switchHelpers, "PACKAGE", parsed[0].Name.Name, 1)
	return s.numbers, os.WriteFile(filepath.Join(tree, pkg, "mutants.go"), []byte(helpers), 0o600)
}

func (s *switches) rewriteFile(name string, file *ast.File) (err error) {
	if s.text, err = os.ReadFile(name); err != nil {
		return err
	}
	s.edits = nil
	s.rewrite(file)
	slices.SortStableFunc(s.edits, func(a, b edit) int { return a.from - b.from })
	var text []byte
	done := 0
	for _, e := range s.edits {
		text = append(append(text, s.text[done:e.from]...), e.text...)
		done = e.to
	}
	return os.WriteFile(name, append(text, s.text[done:]...), 0o600)
}

// rewrite adds the edits of a node and of those below it, in the order of the text where they are at the same place.
func (s *switches) rewrite(n ast.Node) {
	if e, ok := n.(ast.Expr); ok && s.info.Types[e].Value != nil {
		s.dropTexts(e)
		s.rewriteConstant(e)
		return
	}
	switch n := n.(type) {
	case *ast.GenDecl:
		if n.Tok == token.CONST {
			s.dropTexts(n)
			return
		}
	case *ast.ArrayType:
		if n.Len != nil {
			s.keepConstant(n.Len)
		}
		s.rewrite(n.Elt)
		return
	case *ast.BinaryExpr:
		if r, ok := rewritings[n.Op]; ok && s.has(n) {
			var numbers []string
			for i, other := range r.others {
				numbers = append(numbers, fmt.Sprint("$", i+1), fmt.Sprint(s.number(n.OpPos, other)))
			}
			fill := strings.NewReplacer(numbers...)
			s.edit(n.Pos(), n.Pos(), fill.Replace(r.before))
			s.rewrite(n.X)
			s.edit(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), r.between)
			s.rewrite(n.Y)
			s.edit(n.End(), n.End(), fill.Replace(r.after))
			return
		}
		s.dropText(n)
	case *ast.IncDecStmt:
		other, assign := token.DEC, "+="
		if n.Tok == token.DEC {
			other, assign = token.INC, "-="
		}
		operand := s.text[s.offset(n.X.Pos()):s.offset(n.X.End())]
		s.rewrite(n.X)
		s.edit(n.TokPos, n.End(), fmt.Sprintf("%s mutantOne(%d, %s)", assign, s.number(n.TokPos, other), operand))
		return
	}
	ast.Inspect(n, func(below ast.Node) bool {
		if below != nil && below != n {
			s.rewrite(below)
		}
		return below == n
	})
}

// dropTexts notes that texts have no difference, nor have those below the node.
func (s *switches) dropTexts(n ast.Node) {
	ast.Inspect(n, func(below ast.Node) bool {
		if e, ok := below.(*ast.BinaryExpr); ok {
			s.dropText(e)
		}
		return true
	})
}

func (s *switches) dropText(e *ast.BinaryExpr) {
	if e.Op == token.ADD && isText(s.info.Types[e].Type) {
		s.numbers[s.nameOf(e.OpPos, token.SUB)] = noMutant
	}
}

// has reports whether a function can do what the operator does: it is neither a part of a constant, nor one of texts, which have no other.
func (s *switches) has(e *ast.BinaryExpr) bool {
	of := s.info.Types[e]
	_, ok := of.Type.Underlying().(*types.Basic)
	return of.Value == nil && ok && !isText(of.Type)
}

func isText(of types.Type) bool {
	basic, ok := of.Underlying().(*types.Basic)
	return ok && basic.Info()&types.IsString != 0
}

func (s *switches) nameOf(place token.Pos, other token.Token) string {
	at := s.positions.Position(place)
	return switchName(at.Filename, at, other)
}

// number returns the number of a mutant, of which a constant can have more than one place.
func (s *switches) number(place token.Pos, other token.Token) int {
	name := s.nameOf(place, other)
	if _, ok := s.numbers[name]; !ok {
		s.numbers[name] = len(s.numbers) + 1
	}
	return s.numbers[name]
}

func (s *switches) edit(from, to token.Pos, text string) {
	s.edits = append(s.edits, edit{s.offset(from), s.offset(to), text})
}

func (s *switches) offset(at token.Pos) int { return s.positions.Position(at).Offset }

// switchHelpers is a file of the rewritten package. It writes the numbers of the mutants that are reached to the file MUTANTS_REACHED.
const switchHelpers = `package PACKAGE

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"sync"
)

var (
	mutantOn, _  = strconv.Atoi(os.Getenv("MUTANT"))
	mutantsFile  = os.Getenv("MUTANTS_REACHED")
	mutantsKnown sync.Map
)

func mutant(number int) bool {
	if mutantsFile != "" {
		if _, known := mutantsKnown.Swap(number, true); !known {
			file, err := os.OpenFile(mutantsFile, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				panic(err)
			}
			fmt.Fprintln(file, number)
			file.Close()
		}
	}
	return number == mutantOn
}

type mutantNumber interface { mutantInteger | ~float32 | ~float64 }

type mutantInteger interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

func mutantLSS[T cmp.Ordered](m int, a, b T) bool { if mutant(m) { return a <= b }; return a < b }
func mutantLEQ[T cmp.Ordered](m int, a, b T) bool { if mutant(m) { return a < b }; return a <= b }
func mutantGTR[T cmp.Ordered](m int, a, b T) bool { if mutant(m) { return a >= b }; return a > b }
func mutantGEQ[T cmp.Ordered](m int, a, b T) bool { if mutant(m) { return a > b }; return a >= b }

func mutantConstant[T any](m int, a, b T) T { if mutant(m) { return b }; return a }

func mutantLAND(m int, a bool, b func() bool) bool { if mutant(m) { return a || b() }; return a && b() }
func mutantLOR(m int, a bool, b func() bool) bool { if mutant(m) { return a && b() }; return a || b() }

func mutantADD[T mutantNumber](m int, a, b T) T { if mutant(m) { return a - b }; return a + b }
func mutantSUB[T mutantNumber](m int, a, b T) T { if mutant(m) { return a + b }; return a - b }
func mutantMUL[T mutantNumber](m int, a, b T) T { if mutant(m) { return a / b }; return a * b }
func mutantQUO[T mutantNumber](m int, a, b T) T { if mutant(m) { return a * b }; return a / b }
func mutantREM[T mutantInteger](m int, a, b T) T { if mutant(m) { return a * b }; return a % b }

func mutantOne[T mutantNumber](m int, _ T) T { var zero T; if mutant(m) { return zero - 1 }; return zero + 1 }
`

package pimsd_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// An operatorAt is an operator of a constant expression.
type operatorAt struct {
	at token.Pos
	is token.Token
}

// findConstants remembers of which expressions the constants of the file are declared.
func (s *switches) findConstants(file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for i, name := range spec.Names {
				if declared, ok := s.info.Defs[name].(*types.Const); ok && i < len(spec.Values) {
					s.declared[declared] = spec.Values[i]
				}
			}
		}
		return true
	})
}

// rewriteConstant makes an expression whose value is known to the compiler one whose value the mutants of its operators change, and of those
// in the declarations of the constants that it has.
func (s *switches) rewriteConstant(e ast.Expr) {
	before, after := "", ""
	for _, o := range s.operatorsOf(e) {
		for _, other := range rewritings[o.is].others {
			value := s.evaluate(e, o.at, other)
			of, isBasic := s.info.Types[e].Type.(*types.Basic)
			if !fits(value, s.info.Types[e].Type) {
				continue // it does not compile
			}
			if isBasic && of.Info()&types.IsUntyped != 0 || value.Kind() == constant.Float {
				s.incomplete[s.nameOf(o.at, other)] = true
				continue
			}
			instance := "" // the type of the argument
			if isBasic {
				instance = "[" + of.Name() + "]"
			}
			before = fmt.Sprintf("mutantConstant%s(%d, ", instance, s.number(o.at, other)) + before
			after += fmt.Sprintf(", %s)", value.ExactString())
		}
	}
	if before != "" {
		s.edit(e.Pos(), e.Pos(), before)
		s.edit(e.End(), e.End(), after)
	}
}

// keepConstant notes that the mutants of an expression cannot be switched, because it must be a constant.
func (s *switches) keepConstant(e ast.Expr) {
	for _, o := range s.operatorsOf(e) {
		for _, other := range rewritings[o.is].others {
			s.incomplete[s.nameOf(o.at, other)] = true
		}
	}
}

// operatorsOf returns the operators of a constant expression, and of the constants in it, that have mutants.
func (s *switches) operatorsOf(e ast.Expr) (all []operatorAt) {
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if _, ok := rewritings[n.Op]; ok && !isText(s.info.Types[n.X].Type) {
				all = append(all, operatorAt{at: n.OpPos, is: n.Op})
			}
		case *ast.Ident:
			if declaration, ok := s.declared[s.info.Uses[n]]; ok {
				all = append(all, s.operatorsOf(declaration)...)
			}
		}
		return true
	})
	return all
}

// evaluate returns the value of a constant expression with another operator at a place.
func (s *switches) evaluate(e ast.Expr, at token.Pos, other token.Token) constant.Value {
	known := s.info.Types[e].Value
	switch e := e.(type) {
	case *ast.ParenExpr:
		return s.evaluate(e.X, at, other)
	case *ast.Ident:
		if declaration, ok := s.declared[s.info.Uses[e]]; ok {
			return s.evaluate(declaration, at, other)
		}
	case *ast.UnaryExpr:
		return constant.UnaryOp(e.Op, s.evaluate(e.X, at, other), 0)
	case *ast.CallExpr: // a conversion
		if len(e.Args) == 1 && known.Kind() == constant.Int && s.info.Types[e.Fun].IsType() {
			return constant.ToInt(s.evaluate(e.Args[0], at, other))
		}
	case *ast.BinaryExpr:
		op := e.Op
		if e.OpPos == at {
			op = other
		}
		return evaluateBinary(s.evaluate(e.X, at, other), op, s.evaluate(e.Y, at, other))
	}
	return known
}

// evaluateBinary returns an unknown value for a division by zero.
func evaluateBinary(x constant.Value, op token.Token, y constant.Value) constant.Value {
	isComparison := slices.Contains([]token.Token{token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ}, op)
	isDivision := op == token.QUO || op == token.REM
	switch {
	case op == token.SHL || op == token.SHR:
		n, _ := constant.Uint64Val(y) // the compiler has made sure
		return constant.Shift(x, op, uint(n))
	case isComparison:
		return constant.MakeBool(constant.Compare(x, op, y))
	case isDivision && (y.Kind() == constant.Unknown || constant.Sign(y) == 0):
		return constant.MakeUnknown()
	case op == token.QUO && x.Kind() == constant.Int && y.Kind() == constant.Int:
		return constant.BinaryOp(x, token.QUO_ASSIGN, y) // of integers
	}
	return constant.BinaryOp(x, op, y)
}

// fits reports whether the value exists, and is not out of the bounds of the largest integers.
func fits(value constant.Value, of types.Type) bool {
	if value.Kind() != constant.Int {
		return value.Kind() != constant.Unknown
	}
	basic, ok := of.Underlying().(*types.Basic)
	exact := ok
	if ok && basic.Info()&types.IsUnsigned != 0 {
		_, exact = constant.Uint64Val(value)
	} else if ok {
		_, exact = constant.Int64Val(value)
	}
	return exact
}

// keepTested lets mutants of constants that tests of the package name be compiled, because these tests would use the value of before.
func (s *switches) keepTested(folder string) error {
	tests, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return err
	}
	for _, name := range tests {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for declared, expression := range s.declared {
			if regexp.MustCompile(`\b` + declared.Name() + `\b`).Match(text) {
				s.keepConstant(expression)
			}
		}
	}
	return nil
}

package rule

import (
	"net/netip"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/weir-project/weir"
)

// native is an expression as Go closures, which cost a tenth of interpreting it
// and allocate nothing. Most expressions are of this kind.
type native boolean

// Holds evaluates the expression on req.
func (n native) Holds(req *weir.Request) (bool, error) { return n(req) }

// The closures, by the type of what they return. The errors are made when the
// expression is compiled.
type (
	boolean func(*weir.Request) (bool, error)
	str     func(*weir.Request) (string, error)
	integer func(*weir.Request) (int64, error)
)

// A planner makes closures of a checked expression. Its methods return nil for
// what they don't know; all of the expression is interpreted then. What they make
// gives what the interpreter gives, errors included.
type planner struct{ tree *celast.AST }

func (p planner) kind(e celast.Expr) types.Kind { return p.tree.GetType(e.ID()).Kind() }

func (p planner) bool(e celast.Expr) boolean {
	switch e.Kind() {
	case celast.LiteralKind:
		if b, ok := e.AsLiteral().(types.Bool); ok {
			return func(*weir.Request) (bool, error) { return bool(b), nil }
		}
	case celast.SelectKind:
		if s := e.AsSelect(); s.IsTestOnly() {
			return p.has(s.Operand(), s.FieldName())
		}
	case celast.CallKind:
		return p.boolCall(e.AsCall())
	}
	return nil
}

func (p planner) boolCall(c celast.CallExpr) boolean {
	args := c.Args()
	switch c.FunctionName() {
	case operators.LogicalAnd:
		return p.junction(args, false)
	case operators.LogicalOr:
		return p.junction(args, true)
	case operators.LogicalNot:
		return not(p.bool(args[0]))
	case operators.Conditional:
		return p.conditional(args)
	case operators.Equals:
		return p.equal(args[0], args[1])
	case operators.NotEquals:
		return not(p.equal(args[0], args[1]))
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return p.ordered(c.FunctionName(), args[0], args[1])
	case operators.In:
		return p.in(args[0], args[1])
	case inNetwork:
		return p.inNetwork(c.Target(), args[0])
	}
	return p.stringTest(c)
}

func not(f boolean) boolean {
	if f == nil {
		return nil
	}
	return func(r *weir.Request) (bool, error) {
		v, err := f(r)
		return !v && err == nil, err
	}
}

// junction is && where decisive is false and || where it is true. An operand
// that is decisive makes up for an error in the other.
func (p planner) junction(args []celast.Expr, decisive bool) boolean {
	a, b := p.bool(args[0]), p.bool(args[1])
	if a == nil || b == nil {
		return nil
	}
	return func(r *weir.Request) (bool, error) {
		v, err := a(r)
		if err == nil && v == decisive {
			return decisive, nil
		}
		w, err2 := b(r)
		if err2 == nil && w == decisive {
			return decisive, nil
		}
		if err == nil {
			err = err2
		}
		return !decisive && err == nil, err
	}
}

func (p planner) conditional(args []celast.Expr) boolean {
	test, yes, no := p.bool(args[0]), p.bool(args[1]), p.bool(args[2])
	if test == nil || yes == nil || no == nil {
		return nil
	}
	return func(r *weir.Request) (bool, error) {
		v, err := test(r)
		switch {
		case err != nil:
			return false, err
		case v:
			return yes(r)
		}
		return no(r)
	}
}

// equal is ==, of operands of the same type.
func (p planner) equal(x, y celast.Expr) boolean {
	if isClientIP(y) {
		x, y = y, x
	}
	switch p.kind(x) {
	case types.StringKind:
		if isClientIP(x) {
			if s, ok := stringLiteral(y); ok {
				return isAddress(s)
			}
		}
		return compare(p.string(x), p.string(y), func(a, b string) bool { return a == b })
	case types.IntKind:
		return compare(p.int(x), p.int(y), func(a, b int64) bool { return a == b })
	case types.BoolKind:
		return compare(p.bool(x), p.bool(y), func(a, b bool) bool { return a == b })
	}
	return nil
}

// isAddress reports whether the client's address is s; the empty one is that
// which is not known.
func isAddress(s string) boolean {
	want, err := netip.ParseAddr(s)
	if err != nil && s != "" {
		return nil
	}
	return func(r *weir.Request) (bool, error) { return plain(r.ClientIP) == want, nil }
}

// compare makes a test of two operands.
func compare[T any, F ~func(*weir.Request) (T, error)](x, y F, test func(a, b T) bool) boolean {
	if x == nil || y == nil {
		return nil
	}
	return func(r *weir.Request) (bool, error) {
		a, err := x(r)
		if err != nil {
			return false, err
		}
		b, err := y(r)
		if err != nil {
			return false, err
		}
		return test(a, b), nil
	}
}

func (p planner) ordered(operator string, x, y celast.Expr) boolean {
	switch p.kind(x) {
	case types.StringKind:
		return compare(p.string(x), p.string(y), ordering[string](operator))
	case types.IntKind:
		return compare(p.int(x), p.int(y), ordering[int64](operator))
	}
	return nil
}

func ordering[T string | int64](operator string) func(a, b T) bool {
	switch operator {
	case operators.Less:
		return func(a, b T) bool { return a < b }
	case operators.LessEquals:
		return func(a, b T) bool { return a <= b }
	case operators.Greater:
		return func(a, b T) bool { return a > b }
	}
	return func(a, b T) bool { return a >= b }
}

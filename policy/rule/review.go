package rule

import (
	"net/netip"
	"regexp"
	"strings"
	"time"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// review refuses what CEL allows and this package doesn't: see the package's
// comment.
func review(tree *celast.AST) error {
	r := &reviewer{tree: tree}
	r.expr(tree.Expr())
	return r.err
}

// A reviewer keeps the first fault.
type reviewer struct {
	tree *celast.AST
	err  error
}

func (r *reviewer) fault(e celast.Expr, format string, args ...any) {
	if r.err == nil {
		r.err = at(r.tree, e, format, args...)
	}
}

func (r *reviewer) exprs(list []celast.Expr) {
	for _, e := range list {
		r.expr(e)
	}
}

func (r *reviewer) expr(e celast.Expr) {
	switch e.Kind() {
	case celast.IdentKind:
		if name, ok := mapName(r.tree, e); ok {
			r.fault(e, "%s can only be asked for a name: %s['name'] or 'name' in %s", name, name, name)
		}
	case celast.SelectKind:
		if operand := e.AsSelect().Operand(); !r.isMap(operand) {
			r.expr(operand)
		}
	case celast.CallKind:
		r.call(e.AsCall())
	case celast.ListKind:
		r.exprs(e.AsList().Elements())
	case celast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			r.expr(entry.AsMapEntry().Key())
			r.expr(entry.AsMapEntry().Value())
		}
	case celast.StructKind:
		for _, field := range e.AsStruct().Fields() {
			r.expr(field.AsStructField().Value())
		}
	case celast.ComprehensionKind:
		c := e.AsComprehension()
		r.exprs([]celast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()})
	}
}

// mapName returns the name of the variable e, if it is one that is a map.
func mapName(tree *celast.AST, e celast.Expr) (string, bool) {
	if e.Kind() != celast.IdentKind {
		return "", false
	}
	name := e.AsIdent()
	_, ok := maps[name]
	// A macro's variable may have the same name.
	return name, ok && tree.GetType(e.ID()).Kind() == types.MapKind
}

func (r *reviewer) isMap(e celast.Expr) bool {
	_, ok := mapName(r.tree, e)
	return ok
}

func (r *reviewer) call(c celast.CallExpr) {
	args := c.Args()
	switch c.FunctionName() {
	case operators.Index, operators.OptIndex, operators.OptSelect:
		if r.isMap(args[0]) {
			args = args[1:]
		}
	case operators.In:
		if r.isMap(args[1]) {
			args = args[:1]
		}
		r.addresses(args)
	case operators.Equals, operators.NotEquals:
		r.addresses(args)
	case overloads.Matches:
		r.literal(args[len(args)-1], "a pattern", func(s string) error {
			_, err := regexp.Compile(s)
			return err
		})
	case inNetwork:
		r.literal(args[0], "a network", func(s string) error {
			_, err := parseNetwork(s)
			return err
		})
	case overloads.TimeGetFullYear, overloads.TimeGetMonth, overloads.TimeGetDayOfYear,
		overloads.TimeGetDate, overloads.TimeGetDayOfMonth, overloads.TimeGetDayOfWeek,
		overloads.TimeGetHours, overloads.TimeGetMinutes, overloads.TimeGetSeconds, overloads.TimeGetMilliseconds:
		if len(args) > 0 {
			r.literal(args[0], "a time zone", func(s string) error {
				if strings.Contains(s, ":") {
					return nil // an offset
				}
				_, err := time.LoadLocation(s)
				return err
			})
		}
	}
	if c.IsMemberFunction() {
		r.expr(c.Target())
	}
	r.exprs(args)
}

// literal refuses e if it is not literal or if check does.
func (r *reviewer) literal(e celast.Expr, what string, check func(string) error) {
	s, ok := stringLiteral(e)
	if !ok {
		r.fault(e, "%s must be a literal string", what)
		return
	}
	if err := check(s); err != nil {
		r.fault(e, "%v", err)
	}
}

func stringLiteral(e celast.Expr) (string, bool) {
	if e.Kind() != celast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// addresses refuses what client_ip is compared to and can never be.
func (r *reviewer) addresses(operands []celast.Expr) {
	if len(operands) != 2 {
		return
	}
	other := operands[1]
	if !isClientIP(operands[0]) {
		if other = operands[0]; !isClientIP(operands[1]) {
			return
		}
	}
	list := []celast.Expr{other}
	if other.Kind() == celast.ListKind {
		list = other.AsList().Elements()
	}
	for _, e := range list {
		s, ok := stringLiteral(e)
		if !ok || s == "" {
			continue // the address is empty where it is not known
		}
		if a, err := netip.ParseAddr(s); err != nil {
			r.fault(e, "client_ip is never %q, which is no address; for a network there is client_ip.inNetwork", s)
		} else if canonical := plain(a).String(); canonical != s {
			r.fault(e, "client_ip is never %q; it is written %q", s, canonical)
		}
	}
}

func isClientIP(e celast.Expr) bool {
	return e.Kind() == celast.IdentKind && e.AsIdent() == clientIP
}

package rule

import (
	"net/netip"
	"regexp"
	"strings"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"

	"github.com/weir-project/weir"
)

// in is whether a map has a name, or a list of literals a string.
func (p planner) in(x, y celast.Expr) boolean {
	if name, ok := mapName(p.tree, y); ok {
		return contains(maps[name], p.string(x))
	}
	if y.Kind() != celast.ListKind || p.kind(x) != types.StringKind {
		return nil
	}
	list := y.AsList()
	set := make(map[string]bool, list.Size())
	addresses := make(map[netip.Addr]bool, list.Size())
	for _, e := range list.Elements() {
		s, ok := stringLiteral(e)
		if !ok || len(list.OptionalIndices()) > 0 {
			return nil
		}
		set[s] = true
		if a, err := netip.ParseAddr(s); err == nil || s == "" {
			addresses[a] = true
		}
	}
	if isClientIP(x) {
		return func(r *weir.Request) (bool, error) { return addresses[plain(r.ClientIP)], nil }
	}
	f := p.string(x)
	if f == nil {
		return nil
	}
	return func(r *weir.Request) (bool, error) {
		s, err := f(r)
		return err == nil && set[s], err
	}
}

// has is whether a map has a field.
func (p planner) has(operand celast.Expr, field string) boolean {
	name, ok := mapName(p.tree, operand)
	if !ok {
		return nil
	}
	return contains(maps[name], constant(field))
}

func contains(values func(*weir.Request) weir.Values, name str) boolean {
	if name == nil {
		return nil
	}
	return func(r *weir.Request) (bool, error) {
		n, err := name(r)
		if err != nil {
			return false, err
		}
		v := values(r)
		if v == nil {
			return false, nil
		}
		_, ok := v.Value(n)
		return ok, nil
	}
}

// inNetwork is whether a text is an address in a network.
func (p planner) inNetwork(target, network celast.Expr) boolean {
	s, ok := stringLiteral(network)
	if !ok {
		return nil
	}
	n, err := parseNetwork(s)
	if err != nil {
		return nil
	}
	if isClientIP(target) {
		return func(r *weir.Request) (bool, error) { return n.Contains(plain(r.ClientIP)), nil }
	}
	f := p.string(target)
	if f == nil {
		return nil
	}
	return func(r *weir.Request) (bool, error) {
		s, err := f(r)
		if err != nil {
			return false, err
		}
		a, err := netip.ParseAddr(s)
		return err == nil && n.Contains(plain(a)), nil
	}
}

// stringTest is the functions of strings that are true or false.
func (p planner) stringTest(c celast.CallExpr) boolean {
	operands := c.Args()
	if c.IsMemberFunction() {
		operands = append([]celast.Expr{c.Target()}, operands...)
	}
	if len(operands) != 2 || p.kind(operands[0]) != types.StringKind {
		return nil
	}
	x := p.string(operands[0])
	if c.FunctionName() == overloads.Matches {
		s, ok := stringLiteral(operands[1])
		if !ok || x == nil {
			return nil
		}
		re, err := regexp.Compile(s)
		if err != nil {
			return nil
		}
		return func(r *weir.Request) (bool, error) {
			s, err := x(r)
			return err == nil && re.MatchString(s), err
		}
	}
	y := p.string(operands[1])
	switch c.FunctionName() {
	case overloads.StartsWith:
		return compare(x, y, strings.HasPrefix)
	case overloads.EndsWith:
		return compare(x, y, strings.HasSuffix)
	case overloads.Contains:
		return compare(x, y, strings.Contains)
	}
	return nil
}

package rule

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"

	"github.com/weir-project/weir"
)

func constant(s string) str { return func(*weir.Request) (string, error) { return s, nil } }

func (p planner) string(e celast.Expr) str {
	switch e.Kind() {
	case celast.LiteralKind:
		if s, ok := stringLiteral(e); ok {
			return constant(s)
		}
	case celast.IdentKind:
		if f, ok := strs[e.AsIdent()]; ok {
			return func(r *weir.Request) (string, error) { return f(r), nil }
		}
	case celast.SelectKind:
		if s := e.AsSelect(); !s.IsTestOnly() {
			if name, ok := mapName(p.tree, s.Operand()); ok {
				return index(maps[name], constant(s.FieldName()), name, s.FieldName())
			}
		}
	case celast.CallKind:
		return p.stringCall(e.AsCall())
	}
	return nil
}

func (p planner) stringCall(c celast.CallExpr) str {
	args := c.Args()
	switch c.FunctionName() {
	case operators.Index:
		if name, ok := mapName(p.tree, args[0]); ok {
			key, _ := stringLiteral(args[1])
			return index(maps[name], p.string(args[1]), name, key)
		}
	case "orValue":
		if t := c.Target(); t != nil && t.Kind() == celast.CallKind && t.AsCall().FunctionName() == operators.OptIndex {
			optional := t.AsCall().Args()
			if name, ok := mapName(p.tree, optional[0]); ok {
				return orValue(maps[name], p.string(optional[1]), p.string(args[0]))
			}
		}
	}
	return nil
}

// index is the value of a map under a key. The map's name and the key, where that
// is literal, are for the error.
func index(values func(*weir.Request) weir.Values, key str, name, literal string) str {
	if key == nil {
		return nil
	}
	absent := fmt.Errorf("no such key: %s[%q]", name, literal)
	if literal == "" {
		absent = fmt.Errorf("no such key in %s", name)
	}
	return func(r *weir.Request) (string, error) {
		k, err := key(r)
		if err != nil {
			return "", err
		}
		if v := values(r); v != nil {
			if s, ok := v.Value(k); ok {
				return s, nil
			}
		}
		return "", absent
	}
}

// orValue is the value of a map under a key, or another.
func orValue(values func(*weir.Request) weir.Values, key, other str) str {
	if key == nil || other == nil {
		return nil
	}
	return func(r *weir.Request) (string, error) {
		k, err := key(r)
		if err != nil {
			return "", err
		}
		if v := values(r); v != nil {
			if s, ok := v.Value(k); ok {
				return s, nil
			}
		}
		return other(r)
	}
}

func (p planner) int(e celast.Expr) integer {
	switch e.Kind() {
	case celast.LiteralKind:
		if n, ok := e.AsLiteral().(types.Int); ok {
			return func(*weir.Request) (int64, error) { return int64(n), nil }
		}
	case celast.IdentKind:
		if e.AsIdent() == requestSize {
			return func(r *weir.Request) (int64, error) { return r.Bytes, nil }
		}
	case celast.CallKind:
		c := e.AsCall()
		if c.FunctionName() == overloads.Size {
			return p.size(c)
		}
		return p.timePart(c)
	}
	return nil
}

// size is the number of characters of a string.
func (p planner) size(c celast.CallExpr) integer {
	e := c.Target()
	if !c.IsMemberFunction() {
		e = c.Args()[0]
	}
	if p.kind(e) != types.StringKind {
		return nil
	}
	f := p.string(e)
	if f == nil {
		return nil
	}
	return func(r *weir.Request) (int64, error) {
		s, err := f(r)
		return int64(utf8.RuneCountInString(s)), err
	}
}

// timeParts are the functions of a timestamp, as CEL counts.
var timeParts = map[string]func(time.Time) int{
	overloads.TimeGetFullYear:   time.Time.Year,
	overloads.TimeGetMonth:      func(t time.Time) int { return int(t.Month()) - 1 },
	overloads.TimeGetDate:       time.Time.Day,
	overloads.TimeGetDayOfMonth: func(t time.Time) int { return t.Day() - 1 },
	overloads.TimeGetDayOfWeek:  func(t time.Time) int { return int(t.Weekday()) },
	overloads.TimeGetDayOfYear:  func(t time.Time) int { return t.YearDay() - 1 },
	overloads.TimeGetHours:      time.Time.Hour,
	overloads.TimeGetMinutes:    time.Time.Minute,
	overloads.TimeGetSeconds:    time.Time.Second,
}

// timePart is a part of the request's time, in UTC or in a named zone.
func (p planner) timePart(c celast.CallExpr) integer {
	f, ok := timeParts[c.FunctionName()]
	t := c.Target()
	if !ok || t == nil || t.Kind() != celast.IdentKind || t.AsIdent() != requestTime {
		return nil
	}
	zone := time.UTC
	if args := c.Args(); len(args) == 1 {
		name, ok := stringLiteral(args[0])
		if !ok || strings.Contains(name, ":") {
			return nil
		}
		var err error
		if zone, err = time.LoadLocation(name); err != nil {
			return nil
		}
	}
	return func(r *weir.Request) (int64, error) { return int64(f(r.Time.In(zone))), nil }
}

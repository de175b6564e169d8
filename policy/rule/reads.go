package rule

import (
	"slices"
	"strings"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/policy"
)

// An expression is a compiled condition that knows what it reads.
type expression struct {
	policy.Expression
	fields weir.Fields
	all    bool
}

var _ policy.Reader = (*expression)(nil)

// Fields implements [policy.Reader].
func (e *expression) Fields() (weir.Fields, bool) { return e.fields, e.all }

// reads finds out what a checked expression reads of a request.
func reads(tree *celast.AST) (f weir.Fields, all bool) {
	r := reader{tree: tree, all: true}
	celast.PostOrderVisit(tree.Expr(), celast.NewExprVisitor(r.visit))
	return r.fields, r.all
}

// A reader collects. Its all becomes false with what no name says.
type reader struct {
	tree   *celast.AST
	fields weir.Fields
	all    bool
}

func (r *reader) visit(e celast.Expr) {
	switch e.Kind() {
	case celast.IdentKind:
		switch e.AsIdent() {
		case clientIP:
			r.fields.ClientIP = true
		case requestSize:
			r.all = false // each request has its own, which is lost where they are counted together
		}
	case celast.SelectKind:
		s := e.AsSelect()
		r.name(s.Operand(), s.FieldName())
	case celast.CallKind:
		args := e.AsCall().Args()
		switch e.AsCall().FunctionName() {
		case operators.Index, operators.OptIndex, operators.OptSelect:
			r.literal(args[0], args[1])
		case operators.In:
			r.literal(args[1], args[0])
		}
	}
}

// literal notes that key is looked up in operand.
func (r *reader) literal(operand, key celast.Expr) {
	if _, ok := mapName(r.tree, operand); !ok {
		return
	}
	if s, ok := stringLiteral(key); ok {
		r.name(operand, s)
		return
	}
	r.all = false
}

// name notes that name is looked up in operand, if that is one of the maps.
func (r *reader) name(operand celast.Expr, name string) {
	m, ok := mapName(r.tree, operand)
	if !ok {
		return
	}
	list := &r.fields.Claims
	switch m {
	case "request.headers":
		list, name = &r.fields.Headers, strings.ToLower(name)
	case "request.query":
		list = &r.fields.Query
	}
	if !slices.Contains(*list, name) {
		*list = append(*list, name)
	}
}

package rule

import (
	"fmt"
	"reflect"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/weir-project/weir"
)

// interpreted is an expression that CEL's interpreter evaluates.
type interpreted struct {
	program     cel.Program
	activations sync.Pool // of *activation
}

func newInterpreted(p cel.Program) *interpreted {
	return &interpreted{program: p, activations: sync.Pool{New: func() any { return new(activation) }}}
}

// Holds evaluates the expression on req.
func (x *interpreted) Holds(req *weir.Request) (bool, error) {
	a := x.activations.Get().(*activation)
	a.bind(req)
	v, _, err := x.program.Eval(a)
	a.bind(nil)
	x.activations.Put(a)
	if err != nil {
		return false, err
	}
	return v == types.True, nil
}

// An activation tells the interpreter the values of one request.
type activation struct {
	req                    *weir.Request
	headers, query, claims lookup
}

var _ cel.Activation = (*activation)(nil)

// bind makes a's values those of req.
func (a *activation) bind(req *weir.Request) {
	*a = activation{req: req}
	if req != nil {
		a.headers.values, a.query.values, a.claims.values = req.Headers, req.Query, req.Claims
	}
}

// ResolveName returns the value of a variable.
func (a *activation) ResolveName(name string) (any, bool) {
	if f, ok := strs[name]; ok {
		return types.String(f(a.req)), true
	}
	switch name {
	case "request.headers":
		return &a.headers, true
	case "request.query":
		return &a.query, true
	case "claims":
		return &a.claims, true
	case clientIP:
		return types.String(addressText(a.req)), true
	case requestSize:
		return types.Int(a.req.Bytes), true
	case requestTime:
		return types.Timestamp{Time: a.req.Time}, true
	}
	return nil, false
}

// Parent returns nil: there is none.
func (a *activation) Parent() cel.Activation { return nil }

// addressText returns the client's address, empty if it is not known.
func addressText(req *weir.Request) string {
	if !req.ClientIP.IsValid() {
		return ""
	}
	return plain(req.ClientIP).String()
}

// A lookup is named values as a CEL map that can only be asked for one of them.
type lookup struct{ values weir.Values }

var _ traits.Mapper = (*lookup)(nil)

// Find returns the value under key and whether there is one.
func (l *lookup) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok || l.values == nil {
		return nil, false
	}
	v, ok := l.values.Value(string(name))
	if !ok {
		return nil, false
	}
	return types.String(v), true
}

// Get returns the value under key or an error.
func (l *lookup) Get(key ref.Val) ref.Val {
	if v, ok := l.Find(key); ok {
		return v
	}
	return types.NewErr("no such key: %v", key.Value())
}

// Contains reports whether there is a value under key.
func (l *lookup) Contains(key ref.Val) ref.Val {
	_, ok := l.Find(key)
	return types.Bool(ok)
}

// Type returns CEL's type of maps.
func (l *lookup) Type() ref.Type { return types.MapType }

// Value returns the values.
func (l *lookup) Value() any { return l.values }

// The rest of what a map can do is refused when an expression is compiled.

// Size returns an error.
func (l *lookup) Size() ref.Val { return errWhole() }

// Equal returns an error.
func (l *lookup) Equal(ref.Val) ref.Val { return errWhole() }

// ConvertToType returns an error.
func (l *lookup) ConvertToType(ref.Type) ref.Val { return errWhole() }

// Iterator returns an iterator over nothing.
func (l *lookup) Iterator() traits.Iterator {
	return types.DefaultTypeAdapter.NativeToValue([]string{}).(traits.Lister).Iterator()
}

// ConvertToNative returns an error.
func (l *lookup) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("named values are no %s", t)
}

func errWhole() ref.Val { return types.NewErr("named values can only be asked for one name") }

package rule

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"

	"github.com/weir-project/weir"
)

// empty returns a request that has nothing.
func empty() *weir.Request { return &weir.Request{} }

// agree checks that an expression gives the same whether it is native or
// interpreted. It reports whether it is native.
func agree(t *testing.T, expr string, tree *celast.AST, program cel.Program, req *weir.Request) bool {
	t.Helper()
	f := planner{tree}.bool(tree.Expr())
	if f == nil {
		newInterpreted(program).Holds(req)
		return false
	}
	got, gotErr := native(f).Holds(req)
	want, wantErr := newInterpreted(program).Holds(req)
	if got != want || (gotErr == nil) != (wantErr == nil) {
		t.Errorf("%q: native %v, %v; interpreted %v, %v", expr, got, gotErr, want, wantErr)
	}
	return true
}

// A writer writes random expressions.
type writer struct{ *rand.Rand }

func (w writer) pick(of ...string) string { return of[w.IntN(len(of))] }

func (w writer) literal() string {
	return w.pick("'alice'", "'bob'", "''", "'gold'", "'10.1.2.3'", "'x-plan'", "'é'", "'\\xff'", "'GET'", "'a'")
}

func (w writer) string(depth int) string {
	if depth <= 0 || w.IntN(3) == 0 {
		return w.pick("user", "request.method", "application.owner", "key_type", "subscription.tier", w.literal())
	}
	switch w.IntN(4) {
	case 0:
		return w.pick("request.headers", "claims", "request.query") + "[" + w.string(depth-1) + "]"
	case 1:
		return w.pick("request.headers.plan", "claims.plan", "request.query.verbose")
	case 2:
		return fmt.Sprintf("claims[?%s].orValue(%s)", w.string(depth-1), w.string(depth-1))
	}
	return w.literal()
}

func (w writer) int(depth int) string {
	switch w.IntN(4) {
	case 0:
		return "size(" + w.string(depth-1) + ")"
	case 1:
		return w.pick("request.time.getHours()", "request.time.getDayOfWeek('Asia/Tokyo')", "request.time.getDate('UTC')",
			"request.time.getMonth()", "request.time.getDayOfYear('America/New_York')", "request.time.getMinutes('Asia/Kolkata')")
	case 2:
		return "request.size"
	}
	return w.pick("0", "1", "5", "-1", "512", "22")
}

func (w writer) bool(depth int) string {
	if depth <= 0 {
		return w.pick("true", "false", "user == 'alice'", "claims.plan == 'gold'")
	}
	d := depth - 1
	switch w.IntN(13) {
	case 0:
		return "(" + w.bool(d) + " && " + w.bool(d) + ")"
	case 1:
		return "(" + w.bool(d) + " || " + w.bool(d) + ")"
	case 2:
		return "!(" + w.bool(d) + ")"
	case 3:
		return "(" + w.bool(d) + " ? " + w.bool(d) + " : " + w.bool(d) + ")"
	case 4:
		return "((" + w.bool(d) + ")" + w.pick(" == ", " != ") + "(" + w.bool(d) + "))"
	case 5:
		return w.string(d) + w.pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + w.string(d)
	case 6:
		return w.int(d) + w.pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + w.int(d)
	case 7:
		return w.string(d) + " in [" + w.literal() + ", " + w.literal() + "]"
	case 8:
		return w.string(d) + " in " + w.pick("request.headers", "claims", "request.query")
	case 9:
		return w.string(d) + w.pick(".startsWith(", ".endsWith(", ".contains(") + w.string(d) + ")"
	case 10:
		return w.string(d) + ".matches(" + w.pick("'^a'", "'[a-c]+$'", "'(?i)GOLD'", "'.'") + ")"
	case 11:
		return w.pick("client_ip", w.string(d)) + ".inNetwork(" + w.pick("'10.0.0.0/8'", "'2001:db8::/32'", "'10.1.2.3'") + ")"
	}
	return w.pick("has(claims.plan)", "has(request.headers.none)", "client_ip == '10.1.2.3'", "client_ip != ''",
		"client_ip in ['10.1.2.3', '']", "client_ip in ['2001:db8::1']")
}

// request returns a random request.
func (w writer) request() *weir.Request {
	if w.IntN(8) == 0 {
		return empty()
	}
	value := func() string { return w.pick("alice", "bob", "gold", "", "é", "10.1.2.3", "\xff", "plan", "x-plan") }
	some := func() map[string]string {
		m := map[string]string{}
		for range w.IntN(4) {
			m[w.pick("plan", "x-plan", "verbose", "alice", "")] = value()
		}
		return m
	}
	return &weir.Request{
		Time: time.Unix(w.Int64N(4e9), 0),
		Verb: w.pick("GET", "POST"), User: value(),
		Application:      weir.Application{Owner: value()},
		SubscriptionTier: value(), KeyType: weir.KeyType(w.IntN(2)),
		ClientIP: netip.MustParseAddr(w.pick("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "fe80::1%eth0")),
		Bytes:    w.Int64N(1024) - 1,
		Headers:  headers(some()), Query: named(some()), Claims: named(some()),
	}
}

func TestNativeAgreesWithInterpreted(t *testing.T) {
	c := New()
	natives := 0
	for seed := range uint64(800) {
		w := writer{rand.New(rand.NewPCG(seed, 1))}
		natives += differ(t, c, w, 3)
	}
	if natives < 700 {
		t.Errorf("%d of 800 expressions are native, want most", natives)
	}
}

// differ compares both kinds of one random expression, and returns 1 if there is
// a native one.
func differ(t *testing.T, c *Compiler, w writer, depth int) int {
	expr := w.bool(depth)
	tree, program, err := c.program(expr)
	if err != nil {
		if !strings.Contains(err.Error(), "too expensive") && !strings.Contains(err.Error(), "limit") {
			t.Errorf("Compile(%q): %v", expr, err)
		}
		return 0
	}
	n := 0
	for range 4 {
		if agree(t, expr, tree, program, w.request()) {
			n = 1
		}
	}
	return n
}

func FuzzNativeAgreesWithInterpreted(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	c := New()
	f.Fuzz(func(t *testing.T, a, b uint64) {
		differ(t, c, writer{rand.New(rand.NewPCG(a, b))}, 5)
	})
}

// FuzzCompile takes any text: what compiles gives the same in both kinds, what
// doesn't gives one line with a place.
func FuzzCompile(f *testing.F) {
	for _, tt := range holdsCases {
		f.Add(tt.expr)
	}
	for _, tt := range refusedCases {
		f.Add(tt.expr)
	}
	c := New()
	f.Fuzz(func(t *testing.T, expr string) {
		tree, program, err := c.program(expr)
		if err != nil {
			var line, column int
			if _, scan := fmt.Sscanf(err.Error(), "%d:%d: ", &line, &column); scan != nil || line < 1 || column < 1 {
				t.Errorf("Compile(%q): error %q has no place", expr, err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("Compile(%q): error of several lines: %q", expr, err)
			}
			return
		}
		agree(t, expr, tree, program, request())
		agree(t, expr, tree, program, empty())
	})
}

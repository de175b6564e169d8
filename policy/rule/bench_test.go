package rule

import (
	"testing"

	"github.com/weir-project/weir/policy"
)

var costCases = []struct{ name, expr string }{
	{"native/equal", "user == 'alice'"},
	{"native/typical", "request.headers['x-plan'] == 'gold' && client_ip.inNetwork('10.0.0.0/8') && request.method in ['GET', 'HEAD']"},
	{"native/orValue", "request.headers[?'x-none'].orValue('') != 'gold'"},
	{"native/matches", "request.headers['user-agent'].matches('^curl/[0-9]+')"},
	{"native/hours", "request.time.getHours('Europe/Berlin') >= 8"},
	{"native/absent", "claims['none'] == 'x'"},
	{"interpreted/typical", "user + '' == 'alice' && request.headers['x-plan'] == 'gold' && request.method in ['GET', 'HEAD']"},
}

func build(tb testing.TB, expr string) policy.Expression {
	tb.Helper()
	x, err := New().Compile(expr)
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

func TestNativeAllocatesNothing(t *testing.T) {
	req := request()
	for _, tt := range costCases {
		x := build(t, tt.expr)
		if _, ok := x.(native); !ok {
			continue
		}
		if n := testing.AllocsPerRun(200, func() { x.Holds(req) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", tt.name, n)
		}
	}
}

func BenchmarkHolds(b *testing.B) {
	req := request()
	for _, tt := range costCases {
		x := build(b, tt.expr)
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x.Holds(req)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			New().Compile(costCases[1].expr)
		}
	})
	c := New()
	b.Run("next", func(b *testing.B) {
		for b.Loop() {
			c.Compile(costCases[1].expr)
		}
	})
}

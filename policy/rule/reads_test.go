package rule

import (
	"reflect"
	"testing"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/policy"
)

// TestReads lists what expressions read, which is what events carry for them.
func TestReads(t *testing.T) {
	for expr, want := range map[string]struct {
		fields weir.Fields
		all    bool
	}{
		`user == 'alice'`: {all: true},
		`request.headers['X-Plan'] == 'gold' && 'x-plan' in request.headers`: {weir.Fields{Headers: []string{"x-plan"}}, true},
		`request.headers[?'a'].orValue('') != ''`:                            {weir.Fields{Headers: []string{"a"}}, true},
		`has(claims.plan) || request.query.v == '1'`:                         {weir.Fields{Query: []string{"v"}, Claims: []string{"plan"}}, true},
		`claims.?plan.orValue('x') == 'x'`:                                   {weir.Fields{Claims: []string{"plan"}}, true},
		`client_ip.inNetwork('10.0.0.0/8')`:                                  {weir.Fields{ClientIP: true}, true},
		`['a', 'b'].exists(n, n in claims)`:                                  {weir.Fields{}, false},
		`request.headers[user] == 'x'`:                                       {weir.Fields{}, false},
		`request.headers[?user].orValue('') == 'x'`:                          {weir.Fields{}, false},
		`request.size > 1000`:                                                {weir.Fields{}, false},
		`request.time.getHours('UTC') < 8 && claims['a'] == claims['b']`:     {weir.Fields{Claims: []string{"a", "b"}}, true},
		`'gold' in ['gold', 'silver'] && application.tier == 'x'`:            {all: true},
	} {
		e, err := New().Compile(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		fields, all := e.(policy.Reader).Fields()
		if all != want.all || all && !reflect.DeepEqual(fields, want.fields) {
			t.Errorf("%s reads %+v, all %v; want %+v, %v", expr, fields, all, want.fields, want.all)
		}
	}
}

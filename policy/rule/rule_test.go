package rule

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
)

// named are headers, parameters or claims.
type named map[string]string

func (n named) Value(name string) (string, bool) {
	s, ok := n[name]
	return s, ok
}

// headers are named values whose names match without regard to case.
type headers map[string]string

func (h headers) Value(name string) (string, bool) {
	s, ok := h[strings.ToLower(name)]
	return s, ok
}

// request returns a request with a value for every variable.
func request() *weir.Request {
	return &weir.Request{
		Time: time.Date(2026, 3, 14, 22, 30, 15, 0, time.UTC), // a Saturday
		API:  "Pizza", Version: "1", Context: "/pizza/1", Resource: "/menu/{id}", Verb: "GET",
		Application:      weir.Application{ID: "5", Name: "Shop", Owner: "bob", Tier: "50PerMin"},
		SubscriptionTier: "Gold", User: "alice", KeyType: weir.Sandbox,
		ClientIP: netip.MustParseAddr("10.1.2.3"), Bytes: 512,
		Headers: headers{"x-plan": "gold", "user-agent": "curl/8.1", "via": "10.9.9.9", "empty": ""},
		Query:   named{"verbose": "1"},
		Claims:  named{"plan": "Größe", "https://x/roles": "admin"},
	}
}

// holdsCases are expressions and what they are of request.
var holdsCases = []struct {
	expr string
	want bool
}{
	{"true", true},
	{"false", false},
	{"!false", true},
	{"request.method == 'GET'", true},
	{"request.method != 'GET'", false},
	{"request.resource == '/menu/{id}'", true},
	{"api.name == 'Pizza' && api.version == '1' && api.context == '/pizza/1'", true},
	{"application.id == '5' && application.name == 'Shop' && application.owner == 'bob'", true},
	{"application.tier == '50PerMin' && subscription.tier == 'Gold'", true},
	{"user == 'alice' || user == 'bob'", true},
	{"user in ['bob', 'carol']", false},
	{"user in ['alice', 'carol']", true},
	{"!(user in ['alice', 'carol'])", false},
	{"key_type == 'SANDBOX'", true},
	{"client_ip == '10.1.2.3'", true},
	{"'10.1.2.3' == client_ip", true},
	{"client_ip != '10.1.2.4'", true},
	{"client_ip == ''", false},
	{"client_ip in ['10.1.2.3', '2001:db8::1']", true},
	{"client_ip in ['10.1.2.4', '2001:db8::1']", false},
	{"client_ip.inNetwork('10.0.0.0/8')", true},
	{"client_ip.inNetwork('10.1.2.3')", true},
	{"client_ip.inNetwork('::ffff:10.1.0.0/112')", true},
	{"client_ip.inNetwork('2001:db8::/32')", false},
	{"request.headers['via'].inNetwork('10.9.0.0/16')", true},
	{"request.headers['x-plan'].inNetwork('10.9.0.0/16')", false},
	{"client_ip.startsWith('10.')", true},
	{"request.headers['X-Plan'] == 'gold'", true},
	{"request.headers['x-plan'] in ['gold', 'silver']", true},
	{"'x-plan' in request.headers", true},
	{"'x-none' in request.headers", false},
	{"'empty' in request.headers && request.headers['empty'] == ''", true},
	{"has(request.query.verbose)", true},
	{"has(request.query.quiet)", false},
	{"request.query.verbose == '1'", true},
	{"claims['https://x/roles'] == 'admin'", true},
	{"size(claims['plan']) == 5", true},
	{"claims.plan.size() > 5", false},
	{"request.headers['user-agent'].matches('^curl/[0-9]+')", true},
	{"matches(request.headers['user-agent'], 'wget')", false},
	{"user.startsWith('al') && user.endsWith('ce') && user.contains('lic')", true},
	{"'alice'.startsWith(user)", true},
	{"user < 'bob' && user <= 'alice' && 'bob' > user && user >= 'alice'", true},
	{"request.size > 500 && request.size < 513 && request.size >= 512 && request.size <= 512", true},
	{"request.size == 512 && request.size != 1", true},
	{"(user == 'alice') == (request.method == 'GET')", true},
	{"user == 'alice' ? request.method == 'GET' : request.method == 'PUT'", true},
	{"user == 'bob' ? true : has(claims.none)", false},
	{"request.headers[?'x-none'].orValue('none') == 'none'", true},
	{"request.headers[?'x-plan'].orValue('none') == 'gold'", true},
	{"request.time.getHours() == 22 && request.time.getMinutes() == 30 && request.time.getSeconds() == 15", true},
	{"request.time.getHours('Europe/Berlin') == 23", true},
	{"request.time.getHours('+02:00') == 0", true},
	{"request.time.getDayOfWeek() in [0, 6]", true},
	{"request.time.getDayOfWeek() == 6 && request.time.getDate() == 14 && request.time.getDayOfMonth() == 13", true},
	{"request.time.getMonth() == 2 && request.time.getFullYear() == 2026 && request.time.getDayOfYear() == 72", true},
	{"request.time > timestamp('2026-01-01T00:00:00Z')", true},
	{"['al', 'bo'].exists(p, user.startsWith(p))", true},
	{"['al', 'bo'].all(p, user.startsWith(p))", false},
	{"user + '@' + api.name == 'alice@Pizza'", true},
	{"int(request.query['verbose']) + 1 == 2", true},
	{"{'alice': 1, 'bob': 2}[user] == 1", true},
	// What decides makes up for what fails.
	{"user == 'alice' || claims['none'] == 'x'", true},
	{"claims['none'] == 'x' || user == 'alice'", true},
	{"claims['none'] == 'x' && user == 'bob'", false},
	{"has(claims.none) && claims.none == 'x'", false},
}

func TestHolds(t *testing.T) {
	c := New()
	for _, tt := range holdsCases {
		x, err := c.Compile(tt.expr)
		if err != nil {
			t.Errorf("Compile(%q): %v", tt.expr, err)
			continue
		}
		if got, err := x.Holds(request()); got != tt.want || err != nil {
			t.Errorf("%q holds: %v, %v, want %v", tt.expr, got, err, tt.want)
		}
	}
}

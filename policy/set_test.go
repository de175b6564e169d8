package policy

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// perMinute returns a limit of n requests per minute.
func perMinute(n int64) *limiter.Limit {
	return &limiter.Limit{Count: n, Window: limiter.Window{Length: time.Minute}}
}

// values are headers, parameters or claims. Names are looked up in lower case
// if they are headers.
type values map[string]string

func (v values) Value(name string) (string, bool) {
	s, ok := v[name]
	return s, ok
}

type fields map[string]string

func (f fields) Value(name string) (string, bool) {
	s, ok := f[strings.ToLower(name)]
	return s, ok
}

// request returns a request of alice by application 5, with a tier at every level.
func request() *weir.Request {
	return &weir.Request{
		API: "Pizza", Version: "1", Context: "/pizza/1", Resource: "/menu", Verb: "GET",
		ResourceTier:     "10KPerMin",
		Application:      weir.Application{ID: "5", Name: "Shop", Owner: "bob", Tier: "50PerMin"},
		SubscriptionTier: "Gold", User: "alice", Token: "t1",
		ClientIP: netip.MustParseAddr("10.1.2.3"), Bytes: -1,
	}
}

func compile(t testing.TB, d Definition) *Set {
	t.Helper()
	s, err := Compile(d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keys returns the level, policy and key text of every check.
func keys(s *Set, m *Match, req *weir.Request) []string {
	var out []string
	for i, src := range m.Sources {
		out = append(out, src.Level.String()+" "+src.Policy+" "+string(s.AppendKey(nil, m, i, req)))
	}
	return out
}

func equalLines(t *testing.T, got, want []string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

func TestMatchOrder(t *testing.T) {
	s := compile(t, Definition{
		Policies: Merge(Defaults(), []Policy{
			{Kind: Subscription, Name: "Gold", Limit: perMinute(20), Burst: perMinute(5)},
			{Kind: Application, Name: "50PerMin", Limit: perMinute(50), Burst: perMinute(7)},
		}),
		Rules: []CustomRule{
			{Name: "b", Key: "$userId:$apiContext", Limit: *perMinute(3)},
			{Name: "a", Key: "all", Limit: *perMinute(3)},
		},
		Backends: []Backend{{Context: "/pizza/1", Version: "1", Production: perMinute(600)}},
	})
	req := request()
	var m Match
	s.Match(&m, req)
	equalLines(t, keys(s, &m, req), []string{
		"resource 10KPerMin /pizza/1/1/menu:GET_default",
		"subscription Gold 5:/pizza/1:1:Gold",
		"subscription-burst Gold 5:/pizza/1:1:Gold",
		"application 50PerMin 5:alice@carbon.super",
		"application-burst 50PerMin 5:alice@carbon.super",
		"custom b alice@carbon.super:/pizza/1",
		"custom a all",
		"backend PRODUCTION /pizza/1:1:PRODUCTION:PRODUCTION_HARD_LIMIT",
	})
	req.APITier, req.KeyType = "20KPerMin", weir.Sandbox
	s.Match(&m, req)
	equalLines(t, keys(s, &m, req)[:1], []string{"api 20KPerMin /pizza/1:1_default"})
	if got, want := len(m.Checks), 7; got != want {
		t.Errorf("sandbox call has %d checks, want %d: the backend has no sandbox limit", got, want)
	}
}

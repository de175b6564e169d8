package sim

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseScript(t *testing.T) {
	got, err := parseScript(`
# a comment
at 90s
at 2026-03-29T02:00:00+01:00
hit - GET /open/1/menu allow # in passing
hit shop/sandbox:ann#2 POST /a?b=#c x3 deny 900804 retry=60 header=X-Plan:gold:2 claim=team: ip=2001:db8::1
every 1s x9 hit shop GET / x2 answered status=204 left=0
apply v2 refused no such tier
event chat x4 drop
count refused api 7
`)
	if err != nil {
		t.Fatal(err)
	}
	steps := []step{
		{line: 3, at: &instant{after: 90 * time.Second}},
		{line: 4, at: &instant{date: time.Date(2026, 3, 29, 2, 0, 0, 0, time.FixedZone("", 3600))}},
		{line: 5, hit: &hit{method: "GET", target: "/open/1/menu", times: 1, count: 1, peer: home, want: verdict{outcome: allowed, left: -1}}},
		{line: 6, hit: &hit{
			caller: caller{application: "shop", sandbox: true, user: "ann", token: 2, claims: [][2]string{{"team", ""}}},
			method: "POST", target: "/a?b=#c", times: 1, count: 3,
			headers: [][2]string{{"X-Plan", "gold:2"}}, peer: netip.MustParseAddr("2001:db8::1"),
			want: verdict{outcome: denied, code: "900804", retry: 60, left: -1},
		}},
		{line: 7, hit: &hit{
			caller: caller{application: "shop"}, method: "GET", target: "/", every: time.Second, times: 9, count: 2, peer: home,
			want: verdict{outcome: answered, status: 204},
		}},
		{line: 8, apply: &application{prefix: "v2", refused: true, reason: "no such tier"}},
		{line: 9, events: &messages{stream: "chat", count: 4}},
		{line: 10, count: &figure{name: "refused", level: "api", want: 7}},
	}
	if len(got) != len(steps) {
		t.Fatalf("got %d steps, want %d", len(got), len(steps))
	}
	for i, want := range steps {
		got[i].text = ""
		if got[i].at != nil && got[i].at.date.Equal(instantOf(want).date) {
			got[i].at.date = instantOf(want).date
		}
		if !reflect.DeepEqual(got[i], want) {
			t.Errorf("step %d:\n got %+v %+v\nwant %+v %+v", i, got[i], got[i].hit, want, want.hit)
		}
	}
}

func instantOf(s step) instant {
	if s.at == nil {
		return instant{}
	}
	return *s.at
}

func TestParseScriptFaults(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"jump 3", "is not a step"},
		{"at", "is not a step"},
		{"at noon", "invalid duration"},
		{"hit shop GET", "want WHO METHOD TARGET"},
		{"hit shop GET / x3", "want allow, deny or answered"},
		{"hit shop GET / x0 allow", `"x0" is no number of times`},
		{"hit shop GET / perhaps", `"perhaps" is not allow, deny or answered`},
		{"hit shop GET / deny 9008o4", "is neither a code nor an option"},
		{"hit shop GET / deny colour=red", "unknown option"},
		{"hit shop GET / allow claim=team:red", "only a token has claims"},
		{"hit shop:ann GET / allow claim=team", "want name:value"},
		{"hit shop GET / allow reached=yes", "only reached=no"},
		{"hit shop GET / allow ip=here", "unable to parse IP"},
		{"hit shop: GET / allow", "is no caller"},
		{"hit shop:ann#two GET / allow", "is no caller"},
		{"every 1s 9 hit shop GET / allow", "is not xN"},
		{"apply v2 perhaps", "is not refused"},
		{"event chat x2 lost", "want pass or drop"},
		{"count refused api few", "invalid syntax"},
	} {
		_, err := parseScript("at 0s\n" + test.line)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("%s: got %v, want line 2 and %q", test.line, err, test.want)
		}
	}
}

func TestSplit(t *testing.T) {
	script, all, err := split("at 0s\n-- policies.yaml --\na: 1\n-- v2/policies.yaml --\na: 2\n-- v2/conf/micro-gw.conf --\n")
	if err != nil || script != "at 0s\n" {
		t.Fatalf("got script %q, %v", script, err)
	}
	base := all.under("")
	if base["policies.yaml"] != "a: 1\n" || base["applications.yaml"] != "" || base["api_definitions/pizza.yaml"] != menu || len(base) != 3 {
		t.Errorf("got project %v", base)
	}
	over := all.under("v2")
	if _, ok := over["conf/micro-gw.conf"]; !ok || over["policies.yaml"] != "a: 2\n" || len(over) != 4 {
		t.Errorf("got project %v", over)
	}
	if !all.has("v2") || all.has("v") {
		t.Error("has: a prefix is a whole folder's name")
	}
	if _, _, err := split("-- a --\n-- a --\n"); err == nil {
		t.Error("a file that is there twice was taken")
	}
}

// FuzzParseScript holds the parser to take every text or say why not, with a line.
func FuzzParseScript(f *testing.F) {
	paths, _ := filepath.Glob(filepath.Join("testdata", "*.txt")) // the pattern is a good one
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		script, _, err := split(text)
		if err != nil {
			return
		}
		steps, err := parseScript(script)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("%q: %v", script, err)
			}
			return
		}
		for _, s := range steps {
			if s.at == nil && s.apply == nil && s.hit == nil && s.open == nil && s.events == nil && s.end == "" && s.count == nil {
				t.Errorf("line %d: %s: is no step", s.line, s.text)
			}
		}
	})
}

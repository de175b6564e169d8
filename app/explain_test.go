package app

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
)

// TestExplainAgrees explains calls and then makes them, against limits of 0 and more.
func TestExplainAgrees(t *testing.T) {
	for _, perDay := range []int64{0, 5} {
		t.Run(fmt.Sprintf("%d a day", perDay), func(t *testing.T) {
			d, key := pets(t, backend(t), perDay)
			p := start(t, Options{Config: config.Default(), Gateway: Source{Read: func() (gateway.Definition, error) { return d, nil }}})
			for _, call := range []Call{
				{Path: "/pets/1/all", APIKey: key},
				{Path: "/pets/1/all"},
				{Path: "/pets/1/all", APIKey: "wrong"},
				{Path: "/pets/1/all", Token: "eyJhbGciOiJub25lIn0.e30."},
				{Path: "/pets/1/open"},
				{Path: "/pets/1/nowhere", APIKey: key},
				{Path: "/pets//1/all", APIKey: key},
			} {
				call.Method, call.Host, call.Peer = "GET", p.HTTP.String(), netip.MustParseAddr("127.0.0.1")
				x, err := Explain(t.Context(), config.Default(), d, call, time.Now())
				if err != nil {
					t.Fatalf("%s: %v", call.Path, err)
				}
				want := x.Status
				if want == 0 {
					want = 200
				}
				sent := call.APIKey
				if sent == "" {
					sent = call.Token
				}
				if got, body := get(t, "http://"+p.HTTP.String()+call.Path, sent); got != want {
					t.Errorf("%s with %q: got %d %s, explained as %d %s", call.Path, sent, got, body, x.Status, x.Code)
				}
			}
		})
	}
}

func TestExplainChecks(t *testing.T) {
	d, key := pets(t, "http://127.0.0.1:9", 5)
	call := Call{Method: "GET", Path: "/pets/1/all", APIKey: key, Peer: netip.MustParseAddr("192.0.2.1")}
	x, err := Explain(t.Context(), config.Default(), d, call, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Checks) != 1 {
		t.Fatalf("got %d checks, want 1: %+v", len(x.Checks), x)
	}
	c := x.Checks[0]
	if c.Level != "application" || c.Policy != "Few" || c.Uses != 1 || c.Remaining != 4 || c.Refuses {
		t.Errorf("got %+v", c)
	}
	if len(x.Forward) != 1 || x.Forward[0] != "http://127.0.0.1:9" || x.ForwardPath != "/all" {
		t.Errorf("forwarded to %v %s", x.Forward, x.ForwardPath)
	}
}

func TestTokenField(t *testing.T) {
	apis := []gateway.API{
		{Context: "/a", AuthHeader: "X-Token"},
		{Context: "/a/b", AuthHeader: "Authorization"},
		{Context: "/", AuthHeader: ""},
	}
	tests := []struct {
		path string
		want HeaderField
	}{
		{"/a", HeaderField{"X-Token", "T"}},
		{"/a/x", HeaderField{"X-Token", "T"}},
		{"/a/b/x", HeaderField{"Authorization", "Bearer T"}},
		{"/ab", HeaderField{"Authorization", "Bearer T"}},
		{"/", HeaderField{"Authorization", "Bearer T"}},
	}
	for _, tt := range tests {
		if got := tokenField(apis, tt.path, "T"); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.path, got, tt.want)
		}
	}
}

func TestHeader(t *testing.T) {
	h := header{{"Accept", "a"}, {"X-One", "1"}, {"accept", "b"}}
	if v, ok := h.Value("ACCEPT"); !ok || v != "a" {
		t.Errorf("got %q %t, want the first", v, ok)
	}
	if _, ok := h.Value("X-Two"); ok {
		t.Error("found what is not there")
	}
	var all []string
	h.Each("Accept", func(v string) bool { all = append(all, v); return true })
	h.Each("Accept", func(v string) bool { all = append(all, v); return false })
	if got := fmt.Sprint(all); got != "[a b a]" {
		t.Errorf("got %s, want [a b a]", got)
	}
}

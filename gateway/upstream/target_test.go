package upstream

import (
	"strings"
	"testing"
	"time"
)

func TestParseTarget(t *testing.T) {
	for _, r := range []struct {
		url, scheme, host, path, authority string
		fault                              string
	}{
		{"http://a", "http", "a:80", "", "a", ""},
		{"http://a/", "http", "a:80", "", "a", ""},
		{"http://A.B:8080/p/q/", "http", "a.b:8080", "/p/q", "a.b:8080", ""},
		{"https://a", "https", "a:443", "", "a", ""},
		{"https://a:443/x", "https", "a:443", "/x", "a", ""},
		{"http://[::1]:90", "http", "[::1]:90", "", "[::1]:90", ""},
		{"https://[fe80::1]", "https", "[fe80::1]:443", "", "[fe80::1]", ""},
		{"ftp://a", "", "", "", "", "scheme"},
		{"a:80", "", "", "", "", "scheme"},
		{"//a", "", "", "", "", "scheme"},
		{"", "", "", "", "", "scheme"},
		{"http://", "", "", "", "", "no host"},
		{"http:///x", "", "", "", "", "no host"},
		{"http://:80", "", "", "", "", "no host"},
		{"http://a b", "", "", "", "", "invalid"},
		{"http://u:p@a", "", "", "", "", "credentials"},
		{"http://a?x=y", "", "", "", "", "query"},
		{"http://a?", "", "", "", "", "query"},
		{"http://a#x", "", "", "", "", "fragment"},
		{"http://a#", "", "", "", "", "fragment"},
		{"http://a:0", "", "", "", "", "port"},
		{"http://a:65536", "", "", "", "", "port"},
		{"http://a:", "", "", "", "", "port"},
		{"http://a:x", "", "", "", "", "port"},
		{"http://a//b", "", "", "", "", "path"},
		{"http://a/../b", "", "", "", "", "path"},
		{"http://a/./b", "", "", "", "", "path"},
		{"http://a/b%2fc", "", "", "", "", "path"},
		{"http://a/b;c", "", "", "", "", "path"},
		{"http://a/b c", "", "", "", "", "path"},
	} {
		got, err := parseTarget(r.url)
		if r.fault != "" {
			if err == nil || !strings.Contains(err.Error(), r.fault) {
				t.Errorf("%q: got %v, want an error with %q", r.url, err, r.fault)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", r.url, err)
			continue
		}
		if got.Scheme != r.scheme || got.Host != r.host || got.Path != r.path || got.Authority != r.authority {
			t.Errorf("%q: got %s %s %s %s, want %s %s %s %s", r.url, got.Scheme, got.Host, got.Path, got.Authority, r.scheme, r.host, r.path, r.authority)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"http://a", "https://[::1]:80/x", "http://a:80/../b", "http://a%00", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseTarget(text)
		if err != nil {
			return
		}
		if strings.ContainsAny(got.Host+got.Path+got.Authority, " \r\n\t\x00@?#%") {
			t.Errorf("%q: got host %q, path %q, authority %q", text, got.Host, got.Path, got.Authority)
		}
		again, err := parseTarget(got.Scheme + "://" + got.Authority + got.Path)
		if err != nil || again.Host != got.Host || again.Path != got.Path {
			t.Errorf("%q: its own form is not the same: %+v, %v", text, again, err)
		}
	})
}

// newTargets returns the targets of a group.
func newTargets(t *testing.T, o Options, urls ...string) []*Target {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	g, err := r.Group(urls, false)
	if err != nil {
		t.Fatal(err)
	}
	return g.Targets()
}

// A target that fails again and again is avoided for longer and longer, up to the
// bound; once its time is over one caller tries it, and one answer is enough.
func TestBackoff(t *testing.T) {
	x := newTargets(t, Options{MaxBackoff: 4 * time.Second}, "http://a")[0]
	now := time.Unix(1000, 0)
	if !x.available(now) || x.Down() {
		t.Fatal("a new target is not available")
	}
	for i, most := range []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
		x.Failed(now)
		wait := x.retryAt().Sub(now)
		if wait > most || wait < most*3/4 {
			t.Errorf("failure %d: avoided for %v, want from %v to %v", i+1, wait, most*3/4, most)
		}
		before := x.retryAt()
		x.Failed(now.Add(wait / 2))
		if x.retryAt() != before {
			t.Errorf("failure %d: one more while it is avoided counts", i+1)
		}
		if x.available(now.Add(wait - 1)) {
			t.Errorf("failure %d: available too early", i+1)
		}
		now = now.Add(wait)
		if !x.available(now) || x.available(now) {
			t.Errorf("failure %d: want it available once, for one caller", i+1)
		}
	}
	// Whoever tried it never reported: somebody else may.
	now = now.Add(x.Options().ConnectTimeout + time.Second)
	if !x.available(now) {
		t.Error("not available after a caller that never reported")
	}
	x.Succeeded()
	if x.Down() || !x.available(now) || !x.available(now) {
		t.Error("not available after an answer")
	}
	x.Failed(now)
	if wait := x.retryAt().Sub(now); wait > 250*time.Millisecond {
		t.Errorf("after an answer, the first failure costs %v", wait)
	}
}

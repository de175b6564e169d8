package http1

import (
	"strings"
	"testing"
	"testing/quick"
)

func TestRequestKind(t *testing.T) {
	for _, r := range []struct {
		name string
		want kind
	}{
		{"Accept", accept},
		{"User-Agent", plain},
		{"Authorization", plain},
		{"Cookie", plain},
		{"X-Request-Id", plain},
		{"HOST", host},
		{"content-LENGTH", contentLength},
		{"Transfer-Encoding", transferEncoding},
		{"Expect", expect},
		{"Connection", connection},
		{"Upgrade", upgrade},
		{"Sec-WebSocket-Key", socketKey},
		{"Sec-WebSocket-Version", plain},
		{"TE", dropped},
		{"Trailer", dropped},
		{"Keep-Alive", dropped},
		{"Proxy-Connection", dropped},
		{"Proxy-Authorization", dropped},
		{"HTTP2-Settings", dropped},
		{"X-Forwarded-For", dropped},
		{"x-forwarded-anything", dropped},
		{"Forwarded", dropped},
		{"X-Real-IP", dropped},
		{"CF-Connecting-IP", dropped},
		{"True-Client-Ip", dropped},
		{"X-HTTP-Method-Override", dropped},
		{"Proxy", dropped},
		{"X_Forwarded_For", forbidden},
		{"x-real_ip", forbidden},
		{"Content_Length", forbidden},
		{"Transfer_Encoding", forbidden},
		{"Host_", plain},
		{"_Host", plain},
		{"my_header", plain},
		{"Keep_Alive", forbidden},
		{"Content-Length-", plain},
		{strings.Repeat("x", 40), plain},
		{strings.Repeat("x_", 40), plain},
	} {
		if got := requestKind([]byte(r.name)); got != r.want {
			t.Errorf("%s: got %d, want %d", r.name, got, r.want)
		}
	}
}

func TestPasses(t *testing.T) {
	for _, r := range []struct {
		k    kind
		want bool
	}{
		{plain, true},
		{accept, true},
		{acceptEncoding, true},
		{socketKey, true},
		{contentType, true},
		{contentEncoding, true},
		{dropped, false},
		{forbidden, false},
		{connection, false},
		{contentLength, false},
		{transferEncoding, false},
		{host, false},
		{expect, false},
		{upgrade, false},
	} {
		if got := r.k.passes(); got != r.want {
			t.Errorf("kind %d: got %v, want %v", r.k, got, r.want)
		}
	}
}

// The fast look at eight bytes at a time agrees with a look at each.
func TestValidValue(t *testing.T) {
	if err := quick.CheckEqual(validValue, validBytes, &quick.Config{MaxCount: 20_000}); err != nil {
		t.Error(err)
	}
	for c := range 256 {
		want := c == '\t' || c >= ' ' && c != 0x7f
		for at := range 20 {
			v := []byte(strings.Repeat("a", 20))
			v[at] = byte(c)
			if got := validValue(v); got != want {
				t.Errorf("byte %#x at %d: got %v, want %v", c, at, got, want)
			}
			v = []byte(strings.Repeat("\xff", 20)) // carries must not reach the neighbours
			v[at] = byte(c)
			if got := validValue(v); got != want {
				t.Errorf("byte %#x at %d among others: got %v, want %v", c, at, got, want)
			}
		}
	}
}

func TestEqualFold(t *testing.T) {
	for _, r := range []struct {
		a, b string
		want bool
	}{
		{"", "", true},
		{"a", "A", true},
		{"Host", "hOST", true},
		{"host", "hosts", false},
		{"k", "\u212a", false},
		{"@", "`", false},
		{"[", "{", false},
		{"\x00", " ", false},
		{"a-b", "a_b", false},
	} {
		if got := equalFold([]byte(r.a), r.b); got != r.want {
			t.Errorf("%q, %q: got %v, want %v", r.a, r.b, got, r.want)
		}
	}
}

func TestValidHost(t *testing.T) {
	for _, r := range []struct {
		host string
		want bool
	}{
		{"a", true},
		{"a.b-c_d.example", true},
		{"A.", true},
		{"127.0.0.1:80", true},
		{"[::1]", true},
		{"[::ffff:1.2.3.4]:8080", true},
		{"a:65535", true},
		{"", false},
		{":80", false},
		{"a:", false},
		{"a:99999", false},
		{"a:-1", false},
		{"a:+1", false},
		{"a:1:2", false},
		{"a b", false},
		{"a,b", false},
		{"a/b", false},
		{"a?b", false},
		{"a#b", false},
		{"u@a", false},
		{"a\\b", false},
		{"[]", false},
		{"[::1", false},
		{"::1", false},
		{"[::1]x", false},
		{"[v1.x]", false},
		{"[fe80::1%25eth0]", false},
		{"caf\xc3\xa9", false},
		{"a%41", false},
		{"a'b", false},
		{"a;b", false},
		{strings.Repeat("a", 256), true},
		{strings.Repeat("a", 262), false},
	} {
		if got := validHost([]byte(r.host)); got != r.want {
			t.Errorf("%.40q: got %v, want %v", r.host, got, r.want)
		}
	}
}

func TestEachOption(t *testing.T) {
	for _, r := range []struct {
		list, want string
		ok         bool
	}{
		{"", "", true},
		{"a", "a", true},
		{"a, b ,\tc", "a|b|c", true},
		{",,a,", "a", true},
		{" , ", "", true},
		{"a b", "", false},
		{"a;q=1", "", false},
		{"a,\"b\"", "a", false},
	} {
		var all []string
		ok := eachOption([]byte(r.list), func(o []byte) { all = append(all, string(o)) })
		if got := strings.Join(all, "|"); got != r.want || ok != r.ok {
			t.Errorf("%q: got %s, %v; want %s, %v", r.list, got, ok, r.want, r.ok)
		}
	}
}

func TestParseLength(t *testing.T) {
	for _, r := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"0", 0, true},
		{"007", 7, true},
		{"123456789012345678", 123456789012345678, true},
		{"", 0, false},
		{"+1", 0, false},
		{"-1", 0, false},
		{"1 ", 0, false},
		{"1,1", 0, false},
		{"0x1", 0, false},
		{"1e3", 0, false},
		{"1234567890123456789", 0, false},
		{"\u0661", 0, false},
	} {
		if got, ok := parseLength([]byte(r.text)); got != r.want || ok != r.ok {
			t.Errorf("%q: got %d, %v; want %d, %v", r.text, got, ok, r.want, r.ok)
		}
	}
}

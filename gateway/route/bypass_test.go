package route

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// Whatever way /admin is written, a request for it meets the resource /admin,
// or no resource at all. None of them reaches another resource, under which it
// would go past the limit on /admin, although there is one for anything else.
func TestOneCounterPerPath(t *testing.T) {
	apis := []API{{"api", "/", resources("GET /admin", "GET /x/{id}", "GET /open/*")}}
	r := build(t, apis...)
	for _, test := range []struct{ path, want string }{
		{"/admin", "api GET /admin"},
		{"/%61dmin", "api GET /admin"},
		{"/%61%64%6D%69%6e", "api GET /admin"},

		{"//admin", "400"},
		{"/./admin", "400"},
		{"/x/../admin", "400"},
		{"/open/../admin", "400"},
		{"/open/%2e%2e/admin", "400"},
		{"/open/.%2e/admin", "400"},
		{"/open/..%2fadmin", "400"},
		{"/open/..%5cadmin", "400"},
		{"/open/..\\admin", "400"},
		{"/open/..;/admin", "400"},
		{"/open/..%3b/admin", "400"},
		{"/open/%252e%252e/admin", "400"},
		{"/open/%c0%ae%c0%ae/admin", "400"},
		{"/open//../admin", "400"},
		{"/admin;x", "400"},
		{"/admin;jsessionid=1", "400"},
		{"\\admin", "400"},
		{"/admin\\", "400"},
		{"/admin#", "400"},
		{"/admin%00", "400"},
		{"/admin%0a", "400"},
		{"/admin%20%0d", "400"},
		{"/admin%2f", "400"},
		{"/admin%252f", "400"},
		{"/%2561dmin", "400"},
		{"/%25%36%31dmin", "400"},
		{"/api..%2fadmin", "400"},
		{"/%2fadmin", "400"},
		{"/admin\t", "400"},
		{"/admin ", "400"},
		{"http://host/admin", "400"},

		{"/ADMIN", "api no path"},
		{"/Admin", "api no path"},
		{"/admin/", "api no path"},
		{"/admin%20", "api no path"},
		{"/admin.", "api no path"},
		{"/admin%3Fx", "api no path"},
		{"/admin%23", "api no path"},
		{"/admin%3Bx", "api no path"},
		{"/admin/x", "api no path"},
		{"/%EF%BC%8Fadmin", "api no path"}, // a wide slash
		{"/adm%C4%B1n", "api no path"},     // an i without a dot
		{"/adm%C3%ADn", "api no path"},
		{"/...", "api no path"},
		{"/x/...", "api GET /x/{id}"},
		{"/open/..x/admin", "api GET /open/*"},
	} {
		path, err := Canonical(test.path)
		got := "400"
		if err == nil {
			got = found(apis, r.Lookup(path, GET))
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.path, got, test.want)
		}
	}
}

// Every byte, as itself and escaped, is let in or refused as RFC 3986 and the
// comment on Canonical say.
func TestCanonicalEveryByte(t *testing.T) {
	const (
		unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
		reserved   = "!$&'()*+,=:@"
		escaped    = "\"<>[]^`{|}"
	)
	for c := range 256 {
		b := string([]byte{byte(c)})
		upper := fmt.Sprintf("%%%02X", c)
		plain, decoded := "", upper
		switch {
		case strings.Contains(unreserved, b):
			plain, decoded = b, b
		case strings.Contains(reserved, b):
			plain = b
		case strings.Contains(escaped, b):
			plain = upper
		case c < ' ' || c >= 0x7f || b == "/" || b == "\\":
			decoded = ""
		}
		if b == "/" {
			continue // a separator
		}
		for _, form := range []struct{ path, want string }{{"/x" + b + "y", plain}, {"/x" + upper + "y", decoded}, {"/x" + strings.ToLower(upper) + "y", decoded}} {
			got, err := Canonical(form.path)
			if form.want == "" {
				if err == nil {
					t.Errorf("%q is let in as %q", form.path, got)
				}
				continue
			}
			if err != nil || got != "/x"+form.want+"y" {
				t.Errorf("%q: %q, %v, want /x%sy", form.path, got, err, form.want)
			}
		}
	}
}

// Of two bytes above 127, escaped, just those that are UTF-8 are let in.
func TestCanonicalUTF8(t *testing.T) {
	for a := 0x80; a < 0x100; a++ {
		for b := 0x80; b < 0x100; b++ {
			text := string([]byte{byte(a), byte(b)})
			r, _ := utf8.DecodeRuneInString(text)
			want := utf8.ValidString(text) && r >= 0xa0
			_, err := Canonical("/" + url.PathEscape(text) + "/x")
			if got := err == nil; got != want {
				t.Errorf("%% %x: let in: %v, want %v", text, got, want)
			}
		}
	}
	for _, text := range []string{"\u0800", "\uffff", "\U00010000", "\U0010ffff", "日本語", "a\u0301"} {
		if _, err := Canonical("/" + url.PathEscape(text)); err != nil {
			t.Errorf("%+q: %v", text, err)
		}
	}
}

// A key that a backend would see is seen here too, and what is not seen here is
// not forwarded.
func TestNoHiddenParameter(t *testing.T) {
	for _, test := range []struct {
		raw, value, forwarded string
		refused               bool
	}{
		{raw: "ApiKey=x", value: "x"},
		{raw: "%41piKey=x&a=1", value: "x", forwarded: "a=1"},
		{raw: "a=1&ApiKey=x&ApiKey=y&b=2", value: "x", forwarded: "a=1&b=2"},
		{raw: "ApiKey", value: ""},
		{raw: "ApiKey=%78", value: "x"},
		{raw: "apikey=x", forwarded: "apikey=x"},
		{raw: "a=1;ApiKey=x", refused: true},
		{raw: "a=1%3BApiKey=x", forwarded: "a=1%3BApiKey=x"},
		{raw: "a=1%26ApiKey=x", forwarded: "a=1%26ApiKey=x"},
		{raw: strings.Repeat("a=1&", 10_000) + "ApiKey=x", refused: true},
		{raw: strings.Repeat("a=1&", MaxParams-1) + "ApiKey=x", value: "x", forwarded: strings.TrimSuffix(strings.Repeat("a=1&", MaxParams-1), "&")},
		{raw: "ApiKey=%", refused: true},
	} {
		q, err := ParseQuery(test.raw)
		if (err != nil) != test.refused {
			t.Errorf("%.40q: %v, want refused: %v", test.raw, err, test.refused)
		}
		if err != nil {
			continue
		}
		if got, _ := q.Value("ApiKey"); got != test.value {
			t.Errorf("%.40q: key %q, want %q", test.raw, got, test.value)
		}
		if got := q.Without("ApiKey"); got != test.forwarded {
			t.Errorf("%.40q: forwarded %.60q, want %.60q", test.raw, got, test.forwarded)
		}
	}
}

// A router is used by many at once.
func TestLookupConcurrently(t *testing.T) {
	apis := []API{{"a", "/a", resources("GET /{x}", "GET /{x}.json", "PUT /fixed", "GET /*")}}
	r := build(t, apis...)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				for path, want := range map[string]string{
					"/a/b": "a GET /{x}", "/a/b.json": "a GET /{x}.json", "/a/fixed": "a GET /{x}", "/a/b/c": "a GET /*",
				} {
					if got := found(apis, r.Lookup(path, GET)); got != want {
						t.Errorf("%s: %s, want %s", path, got, want)
					}
				}
			}
		})
	}
	wg.Wait()
}

package route

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestCanonical(t *testing.T) {
	for _, test := range []struct{ path, want string }{
		{"/", "/"},
		{"/pets", "/pets"},
		{"/pets/", "/pets/"}, // another path
		{"/ADMIN", "/ADMIN"}, // another path
		{"/a/b.c/...", "/a/b.c/..."},
		{"/.well-known/x", "/.well-known/x"},
		{"/..a/.b/c..", "/..a/.b/c.."},
		{"/%61dmin", "/admin"},
		{"/%41%5a%7E%2D%2e%5Fx", "/AZ~-._x"},
		{"/a%2eb", "/a.b"},
		{"/~user", "/~user"},
		{"/%7euser", "/~user"},
		{"/a!$&'()*+,=:@b", "/a!$&'()*+,=:@b"},
		{"/a%21b", "/a%21b"}, // reserved: not the same as "!"
		{"/a%3bb", "/a%3Bb"},
		{"/%c3%a9t%C3%A9", "/%C3%A9t%C3%A9"},
		{"/%E4%BD%A0/%F0%9F%98%80", "/%E4%BD%A0/%F0%9F%98%80"},
		{"/a[0]{b}|c^d`e\"f<g>", "/a%5B0%5D%7Bb%7D%7Cc%5Ed%60e%22f%3Cg%3E"},
		{"/100%25", "/100%25"},
		{"/100%25off", "/100%25off"},
		{"/100%25/20", "/100%25/20"},
		{"/50%25%20off", "/50%25%20off"},
		{"/a%20b", "/a%20b"},
		{"/a%3fb%23c", "/a%3Fb%23c"},
	} {
		got, err := Canonical(test.path)
		if err != nil || got != test.want {
			t.Errorf("Canonical(%q) = %q, %v, want %q", test.path, got, err, test.want)
		}
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for _, test := range []struct {
		path string
		want Ambiguity
	}{
		{"", errPathStart},
		{"*", errPathStart},
		{"pets", errPathStart},
		{"http://host/pets", errPathStart},
		{"\\admin", errPathStart},
		{"%2fadmin", errPathStart},

		{"//", errPathEmpty},
		{"//admin", errPathEmpty},
		{"/a//b", errPathEmpty},
		{"/admin//", errPathEmpty},

		{"/.", errPathDots},
		{"/./admin", errPathDots},
		{"/admin/.", errPathDots},
		{"/x/../admin", errPathDots},
		{"/x/..", errPathDots},
		{"/x/%2e%2e/admin", errPathDots},
		{"/x/.%2E/admin", errPathDots},
		{"/%2e/admin", errPathDots},
		{"/x/..%3b/admin", errPathDots},
		{"/x/.%3Bv=1/admin", errPathDots},
		{"/x/%2e%2e%3B", errPathDots},
		{"/x/..;/admin", errPathParam},

		{"/admin;x", errPathParam},
		{"/admin;", errPathParam},
		{"/;/admin", errPathParam},

		{"/admin%2f", errPathSlash},
		{"/api..%2fadmin", errPathSlash},
		{"/x%2F..%2Fadmin", errPathSlash},
		{"/x%5c..%5cadmin", errPathSlash},
		{"/a\\b", errPathSlash},
		{"/..\\admin", errPathSlash},

		{"/admin%00", errPathControl},
		{"/admin%0a", errPathControl},
		{"/admin%0D%0AX:y", errPathControl},
		{"/a%7f", errPathControl},
		{"/a\x00", errPathControl},
		{"/a\tb", errPathControl},
		{"/a\r\nb", errPathControl},
		{"/a\x7f", errPathControl},

		{"/admin#", errPathByte},
		{"/admin?x", errPathByte},
		{"/a b", errPathByte},
		{"/caf\xc3\xa9", errPathByte},
		{"/\xff", errPathByte},

		{"/%", errPathEscape},
		{"/a%", errPathEscape},
		{"/a%2", errPathEscape},
		{"/a%zz", errPathEscape},
		{"/a%2g", errPathEscape},
		{"/a%u002f", errPathEscape},
		{"/a% 2f", errPathEscape},
		{"/%61%", errPathEscape},
		{"/%0%61", errPathEscape}, // not %0a
		{"/[%2%66", errPathEscape},

		{"/%252f", errPathTwice},
		{"/x/%252e%252e/admin", errPathTwice},
		{"/%2561dmin", errPathTwice},
		{"/%25%32%66", errPathTwice},
		{"/%25%32f", errPathTwice},

		{"/%ff", errPathUTF8},
		{"/%c0%ae%c0%ae/admin", errPathUTF8}, // "." in two bytes
		{"/x%c0%afadmin", errPathUTF8},       // "/" in two bytes
		{"/%e0%80%af", errPathUTF8},
		{"/%ed%a0%80", errPathUTF8}, // half of a pair
		{"/%f4%90%80%80", errPathUTF8},
		{"/%c3", errPathUTF8},
		{"/%c3a", errPathUTF8},
		{"/%c3/%a9", errPathUTF8},
		{"/%c2%85", errPathUTF8}, // a control character
	} {
		got, err := Canonical(test.path)
		if !errors.Is(err, test.want) || got != "" {
			t.Errorf("Canonical(%q) = %q, %v, want %v", test.path, got, err, test.want)
		}
	}
}

func TestCanonicalLength(t *testing.T) {
	longest := "/" + strings.Repeat("a", MaxPath-1)
	if _, err := Canonical(longest); err != nil {
		t.Errorf("path of %d bytes: %v", len(longest), err)
	}
	for name, path := range map[string]string{
		"as received": longest + "a",
		"rewritten":   "/" + strings.Repeat("|", MaxPath/3+1),
	} {
		if _, err := Canonical(path); !errors.Is(err, ErrPathTooLong) {
			t.Errorf("too long %s: got %v, want %v", name, err, ErrPathTooLong)
		}
	}
}

func TestCanonicalAllocates(t *testing.T) {
	for _, test := range []struct {
		path string
		want float64
	}{
		{"/petstore/v1/pets/42", 0},
		{"/petstore/v1/%C3%A9t%C3%A9", 0},
		{"/x/../admin", 0},
		{"/admin;x", 0},
		{"/%61dmin", 2},
	} {
		if got := testing.AllocsPerRun(100, func() { Canonical(test.path) }); got > test.want {
			t.Errorf("Canonical(%q) allocates %v times, want %v", test.path, got, test.want)
		}
	}
}

// FuzzCanonical checks that what is let through is in one form only, means what
// was received, and can't be read as another path, even by a server that decodes
// it twice.
func FuzzCanonical(f *testing.F) {
	for _, path := range []string{
		"/", "/pets/1", "/%61dmin", "/x/../a", "//", "/%252f", "/%25%32%66", "/a;b", "/..%3B/x",
		"/caf%c3%a9", "/%c0%ae", "/[a]", "/a%", "/%2e%2e/", "/a\\b", "/%25", "/100%25off", "/%F0%9F%98%80/",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, err := Canonical(path)
		if err != nil {
			var a Ambiguity
			if !errors.As(err, &a) || got != "" {
				t.Fatalf("Canonical(%q) = %q, %v", path, got, err)
			}
			return
		}
		again, err := Canonical(got)
		if err != nil || again != got {
			t.Fatalf("Canonical(%q) = %q, and of that %q, %v", path, got, again, err)
		}
		received, err := url.PathUnescape(path)
		if err != nil {
			t.Fatalf("Canonical(%q) = %q of an invalid escape", path, got)
		}
		if decoded := decodeSegment(got); decoded != received {
			t.Fatalf("Canonical(%q) = %q, which is %q, not %q", path, got, decoded, received)
		}
		text := got
		for range 3 {
			checkHarmless(t, path, text)
			if text, err = url.PathUnescape(text); err != nil {
				return
			}
		}
	})
}

func checkHarmless(t *testing.T, path, text string) {
	t.Helper()
	for _, bad := range []string{"//", "/./", "/../", "\\", "/..;", "/.;", "\x00", "\r", "\n"} {
		if strings.Contains(text+"/", bad) && !(bad == "//" && strings.HasSuffix(text, "/") && !strings.Contains(text, "//")) {
			t.Fatalf("%q was let through and reads as %q", path, text)
		}
	}
	if strings.Count(text, "/") != strings.Count(path, "/") {
		t.Fatalf("%q was let through and reads as %q, with other segments", path, text)
	}
}

func BenchmarkCanonical(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Canonical("/petstore/v1/pets/42/photos/front.jpg")
	}
}

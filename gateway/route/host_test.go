package route

import (
	"errors"
	"strings"
	"testing"
)

func TestHost(t *testing.T) {
	label := strings.Repeat("a", maxLabel)
	long := label + "." + label + "." + label + "." + label[:61]
	for _, test := range []struct{ text, name, port string }{
		{"example.com", "example.com", ""},
		{"Example.COM", "example.com", ""},
		{"example.com.", "example.com", ""},
		{"EXAMPLE.com.:8280", "example.com", "8280"},
		{"localhost:1", "localhost", "1"},
		{"my_service:65535", "my_service", "65535"},
		{"127.0.0.1:80", "127.0.0.1", "80"},
		{"[::1]", "[::1]", ""},
		{"[::1]:80", "[::1]", "80"},
		{"[2001:DB8:0:0::1]:443", "[2001:db8::1]", "443"},
		{"[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", ""},
		{"xn--bcher-kva.example", "xn--bcher-kva.example", ""},
		{label + ".x", label + ".x", ""},
		{long, long, ""},
	} {
		name, port, err := Host(test.text)
		if err != nil || name != test.name || port != test.port {
			t.Errorf("Host(%q) = %q, %q, %v, want %q, %q", test.text, name, port, err, test.name, test.port)
		}
	}
}

func TestHostRefuses(t *testing.T) {
	label := strings.Repeat("a", maxLabel)
	for _, test := range []struct {
		text string
		want Ambiguity
	}{
		{"", errHostEmpty},
		{".", errHostEmpty},
		{":80", errHostEmpty},
		{"x@y", errHostByte},
		{"x@y:80", errHostByte},
		{"host/path", errHostByte},
		{"host\\path", errHostByte},
		{"host?q", errHostByte},
		{"host#f", errHostByte},
		{"a b", errHostByte},
		{" a", errHostByte},
		{"a\x00", errHostByte},
		{"a\r\nX: y", errHostPort},
		{"a\tb", errHostByte},
		{"ho%73t", errHostByte},
		{"bücher.example", errHostByte},
		{"a,b", errHostByte},
		{"*.example.com", errHostByte},
		{"example.com..", errHostName},
		{".example.com", errHostName},
		{"a..b", errHostName},
		{label + "a.x", errHostName},
		{strings.Repeat("a.", 130) + "a", errHostName},
		{"host:", errHostPort},
		{"host:0", errHostPort},
		{"host:080", errHostPort},
		{"host:65536", errHostPort},
		{"host:123456", errHostPort},
		{"host:8o", errHostPort},
		{"host:80:80", errHostPort},
		{"::1", errHostPort},
		{"[::1", errHostName},
		{"[]", errHostName},
		{"[::1]x", errHostPort},
		{"[::1]:", errHostPort},
		{"[fe80::1%eth0]", errHostName},
		{"[1.2.3.4]", errHostName},
		{"[example.com]", errHostName},
	} {
		name, port, err := Host(test.text)
		if !errors.Is(err, test.want) || name != "" || port != "" {
			t.Errorf("Host(%q) = %q, %q, %v, want %v", test.text, name, port, err, test.want)
		}
	}
}

func TestHostAllocates(t *testing.T) {
	for _, text := range []string{"api.example.com:8280", "[2001:db8::1]:443", "x@y"} {
		if n := testing.AllocsPerRun(100, func() { Host(text) }); n != 0 {
			t.Errorf("Host(%q) allocates %v times", text, n)
		}
	}
}

// FuzzHost checks that a host's canonical form is its own canonical form and
// holds nothing that a server could take for something else.
func FuzzHost(f *testing.F) {
	for _, text := range []string{"example.com", "A.b.:80", "[::1]:443", "x@y", "a..b", "host:", "[fe80::1%25eth0]", "1.2.3.4"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, port, err := Host(text)
		if err != nil {
			return
		}
		joined := name
		if port != "" {
			joined += ":" + port
		}
		name2, port2, err := Host(joined)
		if err != nil || name2 != name || port2 != port {
			t.Fatalf("Host(%q) = %q, %q; again %q, %q, %v", text, name, port, name2, port2, err)
		}
		if name == "" || strings.ContainsAny(name, "@/\\?#% \t\r\n\x00,") || name != strings.ToLower(name) {
			t.Fatalf("Host(%q) = %q", text, name)
		}
	})
}

package redis

import (
	"errors"
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, said string
		fault      bool
	}{
		{"nothing", "", false},
		{"lines", "+OK\r\n-ERR no\r\n:-12\r\n", false},
		{"an empty line of text", "+\r\n", false},
		{"texts", "$5\r\na\r\nbc\r\n$0\r\n\r\n$-1\r\n", false},
		{"the longest text", "$1048576\r\n" + strings.Repeat("x", 1<<20) + "\r\n+OK\r\n", false},
		{"arrays", "*2\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n*-1\r\n+OK\r\n", false},
		{"arrays in arrays", strings.Repeat("*1\r\n", 4) + ":1\r\n" + strings.Repeat("*1\r\n", 4) + ":1\r\n", false},
		{"more arrays in arrays", strings.Repeat("*1\r\n", 5), true},
		{"arrays in arrays, with something between", strings.Repeat("*2\r\n:1\r\n", 5), true},
		{"a text that is too long", "$1048577\r\n", true},
		{"a length that is too long", "$000000000", true},
		{"a length that is none", "$1x\r\n", true},
		{"a length below zero", "$-2\r\n", true},
		{"no length", "*\r\n", true},
		{"an array that is too long", "*4097\r\n", true},
		{"a long length", "*9223372036854775807\r\n", true},
		{"a line without its return", "+OK\n", true},
		{"an empty line", "\r\n", true},
		{"HTTP", "HTTP/1.1 400 Bad Request\r\n", true},
		{"TLS", "\x15\x03\x01\x00\x02\x02\x46", true},
		{"RESP3", "%1\r\n+a\r\n:1\r\n", true},
		{"a line without end", "-" + strings.Repeat("x", maxLine), true},
		{"no end at all", strings.Repeat("+OK\r\n", maxReply/5+1), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, step := range []int{1, 7, 4096, len(test.said) + 1} {
				var g guard
				var err error
				for rest := test.said; rest != "" && err == nil; {
					n := min(step, len(rest))
					err = g.read([]byte(rest[:n]))
					rest = rest[n:]
				}
				if (err != nil) != test.fault || err != nil && !errors.Is(err, errNoRedis) {
					t.Errorf("by %d bytes: got error %v, want one: %v", step, err, test.fault)
				}
			}
		})
	}
}

// FuzzGuard has it read whatever comes: how it is cut does not matter.
func FuzzGuard(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nabc\r\n:1\r\n+OK\r\n"), 3)
	f.Add([]byte("$1048577\r\n"), 1)
	f.Add([]byte("*-1\r\n-ERR\r\n*1\r\n*1\r\n*0\r\n"), 2)
	f.Fuzz(func(t *testing.T, said []byte, cut int) {
		var whole, parts guard
		err := whole.read(said)
		first := said[:min(max(cut, 0), len(said))]
		err2 := parts.read(first)
		if err2 == nil {
			err2 = parts.read(said[len(first):])
		}
		if (err == nil) != (err2 == nil) {
			t.Fatalf("whole: %v; cut at %d: %v", err, len(first), err2)
		}
		if err == nil && (whole.depth != parts.depth || whole.skip != parts.skip || string(whole.line) != string(parts.line)) {
			t.Fatalf("whole: %+v; cut at %d: %+v", whole, len(first), parts)
		}
		if whole.skip > maxBulk+2 || whole.depth > maxDepth || len(whole.line) > maxLine+1 {
			t.Fatalf("out of bounds: %+v", whole)
		}
	})
}

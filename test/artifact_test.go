package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

// forge returns an artifact in which text has been replaced by other text of the
// same length, with all checksums as they should be: what only somebody who knows
// the format can make.
func forge(t *testing.T, artifact []byte, old, new string) []byte {
	t.Helper()
	if len(old) != len(new) || bytes.Count(artifact, []byte(old)) == 0 {
		t.Fatalf("%q can't be replaced by %q", old, new)
	}
	b := bytes.Replace(artifact, []byte(old), []byte(new), 1)
	const magic = 8
	count := int(binary.BigEndian.Uint16(b[magic+2:]))
	var sizes, sums []int // of each entry, and where its checksum stands
	at := magic + 4
	for range count {
		at += 1 + int(b[at])
		sizes = append(sizes, int(binary.BigEndian.Uint32(b[at:])))
		sums = append(sums, at+4)
		at += 4 + sha256.Size
	}
	for i, size := range sizes {
		sum := sha256.Sum256(b[at : at+size])
		copy(b[sums[i]:], sum[:])
		at += size
	}
	sum := sha256.Sum256(b[:at])
	copy(b[at:], sum[:])
	return b
}

// TestForgedArtifact reloads artifacts whose checksums are right and whose content
// is not: they are checked as a whole too, and change nothing.
func TestForgedArtifact(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newReloadProject(t, b, "{count: 1234, unitTime: 1, timeUnit: day}")
	key := p.key("shop", "PRODUCTION")
	g := p.serve("")
	c := g.h1(t)
	good, err := os.ReadFile(p.artifact())
	if err != nil {
		t.Fatal(err)
	}
	left := 1234
	for _, test := range []struct{ what, old, new string }{
		{"another version", "weir\r\n\x1a\n\x00\x02", "weir\r\n\x1a\n\x00\x03"},
		{"a negative count", `"count":1234,`, `"count":-123,`},
		{"a window of microseconds", `"length_ns":60000000000`, `"length_ns":10000      `},
		{"a tier that is none", `"tier":"Plan"`, `"tier":"Plum"`},
		{"a subscription to nothing", `"api":"pizza"`, `"api":""     `},
		{"a path that is none", `"context":"/pizza/1"`, `"context":"/pi//a/1"`},
		{"a template that is none", `"template":"/menu"`, `"template":"/me{u"`},
		{"a method that is none", `"method":"GET"`, `"method":"G T"`},
		{"a backend that is none", `["http://127`, `["gopher:127`},
		{"a key that is known to nobody", `"version":"1"`, `"vulsion":"1"`},
		{"a hash that is none", `"sha256:`, `"md5sum:`},
		{"no JSON", `"resources":[`, `"resources":{`},
		{"an algorithm that is none", `"fixed-window"`, `"fixed-widow" `},
	} {
		replace(t, p.artifact(), forge(t, good, test.old, test.new))
		lines := g.reload(t)
		if len(lines) != 1 || !strings.Contains(lines[0], "artifact refused") {
			t.Errorf("%s: the log has %q", test.what, lines)
		}
		left--
		if r := c.get(t, "/pizza/1/menu", "ApiKey", key).want(t, 200, ""); r.number("X-RateLimit-Remaining") != left {
			t.Errorf("%s: X-RateLimit-Remaining is %q, want %d", test.what, r.Header.Get("X-RateLimit-Remaining"), left)
		}
	}
	replace(t, p.artifact(), forge(t, good, `"count":1234,`, `"count":2000,`))
	g.reload(t)
	if r := c.get(t, "/pizza/1/menu", "ApiKey", key).want(t, 200, ""); r.number("X-RateLimit-Limit") != 2000 {
		t.Errorf("a forged artifact without a fault was not applied: X-RateLimit-Limit is %q", r.Header.Get("X-RateLimit-Limit"))
	}
}

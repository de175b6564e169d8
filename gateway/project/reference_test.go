package project

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestResolve(t *testing.T) {
	root, err := readDocument("a.yaml", []byte("paths:\n  /a/{b}: {get: [x, {y~z: found}]}\n"), &report{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		ref  string
		want bool
	}{
		{"#/paths/~1a~1{b}/get/1/y~0z", true},
		{"#/paths/%2Fa%2F%7Bb%7D", true},
		{"#/paths/~1a~1{b}/get/2", false},
		{"#/paths/~1a~1{b}/get/-1", false},
		{"#/paths/~1a~1{b}/get/x", false},
		{"#/none", false},
		{"#none", false},
		{"#", false},
		{"", false},
	}
	for _, tt := range tests {
		if got := (pointers{}).resolve(root, tt.ref) != nil; got != tt.want {
			t.Errorf("%s: got %t, want %t", tt.ref, got, tt.want)
		}
	}
}

// TestManyReferences has a document of as many references as there may be, to
// as many schemas.
func TestManyReferences(t *testing.T) {
	const n = 40_000
	var b strings.Builder
	b.WriteString("paths: {}\ncomponents:\n  schemas:\n")
	for i := range n {
		fmt.Fprintf(&b, "    S%d: {items: {$ref: '#/components/schemas/S%d'}}\n", i, (i+1)%n)
	}
	fmt.Fprintf(&b, "    Lost: {items: {$ref: '#/components/schemas/S%d'}}\n", n)
	r := &report{}
	start := time.Now()
	readDefinition("a.yaml", []byte(definition(b.String())), r)
	if took := time.Since(start); took > 30*time.Second { // it is one or two
		t.Errorf("took %v", took)
	}
	if got := r.err(); got == nil || got.Error() != fmt.Sprintf(`a.yaml:%d: $ref "#/components/schemas/S%d" leads nowhere`, n+7, n) {
		t.Errorf("got %v", got)
	}
}

package limiter

import (
	"fmt"
	"math/bits"
	"strings"
	"testing"
)

func TestKeysOfDifferentParts(t *testing.T) {
	seed := NewSeed()
	seen := make(map[Key]string)
	add := func(parts ...string) {
		t.Helper()
		k, name := seed.Key(parts...), fmt.Sprintf("%q", parts)
		if other, ok := seen[k]; ok && other != name {
			t.Errorf("%s and %s have the same key", name, other)
		}
		if k == 0 {
			t.Errorf("%s has no key", name)
		}
		seen[k] = name
	}
	add()
	add("")
	add("", "")
	add("a", "bc")
	add("ab", "c")
	add("abc")
	add("abc", "")
	add("", "abc")
	add("\x00")
	add("\x00\x00")
	long := strings.Repeat("x", 100)
	for n := range long {
		add(long[:n+1])
		add(long[:n], long[n:])
	}
	for i := range 20000 {
		add("user", fmt.Sprint(i))
		add("user"+fmt.Sprint(i), "")
	}
}

func TestKeyInSteps(t *testing.T) {
	seed := NewSeed()
	api := seed.Hash().Add("api").Add("v1")
	if got, want := api.Add("alice").Key(), seed.Key("api", "v1", "alice"); got != want {
		t.Errorf("a key made in steps is %x, at once %x", got, want)
	}
	if api.Add("alice").Key() == api.Add("bob").Key() || api.AddUint64(1).Key() == api.AddUint64(2).Key() {
		t.Error("two ends of one beginning have the same key")
	}
	if api.AddUint64(1).Key() == api.Key() {
		t.Error("a number adds nothing")
	}
}

func TestSeeds(t *testing.T) {
	a, b := NewSeed(), NewSeed()
	if a == b || a.Key("x") == b.Key("x") {
		t.Error("two seeds are the same")
	}
	if again := a.Key("x"); again != a.Key("x") {
		t.Error("a key is not the same twice")
	}
	if (Seed{}).Key("x") == a.Key("x") {
		t.Error("a seed is no better than none")
	}
}

// TestKeyBits changes one byte and expects half of the bits to change.
func TestKeyBits(t *testing.T) {
	seed := Seed{}
	for n := 1; n < 40; n++ {
		text := []byte(strings.Repeat("k", n))
		before := seed.Key(string(text))
		var changed int
		for i := range text {
			text[i] ^= 1
			changed += bits.OnesCount64(uint64(before ^ seed.Key(string(text))))
			text[i] ^= 1
		}
		if mean := float64(changed) / float64(n); mean < 20 || mean > 44 {
			t.Errorf("of %d bytes, each changes %.1f bits of the key, want about 32", n, mean)
		}
	}
}

func TestKeyAllocs(t *testing.T) {
	seed := NewSeed()
	if n := testing.AllocsPerRun(100, func() { seed.Key("api", "v1", "a user with a long name") }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func FuzzKey(f *testing.F) {
	f.Add("a", "bc", "ab", "c")
	f.Add("", "", "", "\x00")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		seed := Seed{1, 2}
		if same := seed.Key(a, b) == seed.Key(c, d); same != (a == c && b == d) {
			t.Errorf("%q, %q and %q, %q have the same key: %v", a, b, c, d, same)
		}
		if seed.Key(a, b) == seed.Key(a+b) {
			t.Errorf("%q, %q has the key of both in one", a, b)
		}
	})
}

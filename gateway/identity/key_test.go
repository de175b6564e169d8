package identity

import (
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

func TestNewKey(t *testing.T) {
	seen := make(map[string]bool)
	for range 200 {
		text, hash := NewKey()
		if err := CheckKey(text); err != nil || len(text) != 54 || !strings.HasPrefix(text, "weir_") {
			t.Fatalf("NewKey = %q: %v", text, err)
		}
		if hash != HashKey(text) || ParseKeyHash(hash) != nil {
			t.Fatalf("hash of %q = %q, want %q", text, hash, HashKey(text))
		}
		if strings.Contains(hash, text[5:20]) || seen[text] || seen[hash] {
			t.Fatalf("key %q, hash %q", text, hash)
		}
		seen[text], seen[hash] = true, true
	}
}

// Keys that are out there must keep working, so neither their form nor their
// hash may change. The values were worked out by another program.
func TestKeyIsStable(t *testing.T) {
	text := keyPrefix + inBase62(big.NewInt(62*5+1), keySecret)
	text += keySum(text)
	const want = "weir_00000000000000000000000000000000000000000510FY5Ff"
	const wantHash = "sha256:695f4eac3a6a4eedfc44e973a4427b9cf5cf253ebe53d31767d07b7a36c57b86"
	if text != want {
		t.Errorf("key = %q, want %q", text, want)
	}
	if got := HashKey(text); got != wantHash {
		t.Errorf("hash = %q, want %q", got, wantHash)
	}
}

func TestCheckKey(t *testing.T) {
	good, _ := NewKey()
	other := byte('A')
	if good[20] == other {
		other = 'B'
	}
	for _, test := range []struct {
		name, text string
		want       *Error
	}{
		{"good", good, nil},
		{"empty", "", errKeyPrefix},
		{"prefix alone", "weir_", errKeyLength},
		{"prefix in capitals", "WEIR_" + good[5:], errKeyPrefix},
		{"another's key", "ghp_" + good[4:], errKeyPrefix},
		{"password", "correct horse battery staple", errKeyPrefix},
		{"cut", good[:53], errKeyLength},
		{"longer", good + "0", errKeyLength},
		{"a digit changed", good[:20] + string(other) + good[21:], errKeySum},
		{"two digits swapped", good[:10] + swap(good[10:]), errKeySum},
		{"checksum of zeros", good[:48] + "000000", errKeySum},
		{"punctuation", good[:20] + "-" + good[21:], errKeyDigit},
		{"NUL", good[:20] + "\x00" + good[21:], errKeyDigit},
		{"not ASCII", good[:20] + "é" + good[22:], errKeyDigit},
		{"space", good[:53] + " ", errKeyDigit},
	} {
		err := CheckKey(test.text)
		if (test.want == nil) != (err == nil) || (test.want != nil && !errors.Is(err, test.want)) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

// swap swaps the first two digits of s that differ.
func swap(s string) string {
	for i := 1; i < len(s); i++ {
		if s[i] != s[i-1] {
			return s[:i-1] + s[i:i+1] + s[i-1:i] + s[i+1:]
		}
	}
	return s
}

func TestParseKeyHash(t *testing.T) {
	good := HashKey("x")
	for _, test := range []struct{ name, stored, want string }{
		{"good", good, ""},
		{"empty", "", `start with "sha256:"`},
		{"a key", func() string { k, _ := NewKey(); return k }(), `start with "sha256:"`},
		{"other scheme", "md5:" + good[7:], `start with "sha256:"`},
		{"cut", good[:60], "64 digits"},
		{"longer", good + "00", "64 digits"},
		{"not hexadecimal", good[:70] + "z", "not hexadecimal"},
		{"capitals", strings.ToUpper(good), `start with "sha256:"`},
	} {
		err := ParseKeyHash(test.stored)
		if (test.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "weir_") {
			t.Errorf("%s: the error tells the key: %v", test.name, err)
		}
	}
	// The hash is of the key in its domain, so it is no hash of the key alone.
	sum := sumKey("x")
	if hex.EncodeToString(sum[:]) == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" {
		t.Error("a key's hash is the plain SHA-256 of the key")
	}
}

func TestKeyAllocates(t *testing.T) {
	text, _ := NewKey()
	if n := testing.AllocsPerRun(100, func() { checkKey(text); sumKey(text) }); n != 0 {
		t.Errorf("checking and hashing a key costs %v allocations", n)
	}
}

// A wrong key that begins like a right one must take as long as one that does
// not, over 100 000 samples of each. Clocks here are too coarse to prove it, but a
// look-up that compares from the left would show.
func TestKeyTiming(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a moment")
	}
	stored, hash := NewKey()
	d := newTestDirectory(t, Application{ID: "1", Keys: []Key{{Hash: hash}}})
	alike := stored[:46] + "00"
	alike += keySum(alike)
	unlike, _ := NewKey()
	const rounds, samples = 400, 250
	best := [2]time.Duration{time.Hour, time.Hour}
	for round := range rounds {
		for i := range 2 {
			i = (i + round) % 2 // neither is always the first
			text := []string{alike, unlike}[i]
			start := time.Now()
			for range samples {
				d.APIKey(text)
			}
			best[i] = min(best[i], time.Since(start))
		}
	}
	if 10*best[0] > 11*best[1] || 10*best[1] > 11*best[0] {
		t.Errorf("%d keys that begin like a stored one take %v, others %v", samples, best[0], best[1])
	}
}

// FuzzKey checks that only what NewKey could have made has the form of a key.
func FuzzKey(f *testing.F) {
	key, hash := NewKey()
	for _, text := range []string{key, hash, "", "weir_", key + "0", strings.ToLower(key)} {
		f.Add(text)
	}
	d := newTestDirectory(f, Application{ID: "1", Keys: []Key{{Hash: hash}}})
	f.Fuzz(func(t *testing.T, text string) {
		p, err := d.APIKey(text)
		if (err == nil) != (text == key) || (err == nil) != (p.Application.ID == "1") {
			t.Fatalf("APIKey(%q) = %+v, %v", text, p, err)
		}
		if err := CheckKey(text); err == nil && text != key {
			if len(text) != keyLength || keySum(text[:48]) != text[48:] {
				t.Fatalf("CheckKey(%q) = nil", text)
			}
		}
		if ParseKeyHash(text) == nil && len(text) != 71 {
			t.Fatalf("ParseKeyHash(%q) = nil", text)
		}
	})
}

package cli

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"plain text, 100 %":         "plain text, 100 %",
		"grün 東京 🙂":                 "grün 東京 🙂",
		"\x1b[2J\x1b]0;owned\a":     `\x1b[2J\x1b]0;owned\a`,
		"a\r\nb\tc\x00\x7f":         `a\r\nb\tc\x00\x7f`,
		"\u009b31m":                 `\u009b31m`,
		"pay\u202eexe.txt":          `pay\u202eexe.txt`,
		"zero\u200bwidth":           `zero\u200bwidth`,
		"e\u0301\u0301\u0301":       `e\u0301\u0301\u0301`,
		"\xff\xfe":                  `\xff\xfe`,
		"\ufffd":                    "\ufffd",
		"line\u2028end\u00a0\u3000": `line\u2028end\u00a0\u3000`,
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		in      string
		columns int
		want    string
	}{
		{"short", 5, "short"},
		{"longer", 5, "long…"},
		{"longer", 1, "…"},
		{"longer", 0, ""},
		{"", 0, ""},
		{"東京都", 6, "東京都"},
		{"東京都", 5, "東京…"},
		{"東京都", 4, "東…"},
		{"東", 1, "…"},
	} {
		got := fit(tt.in, tt.columns)
		if got != tt.want {
			t.Errorf("%q in %d: got %q, want %q", tt.in, tt.columns, got, tt.want)
		}
	}
	if got := pad("東", 4); got != "東  " {
		t.Errorf("padded %q", got)
	}
}

// Nothing that is printable steers a terminal or takes more room than is known,
// whatever it was made of.
func FuzzPrintable(f *testing.F) {
	f.Add("\x1b[31m\u202e東京\xff", 7)
	f.Fuzz(func(t *testing.T, in string, columns int) {
		got := printable(in)
		if strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) && r != utf8.RuneError }) || !utf8.ValidString(got) {
			t.Errorf("%q became %q", in, got)
		}
		columns = min(max(columns, 0), 1000)
		if short := fit(got, columns); columnsOfText(short) > columns {
			t.Errorf("%q takes %d columns, %d are there", short, columnsOfText(short), columns)
		}
	})
}

package event

// values are headers, query parameters or claims that an event carries, in the
// order in which they stand in it. They are a weir.Values.
type values struct {
	pairs []pair
	fold  bool // names match without regard to case
	half  bool // the last pair has no value yet
}

type pair struct{ name, value string }

func (v *values) add(name, value string) { v.pairs = append(v.pairs, pair{name, value}) }

func (v *values) reset() { v.pairs, v.half = v.pairs[:0], false }

// Value implements weir.Values. There are few values: nothing is faster than to
// look at each.
func (v *values) Value(name string) (string, bool) {
	for i := range v.pairs {
		p := &v.pairs[i]
		if p.name == name || v.fold && equalFold(p.name, name) {
			return p.value, true
		}
	}
	return "", false
}

// equalFold reports whether a and b differ in nothing but the case of ASCII letters.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

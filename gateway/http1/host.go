package http1

import "bytes"

// validHost reports whether v is a host and maybe a port, as Host and a target in
// absolute form name them.
func validHost(v []byte) bool {
	name, port := v, []byte(nil)
	if len(v) > 0 && v[0] == '[' {
		end := bytes.IndexByte(v, ']')
		if end < 3 || !validAddress6(v[1:end]) {
			return false
		}
		name, port = v[1:end], v[end+1:]
	} else {
		if i := bytes.IndexByte(v, ':'); i >= 0 {
			name, port = v[:i], v[i:]
		}
		for _, c := range name {
			if !hostByte[c] {
				return false
			}
		}
	}
	if len(name) == 0 || len(v) > 255+6 {
		return false
	}
	return validPort(port)
}

// validPort reports whether p is empty or a colon and a port.
func validPort(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	if p[0] != ':' || len(p) < 2 || len(p) > 6 {
		return false
	}
	n, ok := parseLength(p[1:])
	return ok && n <= 65535
}

func validAddress6(v []byte) bool {
	for _, c := range v {
		switch {
		case digit(c), 'a' <= lower(c) && lower(c) <= 'f', c == ':', c == '.':
		default:
			return false
		}
	}
	return true
}

// hostByte tells which bytes may stand in a registered name, as far as anybody
// uses it: encoded and reserved characters are left out, they have no honest use
// and are read in different ways.
var hostByte = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "-._~" {
		t[c] = true
	}
	return t
}()

// sameHost reports whether the Host field's value names the server that the
// client named when it set up TLS, whatever the port, the case and a trailing dot.
func sameHost(value, server string) bool {
	name := []byte(value)
	if i := bytes.LastIndexByte(name, ':'); i >= 0 && name[len(name)-1] != ']' {
		name = name[:i]
	}
	return equalFold(bytes.TrimSuffix(name, []byte(".")), server)
}

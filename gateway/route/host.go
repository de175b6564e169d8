package route

import (
	"net/netip"
	"strings"
)

// The reasons to refuse a host.
const (
	errHostEmpty = Ambiguity("host is empty")
	errHostByte  = Ambiguity("host has a character that no name has")
	errHostName  = Ambiguity("host is not a valid name")
	errHostPort  = Ambiguity("host has an invalid port")
)

const (
	maxHost  = 253
	maxLabel = 63
)

// Host returns the canonical form of a Host field or of the authority of a
// request's target, taken apart: the name in lower case without a trailing dot,
// IPv6 addresses in their short form within brackets, and the port in digits,
// empty if there is none. It allocates only if the name is not in that form
// already.
//
// Refused are user names ("x@y"), paths, escapes, spaces, control characters,
// bytes above 127, zones, empty names and labels, and names that are too long.
func Host(text string) (name, port string, err error) {
	if text == "" {
		return "", "", errHostEmpty
	}
	if text[0] == '[' {
		return hostIPv6(text)
	}
	name = text
	if i := strings.IndexByte(text, ':'); i >= 0 {
		name, port = text[:i], text[i+1:]
		if !isPort(port) {
			return "", "", errHostPort
		}
	}
	name = strings.TrimSuffix(name, ".")
	if err := checkHostName(name); err != nil {
		return "", "", err
	}
	return strings.ToLower(name), port, nil
}

// checkHostName says whether name is made of labels as DNS has them, with
// underscores allowed as container networks use them.
func checkHostName(name string) error {
	if name == "" {
		return errHostEmpty
	}
	if len(name) > maxHost {
		return errHostName
	}
	label := 0
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			label++
		case c == '.':
			if label == 0 || label > maxLabel {
				return errHostName
			}
			label = 0
		default:
			return errHostByte
		}
	}
	if label == 0 || label > maxLabel {
		return errHostName
	}
	return nil
}

// hostIPv6 takes apart a host that begins with a bracket.
func hostIPv6(text string) (name, port string, err error) {
	end := strings.IndexByte(text, ']')
	if end < 0 {
		return "", "", errHostName
	}
	switch rest := text[end+1:]; {
	case rest == "":
	case rest[0] == ':' && isPort(rest[1:]):
		port = rest[1:]
	default:
		return "", "", errHostPort
	}
	addr, err := netip.ParseAddr(text[1:end])
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return "", "", errHostName
	}
	var buf [64]byte
	short := append(addr.AppendTo(append(buf[:0], '[')), ']')
	if name = text[:end+1]; name != string(short) {
		name = string(short)
	}
	return name, port, nil
}

// isPort reports whether s is a port number in its shortest form.
func isPort(s string) bool {
	if s == "" || len(s) > 5 || s[0] == '0' {
		return false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n < 1<<16
}

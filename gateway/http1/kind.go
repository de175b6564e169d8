package http1

import (
	"bytes"

	"github.com/weir-project/weir/gateway/identity"
)

// A kind is what a field means to the gateway, beyond being passed on.
type kind uint8

const (
	plain      kind = iota // passed on
	dropped                // meant for one connection only, or not believed
	forbidden              // a disguise of a field that is not believed
	connection             // the kinds from here on are dropped too, after a look
	contentLength
	transferEncoding
	host
	expect
	upgrade
	accept // the kinds from here on are looked at and passed on
	acceptEncoding
	socketKey
	contentType
	contentEncoding
)

// passes reports whether fields of the kind go to the other side as they are.
func (k kind) passes() bool { return k == plain || k >= accept }

// A named is a name in small letters and its kind.
type named struct {
	name string
	kind kind
}

// The fields that mean something, by the length of their names.
var requestKinds = byLength([]named{
	{"te", dropped},
	{"host", host},
	{"expect", expect},
	{"accept", accept},
	{"upgrade", upgrade},
	{"trailer", dropped},
	{"connection", connection},
	{"keep-alive", dropped},
	{"content-length", contentLength},
	{"http2-settings", dropped},
	{"accept-encoding", acceptEncoding},
	{"proxy-connection", dropped},
	{"transfer-encoding", transferEncoding},
	{"sec-websocket-key", socketKey},
	{"proxy-authenticate", dropped},
	{"proxy-authorization", dropped},
})

// Alt-Svc would show clients a way around the gateway.
var responseKinds = byLength([]named{
	{"te", dropped},
	{"alt-svc", dropped},
	{"trailer", dropped},
	{"upgrade", upgrade},
	{"connection", connection},
	{"keep-alive", dropped},
	{"content-type", contentType},
	{"content-length", contentLength},
	{"content-encoding", contentEncoding},
	{"proxy-connection", dropped},
	{"transfer-encoding", transferEncoding},
	{"proxy-authenticate", dropped},
})

// longestKind is longer than every name that means something.
const longestKind = 32

// byLength sorts names by their length.
func byLength(all []named) (table [longestKind][]named) {
	for _, n := range all {
		table[len(n.name)] = append(table[len(n.name)], n)
	}
	return table
}

// lookUp returns the kind of the field called name, plain if it is not in table.
func lookUp(table *[longestKind][]named, name []byte) kind {
	if len(name) >= longestKind {
		return plain
	}
	for _, n := range table[len(name)] {
		if lower(name[0]) == n.name[0] && equalFold(name, n.name) {
			return n.kind
		}
	}
	return plain
}

// requestKind returns the kind of a request's field. A name with underscores in
// which many backends see one of those that the gateway answers for is forbidden.
func requestKind(name []byte) kind {
	k := lookUp(&requestKinds, name)
	switch {
	case k != plain:
		return k
	case identity.StripHeader(view(name)):
		k = dropped
	}
	if bytes.IndexByte(name, '_') >= 0 && (k == dropped || disguised(name)) {
		return forbidden
	}
	return k
}

// disguised reports whether name, with hyphens for underscores, is one that means
// something to the gateway.
func disguised(name []byte) bool {
	if len(name) >= longestKind {
		return false // no such name is that long
	}
	var buf [longestKind]byte
	hyphens := buf[:copy(buf[:], name)]
	for i, c := range hyphens {
		if c == '_' {
			hyphens[i] = '-'
		}
	}
	return !lookUp(&requestKinds, hyphens).passes()
}

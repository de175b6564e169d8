package http1

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
	{"te", dropped}, {"host", host}, {"expect", expect}, {"accept", accept}, {"upgrade", upgrade},
	{"trailer", dropped}, {"connection", connection}, {"keep-alive", dropped},
	{"content-length", contentLength}, {"http2-settings", dropped}, {"accept-encoding", acceptEncoding},
	{"proxy-connection", dropped}, {"transfer-encoding", transferEncoding}, {"sec-websocket-key", socketKey},
	{"proxy-authenticate", dropped}, {"proxy-authorization", dropped},
})

// Alt-Svc would show clients a way around the gateway.
var responseKinds = byLength([]named{
	{"te", dropped}, {"alt-svc", dropped}, {"trailer", dropped}, {"upgrade", upgrade}, {"connection", connection},
	{"keep-alive", dropped}, {"content-type", contentType}, {"content-length", contentLength},
	{"content-encoding", contentEncoding}, {"proxy-connection", dropped},
	{"transfer-encoding", transferEncoding}, {"proxy-authenticate", dropped},
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

// requestKind returns the kind of a request's field. Names with underscores in
// which many backends see one of those that the gateway answers for are forbidden.
func requestKind(name []byte) kind {
	k := lookUp(&requestKinds, name)
	if k != plain {
		return k
	}
	if stripped(view(name)) {
		return dropped
	}
	for i, c := range name {
		if c == '_' && i > 0 && disguised(name) {
			return forbidden
		}
	}
	return plain
}

// disguised reports whether name, with hyphens for underscores, is one that is
// not passed on.
func disguised(name []byte) bool {
	if len(name) >= longestKind {
		return false // no such name is longer
	}
	var buf [longestKind]byte
	plainName := buf[:copy(buf[:], name)]
	for i, c := range plainName {
		if c == '_' {
			plainName[i] = '-'
		}
	}
	return !lookUp(&requestKinds, plainName).passes() || stripped(view(plainName))
}

// identityNames are the fields by which proxies tell who a client is, and those
// that change the method: nothing that a client says in them is believed.
var identityNames = byLength([]named{
	{"forwarded", dropped}, {"x-real-ip", dropped}, {"x-client-ip", dropped}, {"x-remote-ip", dropped},
	{"x-remote-addr", dropped}, {"x-http-method", dropped}, {"true-client-ip", dropped},
	{"x-forwarded-by", dropped}, {"x-forwarded-for", dropped}, {"x-original-url", dropped},
	{"x-rewrite-url", dropped}, {"x-forwarded-host", dropped}, {"x-forwarded-port", dropped},
	{"x-originating-ip", dropped}, {"cf-connecting-ip", dropped}, {"fastly-client-ip", dropped},
	{"x-forwarded-proto", dropped}, {"x-method-override", dropped}, {"x-forwarded-prefix", dropped},
	{"x-forwarded-scheme", dropped}, {"x-forwarded-server", dropped}, {"x-forwarded-ssl", dropped},
	{"cf-connecting-ipv6", dropped}, {"x-cluster-client-ip", dropped},
	{"x-http-method-override", dropped}, {"x-envoy-external-address", dropped},
})

// stripped reports whether the field is one by which the gateway itself says who
// the client is: what clients put there is not passed on.
func stripped(name string) bool {
	return lookUp(&identityNames, []byte(name)) == dropped
}

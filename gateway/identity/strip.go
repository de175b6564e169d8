package identity

// stripped are the fields, in lower case, with which a client could claim an
// address, a host, a path, a method or an identity of its choice. They are
// grouped by length, so that a look-up compares few of them.
var stripped = groupByLength(
	// the client's address
	"forwarded", "client-ip", "x-client-ip", "x-real-ip", "x-remote-ip", "x-remote-addr",
	"x-originating-ip", "x-original-remote-addr", "x-cluster-client-ip", "x-proxyuser-ip",
	"true-client-ip", "cf-connecting-ip", "cf-connecting-ipv6", "cf-pseudo-ipv4",
	"fastly-client-ip", "fly-client-ip", "x-azure-clientip", "x-azure-socketip",
	"x-appengine-user-ip", "x-appengine-remote-addr", "x-envoy-external-address",
	"x-envoy-peer-metadata", "x-envoy-original-path", "x-sucuri-clientip", "x-akamai-client-ip",
	"x-real-port", "x-forwarded", "forwarded-for", "x-forward-for",
	// the host, the path and the scheme
	"x-host", "x-original-host", "x-original-url", "x-original-uri", "x-original-method",
	"x-rewrite-url", "x-url-scheme", "x-scheme", "front-end-https",
	// the method
	"x-http-method-override", "x-http-method", "x-method-override",
	// identities that a gateway or a TLS proxy asserts
	"x-jwt-assertion", "x-client-cert", "x-client-dn", "x-client-verify", "x-client-subject",
	"x-ssl-cert", "x-ssl-client-cert", "x-ssl-client-dn", "x-ssl-client-s-dn", "x-ssl-client-verify",
	"ssl-client-cert", "ssl-client-verify", "ssl-client-subject-dn", "x-arr-clientcert", "client-cert",
	"client-cert-chain", "x-remote-user", "remote-user", "x-authenticated-user",
	// what CGI makes the variable HTTP_PROXY of
	"proxy",
)

// forwardedPrefix begins a family of fields too large to list.
const forwardedPrefix = "x-forwarded-"

// longestStripped is the length of the longest of the fields.
const longestStripped = 32

func groupByLength(names ...string) (groups [longestStripped + 1][]string) {
	for _, name := range names {
		groups[len(name)] = append(groups[len(name)], name)
	}
	return groups
}

// StripHeader reports whether a field of a client's request must not reach a
// backend as the client sent it: everything with which a client could name its
// own address, host, path, method or identity, X-Forwarded-For and its family
// included. Front doors remove such fields, also from trailers, and then set
// those that they vouch for. Case does not matter, and neither does "_" for
// "-", which servers of the CGI kind can't tell apart. It allocates nothing.
func StripHeader(name string) bool {
	if len(name) > len(forwardedPrefix) && (name[0] == 'x' || name[0] == 'X') &&
		equalField(name[:len(forwardedPrefix)], forwardedPrefix) {
		return true
	}
	if len(name) > longestStripped {
		return false
	}
	for _, candidate := range stripped[len(name)] {
		if equalField(name, candidate) {
			return true
		}
	}
	return false
}

// equalField reports whether name, of the same length as lower, is that field.
func equalField(name, lower string) bool {
	for i := range len(lower) {
		c := name[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c == '_':
			c = '-'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

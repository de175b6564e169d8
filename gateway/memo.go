package gateway

import (
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/gateway/route"
)

// A memo is what was found out for the last calls on an Exchange, and from what.
// The calls on a connection are often alike, and what was found out from the
// same bytes under the same definition is so again. It remembers nothing that
// depends on more than those: no token, which expires, and no address. The zero
// value remembers nothing.
type memo struct {
	snapshot *snapshot // what found and owner are true of
	host     []byte    // the last that was valid

	path   []byte // in canonical form, nil for none
	method route.Method
	found  route.Match // Rest aside
	rest   int         // where Rest begins in path

	key   []byte // an API key, nil for none
	owner identity.Principal
}

// under forgets what is not true of s.
func (m *memo) under(s *snapshot) {
	if m.snapshot != s {
		*m = memo{snapshot: s, host: m.host}
	}
}

// validHost is route.Host's verdict on host.
func (m *memo) validHost(host string) bool {
	if string(m.host) == host && host != "" {
		return true
	}
	if _, _, err := route.Host(host); err != nil {
		return false
	}
	m.host = append(m.host[:0], host...)
	return true
}

// lookup is the router's answer for a path as received, and the path's canonical
// form; or route's error if it has none.
func (m *memo) lookup(method route.Method, received string) (route.Match, error) {
	if m.path != nil && method == m.method && string(m.path) == received {
		found := m.found
		found.Rest = received[m.rest:]
		return found, nil
	}
	path, err := route.Canonical(received)
	if err != nil {
		return route.Match{}, err
	}
	found := m.snapshot.router.Lookup(path, method)
	if path == received && found.Resource >= 0 {
		m.path, m.method = append(m.path[:0], path...), method
		m.found, m.rest = found, len(path)-len(found.Rest)
		m.found.Rest = "" // shares memory with the connection's buffer
	}
	return found, nil
}

// ownerOf returns the principal of an API key, if it is the one remembered.
func (m *memo) ownerOf(key string) (identity.Principal, bool) {
	return m.owner, m.key != nil && string(m.key) == key
}

// remember keeps p as the principal of a credential, if that is an API key: one
// of a token holds for a time only, and from some addresses.
func (m *memo) remember(credential string, p identity.Principal) {
	if identity.CheckKey(credential) == nil {
		m.key, m.owner = append(m.key[:0], credential...), p
	}
}

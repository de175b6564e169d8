package uplink

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const (
	// managementPort is where a traffic manager takes events unless told otherwise.
	managementPort = 9443
	// base is the path below which a URL without one has the endpoints.
	base = "/endpoints"
	// resource is the endpoint of batches, below the base.
	resource = "/events"
)

// An address is where a traffic manager takes batches.
type address struct {
	tls  bool
	host string // a name or an address, in lower case, without brackets
	port string
	path string // of the endpoints, canonical, without a slash at the end
}

// parseAddress returns the address that an http or https URL names; one without a
// path means /endpoints.
func parseAddress(text string) (address, error) {
	u, err := splitURL(text)
	if err != nil {
		return address{}, err
	}
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	if port == "" {
		return address{}, fmt.Errorf("scheme %s: events go to https://%s", u.Scheme, withPort(u.Hostname(), managementPort))
	}
	if u.Port() != "" {
		port = u.Port()
	}
	path := strings.TrimSuffix(u.Path, "/")
	if path == "" {
		path = base
	}
	if !canonicalPath(path) || u.EscapedPath() != u.Path {
		return address{}, errors.New("the path must be canonical: no empty, dot or encoded segments")
	}
	return address{tls: u.Scheme == "https", host: u.Hostname(), port: port, path: path}, nil
}

// splitURL returns the parts of an absolute URL of a traffic manager, with the
// host in lower case, or what is wrong with them.
func splitURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return nil, errors.New("it is no URL: write one like https://tm1:9443")
	}
	u.Host = strings.ToLower(u.Host)
	switch {
	case u.User != nil:
		return nil, errors.New("credentials don't belong into it")
	case u.Hostname() == "" || !validHost(u.Hostname()):
		return nil, errors.New("it has no valid host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, errors.New("query and fragment don't belong into it")
	case strings.HasSuffix(u.Host, ":"):
		return nil, errPort
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return nil, errPort
		}
		u.Host = withPort(u.Hostname(), int(n))
	}
	return u, nil
}

var errPort = errors.New("the port must be a number from 1 to 65535")

// dial is what to connect to.
func (a address) dial() string { return net.JoinHostPort(a.host, a.port) }

// authority is what stands in the Host field.
func (a address) authority() string {
	if a.tls && a.port == "443" || !a.tls && a.port == "80" {
		return strings.TrimSuffix(net.JoinHostPort(a.host, ""), ":")
	}
	return a.dial()
}

// String returns the URL of the endpoints. There is one for each address.
func (a address) String() string {
	scheme := "http"
	if a.tls {
		scheme = "https"
	}
	return scheme + "://" + a.authority() + a.path
}

// loopback reports whether the address cannot leave this machine, whatever a
// name server says.
func (a address) loopback() bool {
	if a.host == "localhost" || strings.HasSuffix(a.host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(a.host)
	return err == nil && ip.Unmap().IsLoopback()
}

func withPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// validHost reports whether host is a name or an address that can stand in a
// Host field as it is.
func validHost(host string) bool {
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == ':':
		default:
			return false // also a zone, which a Host field has no place for
		}
	}
	if strings.Contains(host, ":") {
		_, err := netip.ParseAddr(host)
		return err == nil
	}
	return host != "" && len(host) <= 253
}

// canonicalPath reports whether path means the same to everybody who reads it.
func canonicalPath(path string) bool {
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
		for i := range len(segment) {
			if c := segment[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`%\;?#"<>^{|}`+"`", c) >= 0 {
				return false
			}
		}
	}
	return path[0] == '/'
}

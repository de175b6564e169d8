package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/weir-project/weir/broker"
)

// The ports of WSO2's binary protocol and those of Weir that stand for them. Where a
// product runs with an offset, all its ports are that much higher.
const (
	binaryPort     = 9611
	binaryAuthPort = 9711
	managementPort = 9443
	mostOffset     = 100
)

// eventsURL returns the URL below which a traffic manager takes events, of what
// stands in a file: https://host:9443/endpoints, or tcp://host:9611.
func eventsURL(text string) (string, error) {
	u, err := parseServer(text)
	if err != nil {
		return "", err
	}
	switch u.Scheme {
	case "tcp", "ssl":
		return binaryURL(u)
	case "http":
		if !isLoopback(u.Hostname()) {
			return "", fmt.Errorf("must be https, not %s: whoever is on the way could read the password", u)
		}
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/endpoints"
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u.String(), nil
}

// parseServer parses the address of a traffic manager or a control plane.
func parseServer(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("must be a URL like https://host:9443/endpoints, not %q", withoutLogin(text))
	case u.User != nil:
		return nil, errors.New("must not have a user name or a password in it")
	}
	switch u.Scheme {
	case "https", "http", "tcp", "ssl":
		return u, nil
	}
	return nil, fmt.Errorf("must be a URL like https://host:9443/endpoints, not %q", text)
}

// withoutLogin returns a text for an error, without what may be a password in it.
func withoutLogin(text string) string {
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		if i := strings.LastIndexByte(after, '@'); i >= 0 {
			return scheme + "://…" + after[i:]
		}
	}
	return text
}

// binaryURL returns what stands for an address of the binary protocol.
func binaryURL(u *url.URL) (string, error) {
	base := binaryPort
	if u.Scheme == "ssl" {
		base = binaryAuthPort
	}
	offset := 0
	if port := u.Port(); port != "" {
		n, err := strconv.Atoi(port)
		if offset = n - base; err != nil || offset < 0 || offset >= mostOffset {
			return "", fmt.Errorf("has port %s, which does not tell where %s takes events: write https://%s:PORT/endpoints", port, u.Hostname(), u.Hostname())
		}
	}
	host := net.JoinHostPort(u.Hostname(), strconv.Itoa(managementPort+offset))
	return (&url.URL{Scheme: "https", Host: host, Path: "/endpoints"}).String(), nil
}

// dataURL returns the URL of the internal data API of the server that has u.
func dataURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: dataPath}).String()
}

const dataPath = "/internal/data/v1"

// serviceURL returns the URL of an internal data API, of what stands in a file: that,
// or a control plane's https://host:9443/services/.
func serviceURL(text string) (string, error) {
	u, err := parseServer(text)
	switch {
	case err != nil:
		return "", err
	case u.Scheme == "tcp" || u.Scheme == "ssl":
		return "", fmt.Errorf("must be a URL like https://host:9443%s, not %q", dataPath, text)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "", fmt.Errorf("must be https, not %s: whoever is on the way could read the password", u)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if u.Path == "" || u.Path == "/services" {
		u.Path = dataPath
	}
	return u.String(), nil
}

// A plain says what the address of a broker means where it leaves something open.
type plain struct {
	kind  string // of what is written as tcp://
	tls   bool   // whether that is encrypted
	login Login  // as whom to connect, whatever the address says; empty: as that says
	usual Login  // as whom to connect if nothing is said
}

// broker returns the broker of what stands in a file.
func (p plain) broker(text string) (broker.URL, error) {
	if after, ok := strings.CutPrefix(text, "tcp://"); ok {
		scheme := map[string]string{"amqpfalse": "amqp", "amqptrue": "amqps", "natsfalse": "nats", "natstrue": "tls"}
		text = scheme[p.kind+strconv.FormatBool(p.tls)] + "://" + after
	}
	u, err := broker.ParseURL(text)
	if err != nil {
		return broker.URL{}, fmt.Errorf("is no %w", err)
	}
	if l := or(p.login, p.usual); p.login.User != "" || u.User == "" {
		u.User, u.Password = l.User, string(l.Password)
	}
	if isWellKnown(u.Password) {
		for _, b := range u.Brokers {
			if host, _, _ := net.SplitHostPort(b.Address); !isLoopback(host) {
				return broker.URL{}, fmt.Errorf("has a password that anybody knows, or none, and %s is another machine: set one", host)
			}
		}
	}
	return u, nil
}

// isWellKnown reports whether a password is no secret.
func isWellKnown(password string) bool { return password == "" || password == defaultPassword }

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && addr.Unmap().IsLoopback())
}

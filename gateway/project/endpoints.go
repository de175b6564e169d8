package project

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/route"
)

// maxURLs is how many backends one list of endpoints may have.
const maxURLs = 63

// namedPrefix begins a reference to named endpoints.
const namedPrefix = "#/x-wso2-endpoints/"

// readNamedEndpoints reads x-wso2-endpoints: a mapping of names to endpoints, or
// a list of such mappings with one name each.
func (d *openAPI) readNamedEndpoints() {
	d.endpoints = map[string]*gateway.Endpoints{}
	v, ok := d.at("x-wso2-endpoints")
	if !ok || v.isNull() {
		return
	}
	pairs, ok := v.pairs()
	if !ok {
		for _, item := range v.list() {
			one, ok := item.pairs()
			if !ok {
				item.fault("must be a name with its endpoints: - pets: {urls: [https://pets.example.com]}")
			}
			pairs = append(pairs, one...)
		}
	}
	for _, p := range pairs {
		if _, taken := d.endpoints[p.name]; taken {
			p.key.fault("the endpoints %s are there twice", quoted(p.name))
		}
		d.endpoints[p.name] = d.readEndpoints(p.value)
	}
}

// readEndpoints reads endpoints, or a reference to named ones. It returns nil if
// they are at fault.
func (d *openAPI) readEndpoints(v value) *gateway.Endpoints {
	if ref, ok := scalarText(v); ok {
		name, ok := strings.CutPrefix(ref, namedPrefix)
		if !ok {
			v.fault("%s must be a mapping with urls, or a reference like %spets", v.name(), namedPrefix)
			return nil
		}
		e, ok := d.endpoints[unescapePointer(name)]
		if !ok {
			v.fault("x-wso2-endpoints has no %s", quoted(name))
		}
		return e
	}
	o, ok := v.object("urls", "type", "timeoutInMillis", "advanceEndpointConfig", "securityConfig")
	if !ok {
		return nil
	}
	e := &gateway.Endpoints{}
	urls, ok := o.get("urls")
	if !ok {
		o.fault("urls is missing: the addresses of the backends")
		return nil
	}
	if e.URLs, ok = urls.backends(); !ok {
		return nil
	}
	if t, ok := o.get("type"); ok {
		name, ok := t.oneOf("load_balance", "failover")
		if !ok {
			return nil
		}
		e.Failover = name == "failover"
	}
	if s, ok := o.get("securityConfig"); ok {
		s.fault("securityConfig is not supported: backends would get requests without the credentials they ask for")
		return nil
	}
	if a, ok := o.get("advanceEndpointConfig"); ok {
		if o, ok = a.object("timeoutInMillis"); !ok {
			return nil
		}
	}
	if t, ok := o.get("timeoutInMillis"); ok {
		ms, ok := t.integer(1, 3_600_000)
		if !ok {
			return nil
		}
		e.Timeout = time.Duration(ms) * time.Millisecond
	}
	return e
}

// scalarText returns the text of a value that is one, without reporting others.
func scalarText(v value) (string, bool) {
	if _, isMapping := v.pairs(); isMapping || v.node.ShortTag() != "!!str" {
		return "", false
	}
	return v.node.Value, true
}

// backends returns the URLs in a list, or the one URL.
func (v value) backends() (urls []string, ok bool) {
	items := []value{v}
	if _, one := scalarText(v); !one {
		items = v.list()
	}
	switch {
	case len(items) == 0:
		v.fault("urls is empty: it lists the addresses of the backends")
		return nil, false
	case len(items) > maxURLs:
		v.fault("urls lists %d backends, at most %d are possible", len(items), maxURLs)
		return nil, false
	}
	ok = true
	for _, item := range items {
		text, isText := item.nonEmpty()
		if !isText {
			return nil, false
		}
		text = strings.TrimSpace(text)
		if fault := checkURL(text); fault != "" {
			item.fault("the backend %s %s", quoted(text), fault)
			ok = false
		} else if slices.Contains(urls, text) {
			item.fault("the backend %s is there twice", quoted(text))
			ok = false
		}
		urls = append(urls, text)
	}
	return urls, ok
}

// checkThroughput warns of a maximum throughput of backends that there are none of.
func (d *openAPI) checkThroughput() {
	at, ok := d.at("x-weir-max-throughput")
	if b := d.out.backend; ok && b != nil {
		api := &d.out.api
		production, sandbox := api.Production != nil, api.Sandbox != nil
		for _, r := range api.Resources {
			production, sandbox = production || r.Production != nil, sandbox || r.Sandbox != nil
		}
		if b.Production != nil && !production {
			at.warn("productionMaxCount has no effect: the API has no production endpoints")
		}
		if b.Sandbox != nil && !sandbox {
			at.warn("sandboxMaxCount has no effect: the API has no sandbox endpoints")
		}
	}
}

// checkURL says what is wrong with the URL of a backend, "" if nothing is.
func checkURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "is no URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return "must begin with http:// or https://"
	case u.User != nil:
		return "must not have a user name or a password in it"
	case u.Hostname() == "" || u.Opaque != "":
		return "has no host"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return "must not have a query or a fragment"
	}
	if _, _, err := route.Host(u.Host); err != nil {
		return "cannot be reached: " + err.Error()
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "must have a port from 1 to 65535"
		}
	}
	if p := strings.TrimSuffix(u.EscapedPath(), "/"); p != "" {
		if strings.Contains(p, "%") {
			return "must not have escapes in its path"
		}
		if p == "/" {
			return "has an empty segment in its path"
		}
		if canonical, err := route.Canonical(p); err != nil {
			return "cannot be asked for: " + err.Error()
		} else if canonical != p {
			return "must have the path " + canonical
		}
	}
	return ""
}
